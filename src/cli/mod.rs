//! The commands of `baton`: those that need no server, and those for people, which talk to the running one.

pub mod answer;
pub mod backup;
pub mod check;
pub mod copy;
pub mod doctor;
pub mod events;
pub mod failure;
pub mod import;
pub mod install;
pub mod limit;
pub mod manual;
pub mod mcp;
pub mod send;
pub mod server;
pub mod sessions;
pub mod show;
pub mod switch;
pub mod table;
pub mod terminal;
mod words;

use std::path::PathBuf;

use clap::Args;

/// Which data directory.
#[derive(Debug, Clone, Default, Args)]
pub struct DataDirArgs {
    /// The data directory [default: ~/.local/share/baton]
    #[arg(long, env = "BATON_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}
