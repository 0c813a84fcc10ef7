//! What a snapshot ignores.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::git::Git;
use crate::looks;
use crate::regular::{self, Links};
use crate::snapshot::SnapshotError;

/// The largest file of rules that is taken over, in bytes.
const EXCLUDE_MAX_BYTES: u64 = 1024 * 1024;

/// The user's own file of ignored names, where one is configured. git's default is used without asking.
pub(super) async fn user_excludes(directory: &Path) -> Option<String> {
    let asked = Git::new(directory, "config").args(["--path", "--get", "core.excludesFile"]);
    let text = asked.text().await.ok()?;
    let file = Some(text.trim_end_matches('\n').to_owned()).filter(|file| !file.is_empty())?;
    let path = directory.join(&file);
    // The repository may have named it, and git would wait for a pipe.
    let read = move || regular::read(&path, Links::Follow, EXCLUDE_MAX_BYTES).is_ok();
    let readable = looks::at(directory, read).await.unwrap_or(false);
    readable.then_some(file)
}

/// What the user's repository ignores besides its `.gitignore` files is ignored here, too; and so is Baton's
/// own data, where it lies in the same tree.
pub(super) async fn take_over_rules(
    git_dir: &Path,
    root: &Path,
    exclude: &Path,
    data_dir: &Path,
) -> Result<(), SnapshotError> {
    let exclude = exclude.to_owned();
    let read = move || regular::read(&exclude, Links::Follow, EXCLUDE_MAX_BYTES);
    // What is not a file of rules excludes nothing.
    let mut rules = looks::at(root, read).await?.unwrap_or_default();
    let data_dir = tokio::fs::canonicalize(data_dir).await;
    if let Ok(below) = data_dir
        .as_deref()
        .unwrap_or(Path::new(""))
        .strip_prefix(root)
        && !below.as_os_str().is_empty()
    {
        rules.extend(b"\n/");
        rules.extend(escaped(below.as_os_str().as_bytes()));
        rules.extend(b"/\n");
    }
    let file = git_dir.join("info/exclude");
    if tokio::fs::read(&file).await.ok().as_ref() != Some(&rules) {
        tokio::fs::write(&file, rules).await?;
    }
    Ok(())
}

/// A path as a rule that matches nothing else.
fn escaped(path: &[u8]) -> Vec<u8> {
    let special = |byte: &u8| b"*?[\\ !#".contains(byte);
    path.iter()
        .flat_map(|byte| special(byte).then_some(b'\\').into_iter().chain([*byte]))
        .collect()
}
