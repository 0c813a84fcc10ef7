//! `baton backup`: a copy of the database, also while a server runs.

use std::path::{Path, PathBuf};

use clap::Args;

use super::DataDirArgs;
use crate::store::StoreError;
use crate::store::data_dir::{DATABASE_FILE, store_elsewhere};
use crate::store::upkeep;

/// What `baton backup` takes.
#[derive(Debug, Clone, Args)]
pub struct BackupArgs {
    /// The copy to make; there must be no such file yet
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Of which data directory.
    #[command(flatten)]
    pub data: DataDirArgs,
}

/// Copies the database of a data directory and opens the copy. Answers a sentence. Blocks.
///
/// # Errors
/// When it cannot be read, or the copy cannot be written or is damaged; then there is no copy.
pub fn run(data_dir: &Path, file: &Path) -> Result<String, StoreError> {
    if let Some(store) = store_elsewhere(data_dir) {
        return Err(StoreError::Elsewhere(store));
    }
    let copied = upkeep::copy(&data_dir.join(DATABASE_FILE), file)?;
    Ok(format!(
        "{} sessions with {} messages are in {} ({} bytes), which was opened and is whole",
        copied.sessions,
        copied.messages,
        file.display(),
        copied.bytes
    ))
}
