//! What is ignored: the rules of `.ignore`, `.gitignore`, `.git/info/exclude` and the user's own file.
//!
//! They are read here and not by the `ignore` crate, which would read a file of any kind and size to its end: only
//! regular files, the first lines of each, and no more of them in one walk than a budget says.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::limits::limits;
use crate::git::exclude_file;
use crate::project::worktree_root;
use crate::regular::{self, Links};

/// A file of rules may have one line for each of this many bytes that may be read of it.
const BYTES_A_LINE: u64 = 32;
/// The longest rule, in bytes: no path is longer.
const LINE_MAX_BYTES: usize = 1_024;
/// The budget of one walk for files of rules, in files of the largest size. Further ones exclude nothing.
const BUDGET_FILES: u64 = 8;
/// Folders above a directory whose rules count.
const ANCESTORS_MAX: usize = 64;
/// The user's own configuration of git, read for the name of their file of rules, in bytes.
const CONFIG_MAX_BYTES: u64 = 256 * 1024;

/// git's.
pub(super) const GIT_RULES: &str = ".gitignore";
/// That of search programs, which counts outside of repositories, too.
pub(super) const SEARCH_RULES: &str = ".ignore";
/// What makes a folder the root of a repository.
pub(super) const REPOSITORY: &str = ".git";

/// Whose rules count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Whose {
    /// Those of git alone, and the user's own file of them, where it is known.
    Git(Option<PathBuf>),
    /// Those of `.ignore` before them.
    GitAndSearch,
}

/// What a folder has, as far as rules are concerned.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Has {
    pub(super) git_rules: bool,
    pub(super) search_rules: bool,
    pub(super) repository: bool,
}

impl Has {
    fn look(folder: &Path) -> Self {
        let has = |name: &str| folder.join(name).symlink_metadata().is_ok();
        Self {
            git_rules: has(GIT_RULES),
            search_rules: has(SEARCH_RULES),
            repository: has(REPOSITORY),
        }
    }
}

fn budget_bytes() -> usize {
    usize::try_from(limits().ignore_bytes.saturating_mul(BUDGET_FILES)).unwrap_or(usize::MAX)
}

fn lines_max() -> usize {
    usize::try_from(limits().ignore_bytes.div_ceil(BYTES_A_LINE)).unwrap_or(usize::MAX)
}

/// The rules that hold in one folder.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    nearest: Option<Rc<Level>>,
    user: Rc<Gitignore>,
    search: bool,
    budget: Rc<Cell<usize>>,
}

/// The rules of one folder, and those above it.
#[derive(Debug)]
struct Level {
    above: Option<Rc<Level>>,
    search: Option<Gitignore>,
    git: Option<Gitignore>,
    /// What the repository excludes, at its root: git looks no further up.
    root: Option<Gitignore>,
    in_repository: bool,
}

impl Rules {
    /// The rules above a folder.
    pub(super) fn above(folder: &Path, whose: Whose) -> Self {
        let budget = Rc::new(Cell::new(budget_bytes()));
        let root = worktree_root(folder);
        let mut rules = Self {
            nearest: None,
            user: Rc::new(Gitignore::empty()),
            search: whose == Whose::GitAndSearch,
            budget,
        };
        let named = match whose {
            Whose::Git(named) => named,
            Whose::GitAndSearch => None,
        };
        if let Some(file) = named.or_else(user_rules) {
            let user = rules.file(folder, &file, Links::Follow);
            rules.user = Rc::new(user.unwrap_or_else(Gitignore::empty));
        }
        let ancestors: Vec<&Path> = folder.ancestors().skip(1).take(ANCESTORS_MAX).collect();
        for above in ancestors.into_iter().rev() {
            // Rules of git count from the worktree's root on; those of searches from anywhere.
            let mut has = Has::look(above);
            has.git_rules &= root.as_ref().is_some_and(|root| above.starts_with(root));
            rules = rules.within(above, has);
        }
        rules
    }

    /// The rules that hold in a folder, which is the next one below.
    pub(super) fn of(&self, folder: &Path) -> Self {
        self.within(folder, Has::look(folder))
    }

    /// The same, where it is known what the folder has.
    pub(super) fn within(&self, folder: &Path, has: Has) -> Self {
        let in_repository =
            has.repository || self.nearest.as_ref().is_some_and(|l| l.in_repository);
        // As git does, a link is not a file of rules; search programs follow one.
        let git = (has.git_rules && in_repository)
            .then(|| self.file(folder, &folder.join(GIT_RULES), Links::Refuse))
            .flatten();
        let search = (has.search_rules && self.search)
            .then(|| self.file(folder, &folder.join(SEARCH_RULES), Links::Follow))
            .flatten();
        let root = has.repository.then(|| {
            let file = exclude_file(folder);
            let rules = file.and_then(|file| self.file(folder, &file, Links::Follow));
            rules.unwrap_or_else(Gitignore::empty)
        });
        if git.is_none() && search.is_none() && root.is_none() {
            return self.clone();
        }
        let level = Level {
            above: self.nearest.clone(),
            search,
            git,
            root,
            in_repository,
        };
        Self {
            nearest: Some(Rc::new(level)),
            ..self.clone()
        }
    }

