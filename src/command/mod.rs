//! Slash commands with a template: Baton fills it in, so that they work with every backend.
//!
//! They come from Baton itself ([`builtin`]), from the config file, and from OpenCode's command files
//! ([`file`]). Commands that a backend advertises have no template here; the session sends them to it.

pub mod builtin;
pub mod file;
pub(crate) mod frontmatter;
mod template;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use template::{EXPANDED_MAX_BYTES, Piece, TooLong, expand, hints, mentioned_paths};

/// A slash command with a template.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Command {
    /// Its name, without the slash in front.
    pub name: String,
    /// What it does, in a few words.
    pub description: Option<String>,
    /// The agent that it selects.
    pub agent: Option<String>,
    /// The model that it selects: `provider/model`, or a model's id alone.
    pub model: Option<String>,
    /// OpenCode runs it in a sub-agent. Baton has none and answers it like any other.
    pub subtask: Option<bool>,
    /// What is sent, with placeholders.
    pub template: String,
}

/// Where templates come from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Those of the config file.
    pub configured: Vec<Command>,
    /// OpenCode's own configuration folder, `~/.config/opencode`.
    pub opencode_config: Option<PathBuf>,
}

/// The templates that can be used in a directory, by name.
#[derive(Debug, Clone, Default)]
pub struct Templates {
    /// Those of Baton: a backend's own command of the same name takes precedence.
    pub builtin: BTreeMap<String, Command>,
    /// Those of the user: the nearest file wins over farther ones, and those over the config file.
    pub own: BTreeMap<String, Command>,
}

impl Sources {
    /// Reads what there is for a directory. This reads files: not for the async runtime's threads.
    pub fn read(&self, directory: &Path) -> Templates {
        let mut own: BTreeMap<String, Command> = by_name(self.configured.iter().cloned());
        own.extend(by_name(file::read_all(
            self.opencode_config.as_deref(),
            directory,
        )));
        Templates {
            builtin: by_name(builtin::all()),
            own,
        }
    }
}

fn by_name(commands: impl IntoIterator<Item = Command>) -> BTreeMap<String, Command> {
    let named = commands.into_iter().map(|c| (c.name.clone(), c));
    named.collect()
}
