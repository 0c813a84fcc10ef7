//! Which of an agent's tools are fenced off, whatever the agent would ask by itself: the effect of a session's rules.
//!
//! *Absent here:* rules and their patterns; and how an agent is told, which is in [`quirks`](super::quirks::keeps).

use std::collections::{BTreeMap, BTreeSet};

/// Stands for every tool that has no name of its own here, such as those of the user's MCP servers.
pub const ANY_OTHER: &str = "*";
/// The permissions of tools that agents in general have. Rules about them have to hold with each.
pub const COMMON: [&str; 8] = [
    "bash",
    "edit",
    "read",
    "glob",
    "grep",
    "list",
    "webfetch",
    "websearch",
];
/// Permissions of what only OpenCode has: its own helpers, and bounds within another permission. With another agent there
/// is nothing that they could be about, so they are no reason to refuse one.
pub const OPENCODE_ONLY: [&str; 13] = [
    "batch",
    "codesearch",
    "doom_loop",
    "external_directory",
    "invalid",
    "lsp",
    "plan_enter",
    "plan_exit",
    "question",
    "skill",
    "task",
    "todoread",
    "todowrite",
];

/// What has to be done about the tools of one permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Need {
    /// The agent has to ask before each use.
    Asked,
    /// They must not be used at all.
    Denied,
}

/// The tools that are fenced off, by permission.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Fence {
    /// What to do; [`ANY_OTHER`] means what is not named, here or in `free`.
    pub needs: BTreeMap<String, Need>,
    /// What is left open although other tools are fenced off.
    pub free: BTreeSet<String>,
}

impl Fence {
    /// Whether every tool may be used as the agent sees fit.
    pub fn is_open(&self) -> bool {
        self.needs.is_empty()
    }

    /// The permissions with this need.
    pub fn with(&self, need: Need) -> impl Iterator<Item = &str> {
        let those = self.needs.iter().filter(move |(_, n)| **n == need);
        those.map(|(name, _)| name.as_str())
    }

    /// Both together: as strict as the stricter one about each permission.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let named = [self, other].into_iter().flat_map(|fence| {
            let needs = fence.needs.keys();
            needs.chain(&fence.free)
        });
        let mut both = Self::default();
        for name in named.collect::<BTreeSet<_>>() {
            match self.need(name).max(other.need(name)) {
                Some(need) => drop(both.needs.insert(name.clone(), need)),
                None => drop(both.free.insert(name.clone())),
            }
        }
        if !both.needs.contains_key(ANY_OTHER) {
            both.free.clear();
        }
        both
    }

    /// What to do about the tools of a permission.
    pub fn need(&self, permission: &str) -> Option<Need> {
        match self.free.contains(permission) {
            true => None,
            false => self
                .needs
                .get(permission)
                .or_else(|| self.needs.get(ANY_OTHER))
                .copied(),
        }
    }
}
