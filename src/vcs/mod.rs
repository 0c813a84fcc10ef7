//! What git says about a working directory: its branch, and how its files differ from a commit.

mod patch;
mod view;

use std::collections::{BTreeMap, HashSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::files::{self, FileError, Work};
use crate::git::{Git, GitError};
use crate::looks;
use crate::opencode::file::{FileChange, VcsFileDiff, VcsFileStatus, VcsInfo};
use crate::project::Place;

use patch::{added_file, split};
use view::View;

pub use view::clear;

/// Untracked files that are looked into.
const UNTRACKED_MAX: usize = 1_000;
/// A larger patch of one file is left out, in bytes.
const PATCH_MAX_BYTES: usize = 1024 * 1024;
/// The list of a repository's files may be this long, in bytes.
const LIST_MAX_BYTES: usize = 128 * 1024 * 1024;
/// What the attribute `filter` is where there is none.
const NO_FILTER: [&str; 3] = ["unspecified", "unset", "set"];
/// Branches that are taken for the default one where no remote says which it is.
const USUAL_BRANCHES: [&str; 2] = ["main", "master"];

/// What to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// The last commit.
    Head,
    /// Where the branch has left the default branch.
    DefaultBranch,
}

/// Why a patch was not applied. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// There is no repository.
    #[error("Patch can't be applied because the project is not git-based")]
    NoRepository,
    /// It does not fit what is there.
    #[error("Patch can't be applied: {0}")]
    NotClean(String),
    /// Git itself has failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

/// The branch of a place, and its default branch.
///
/// # Errors
/// When git cannot be run.
pub async fn info(place: &Place) -> Result<VcsInfo, GitError> {
    if !place.git {
        return Ok(VcsInfo::default());
    }
    let head = Git::new(&place.worktree, "symbolic-ref").args(["--quiet", "--short", "HEAD"]);
    Ok(VcsInfo {
        branch: said(head).await?,
        default_branch: default_branch(place).await?,
    })
}

