//! Snapshots do not stay for ever: they take room.

use std::path::Path;
use std::time::Duration;

use super::repository::REFS;
use super::{FOLDER, SnapshotError, Snapshots};
use crate::git::Git;
use crate::opencode::now_ms;

/// How long a snapshot can be gone back to, in days.
const KEPT_DAYS: u64 = 14;
/// A day, in milliseconds.
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// How often old snapshots are looked for.
const EVERY: Duration = Duration::from_secs(6 * 60 * 60);
/// How long git may take to throw them away.
const COLLECT_TIMEOUT: Duration = Duration::from_secs(600);

impl Snapshots {
    /// Throws away old snapshots, now and then, for ever.
    pub async fn throw_away_old(self: std::sync::Arc<Self>) {
        let mut every = tokio::time::interval(EVERY);
        loop {
            every.tick().await;
            if let Err(error) = self.sweep().await {
                tracing::warn!("old snapshots are not thrown away: {error}");
            }
        }
    }

    async fn sweep(&self) -> Result<(), SnapshotError> {
        let folder = self.data_dir.join(FOLDER);
        let mut entries = match tokio::fs::read_dir(&folder).await {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        while let Some(entry) = entries.next_entry().await? {
            let git_dir = entry.path();
            if let Err(error) = sweep_one(&git_dir, now_ms() / DAY_MS).await {
                tracing::warn!(git_dir = %git_dir.display(), "old snapshots are not thrown away: {error}");
            }
        }
        Ok(())
    }
}

/// Forgets the snapshots of days that are long gone, and has git pack what is left. A snapshot that is
/// being taken meanwhile is safe: git spares what is new.
async fn sweep_one(git_dir: &Path, today: u64) -> Result<(), SnapshotError> {
    let git = |command: &str| {
        Git::new(git_dir, command)
            .isolated()
            .env("GIT_DIR", git_dir)
            .timeout(COLLECT_TIMEOUT)
    };
    let refs = git("for-each-ref")
        .args(["--format=%(refname)", REFS])
        .text()
        .await?;
    let day = |name: &str| {
        name.strip_prefix(REFS)?
            .split('/')
            .nth(1)?
            .parse::<u64>()
            .ok()
    };
    let old = refs
        .lines()
        .filter(|name| day(name).is_some_and(|day| day.saturating_add(KEPT_DAYS) < today));
    let commands: String = old.map(|name| format!("delete {name}\n")).collect();
    if commands.is_empty() {
        return Ok(());
    }
    let delete = git("update-ref")
        .arg("--stdin")
        .input(commands.into_bytes());
    delete.run().await?;
    git("gc")
        .args(["--quiet", "--prune=1.hour.ago"])
        .run()
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn old_snapshots_go_and_new_ones_stay() {
        let folder = tempfile::tempdir().expect("a folder");
        let git = |command: &str| Git::new(folder.path(), command).env("GIT_DIR", folder.path());
        git("init")
            .args(["--quiet", "--bare"])
            .run()
            .await
            .expect("a repository");
        let tree = git("mktree").text().await.expect("an empty tree");
        for day in ["100", "199", "200"] {
            let name = format!("{REFS}/{day}/{}", tree.trim());
            git("update-ref")
                .args([&name, tree.trim()])
                .run()
                .await
                .expect("a ref");
        }
        sweep_one(folder.path(), 200).await.expect("swept");
        let left = git("for-each-ref")
            .arg("--format=%(refname)")
            .text()
            .await
            .expect("refs");
        let days: Vec<_> = left
            .lines()
            .filter_map(|name| name.split('/').nth(2))
            .collect();
        assert_eq!(days, ["199", "200"]);
    }
}
