//! The commands of `baton` that need no server.

pub mod backup;
pub mod check;
pub mod install;

use std::path::PathBuf;

use clap::Args;

/// Which data directory.
#[derive(Debug, Clone, Default, Args)]
pub struct DataDirArgs {
    /// The data directory [default: ~/.local/share/baton]
    #[arg(long, env = "BATON_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}