    /// The rules of a file; `None` where it has none, or is none.
    fn file(&self, folder: &Path, file: &Path, links: Links) -> Option<Gitignore> {
        let left = self.budget.get();
        let max_bytes = limits().ignore_bytes.min(left as u64);
        let bytes = match regular::beginning(file, links, max_bytes) {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::debug!("{} has no rules: {error}", file.display());
                return None;
            }
        };
        self.budget.set(left - bytes.len().min(left));
        let whole = bytes.len() < usize::try_from(max_bytes).unwrap_or(usize::MAX);
        let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
        if !whole {
            let file = file.display();
            tracing::debug!("of {file} only {max_bytes} bytes count (limits.ignore_bytes)");
            // It may have been cut off in the middle.
            lines.pop();
        }
        let mut builder = GitignoreBuilder::new(folder);
        for line in lines.into_iter().take(lines_max()) {
            if line.len() <= LINE_MAX_BYTES
                && let Ok(line) = std::str::from_utf8(line)
            {
                // A line that is not a pattern excludes nothing.
                let _unusable = builder.add_line(None, line.trim_start_matches('\u{feff}'));
            }
        }
        builder.build().ok().filter(|rules| !rules.is_empty())
    }

    /// Whether a file or folder right in the folder is ignored.
    pub(super) fn ignore(&self, path: &Path, is_folder: bool) -> bool {
        self.decide(|rules| rules.matched(path, is_folder))
    }

    /// Whether it is ignored, or a folder above it is.
    pub(super) fn ignore_or_above(&self, path: &Path, is_folder: bool) -> bool {
        self.decide(|rules| match path.starts_with(rules.path()) {
            true => rules.matched_path_or_any_parents(path, is_folder),
            false => rules.matched(path, is_folder),
        })
    }

    /// The nearest rule that says something decides; those for searches before those of git.
    fn decide<'a>(
        &'a self,
        matched: impl Fn(&'a Gitignore) -> ignore::Match<&'a ignore::gitignore::Glob>,
    ) -> bool {
        let says = |rules: Option<&'a Gitignore>| {
            let decision = matched(rules?);
            (!decision.is_none()).then(|| decision.is_ignore())
        };
        let levels = || std::iter::successors(self.nearest.as_deref(), |l| l.above.as_deref());
        if let Some(decided) = levels().find_map(|level| says(level.search.as_ref())) {
            return decided;
        }
        let mut in_repository = false;
        for level in levels().take_while(|level| level.in_repository) {
            in_repository = true;
            let decided = says(level.git.as_ref()).or_else(|| says(level.root.as_ref()));
            if let Some(decided) = decided {
                return decided;
            }
            if level.root.is_some() {
                break;
            }
        }
        in_repository && says(Some(&self.user)).unwrap_or(false)
    }
}

/// The user's own file of rules for all repositories: what `core.excludesFile` names, or git's default.
fn user_rules() -> Option<PathBuf> {
    let home = std::env::home_dir()?;
    let config = std::env::var_os("XDG_CONFIG_HOME").filter(|folder| !folder.is_empty());
    let config = config.map_or_else(|| home.join(".config"), PathBuf::from);
    let named = [home.join(".gitconfig"), config.join("git/config")]
        .iter()
        .find_map(|file| {
            let bytes = regular::beginning(file, Links::Follow, CONFIG_MAX_BYTES).ok()?;
            excludes_of(&String::from_utf8_lossy(&bytes), &home)
        });
    Some(named.unwrap_or_else(|| config.join("git/ignore")))
}

/// What `core.excludesFile` is in a file of git's configuration. Only the name of the key is looked at: no other
/// section has it.
pub(super) fn excludes_of(config: &str, home: &Path) -> Option<PathBuf> {
    config.lines().rev().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        let value = value.trim().trim_matches('"');
        let is_it = key.trim().eq_ignore_ascii_case("excludesfile") && !value.is_empty();
        is_it.then(|| match value.strip_prefix("~/") {
            Some(below) => home.join(below),
            None => PathBuf::from(value),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_own_rules_are_found_in_his_configuration() {
        let home = Path::new("/home/u");
        let of = |text: &str| excludes_of(text, home);
        assert_eq!(
            of("[core]\n\texcludesFile = ~/.ignored\n"),
            Some("/home/u/.ignored".into())
        );
        assert_eq!(of("[core]\nexcludesfile=\"/a b\""), Some("/a b".into()));
        assert_eq!(of("[core]\npager = less\nexcludesFile =\n"), None);
    }

    #[test]
    fn rules_are_read_within_bounds() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        std::fs::create_dir(root.join(".git")).expect("a folder");
        let rules_with = |text: String| {
            std::fs::write(root.join(GIT_RULES), text).expect("a file");
            Rules::above(root, Whose::Git(None)).of(root)
        };
        let ignored = |rules: &Rules, name: &str| rules.ignore(&root.join(name), false);
        let many: String = (0..=lines_max()).map(|n| format!("f{n}\n")).collect();
        let rules = rules_with(many);
        assert!(ignored(&rules, "f0") && ignored(&rules, &format!("f{}", lines_max() - 1)));
        assert!(!ignored(&rules, &format!("f{}", lines_max())));
        let rules = rules_with(format!("first\n{}\nlast\n", "x".repeat(LINE_MAX_BYTES + 1)));
        assert!(ignored(&rules, "first") && ignored(&rules, "last"));
        // A rule that is cut off in the middle is none: the last byte that is read is the star.
        let mut text = format!("first\n{}\n", "#".repeat(1000)).repeat(60);
        text.push_str(
            &"#".repeat(usize::try_from(limits().ignore_bytes).expect("small") - text.len() - 2),
        );
        let rules = rules_with(format!("{text}\n*abc\n"));
        assert!(ignored(&rules, "first") && !ignored(&rules, "other"));
        assert_eq!(rules.budget.get(), budget_bytes() - 64 * 1024);
    }
}
