//! What has changed between two snapshots, as OpenCode shows it.

use std::collections::HashMap;

use super::SnapshotError;
use super::repository::{Repository, check_name};
use crate::opencode::session::{FileDiff, FileStatus};

/// Files of one list of changes; the others are left out of it, and the log says so.
const FILES_MAX: usize = 1_000;
/// A change of one file that is longer has no patch, in bytes.
const PATCH_MAX_BYTES: usize = 64 * 1024;
/// All patches of a list together, in bytes.
const PATCHES_MAX_BYTES: usize = 1024 * 1024;
/// What a revert has changed, as one text, in bytes.
const TEXT_MAX_BYTES: usize = 256 * 1024;
/// What git may print to find out, in bytes.
const OUTPUT_MAX_BYTES: usize = 32 * 1024 * 1024;
/// The line below the name of a file, as OpenCode's patches have it.
const RULE: &str = "===================================================================";
/// What git prints above each file's changes. Lines of files begin with a blank, `+`, `-` or `\`.
const HEAD: &str = "diff --git ";

/// A file that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Changed {
    /// Its path below the root.
    pub path: String,
    status: FileStatus,
    /// It is something else now, a link instead of a file; git shows that as two changes.
    retyped: bool,
}

impl Repository {
    /// The files that differ between two states.
    pub(super) async fn changed(
        &self,
        from: &str,
        to: &str,
    ) -> Result<Vec<Changed>, SnapshotError> {
        check_name(from)?;
        check_name(to)?;
        if from == to {
            return Ok(Vec::new());
        }
        let list =
            self.git("diff-tree")
                .args(["-r", "-z", "--no-renames", "--name-status", from, to]);
        let list = list.output_max_bytes(OUTPUT_MAX_BYTES).run().await?;
        Ok(parse_names(&String::from_utf8_lossy(&list)))
    }

    /// What has changed between two states, file by file.
    ///
    /// # Errors
    /// When one of the states is not there any more, or git fails.
    pub async fn diffs(&self, from: &str, to: &str) -> Result<Vec<FileDiff>, SnapshotError> {
        let mut changed = self.changed(from, to).await?;
        if changed.is_empty() {
            return Ok(Vec::new());
        }
        if changed.len() > FILES_MAX {
            tracing::warn!(
                "{} files have changed; {FILES_MAX} are listed",
                changed.len()
            );
            changed.truncate(FILES_MAX);
        }
        let paths = changed.iter().map(|c| c.path.as_str());
        let counts = self
            .git("diff-tree")
            .args(["-r", "-z", "--no-renames", "--numstat", from, to])
            .output_max_bytes(OUTPUT_MAX_BYTES);
        let counts = counts.text().await?;
        let counts = parse_counts(&counts);
        let patches = self
            .git("diff-tree")
            .env("GIT_LITERAL_PATHSPECS", "1")
            .args(["-r", "-p", "--no-renames", "--no-ext-diff", "--no-textconv"])
            .args([
                "--no-color",
                "--src-prefix=a/",
                "--dst-prefix=b/",
                from,
                to,
                "--",
            ])
            .args(paths)
            .output_max_bytes(OUTPUT_MAX_BYTES);
        // Without the patches the list is still worth something.
        let patches = match patches.run().await {
            Ok(text) => String::from_utf8_lossy(&text).into_owned(),
            Err(error) => {
                tracing::warn!("changes are shown without their text: {error}");
                String::new()
            }
        };
        Ok(assemble(changed, &counts, &patches))
    }

    /// What has changed between two states, as one unified diff; `None` when it cannot be made or would be
    /// too long.
    pub async fn text_diff(&self, from: &str, to: &str) -> Option<String> {
        check_name(from).and(check_name(to)).ok()?;
        let diff = self
            .git("diff-tree")
            .args(["-r", "-p", "--no-renames", "--no-ext-diff", "--no-textconv"])
            .args(["--no-color", "--src-prefix=a/", "--dst-prefix=b/", from, to])
            .output_max_bytes(TEXT_MAX_BYTES);
        match diff.text().await {
            Ok(text) => Some(text.trim_end().to_owned()),
            Err(error) => {
                tracing::warn!("a revert is shown without its changes: {error}");
                None
            }
        }
    }
}

fn parse_names(list: &str) -> Vec<Changed> {
    let mut fields = list.split('\0');
    let mut changed = Vec::new();
    while let (Some(status), Some(path)) = (fields.next(), fields.next()) {
        let retyped = status.starts_with('T');
        let status = match status.chars().next() {
            Some('A') => FileStatus::Added,
            Some('D') => FileStatus::Deleted,
            _ => FileStatus::Modified,
        };
        let path = path.to_owned();
        changed.push(Changed {
            path,
            status,
            retyped,
        });
    }
    changed
}

/// Lines added and removed, by path. A file that is not text has none.
fn parse_counts(list: &str) -> HashMap<&str, (u64, u64)> {
    let line = |line: &'_ str| -> Option<(u64, u64, usize)> {
        let mut fields = line.splitn(3, '\t');
        let (added, removed) = (fields.next()?, fields.next()?);
        let path = fields.next()?;
        let number = |text: &str| text.parse().unwrap_or(0);
        Some((number(added), number(removed), line.len() - path.len()))
    };
    let lines = list.split('\0');
    lines
        .filter_map(|text| line(text).map(|(a, r, at)| (&text[at..], (a, r))))
        .collect()
}

