//! OpenCode's command files: `command/**/*.md` and `commands/**/*.md` below `.opencode` in a directory and
//! in those above it, up to the root of the worktree, and below OpenCode's configuration folder.

use std::path::{Path, PathBuf};

use super::{Command, frontmatter};

/// Command files that are read for one directory, at most.
const FILES_MAX: usize = 1_000;
/// A larger file is no command, in bytes.
const FILE_MAX_BYTES: u64 = 256 * 1024;
/// Folders below a command folder, one in the other, at most. A link that leads upwards ends there.
const DEPTH_MAX: usize = 6;
/// Folders between a directory and the root of its worktree, at most.
const ANCESTORS_MAX: usize = 64;
/// OpenCode reads both.
const FOLDERS: [&str; 2] = ["command", "commands"];

/// The commands for a directory, the nearest last: it wins.
pub fn read_all(opencode_config: Option<&Path>, directory: &Path) -> Vec<Command> {
    let mut bases: Vec<PathBuf> = opencode_config.map(Path::to_owned).into_iter().collect();
    let mut near = up_to_worktree(directory);
    near.reverse();
    bases.extend(near.iter().map(|folder| folder.join(".opencode")));
    let mut commands = Vec::new();
    for folder in bases.iter().flat_map(|base| FOLDERS.map(|f| base.join(f))) {
        read_folder(&folder, "", 0, &mut commands);
    }
    commands
}

/// The directory and those above it up to the one that has `.git`; the directory alone when none has.
fn up_to_worktree(directory: &Path) -> Vec<PathBuf> {
    let above: Vec<&Path> = directory.ancestors().take(ANCESTORS_MAX).collect();
    let root = above.iter().position(|folder| folder.join(".git").exists());
    let count = root.map_or(1, |root| root + 1);
    above.into_iter().take(count).map(Path::to_owned).collect()
}

fn read_folder(folder: &Path, prefix: &str, depth: usize, commands: &mut Vec<Command>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    // In order of their names, so that every call gives the same.
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if commands.len() >= FILES_MAX {
            return;
        }
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        if path.is_dir() {
            if depth < DEPTH_MAX {
                read_folder(&path, &format!("{prefix}{name}/"), depth + 1, commands);
            }
        } else if let Some(stem) = name.strip_suffix(".md").filter(|stem| !stem.is_empty()) {
            commands.extend(read_file(&path, format!("{prefix}{stem}")));
        }
    }
}

fn read_file(path: &Path, name: String) -> Option<Command> {
    let size = std::fs::metadata(path).ok()?;
    if !size.is_file() || size.len() > FILE_MAX_BYTES {
        return None;
    }
    let text = std::fs::read_to_string(path).ok()?;
    let (mut fields, body) = frontmatter::split(&text);
    Some(Command {
        name,
        description: fields.remove("description"),
        agent: fields.remove("agent"),
        model: fields.remove("model"),
        subtask: fields.remove("subtask").map(|word| word == "true"),
        template: body.trim().to_owned(),
    })
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
    fn a_link_that_leads_upwards_ends() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), ".opencode/command/a.md", "a");
        std::os::unix::fs::symlink("..", folder.path().join(".opencode/command/loop")).unwrap();
        assert!(read_all(None, folder.path()).len() <= FILES_MAX);
    }
}
