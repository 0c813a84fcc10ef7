//! Where a directory is: its one spelling, the worktree around it, and the project of that worktree.

use std::io;
use std::path::{Component, Path, PathBuf};

use crate::opencode::project::{GLOBAL_PROJECT, LocationInfo, LocationProject};

/// A directory and the project that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The directory, in its one spelling.
    pub directory: String,
    /// The root of the worktree that it is in; `/` where there is no repository.
    pub worktree: String,
    /// The root of the repository's main worktree; the same, unless this one is a linked worktree.
    pub main_worktree: String,
    /// The hash of the repository's first commit, or `global`.
    pub project_id: String,
    /// Whether it is in a git repository.
    pub git: bool,
}

impl Place {
    /// A directory in no repository.
    pub(super) fn outside_of_git(directory: &str) -> Self {
        Self {
            directory: directory.to_owned(),
            worktree: "/".to_owned(),
            main_worktree: "/".to_owned(),
            project_id: GLOBAL_PROJECT.to_owned(),
            git: false,
        }
    }

    /// The directory relative to the worktree; empty at its root.
    pub fn path(&self) -> String {
        let relative = Path::new(&self.directory).strip_prefix(&self.worktree);
        relative.map_or_else(|_| String::new(), |p| p.to_string_lossy().into_owned())
    }

    /// The place as OpenCode 2 shows it.
    pub fn location(&self) -> LocationInfo {
        LocationInfo {
            directory: self.directory.clone(),
            project: LocationProject {
                id: self.project_id.clone(),
                directory: self.worktree.clone(),
            },
        }
    }
}

/// The one spelling of a directory: absolute (from `base`, where it is relative), without `.`, `..`, doubled
/// slashes and symlinks. Of one that does not exist, the part that does is resolved. Blocks.
///
/// # Errors
/// A NUL in it, or a real name that is not UTF-8: no JSON could carry it.
pub fn canonical(base: &str, given: &str) -> io::Result<String> {
    let invalid = |reason| io::Error::new(io::ErrorKind::InvalidInput, reason);
    if given.contains('\0') {
        return Err(invalid("it contains a NUL"));
    }
    let absolute = without_dots(&Path::new(base).join(given));
    let mut existing = absolute.as_path();
    let mut missing = Vec::new();
    let resolved = loop {
        match existing.canonicalize() {
            Ok(resolved) => break resolved,
            Err(_not_there) => {
                missing.extend(existing.file_name());
                // The root itself always resolves, so that there is a parent.
                existing = existing.parent().unwrap_or(Path::new("/"));
            }
        }
    };
    let whole: PathBuf = [resolved.as_os_str()]
        .into_iter()
        .chain(missing.into_iter().rev())
        .collect();
    let text = whole.into_os_string().into_string();
    text.map_err(|_| invalid("its real name is not UTF-8"))
}

/// An absolute path without `.` and `..`, decided by its text alone.
pub fn without_dots(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => tidy.push(name),
            // At the root, as everywhere in POSIX, the parent is the root.
            Component::ParentDir => drop(tidy.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    tidy
}

/// The root of the worktree around a directory: the nearest one with a `.git`. Blocks.
pub fn worktree_root(directory: &Path) -> Option<PathBuf> {
    let mut ancestors = directory.ancestors();
    ancestors
        .find(|folder| folder.join(".git").symlink_metadata().is_ok())
        .map(Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_directory_has_one_spelling() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("it exists");
        let root = root.to_str().expect("UTF-8");
        std::fs::create_dir_all(folder.path().join("a/b")).expect("folders");
        std::os::unix::fs::symlink("a", folder.path().join("link")).expect("a link");
        let inner = format!("{root}/a/b");
        for spelling in [
            "a/b",
            "a//b/",
            "./a/./b",
            "a/../a/b",
            "link/b",
            "link/../a/b/.",
        ] {
            assert_eq!(
                canonical(root, spelling).expect(spelling),
                inner,
                "{spelling}"
            );
        }
        assert_eq!(canonical("/", &inner).expect("absolute"), inner);
        assert_eq!(canonical("/x", "/").expect("root"), "/");
        let missing = canonical(root, "link/no/such").expect("missing");
        assert_eq!(missing, format!("{root}/a/no/such"));
        assert!(canonical(root, "a\0b").is_err());
    }

    #[test]
    fn a_place_knows_its_path_in_the_worktree() {
        let mut place = Place::outside_of_git("/tmp/x");
        assert_eq!(place.path(), "tmp/x");
        place.worktree = "/tmp/x".into();
        assert_eq!(place.path(), "");
        place.worktree = "/tmp".into();
        assert_eq!(place.path(), "x");
    }

    proptest! {
        #[test]
        fn any_spelling_becomes_absolute_and_plain(given in "[a-z./\u{e9} %]{0,40}") {
            let once = canonical("/nowhere", &given).expect("no NUL");
            prop_assert!(once.starts_with('/'));
            prop_assert!(!once.contains("//"));
            prop_assert!(Path::new(&once).components().all(|c| matches!(c, Component::RootDir | Component::Normal(_))));
            prop_assert_eq!(canonical("/", &once).expect("again"), once);
        }
    }
}
