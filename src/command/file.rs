//! OpenCode's command files: `command/**/*.md` and `commands/**/*.md` below `.opencode` in a directory and
//! in those above it, up to the root of the worktree, and below OpenCode's configuration folder.

use std::path::{Path, PathBuf};

use super::{Command, frontmatter};
use crate::regular::{self, Links};

/// Command files that are read for one directory, at most.
const FILES_MAX: usize = 1_000;
/// The largest file of a command, in bytes.
const FILE_MAX_BYTES: u64 = 256 * 1024;
/// Entries of the command folders of one place that are looked at, at most.
const ENTRIES_MAX: usize = 10_000;
/// Folders below a command folder, one in the other, at most. A link that leads upwards ends there.
const DEPTH_MAX: usize = 6;
/// Folders between a directory and the root of its worktree, at most.
const ANCESTORS_MAX: usize = 64;
/// OpenCode reads both.
const FOLDERS: [&str; 2] = ["command", "commands"];

/// The commands for a directory, the nearest last: it wins.
pub fn read_all(opencode_config: Option<&Path>, directory: &Path) -> Vec<Command> {
    let mut found = Vec::new();
    if let Some(base) = opencode_config {
        // The user's own folder: its links lead where they want them to.
        found.extend(read_base(base, Path::new("/"), FOLDERS));
    }
    let near = up_to_worktree(directory);
    let worktree = near.last().and_then(|root| root.canonicalize().ok());
    for folder in near.iter().rev() {
        if let Some(worktree) = &worktree {
            found.extend(read_base(&folder.join(".opencode"), worktree, FOLDERS));
        }
    }
    found.truncate(FILES_MAX);
    found.into_iter().map(command).collect()
}

fn command(found: Found) -> Command {
    let (mut fields, body) = frontmatter::split(&found.text);
    Command {
        name: found.name,
        description: fields.remove("description"),
        agent: fields.remove("agent"),
        model: fields.remove("model"),
        subtask: fields.remove("subtask").map(|word| word == "true"),
        template: body.trim().to_owned(),
    }
}

/// A Markdown file below such a folder.
pub(crate) struct Found {
    /// Its path below the folder, without the ending.
    pub name: String,
    /// What is in it.
    pub text: String,
    /// Where it lies.
    pub path: PathBuf,
}

/// Reads the Markdown files below these folders of a base. No link leads out of `within`: what a clone brings along would
/// otherwise show files of the user's that it only knows the names of.
pub(crate) fn read_base(base: &Path, within: &Path, folders: [&str; 2]) -> Vec<Found> {
    let (mut looked_at, mut found) = (0, Vec::new());
    for folder in folders {
        let mut reading = Reading {
            within,
            looked_at: &mut looked_at,
            found: &mut found,
        };
        reading.folder(&base.join(folder), "", 0);
    }
    found
}

/// The directory and those above it up to the one that has `.git`; the directory alone when none has.
pub(crate) fn up_to_worktree(directory: &Path) -> Vec<PathBuf> {
    let above: Vec<&Path> = directory.ancestors().take(ANCESTORS_MAX).collect();
    let root = above.iter().position(|folder| folder.join(".git").exists());
    let count = root.map_or(1, |root| root + 1);
    above.into_iter().take(count).map(Path::to_owned).collect()
}

struct Reading<'a> {
    within: &'a Path,
    /// Entries of its folders.
    looked_at: &'a mut usize,
    found: &'a mut Vec<Found>,
}

impl Reading<'_> {
    fn folder(&mut self, folder: &Path, prefix: &str, depth: usize) {
        let Ok(entries) = std::fs::read_dir(folder) else {
            return;
        };
        // In order of their names, so that every call gives the same.
        let left = ENTRIES_MAX - *self.looked_at;
        let mut paths: Vec<PathBuf> = entries.flatten().take(left).map(|e| e.path()).collect();
        *self.looked_at += paths.len();
        paths.sort();
        for path in paths {
            if self.found.len() >= FILES_MAX {
                return;
            }
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            if path.is_dir() {
                if depth < DEPTH_MAX {
                    self.folder(&path, &format!("{prefix}{name}/"), depth + 1);
                }
            } else if let Some(stem) = name.strip_suffix(".md").filter(|stem| !stem.is_empty()) {
                let file = self.file(&path, format!("{prefix}{stem}"));
                self.found.extend(file);
            }
        }
    }

    fn file(&self, path: &Path, name: String) -> Option<Found> {
        let real = path.canonicalize().ok()?;
        if !real.starts_with(self.within) {
            tracing::debug!("{} leads out of its worktree", path.display());
            return None;
        }
        let bytes = regular::read(&real, Links::Refuse, FILE_MAX_BYTES);
        let bytes = bytes
            .inspect_err(|error| tracing::debug!("{} is not read: {error}", path.display()))
            .ok()?;
        let (text, path) = (String::from_utf8(bytes).ok()?, path.to_owned());
        Some(Found { name, text, path })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn write(root: &Path, file: &str, text: &str) {
        let path = root.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn the_nearest_file_comes_last_and_nothing_above_the_worktree_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        write(root, ".opencode/command/above.md", "no");
        write(root, "config/command/a.md", "config");
        write(root, "repo/.git/HEAD", "");
        write(root, "repo/.opencode/commands/a.md", "root");
        write(
            root,
            "repo/.opencode/command/sub/b.md",
            "---\nagent: plan\n---\n\nbody $1\n",
        );
        write(root, "repo/src/.opencode/command/a.md", "near");
        write(root, "repo/src/.opencode/command/notes.txt", "no");
        write(
            root,
            "repo/src/.opencode/command/big.md",
            &"x".repeat(300_000),
        );
        let found = read_all(Some(&root.join("config")), &root.join("repo/src"));
        let found: Vec<_> = found
            .iter()
            .map(|c| (c.name.as_str(), c.template.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                ("a", "config"),
                ("sub/b", "body $1"),
                ("a", "root"),
                ("a", "near")
            ]
        );
        // Outside of a worktree only the directory itself counts.
        assert_eq!(read_all(None, &root.join("config")), []);
        assert_eq!(read_all(None, root)[0].name, "above");
    }

    #[test]
    fn what_is_no_regular_file_of_the_worktree_is_no_command() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        write(root, "secret", "secret");
        write(root, "repo/.git/HEAD", "");
        write(root, "repo/docs/shared.md", "shared");
        write(root, "repo/.opencode/command/good.md", "good");
        let at = |name: &str| root.join("repo/.opencode/command").join(name);
        let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, at(name)).unwrap();
        link("../../docs/shared.md", "inside.md");
        link("../../../secret", "outside.md");
        link("/dev/zero", "zero.md");
        link("/proc/self/environ", "environ.md");
        nix::unistd::mkfifo(&at("pipe.md"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let found = read_all(None, &root.join("repo"));
        let names: Vec<_> = found.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["good", "inside"]);
        // In their own folder users link to what they like.
        let links = root.join("config/command");
        std::fs::create_dir_all(&links).unwrap();
        std::os::unix::fs::symlink(root.join("secret"), links.join("mine.md")).unwrap();
        let found = read_all(Some(&root.join("config")), &root.join("repo/docs"));
        assert!(found.iter().any(|c| c.name == "mine"));
    }

    #[test]
    fn a_link_that_leads_upwards_ends() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), ".opencode/command/a.md", "a");
        std::os::unix::fs::symlink("..", folder.path().join(".opencode/command/loop")).unwrap();
        assert!(read_all(None, folder.path()).len() <= FILES_MAX);
    }
}
