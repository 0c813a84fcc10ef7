//! How each agent is made to keep rules about its tools: by what it is started with, or by what a native session of it is
//! opened with. An agent without a way of its own keeps none, and sessions with such rules are refused there: Baton can
//! answer what an agent asks, and no more.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::agent::fence::{ANY_OTHER, COMMON, Fence, Need, OPENCODE_ONLY};
use crate::environment::Environment;

/// How an agent keeps rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keeps {
    /// It does not.
    Nothing,
    /// By arguments of its program.
    Arguments(Arguments),
    /// By the permissions of OpenCode's configuration, in this environment variable.
    OpencodeConfig(&'static str),
    /// By the options of Claude Code's SDK that `session/new`, `session/load` and `session/resume` take along.
    ClaudeOptions,
}

/// What is added to a program's arguments, by permission.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arguments {
    /// Takes the tools of the permission away.
    pub deny: BTreeMap<String, Vec<String>>,
    /// Makes the agent ask before each use. Empty where it always does.
    pub ask: BTreeMap<String, Vec<String>>,
}

impl Arguments {
    fn of(&self, permission: &str, need: Need) -> Option<&Vec<String>> {
        // A tool that has no name here goes with all others.
        let name = match COMMON.contains(&permission) {
            true => permission,
            false => ANY_OTHER,
        };
        match need {
            Need::Denied if self.deny.contains_key(name) => self.deny.get(name),
            // What is asked can be answered with no.
            Need::Denied | Need::Asked => self.ask.get(name),
        }
    }
}

/// OpenCode's agents that are there without any configuration and run tools.
const OPENCODE_AGENTS: [&str; 4] = ["build", "plan", "general", "explore"];

/// The tools of Claude Code, by permission. `edit` and `bash` have all that can change a file or run a program.
const CLAUDE_TOOLS: [(&str, &[&str]); 8] = [
    (
        "bash",
        &[
            "Bash",
            "PowerShell",
            "Monitor",
            "BashOutput",
            "KillShell",
            "REPL",
        ],
    ),
    ("edit", &["Edit", "Write", "MultiEdit", "NotebookEdit"]),
    ("read", &["Read", "NotebookRead"]),
    ("glob", &["Glob"]),
    ("grep", &["Grep"]),
    ("list", &["LS"]),
    ("webfetch", &["WebFetch"]),
    ("websearch", &["WebSearch"]),
];

impl Keeps {
    /// The permissions with a need that the agent cannot keep, in a mode of it.
    pub fn unkept<'a>(&self, fence: &'a Fence) -> Vec<(&'a str, Need)> {
        let all = fence
            .needs
            .iter()
            .map(|(name, need)| (name.as_str(), *need));
        let concerns = |name: &str| match self {
            Self::OpencodeConfig(_) => true,
            _ => !OPENCODE_ONLY.contains(&name),
        };
        all.filter(|(name, need)| concerns(name) && !self.can(name, *need))
            .collect()
    }

    fn can(&self, permission: &str, need: Need) -> bool {
        match self {
            Self::Nothing => false,
            Self::OpencodeConfig(_) => true,
            Self::Arguments(arguments) => arguments.of(permission, need).is_some(),
            // Which other tools exist is not known beforehand: they can only be left out.
            Self::ClaudeOptions => match permission {
                ANY_OTHER => need == Need::Denied,
                name => !claude_tools(name).is_empty(),
            },
        }
    }

    /// What it can keep, for people.
    pub fn describe(&self) -> String {
        match self {
            Self::Nothing => "no such rule".to_owned(),
            Self::OpencodeConfig(_) => "all rules".to_owned(),
            Self::ClaudeOptions => {
                format!(
                    "rules about {} and tools of MCP servers (server_tool, server_*), and `deny` for all others",
                    COMMON.join(", ")
                )
            }
            Self::Arguments(arguments) => {
                let list = |those: &BTreeMap<String, Vec<String>>| {
                    let names: Vec<_> = those.keys().map(String::as_str).collect();
                    match names.is_empty() {
                        true => "nothing".to_owned(),
                        false => names.join(", "),
                    }
                };
                let (deny, ask) = (list(&arguments.deny), list(&arguments.ask));
                format!("`deny` for {deny}, and `ask` for {ask}")
            }
        }
    }

    /// Adds to what a process is started with. `modes` are those that its native sessions may be in.
    ///
    /// # Errors
    /// A sentence: what the user has configured leaves no way.
    pub fn put_into_launch(
        &self,
        fence: &Fence,
        modes: &[String],
        command: &mut Vec<String>,
        environment: &mut Environment,
    ) -> Result<(), String> {
        match self {
            Self::Nothing | Self::ClaudeOptions => Ok(()),
            Self::Arguments(arguments) => {
                for (permission, need) in &fence.needs {
                    command.extend(
                        arguments
                            .of(permission, *need)
                            .into_iter()
                            .flatten()
                            .cloned(),
                    );
                }
                Ok(())
            }
            Self::OpencodeConfig(variable) => {
                let before = environment.set.get(*variable);
                let fenced = opencode_config(before.map(String::as_str), fence, modes);
                let fenced = fenced.ok_or_else(|| {
                    format!(
                        "{variable} is no JSON object, so that no permissions can be added to it"
                    )
                })?;
                environment.set.insert((*variable).to_owned(), fenced);
                Ok(())
            }
        }
    }

    /// What goes with the opening of a native session, as its `_meta`.
    pub fn session_meta(&self, fence: &Fence) -> Option<Value> {
        match self {
            Self::ClaudeOptions if !fence.is_open() => {
                Some(json!({ "claudeCode": { "options": claude_options(fence) } }))
            }
            _ => None,
        }
    }
}

