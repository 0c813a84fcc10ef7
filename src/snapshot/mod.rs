//! Snapshots of working directories: what a turn has changed, and how to go back.
//!
//! Where a session's directory lies in a git repository, the files below it are written into a git directory
//! of Baton's own before and after each turn. A snapshot is a git tree, named by its hash, as OpenCode has
//! it in `step-start`, `step-finish` and `patch` parts. The user's own repository is only asked where its root is
//! and what it ignores. *Absent here:* sessions.

mod diff;
mod repository;
mod upkeep;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::git::{Git, GitError};
use crate::looks;
use crate::project::worktree_root;

pub use repository::{Repository, Snapshot, Step};

use parking_lot::Mutex;
use repository::Store;

/// The folder of the git directories, in Baton's data directory.
const FOLDER: &str = "snapshot";
/// How long a turn waits for a snapshot. One that takes longer is made all the same, so that the next one
/// has less to do, and is not used.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// After a snapshot that has failed, none is tried in the same repository for this long.
const PAUSE: Duration = Duration::from_secs(300);

/// Why there is no snapshot, or nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// git has failed.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The git directory cannot be used.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// There is more to write than a snapshot may have.
    #[error("there are {0} bytes of new files, which is more than a snapshot takes")]
    TooLarge(u64),
    /// A file of ignored names cannot be read.
    #[error("{0} is not a regular file")]
    Rules(String),
    /// A name that is not a snapshot's.
    #[error("there is no snapshot {0:?}")]
    Unknown(String),
}

/// All snapshots.
#[derive(Debug)]
pub struct Snapshots {
    enabled: bool,
    data_dir: PathBuf,
    stores: Mutex<HashMap<PathBuf, Arc<Store>>>,
    paused: Mutex<HashMap<PathBuf, Instant>>,
}

impl Snapshots {
    /// Snapshots below a data directory; with `enabled` off, none are taken.
    pub fn new(data_dir: &Path, enabled: bool) -> Self {
        Self {
            enabled,
            data_dir: data_dir.to_owned(),
            stores: Mutex::default(),
            paused: Mutex::default(),
        }
    }

    /// The snapshots of a directory; `None` where none are taken: outside of git repositories, without
    /// git, and where they are switched off. Waits for others that use the same repository.
    ///
    /// # Errors
    /// When Baton's git directory cannot be made.
    pub async fn open(&self, directory: &str) -> Result<Option<Repository>, SnapshotError> {
        let directory = Path::new(directory);
        if !self.enabled || !looks::is_directory(directory).await? {
            return Ok(None);
        }
        let Some((root, exclude)) = locate(directory).await else {
            return Ok(None);
        };
        let store = {
            let mut stores = self.stores.lock();
            let new = || Arc::new(Store::new(&self.data_dir.join(FOLDER), &root));
            Arc::clone(stores.entry(root.clone()).or_insert_with(new))
        };
        let repository = Repository::open(store, directory, &root, &exclude, &self.data_dir);
        Ok(Some(repository.await?))
    }

    /// A snapshot of a directory now; `None` where none can be taken. What fails is logged, since no turn
    /// is to fail of it, and then not tried again for a while.
    pub async fn take(&self, directory: &str) -> Option<Snapshot> {
        let key = PathBuf::from(directory);
        {
            let mut paused = self.paused.lock();
            paused.retain(|_, since| since.elapsed() < PAUSE);
            if paused.contains_key(&key) {
                return None;
            }
        }
        let taken = async {
            match self.open(directory).await? {
                Some(repository) => repository.take().await.map(Some),
                None => Ok(None),
            }
        };
        match taken.await {
            Ok(snapshot) => snapshot,
            Err(error) => {
                tracing::warn!(directory, "no snapshot for the next {PAUSE:?}: {error}");
                let mut paused = self.paused.lock();
                paused.insert(key, Instant::now());
                None
            }
        }
    }
}

/// The root of the repository that a directory lies in, and the file with what it ignores beside its
/// `.gitignore` files.
async fn locate(directory: &Path) -> Option<(PathBuf, PathBuf)> {
    // A repository may name a working tree anywhere (`core.worktree`); it has none but the one it lies in. Looked for
    // first: git takes milliseconds to say that there is none, and a turn waits for that.
    let inside = looks::resolved(directory).await.ok()?;
    let around = looks::at(directory, move || worktree_root(&inside)).await;
    let around = around.ok()??;
    let asked = Git::new(directory, "rev-parse")
        .args(["--show-toplevel", "--git-path", "info/exclude"])
        .text()
        .await;
    let text = match asked {
        Ok(text) => text,
        Err(error) => {
            tracing::debug!(directory = %directory.display(), "not in a repository: {error}");
            return None;
        }
    };
    let mut lines = text.lines();
    let root = PathBuf::from(lines.next().filter(|root| !root.is_empty())?);
    let exclude = directory.join(lines.next()?);
    if around != root {
        tracing::debug!(directory = %directory.display(), "its worktree is elsewhere");
        return None;
    }
    Some((root, exclude))
}
