//! Looks at a repository before git does: a pipe in place of its HEAD would be waited for, a device read for ever.

use std::io;
use std::path::{Path, PathBuf};
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
/// A file that holds nothing but a path, in bytes.
const PATH_FILE_MAX_BYTES: u64 = 8 * 1024;
/// How long looking may take.
const TIME: Duration = super::TIMEOUT;
/// Those that look in one directory at the same time.
const AT_ONCE: usize = 4;
/// Their threads in one directory, those that hang included.
const THREADS: usize = 8;
/// The same in all directories.
const ALL_THREADS: usize = 128;

static LANES: std::sync::LazyLock<Lanes<PathBuf>> =
    std::sync::LazyLock::new(|| Lanes::new(AT_ONCE, THREADS, ALL_THREADS));

/// Looks at the repository around a directory.
///
/// # Errors
/// When something in it is not a file that git could read to its end.
pub(super) async fn check_around(directory: &Path) -> Result<(), GitError> {
    let name = directory.to_owned();
    let around = name.clone();
    let checked = LANES.block(&name, TIME, TIME, move || check(&around));
    checked.await.map_err(|error| {
        let message = format!("{} cannot be read now: {error}", name.display());
        io::Error::new(error.kind(), message)
    })?
}

fn check(directory: &Path) -> Result<(), GitError> {
    let has_git = |folder: &&Path| folder.join(".git").symlink_metadata().is_ok();
    let Some(root) = directory.ancestors().find(has_git) else {
        return Ok(());
    };
    if let Some(special) = special(&root.join(".git")) {
        return Err(unsound(root, &root.join(".git"), &special));
    }
    // Without them there is nothing that git would read.
    let Some(GitDirs { own, common }) = GitDirs::of(root) else {
        return Ok(());
    };
    for name in FILES {
        let max_bytes = match LARGE.contains(&name) {
            true => u64::MAX,
            false => TEXT_MAX_BYTES,
        };
        check_file(root, &own.join(name), max_bytes)?;
        if common != own {
            check_file(root, &common.join(name), max_bytes)?;
        }
    }
    match path_in(&own.join("HEAD"), "ref: ") {
        Some(branch) => check_file(root, &common.join(branch), TEXT_MAX_BYTES),
        None => Ok(()),
    }
}

/// What is wrong with the `.git` of a worktree, where it is neither a folder nor a file.
fn special(dot_git: &Path) -> Option<Refused> {
    let metadata = dot_git.metadata().ok()?;
    (!metadata.is_dir() && !metadata.is_file()).then_some(Refused::NotRegular)
}

fn unsound(root: &Path, file: &Path, error: &dyn std::fmt::Display) -> GitError {
    GitError::Unsound {
        repository: root.display().to_string(),
        file: file
            .strip_prefix(root)
            .unwrap_or(file)
            .display()
            .to_string(),
        error: format!("cannot be read: {error}"),
    }
}

fn check_file(root: &Path, file: &Path, max_bytes: u64) -> Result<(), GitError> {
    match regular::open(file, Links::Follow) {
        Ok(open) if open.metadata()?.len() > max_bytes => {
            Err(unsound(root, file, &Refused::TooLarge(max_bytes)))
        }
        // What is not there, or may not be read, is for git to judge; so is a branch that is a folder of others.
        Ok(_) | Err(Refused::Io(_)) => Ok(()),
        Err(_) if file.is_dir() => Ok(()),
        Err(refused) => Err(unsound(root, file, &refused)),
    }
}

/// The file in which a repository says, besides its `.gitignore` files, what it ignores: that of the main worktree.
/// Blocks.
pub fn exclude_file(root: &Path) -> Option<PathBuf> {
    Some(GitDirs::of(root)?.common.join("info/exclude"))
}

/// The folders in which git keeps what it knows of a worktree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitDirs {
    /// What is this worktree's alone.
    pub own: PathBuf,
    /// What all worktrees of the repository share.
    pub common: PathBuf,
}

impl GitDirs {
    /// Those of the worktree with this root, as its files say. Blocks.
    pub fn of(root: &Path) -> Option<Self> {
        let dot_git = root.join(".git");
        let own = match dot_git.metadata().ok()?.is_dir() {
            true => dot_git,
            // A linked worktree, or a submodule.
            false => root.join(path_in(&dot_git, "gitdir: ")?),
        };
        let common = path_in(&own.join("commondir"), "").map(|common| own.join(common));
        let common = common.unwrap_or_else(|| own.clone());
        Some(Self { own, common })
    }
}

/// The path after a prefix in a small file.
fn path_in(file: &Path, prefix: &str) -> Option<PathBuf> {
    let bytes = regular::read(file, Links::Follow, PATH_FILE_MAX_BYTES).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let path = text.strip_prefix(prefix)?.trim_end();
    (!path.is_empty()).then(|| PathBuf::from(path))
}
