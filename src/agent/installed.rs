//! Agents that `baton install` has put into the data directory, each into `DATA/agents/NAME`: `current` there is a link
//! to what was installed last, and its folder `bin` has the agent's programs and nothing else.

use std::path::{Path, PathBuf};

/// The folder for agents in the data directory.
const AGENTS_FOLDER: &str = "agents";
/// The link to what was installed last.
pub const CURRENT: &str = "current";
/// The folder with the programs.
pub const PROGRAMS: &str = "bin";
/// The version that was installed, as a line of text.
pub const VERSION: &str = "version";

/// Where the agent of a name is installed, or would be.
pub fn folder(data_dir: &Path, id: &str) -> PathBuf {
    data_dir.join(AGENTS_FOLDER).join(id)
}

/// The folder with the programs of an agent; the folder is the one of [`folder`].
pub fn programs(folder: &Path) -> PathBuf {
    folder.join(CURRENT).join(PROGRAMS)
}

/// One of its programs, if it is installed.
pub fn program(folder: &Path, name: &str) -> Option<PathBuf> {
    let program = programs(folder).join(name);
    // A name with a path in it is the user's own program.
    (!name.contains('/') && program.is_file()).then_some(program)
}

/// The version that is installed.
pub fn version(folder: &Path) -> Option<String> {
    let text = std::fs::read_to_string(folder.join(CURRENT).join(VERSION)).ok()?;
    Some(text.trim().to_owned())
}
