//! Folders for their owner alone.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// The mode of a folder that only its owner can read.
const OWNER_ONLY: u32 = 0o700;

/// Makes a folder, and those above it that are missing; one that is there stays as it is.
///
/// # Errors
/// Those of the system.
pub fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(OWNER_ONLY)
        .create(path)
}

/// The same, off the async runtime's threads.
///
/// # Errors
/// Those of the system.
pub async fn make_async(path: &Path) -> io::Result<()> {
    let mut builder = tokio::fs::DirBuilder::new();
    builder.recursive(true).mode(OWNER_ONLY).create(path).await
}

/// Makes a folder that must not be there yet.
///
/// # Errors
/// Those of the system.
pub fn make_new(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(OWNER_ONLY).create(path)
}
