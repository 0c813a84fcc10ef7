//! Patches as text.

use std::fmt::Write;

use crate::opencode::file::{FileChange, VcsFileDiff};

/// How the patch of each file begins.
const BEGINNING: &str = "diff --git ";

/// Splits a patch into those of its files.
pub(super) fn split(patch: &str) -> Vec<String> {
    let mut patches: Vec<String> = Vec::new();
    // Lines of a file follow a space, a plus or a minus, so none of them looks like a beginning.
    for line in patch.split_inclusive('\n') {
        match patches.last_mut() {
            Some(last) if !line.starts_with(BEGINNING) => last.push_str(line),
            None if !line.starts_with(BEGINNING) => {}
            _ => patches.push(line.to_owned()),
        }
    }
    patches
}

/// A file that is wholly new; without its bytes where they cannot be read.
pub(super) fn added_file(path: String, bytes: Option<Vec<u8>>, max_bytes: usize) -> VcsFileDiff {
    let mut diff = VcsFileDiff {
        file: path,
        patch: None,
        additions: 0,
        deletions: 0,
        status: FileChange::Added,
    };
    let Some(bytes) = bytes else { return diff };
    let header = format!("{BEGINNING}a/{0} b/{0}\nnew file mode 100644\n", diff.file);
    let text = String::from_utf8(bytes)
        .ok()
        .filter(|text| !text.contains('\0'));
    let Some(text) = text else {
        diff.patch = Some(format!(
            "{header}Binary files /dev/null and b/{} differ\n",
            diff.file
        ));
        return diff;
    };
    let count = text.lines().count();
    diff.additions = count as u64;
    if text.len() > max_bytes {
        return diff;
    }
    let mut patch = header;
    if count > 0 {
        // Writing to a String cannot fail.
        let _always_fits = write!(patch, "--- /dev/null\n+++ b/{}\n@@ -0,0 +1", diff.file);
        if count > 1 {
            let _always_fits = write!(patch, ",{count}");
        }
        patch.push_str(" @@\n");
        for line in text.split_inclusive('\n') {
            patch.push('+');
            patch.push_str(line);
        }
        if !text.ends_with('\n') {
            patch.push_str("\n\\ No newline at end of file\n");
        }
    }
    diff.patch = Some(patch);
    diff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_is_a_patch_that_git_takes() {
        let diff = added_file("new.txt".into(), Some(b"new\nfile\n".to_vec()), 1000);
        assert_eq!(
            diff.patch.as_deref(),
            Some(
                "diff --git a/new.txt b/new.txt\nnew file mode 100644\n--- /dev/null\n+++ b/new.txt\n\
                 @@ -0,0 +1,2 @@\n+new\n+file\n"
            )
        );
        assert_eq!(diff.additions, 2);
        let cut = added_file("n".into(), Some(b"one".to_vec()), 1000).patch;
        assert!(
            cut.is_some_and(|p| p.ends_with("@@ -0,0 +1 @@\n+one\n\\ No newline at end of file\n"))
        );
        let empty = added_file("e".into(), Some(Vec::new()), 1000);
        assert_eq!(
            (
                empty.additions,
                empty.patch.is_some_and(|p| p.ends_with("100644\n"))
            ),
            (0, true)
        );
        let binary = added_file("b".into(), Some(b"\0".to_vec()), 1000);
        assert!(binary.patch.is_some_and(|p| p.contains("Binary files")));
        assert_eq!(
            added_file("l".into(), Some(b"12345\n".to_vec()), 3).patch,
            None
        );
        assert_eq!(added_file("gone".into(), None, 3).additions, 0);
    }
}