/// OpenCode's configuration with the fence in it. The last permission that matches decides, and a key that is there
/// already stays where it is: so ours have an unusual spelling. An agent's own permissions come after
/// those of all, so they are set for each.
fn opencode_config(before: Option<&str>, fence: &Fence, modes: &[String]) -> Option<String> {
    let mut config: Value = serde_json::from_str(before.unwrap_or("{}")).ok()?;
    let root = config.as_object_mut()?;
    extend(root, "permission", opencode_permissions(fence, false))?;
    let agents = root.entry("agent").or_insert_with(|| json!({}));
    let agents = agents.as_object_mut()?;
    let own = OPENCODE_AGENTS.iter().map(|&name| name.to_owned());
    for name in own.chain(modes.iter().cloned()) {
        let plans = name == "plan";
        let agent = agents.entry(name).or_insert_with(|| json!({}));
        let permissions = opencode_permissions(fence, plans);
        extend(agent.as_object_mut()?, "permission", permissions)?;
    }
    Some(config.to_string())
}

/// Adds permissions after the existing ones, whichever of OpenCode's two forms these have.
fn extend(object: &mut Map<String, Value>, key: &str, added: Map<String, Value>) -> Option<()> {
    let there = object.entry(key).or_insert_with(|| json!({}));
    if let Value::String(action) = there {
        *there = json!({ "*": action });
    }
    let there = there.as_object_mut()?;
    for (name, action) in added {
        there.shift_remove(&name);
        there.insert(name, action);
    }
    Some(())
}

/// The permissions that make a fence. Where an agent only plans, nothing that it may not do becomes a question.
fn opencode_permissions(fence: &Fence, plans: bool) -> Map<String, Value> {
    let word = |need: Need| match need {
        Need::Denied => "deny",
        Need::Asked => "ask",
    };
    let mut permissions = Map::new();
    if let Some(need) = fence.needs.get(ANY_OTHER) {
        permissions.insert("**".to_owned(), word(*need).into());
        // What is left open is asked, and answered by the rules.
        for name in &fence.free {
            permissions.insert(unusual(name), "ask".into());
        }
    }
    for (name, need) in fence.needs.iter().filter(|(name, _)| *name != ANY_OTHER) {
        permissions.insert(unusual(name), word(*need).into());
    }
    let about_edits = ["edit", ANY_OTHER];
    if plans
        && about_edits
            .iter()
            .any(|name| fence.needs.contains_key(*name))
    {
        // What came before says no to edits; nothing here may say less.
        permissions.insert(unusual("edit"), "deny".into());
    }
    // Its helpers have permissions of their own, and wait for ever for an answer to what they ask.
    if !fence.is_open() {
        permissions.insert(unusual("task"), "deny".into());
    }
    permissions
}

/// Another spelling of a permission's name: its last character as a wildcard.
fn unusual(name: &str) -> String {
    let mut chars = name.chars();
    match chars.next_back() {
        Some('*') => format!("{name}*"),
        Some(_) => format!("{}?", chars.as_str()),
        None => "**".to_owned(),
    }
}

/// What Claude Code calls the tools of a permission; empty where it has no name for them. OpenCode's `server_tool` is its
/// `mcp__server__tool`, and where the server's name ends is not to be seen.
fn claude_tools(permission: &str) -> Vec<String> {
    if let Some((_, tools)) = CLAUDE_TOOLS.iter().find(|(name, _)| *name == permission) {
        return tools.iter().map(|&tool| tool.to_owned()).collect();
    }
    // It has wildcards for all the tools of a server and no others.
    let spelled = permission.strip_suffix("_*").unwrap_or(permission);
    if spelled.contains(['*', '?']) {
        return Vec::new();
    }
    let cuts = permission.match_indices('_');
    let cuts = cuts.map(|(at, _)| permission.split_at(at));
    let names = cuts.map(|(server, tool)| format!("mcp__{server}__{}", &tool[1..]));
    names.filter(|name| !name.contains("*_")).collect()
}

fn claude_options(fence: &Fence) -> Value {
    let those = |need| -> Vec<_> { fence.with(need).flat_map(claude_tools).collect() };
    let (denied, asked) = (those(Need::Denied), those(Need::Asked));
    let mut options = json!({ "disallowedTools": denied });
    if !asked.is_empty() {
        // A rule that asks is stronger than one of the user's that allows.
        options["settings"] = json!({ "permissions": { "ask": asked, "deny": denied } });
    }
    if fence.needs.contains_key(ANY_OTHER) {
        let open = |name: &&str| fence.need(name) != Some(Need::Denied);
        let open: Vec<_> = COMMON
            .iter()
            .copied()
            .filter(open)
            .flat_map(claude_tools)
            .collect();
        options["tools"] = json!(open);
        // No tools of MCP servers either.
        options["strictMcpConfig"] = json!(true);
    }
    options
}

#[cfg(test)]
mod tests;
