//! Profiles: agents with a model and a reasoning effort of their own, from the config file and from OpenCode's own
//! `agent` entries ([`file`]). What one means with what is available is decided by `Snapshot::with_profile`.

mod entry;
mod file;
mod jsonc;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::mcp;
use crate::opencode::provider::AgentMode;
use crate::opencode::session::PermissionRule;

pub use entry::rules_of;

/// An agent with a model of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its name, which is selected as `agent`.
    pub name: String,
    /// Its model as its user has written it: `provider/model`, or a model's id alone.
    pub model: Option<String>,
    /// The reasoning effort of that model.
    pub variant: Option<String>,
    /// The backend's mode: `build`, `plan`, or one that the backend advertises. Left out, the mode with the profile's
    /// name where the backend has it, else `build`.
    pub mode: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Rules that hold while it is selected, before those of the session.
    pub permission: Vec<PermissionRule>,
    /// Whether a session that has a model goes to that of the profile; one that has none always does.
    pub follow: bool,
    /// How it is offered.
    pub kind: AgentMode,
    /// Not in the Tab list of the terminal UI.
    pub hidden: bool,
    /// Where it is written, for who has to correct it.
    pub source: String,
}

/// Profiles by name.
pub type Profiles = BTreeMap<String, Profile>;

/// Where profiles come from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Those of the config file. They win: what a project brings along does not change what its user has set here.
    pub configured: Profiles,
    /// OpenCode's own configuration folder, `~/.config/opencode`.
    pub opencode_config: Option<PathBuf>,
}

impl Sources {
    /// Reads what there is for a directory. This reads files: not for the async runtime's threads.
    /// With them come OpenCode's own MCP servers: they stand in the same files.
    pub fn read(&self, directory: &Path) -> (Profiles, mcp::Entries) {
        let (mut profiles, servers) = file::read_all(self.opencode_config.as_deref(), directory);
        profiles.extend(self.configured.clone());
        (profiles, servers)
    }
}