/// The first line of what git says; nothing when it refuses.
async fn said(git: Git) -> Result<Option<String>, GitError> {
    match git.text().await {
        Ok(text) => Ok(text
            .lines()
            .next()
            .map(str::to_owned)
            .filter(|l| !l.is_empty())),
        Err(GitError::Failed { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn default_branch(place: &Place) -> Result<Option<String>, GitError> {
    let remote = Git::new(&place.worktree, "symbolic-ref");
    let remote = remote.args(["--quiet", "--short", "refs/remotes/origin/HEAD"]);
    if let Some(remote) = said(remote).await? {
        let name = remote.strip_prefix("origin/").unwrap_or(&remote);
        return Ok(Some(name.to_owned()));
    }
    let heads = USUAL_BRANCHES.map(|name| format!("refs/heads/{name}"));
    let local = Git::new(&place.worktree, "for-each-ref").arg("--format=%(refname:short)");
    said(local.args(heads)).await
}

/// The files below a place's directory that differ from the last commit.
///
/// # Errors
/// When git fails.
pub async fn status(data_dir: &Path, place: &Place) -> Result<Vec<VcsFileStatus>, GitError> {
    let status = |diff: VcsFileDiff| VcsFileStatus {
        file: diff.file,
        additions: diff.additions,
        deletions: diff.deletions,
        status: diff.status,
    };
    let all = diff(data_dir, place, Base::Head, None).await?;
    Ok(all.into_iter().map(status).collect())
}

/// The same, with how they differ; `context` is the number of unchanged lines around a change.
///
/// # Errors
/// When git fails.
pub async fn diff(
    data_dir: &Path,
    place: &Place,
    base: Base,
    context: Option<usize>,
) -> Result<Vec<VcsFileDiff>, GitError> {
    // In a directory that does not exist nothing differs, and git could not be started there.
    if !place.git || !looks::is_directory(&place.directory).await? {
        return Ok(Vec::new());
    }
    let Some(commit) = commit_of(place, base).await? else {
        return Ok(Vec::new());
    };
    let view = View::of(place, data_dir, Some(&commit)).await?;
    let mut git = view.git(&place.directory, "diff").args([
        "--raw",
        "--numstat",
        "--patch",
        "-z",
        "--no-renames",
        "--no-ext-diff",
        "--no-textconv",
        "--submodule=short",
        "--ignore-submodules=dirty",
        "--src-prefix=a/",
        "--dst-prefix=b/",
    ]);
    if let Some(context) = context {
        git = git.arg(format!("--unified={context}"));
    }
    let printed = git.args([commit.as_str(), "--", "."]).run().await?;
    let mut diffs = read_diff(&printed);
    diffs.extend(untracked(place, &view).await?);
    diffs.sort_by_cached_key(|diff| (diff.file.to_lowercase(), diff.file.clone()));
    Ok(diffs)
}

/// The commit, or the tree, to compare with; `None` when there is nothing to compare.
async fn commit_of(place: &Place, base: Base) -> Result<Option<String>, GitError> {
    let head = Git::new(&place.worktree, "rev-parse").args(["--verify", "--quiet", "HEAD"]);
    let Some(head) = said(head).await? else {
        // Before the first commit, everything is new.
        let empty = Git::new(&place.worktree, "hash-object").args(["-t", "tree", "--stdin"]);
        return match base {
            Base::Head => said(empty).await,
            Base::DefaultBranch => Ok(None),
        };
    };
    if base == Base::Head {
        return Ok(Some(head));
    }
    let VcsInfo {
        branch,
        default_branch,
    } = info(place).await?;
    let Some(default) = default_branch.filter(|d| branch.as_ref() != Some(d)) else {
        return Ok(None);
    };
    // The remote's branch is where the work has left from, when the local one was not brought along.
    for name in [
        format!("refs/remotes/origin/{default}"),
        format!("refs/heads/{default}"),
    ] {
        let git = Git::new(&place.worktree, "merge-base").args([name.as_str(), head.as_str()]);
        if let Some(commit) = said(git).await? {
            return Ok(Some(commit));
        }
    }
    Ok(None)
}

/// Reads what `git diff --raw --numstat --patch -z` prints: two lists with a NUL after each entry, an empty
/// entry, and the patches.
fn read_diff(printed: &[u8]) -> Vec<VcsFileDiff> {
    let mut rest = printed;
    let mut next = || {
        let end = rest.iter().position(|byte| *byte == 0)?;
        let (entry, behind) = rest.split_at(end);
        rest = behind.get(1..).unwrap_or_default();
        Some(String::from_utf8_lossy(entry).into_owned())
    };
    let mut order = Vec::new();
    let mut diffs = BTreeMap::new();
    while let Some(entry) = next().filter(|entry| !entry.is_empty()) {
        if entry.starts_with(':') {
            let Some(path) = next() else { break };
            let status = match entry.chars().last() {
                Some('A') => FileChange::Added,
                Some('D') => FileChange::Deleted,
                _ => FileChange::Modified,
            };
            // Files with a conflict are listed here, and have no patch.
            if !entry.ends_with('U') {
                order.push(path.clone());
            }
            diffs.insert(
                path.clone(),
                VcsFileDiff {
                    file: path,
                    patch: None,
                    additions: 0,
                    deletions: 0,
                    status,
                },
            );
        } else {
            let mut fields = entry.splitn(3, '\t');
            let mut count = || fields.next().and_then(|n| n.parse().ok()).unwrap_or(0);
            let (additions, deletions) = (count(), count());
            if let Some(diff) = fields.next().and_then(|path| diffs.get_mut(path)) {
                (diff.additions, diff.deletions) = (additions, deletions);
            }
        }
    }
    let patches = split(&String::from_utf8_lossy(rest));
    if patches.len() == order.len() {
        for (path, patch) in order.iter().zip(patches) {
            if let Some(diff) = diffs
                .get_mut(path)
                .filter(|_| patch.len() <= PATCH_MAX_BYTES)
            {
                diff.patch = Some(patch);
            }
        }
    }
    diffs.into_values().collect()
}

/// The files that are neither in the repository nor ignored.
async fn untracked(place: &Place, view: &View) -> Result<Vec<VcsFileDiff>, GitError> {
    let git = view.git(&place.directory, "ls-files");
    let git = git.args(["--cached", "--full-name", "-z", "--", "."]);
    let tracked = git.output_max_bytes(LIST_MAX_BYTES).run().await?;
    let excludes = excludes(place).await?;
    let below = place.path();
    let read = files::run(&place.worktree, Work::Search, move |root, deadline| {
        let tracked: HashSet<&[u8]> = tracked.split(|byte| *byte == 0).collect();
        let others = files::not_ignored(root, Path::new(&below), excludes, deadline);
        let untracked = others.filter(|path| !tracked.contains(path.as_os_str().as_bytes()));
        let read = |path: PathBuf| {
            let path = path.to_string_lossy().into_owned();
            let bytes = match deadline.is_over() {
                true => Err(FileError::NotFound(path.clone())),
                false => root.read(&path).map(|file| file.bytes),
            };
            added_file(path, bytes.ok(), PATCH_MAX_BYTES)
        };
        Ok(untracked.take(UNTRACKED_MAX).map(read).collect())
    });
    read.await.map_err(|error| {
        let kind = match &error {
            FileError::Lane { error, .. } => error.kind(),
            _ => std::io::ErrorKind::Other,
        };
        GitError::Io(std::io::Error::new(kind, error))
    })
}

/// The file that `core.excludesFile` names; git's default counts without being asked for.
async fn excludes(place: &Place) -> Result<Option<PathBuf>, GitError> {
    let git = Git::new(&place.worktree, "config").args(["--path", "--get", "core.excludesFile"]);
    Ok(said(git).await?.map(PathBuf::from))
}

/// Applies a patch to a place's worktree, all of it or nothing. Git refuses paths that lead out of it.
///
/// # Errors
/// See [`ApplyError`].
pub async fn apply(data_dir: &Path, place: &Place, patch: &str) -> Result<(), ApplyError> {
    if !place.git {
        return Err(ApplyError::NoRepository);
    }
    // git 2.47 crashes when it applies a patch with attributes of a commit.
    let view = View::of(place, data_dir, None).await?;
    refuse_filters(place, &view, patch).await?;
    let git = view.git(&place.worktree, "apply");
    let git = git.args(["--whitespace=nowarn", "-"]);
    not_clean(git.input(patch.as_bytes().to_vec()).run().await)?;
    Ok(())
}

fn not_clean(result: Result<Vec<u8>, GitError>) -> Result<Vec<u8>, ApplyError> {
    result.map_err(|error| match error {
        GitError::Failed { stderr, .. } => ApplyError::NotClean(stderr),
        error => error.into(),
    })
}

/// A file that goes through a filter on its way into the worktree cannot be patched without that program.
async fn refuse_filters(place: &Place, view: &View, patch: &str) -> Result<(), ApplyError> {
    let numbers = view
        .git(&place.worktree, "apply")
        .args(["--numstat", "-z", "-"]);
    let numbers = not_clean(numbers.input(patch.as_bytes().to_vec()).run().await)?;
    let mut paths = Vec::new();
    for entry in numbers.split(|byte| *byte == 0) {
        if let Some(path) = entry.splitn(3, |byte| *byte == b'\t').nth(2) {
            paths.extend(path);
            paths.push(0);
        }
    }
    let attributes = view
        .git(&place.worktree, "check-attr")
        .args(["-z", "--stdin", "filter"])
        .input(paths)
        .text()
        .await?;
    let fields: Vec<&str> = attributes.split('\0').collect();
    for entry in fields.chunks_exact(3) {
        let [path, _attribute, filter] = entry else {
            continue;
        };
        if !NO_FILTER.contains(filter) {
            return Err(ApplyError::NotClean(format!(
                "{path} goes through the filter {filter:?}, a program that Baton does not run. \
                 Apply the patch with git itself."
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_prints_is_read() {
        let printed = b":100644 000000 587be6b 0000000 D\0docs/g.md\0:100644 100644 d2191c1 0000000 M\0R \xc3\xa9\0\
            :000000 000000 0000000 0000000 U\0conflict\0\
            0\t1\tdocs/g.md\x002\t1\tR \xc3\xa9\0\0diff --git a/docs/g.md b/docs/g.md\n-x\ndiff --git a/R b/R\n+diff --git no\n";
        let diffs = read_diff(printed);
        let files: Vec<_> = diffs
            .iter()
            .map(|d| (d.file.as_str(), d.additions, d.deletions))
            .collect();
        assert_eq!(
            files,
            [("R é", 2, 1), ("conflict", 0, 0), ("docs/g.md", 0, 1)]
        );
        assert_eq!(
            diffs[0].patch.as_deref(),
            Some("diff --git a/R b/R\n+diff --git no\n")
        );
        assert_eq!(
            (diffs[1].status, &diffs[1].patch),
            (FileChange::Modified, &None)
        );
        assert_eq!(diffs[2].status, FileChange::Deleted);
        assert_eq!(read_diff(b""), []);
        assert_eq!(read_diff(b":half"), []);
    }
}
