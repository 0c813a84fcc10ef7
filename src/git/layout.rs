//! Looks at a repository before git does: a pipe in place of its HEAD would be waited for, a device read for ever.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::GitError;
use crate::lanes::Lanes;
use crate::regular::{self, Links, Refused};

/// What git opens in a git directory before it does anything. Links are legitimate, as to a shared configuration.
const FILES: [&str; 13] = [
    "HEAD",
    "config",
    "config.worktree",
    "commondir",
    "gitdir",
    "index",
    "packed-refs",
    "shallow",
    "info/exclude",
    "info/attributes",
    "info/grafts",
    "info/sparse-checkout",
    "objects/info/alternates",
];
/// The largest of these that is text, in bytes: all but the index and the packed references.
const TEXT_MAX_BYTES: u64 = 16 * 1024 * 1024;
/// Those that may be larger.
const LARGE: [&str; 2] = ["index", "packed-refs"];
/// How long looking may take.
const TIME: Duration = Duration::from_secs(5);
/// Those that look in one directory at the same time.
const AT_ONCE: usize = 4;
/// Their threads in one directory, those that hang included.
const THREADS: usize = 8;
/// The same in all directories.
const ALL_THREADS: usize = 128;

static LANES: std::sync::LazyLock<Lanes<std::path::PathBuf>> =
    std::sync::LazyLock::new(|| Lanes::new(AT_ONCE, THREADS, ALL_THREADS));

/// Looks at the repository around a directory.
///
/// # Errors
/// When something in it is not a file that git could read to its end.
pub(super) async fn check_around(directory: &Path) -> Result<(), GitError> {
    let name = directory.to_owned();
    let around = name.clone();
    let checked = LANES.block(&name, TIME, TIME, move || check(&around));
    checked.await.map_err(io::Error::other)?
}

fn check(directory: &Path) -> Result<(), GitError> {
    let has_git = |folder: &&Path| folder.join(".git").symlink_metadata().is_ok();
    let Some(root) = directory.ancestors().find(has_git) else {
        return Ok(());
    };
    let dot_git = Path::new(".git");
    // Of a linked worktree the file is read by git with bounds of its own.
    if !root.join(dot_git).is_dir() {
        return check_file(root, dot_git, TEXT_MAX_BYTES);
    }
    for name in FILES {
        let max_bytes = match LARGE.contains(&name) {
            true => u64::MAX,
            false => TEXT_MAX_BYTES,
        };
        check_file(root, &dot_git.join(name), max_bytes)?;
    }
    Ok(())
}

fn check_file(root: &Path, file: &Path, max_bytes: u64) -> Result<(), GitError> {
    let unsound = |error: String| GitError::Unsound {
        repository: root.display().to_string(),
        file: file.display().to_string(),
        error,
    };
    match regular::open(&root.join(file), Links::Follow) {
        Ok(open) if open.metadata()?.len() > max_bytes => {
            Err(unsound(format!("is larger than {max_bytes} bytes")))
        }
        Ok(_) => Ok(()),
        // What is not there, or may not be read, is git's to judge.
        Err(Refused::Io(_)) => Ok(()),
        Err(refused) => Err(unsound(format!("cannot be read: {refused}"))),
    }
}
