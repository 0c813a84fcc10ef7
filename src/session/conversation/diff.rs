//! What an edit has changed, as OpenCode's clients show it.

use std::time::Duration;

use serde_json::{Value, json};
use similar::{ChangeTag, TextDiff};

/// The most that is spent on finding the smallest difference; after that a larger one is good enough.
const SEARCH_TIMEOUT: Duration = Duration::from_millis(50);
/// Texts that are longer together are not compared, in bytes: a patch of them is nothing to look at.
const COMPARED_MAX_BYTES: usize = 1024 * 1024;

/// `filediff` in the metadata of OpenCode's edit tool: the file with its patch and the number of changed lines.
/// `None` for texts that are too long to be compared.
pub(super) fn file_diff(path: &str, old: &str, new: &str) -> Option<Value> {
    if old.len() + new.len() > COMPARED_MAX_BYTES {
        return None;
    }
    let diff = TextDiff::configure()
        .timeout(SEARCH_TIMEOUT)
        .diff_lines(old, new);
    let lines = |tag| diff.iter_all_changes().filter(|c| c.tag() == tag).count();
    Some(json!({
        "file": path,
        "patch": diff.unified_diff().header(path, path).to_string(),
        "additions": lines(ChangeTag::Insert),
        "deletions": lines(ChangeTag::Delete),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_is_a_patch_with_its_counts() {
        let diff = file_diff("/p/a", "one\ntwo\n", "one\nthree\nfour\n").expect("short");
        assert_eq!(
            (&diff["additions"], &diff["deletions"]),
            (&json!(2), &json!(1))
        );
        assert_eq!(
            diff["patch"],
            "--- /p/a\n+++ /p/a\n@@ -1,2 +1,3 @@\n one\n-two\n+three\n+four\n"
        );
    }

    #[test]
    fn what_is_too_long_to_look_at_is_not_compared() {
        assert_eq!(
            file_diff("a", "", &"x".repeat(COMPARED_MAX_BYTES + 1)),
            None
        );
    }
}
