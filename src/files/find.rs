//! Finds files and folders by a part of their name, the best first.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use nucleo_matcher::pattern::{AtomKind, CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use super::limits::limits;
use super::open::path_text;
use super::rules::Whose;
use super::walk::{Kind, Walk};
use super::{Deadline, Root};
use crate::opencode::file::{FileKind, FileSystemEntry};

/// The part of a query that counts, in characters.
const QUERY_CHARS: usize = 256;

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Files and folders.
    Both,
    /// One kind of them.
    Only(FileKind),
}

/// A search by name.
#[derive(Debug, Clone)]
pub struct Names {
    /// What has to be in the path, in this order, whatever its case; several words each for itself.
    pub query: String,
    /// What is wanted.
    pub wanted: Wanted,
    /// How many.
    pub limit: usize,
}

/// The files below a directory that are not ignored, relative to it, until there are enough or time is over.
pub(super) fn files<'a>(
    root: &'a Root,
    deadline: &'a Deadline,
) -> impl Iterator<Item = PathBuf> + 'a {
    Walk::new(root, Path::new(""), Whose::GitAndSearch, deadline)
        .filter_map(|(path, kind)| (kind == Kind::File).then_some(path))
        .take(limits().search_files)
}

/// The files and links below a folder of a worktree that git does not ignore, relative to the root, until time is
/// over. `excludes` is the user's own file of rules, where it is known.
pub fn not_ignored<'a>(
    root: &'a Root,
    below: &Path,
    excludes: Option<PathBuf>,
    deadline: &'a Deadline,
) -> impl Iterator<Item = PathBuf> + 'a {
    Walk::new(root, below, Whose::Git(excludes), deadline)
        .filter_map(|(path, kind)| (kind != Kind::Folder).then_some(path))
}

/// Searches by name: the best match first, of equals the shorter path. Folders without files are none, as in git.
pub fn find(root: &Root, names: &Names, deadline: &Deadline) -> Vec<FileSystemEntry> {
    let mut entries = Vec::new();
    let mut folders = BTreeSet::new();
    for path in files(root, deadline) {
        if names.wanted != Wanted::Only(FileKind::File) {
            let above = path
                .ancestors()
                .skip(1)
                .filter(|a| !a.as_os_str().is_empty());
            folders.extend(above.map(Path::to_path_buf));
        }
        if names.wanted != Wanted::Only(FileKind::Directory) {
            entries.push((path_text(&path, FileKind::File), FileKind::File));
        }
    }
    let folders = folders.iter().map(|f| path_text(f, FileKind::Directory));
    entries.extend(folders.map(|f| (f, FileKind::Directory)));

    let mut matcher = Matcher::new(Config::DEFAULT.match_paths());
    let query: String = names.query.trim().chars().take(QUERY_CHARS).collect();
    let pattern = Pattern::new(
        &query,
        CaseMatching::Ignore,
        Normalization::Smart,
        AtomKind::Fuzzy,
    );
    let mut buffer = Vec::new();
    let mut found: Vec<_> = entries
        .into_iter()
        .filter_map(|(path, kind)| {
            let score = pattern.score(Utf32Str::new(&path, &mut buffer), &mut matcher)?;
            Some((Reverse(score), path.chars().count(), path, kind))
        })
        .collect();
    found.sort();
    found.truncate(names.limit);
    let entry = |(_, _, path, r#type)| FileSystemEntry { path, r#type };
    found.into_iter().map(entry).collect()
}
