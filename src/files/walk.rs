//! Walks everything that is not ignored, including hidden files, without following symlinks.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::vec::IntoIter;

use super::rules::{GIT_RULES, Has, REPOSITORY, Rules, SEARCH_RULES, Whose};
use super::{Deadline, Root};
use crate::regular;

/// Folders, one in the other, at most. What is deeper is not seen.
const DEPTH_MAX: usize = 100;
/// Entries of one folder that are looked at.
const ENTRIES_MAX: usize = 100_000;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
}

/// A walk in the order of names, folders before what is in them.
pub(super) struct Walk<'a> {
    root: &'a Root,
    deadline: &'a Deadline,
    /// It goes into no repository within the repository, as git does.
    like_git: bool,
    open: Vec<Open>,
}

/// A folder that is being gone through.
struct Open {
    /// Relative to the root.
    path: PathBuf,
    entries: IntoIter<(OsString, Kind)>,
    rules: Rules,
}

impl<'a> Walk<'a> {
    /// A walk below a folder of the root.
    pub(super) fn new(root: &'a Root, below: &Path, whose: Whose, deadline: &'a Deadline) -> Self {
        let above = root.path().join(below);
        let mut walk = Self {
            root,
            deadline,
            like_git: whose != Whose::GitAndSearch,
            open: Vec::new(),
        };
        let above = Rules::above(&above, whose);
        walk.enter(below.to_owned(), &above);
        walk
    }

    fn enter(&mut self, path: PathBuf, above: &Rules) {
        // A folder that went away, or that may not be read, has nothing in it.
        let Some((entries, has)) = self.entries(&path) else {
            return;
        };
        if has.repository && self.like_git && !self.open.is_empty() {
            return;
        }
        let rules = above.within(&self.root.path().join(&path), has);
        let entries = entries.into_iter();
        self.open.push(Open {
            path,
            entries,
            rules,
        });
    }

    fn entries(&self, path: &Path) -> Option<(Vec<(OsString, Kind)>, Has)> {
        if regular::is_withheld(&self.root.path().join(path)) {
            return None;
        }
        let mut entries = Vec::new();
        let mut has = Has::default();
        for entry in self
            .root
            .folder(path)
            .ok()?
            .entries()
            .ok()?
            .take(ENTRIES_MAX)
        {
            if self.deadline.is_over() {
                break;
            }
            let Ok(entry) = entry else { continue };
            let name = entry.file_name();
            has.git_rules |= name == GIT_RULES;
            has.search_rules |= name == SEARCH_RULES;
            if name == REPOSITORY {
                has.repository = true;
                continue;
            }
            let kind = match entry.file_type() {
                Ok(kind) if kind.is_dir() => Kind::Folder,
                Ok(kind) if kind.is_file() => Kind::File,
                Ok(kind) if kind.is_symlink() => Kind::Link,
                _ => continue,
            };
            entries.push((name, kind));
        }
        entries.sort();
        Some((entries, has))
    }
}

impl Iterator for Walk<'_> {
    type Item = (PathBuf, Kind);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.deadline.is_over() {
                return None;
            }
            let depth = self.open.len();
            let open = self.open.last_mut()?;
            let Some((name, kind)) = open.entries.next() else {
                self.open.pop();
                continue;
            };
            let path = open.path.join(name);
            let absolute = self.root.path().join(&path);
            if open.rules.ignore(&absolute, kind == Kind::Folder) {
                continue;
            }
            if kind == Kind::Folder && depth < DEPTH_MAX {
                let rules = open.rules.clone();
                self.enter(path.clone(), &rules);
            }
            return Some((path, kind));
        }
    }
}