fn assemble(
    changed: Vec<Changed>,
    counts: &HashMap<&str, (u64, u64)>,
    patches: &str,
) -> Vec<FileDiff> {
    let mut texts = split(patches);
    let expected: usize = changed.iter().map(|c| 1 + usize::from(c.retyped)).sum();
    if texts.len() != expected {
        texts.clear();
    }
    let mut texts = texts.into_iter();
    let mut room = PATCHES_MAX_BYTES;
    let file = |changed: Changed| {
        let (additions, deletions) = counts.get(changed.path.as_str()).copied().unwrap_or((0, 0));
        let texts: Vec<&str> = texts
            .by_ref()
            .take(1 + usize::from(changed.retyped))
            .collect();
        let mut patch = patch(&changed.path, &texts);
        if patch.len() > PATCH_MAX_BYTES.min(room) {
            patch.clear();
        }
        room -= patch.len();
        FileDiff {
            file: changed.path,
            patch,
            additions,
            deletions,
            status: changed.status,
        }
    };
    changed.into_iter().map(file).collect()
}

/// The changes of each file, in order.
fn split(patches: &str) -> Vec<&str> {
    let mut starts: Vec<usize> = Vec::new();
    if patches.starts_with(HEAD) {
        starts.push(0);
    }
    let inner = patches
        .match_indices(&format!("\n{HEAD}"))
        .map(|(at, _)| at + 1)
        .collect::<Vec<_>>();
    starts.extend(inner);
    let ends = starts.iter().skip(1).copied().chain([patches.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(start, end)| &patches[*start..end])
        .collect()
}

/// One file's changes in the form of OpenCode's patches; empty for a file that is not text.
fn patch(path: &str, texts: &[&str]) -> String {
    let hunks: String = texts
        .iter()
        .filter_map(|text| {
            let at = text.find("\n@@ ")?;
            Some(
                text[at + 1..]
                    .split_inclusive('\n')
                    .map(hunk_line)
                    .collect::<String>(),
            )
        })
        .collect();
    if hunks.is_empty() {
        return String::new();
    }
    format!("Index: {path}\n{RULE}\n--- {path}\t\n+++ {path}\t\n{hunks}")
}

/// Hunks name both lengths, and nothing after them.
fn hunk_line(line: &str) -> String {
    let ranges = line.strip_prefix("@@ ").and_then(|rest| {
        let (ranges, _) = rest.split_once(" @@")?;
        ranges.split_once(' ')
    });
    let Some((old, new)) = ranges else {
        return line.to_owned();
    };
    let whole = |range: &str| match range.contains(',') {
        true => range.to_owned(),
        false => format!("{range},1"),
    };
    format!("@@ {} {} @@\n", whole(old), whole(new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_look_as_opencode_writes_them() {
        let names = parse_names("M\0keep.txt\0A\0new.txt\0T\0link\0D\0bin\0");
        let counts = parse_counts("1\t2\tkeep.txt\x001\t0\tnew.txt\x001\t1\tlink\0-\t-\tbin\0");
        let patches = "\
diff --git a/keep.txt b/keep.txt
index 8b204eb..814f4a4 100644
--- a/keep.txt
+++ b/keep.txt
@@ -1,2 +1 @@ fn main
-one
-two
+diff --git a/x b/x
\\ No newline at end of file
diff --git a/new.txt b/new.txt
new file mode 100644
index 0000000..d1f5e25
--- /dev/null
+++ b/new.txt
@@ -0,0 +1 @@
+content-one
\\ No newline at end of file
diff --git a/link b/link
deleted file mode 100644
--- a/link
+++ /dev/null
@@ -1 +0,0 @@
-x
diff --git a/link b/link
new file mode 120000
--- /dev/null
+++ b/link
@@ -0,0 +1 @@
+y
\\ No newline at end of file
diff --git a/bin b/bin
deleted file mode 100644
index 8b204eb..0000000
Binary files a/bin and /dev/null differ
";
        let all = assemble(names, &counts, patches);
        let rule = "=".repeat(67);
        assert_eq!(
            all[1],
            FileDiff {
                file: "new.txt".to_owned(),
                patch: format!(
                    "Index: new.txt\n{rule}\n--- new.txt\t\n+++ new.txt\t\n@@ -0,0 +1,1 @@\n+content-one\n\\ No newline at end of file\n"
                ),
                additions: 1,
                deletions: 0,
                status: FileStatus::Added,
            }
        );
        assert!(
            all[0]
                .patch
                .contains("@@ -1,2 +1,1 @@\n-one\n-two\n+diff --git a/x b/x\n")
        );
        assert_eq!(
            (all[0].additions, all[0].deletions, all[0].status),
            (1, 2, FileStatus::Modified)
        );
        assert!(all[2].patch.contains("-x\n@@ -0,0 +1,1 @@\n+y\n"));
        assert_eq!(
            (all[3].patch.as_str(), all[3].additions, all[3].status),
            ("", 0, FileStatus::Deleted)
        );
        let names = parse_names("M\0keep.txt\0");
        let surprised = assemble(names, &HashMap::new(), "");
        assert_eq!(surprised[0].patch, "");
    }
}
