//! Baton's git directory for a repository of the user: how snapshots get in and out.

mod choose;
mod rules;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard};

use self::choose::{Chosen, choose, no_entry};
use super::SnapshotError;
use crate::folder;
use crate::git::Git;
use crate::looks;
use crate::opencode::now_ms;

/// How long git may take to take in files, or to write them.
const FILES_TIMEOUT: Duration = Duration::from_secs(120);
/// How long git may take to find out which files there are.
const LIST_TIMEOUT: Duration = Duration::from_secs(30);
/// Files are taken in as they are, whatever the repository's attributes say: a snapshot has to give back
/// every byte.
const ATTRIBUTES: &str = "* -text -eol -filter -ident -working-tree-encoding\n";
/// The tree with nothing in it, which git knows without having it.
const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
/// Where the snapshots of a day are kept from being thrown away: `refs/baton/DAY/TREE`.
pub(super) const REFS: &str = "refs/baton";
/// The length of a hash, in characters: the git directories are Baton's own, all of one format.
const HASH_CHARS: usize = 40;
/// A day, in milliseconds.
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Settings of every call, besides those of [`Git`] itself.
const SETTINGS: [&str; 5] = [
    "core.autocrlf=false",
    "core.longPaths=true",
    "core.symlinks=true",
    "core.looseCompression=1",
    "core.safecrlf=false",
];

/// The git directory for one working tree.
#[derive(Debug)]
pub(super) struct Store {
    git_dir: PathBuf,
    root: PathBuf,
    /// The user's own file of ignored names, once it was asked for.
    in_use: Arc<Mutex<Option<Ready>>>,
    /// The tree of the index as it stands, and the day on which it was kept; `None` while the index is changed.
    written: parking_lot::Mutex<Option<(u64, String)>>,
}

/// What is found out when a store is used for the first time.
#[derive(Debug, Clone)]
struct Ready {
    user_excludes: Option<String>,
}

impl Store {
    pub(super) fn new(folder: &Path, root: &Path) -> Self {
        Self {
            git_dir: folder.join(name_of(root)),
            root: root.to_owned(),
            in_use: Arc::default(),
            written: parking_lot::Mutex::default(),
        }
    }

    /// The index is about to be changed.
    fn forget_written(&self) {
        *self.written.lock() = None;
    }
}

fn today() -> u64 {
    now_ms() / DAY_MS
}

/// The folder for a working tree: always the same for the same one.
fn name_of(root: &Path) -> String {
    // FNV-1a: a name, not a secret; it only has to be the same in every run and every version.
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let bytes = root.as_os_str().as_encoded_bytes();
    let hash = bytes.iter().fold(OFFSET, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(PRIME)
    });
    format!("{hash:016x}")
}

/// The state of a directory at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Names it: the hash of a git tree.
    pub tree: String,
    /// Files that are there and too large for it.
    left_out: BTreeSet<String>,
}

/// Files to be brought to a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The state.
    pub tree: String,
    /// The files, below the root.
    pub paths: Vec<String>,
}

/// The snapshots of a directory, for one user at a time.
#[derive(Debug)]
pub struct Repository {
    store: Arc<Store>,
    directory: PathBuf,
    ready: Ready,
    _in_use: OwnedMutexGuard<Option<Ready>>,
}

impl Repository {
    pub(super) async fn open(
        store: Arc<Store>,
        directory: &Path,
        root: &Path,
        exclude: &Path,
        data_dir: &Path,
    ) -> Result<Self, SnapshotError> {
        let mut in_use = Arc::clone(&store.in_use).lock_owned().await;
        let ready = match &*in_use {
            Some(ready) => ready.clone(),
            None => {
                prepare(&store).await?;
                let user_excludes = rules::user_excludes(directory).await;
                in_use.insert(Ready { user_excludes }).clone()
            }
        };
        rules::take_over_rules(&store.git_dir, root, exclude, data_dir).await?;
        Ok(Self {
            store,
            // The root is free of symbolic links, and paths are compared with it.
            directory: looks::resolved(directory).await?,
            ready,
            _in_use: in_use,
        })
    }

    pub(super) fn git(&self, command: &str) -> Git {
        let git = git(&self.store, &self.directory, command);
        match &self.ready.user_excludes {
            Some(file) => git.setting(&format!("core.excludesFile={file}")),
            None => git,
        }
    }

    /// Takes a snapshot of the directory, as far as it is not ignored.
    ///
    /// # Errors
    /// When git fails, or when there is too much.
    pub async fn take(&self) -> Result<Snapshot, SnapshotError> {
        self.check_rules().await?;
        let list = self.git("ls-files").args([
            "-z",
            "-t",
            "--full-name",
            "--others",
            "--modified",
            "--deleted",
            "--exclude-standard",
            "--",
            ".",
        ]);
        let listed = list.timeout(LIST_TIMEOUT).run().await?;
        let root = self.store.root.clone();
        let choose = move || choose(&root, &listed);
        let chosen = looks::within(LIST_TIMEOUT, &self.store.root, choose).await;
        let Chosen {
            gone,
            input,
            left_out,
        } = chosen??;
        if gone.is_empty() && input.is_empty() {
            let known = self.store.written.lock().clone();
            if let Some((_, tree)) = known.filter(|(day, _)| *day == today()) {
                return Ok(Snapshot { tree, left_out });
            }
        }
        self.store.forget_written();
        if !gone.is_empty() {
            // A name may be a folder now; git would stumble over it if it were asked to look.
            let remove = self
                .git_at_root("update-index")
                .args(["-z", "--index-info"])
                .input(gone);
            remove.run().await?;
        }
        if !input.is_empty() {
            let update = self.git_at_root("update-index").args([
                "-z",
                "--add",
                "--remove",
                "--replace",
                "--stdin",
            ]);
            update.input(input).timeout(FILES_TIMEOUT).run().await?;
        }
        let tree = self.git("write-tree").text().await?.trim().to_owned();
        self.keep(&tree).await?;
        *self.store.written.lock() = Some((today(), tree.clone()));
        Ok(Snapshot { tree, left_out })
    }

    /// git would wait for the other end of a pipe that has the name of a file of rules. Those above the directory are
    /// looked at; deeper ones cost a snapshot its time.
    async fn check_rules(&self) -> Result<(), SnapshotError> {
        let (root, directory) = (self.store.root.clone(), self.directory.clone());
        let check = move || {
            let folders = directory.ancestors().take_while(|f| f.starts_with(&root));
            let mut rules = folders.map(|folder| folder.join(".gitignore"));
            let special = |path: &PathBuf| {
                let kind = path.symlink_metadata().map(|m| m.file_type());
                kind.is_ok_and(|kind| !kind.is_file() && !kind.is_dir() && !kind.is_symlink())
            };
            rules.find(special)
        };
        match looks::at(&self.directory, check).await? {
            Some(path) => Err(SnapshotError::Rules(path.display().to_string())),
            None => Ok(()),
        }
    }

    /// Keeps a tree from being thrown away for some time.
    async fn keep(&self, tree: &str) -> Result<(), SnapshotError> {
        let name = format!("{REFS}/{}/{tree}", today());
        let keep = self.git("update-ref").args([&name, tree]);
        keep.run().await?;
        Ok(())
    }

    /// Calls whose paths are below the root.
    fn git_at_root(&self, command: &str) -> Git {
        git(&self.store, &self.store.root, command)
    }

    /// Paths below the root; those that lie elsewhere are left out.
    pub fn below_root(&self, files: &[String]) -> Vec<String> {
        let below = files.iter().filter_map(|file| {
            let below = Path::new(file).strip_prefix(&self.store.root).ok()?;
            below.to_str().map(str::to_owned)
        });
        below.filter(|path| !path.is_empty()).collect()
    }

    /// A path below the root as an absolute one.
    pub fn absolute(&self, path: &str) -> String {
        self.store.root.join(path).to_string_lossy().into_owned()
    }

    /// The step that brings what differs between two states to the first.
    ///
    /// # Errors
    /// When one of them is not there any more.
    pub async fn step_back(&self, to: &str, from: &str) -> Result<Step, SnapshotError> {
        let changed = self.changed(to, from).await?;
        Ok(Step {
            tree: to.to_owned(),
            paths: changed.into_iter().map(|c| c.path).collect(),
        })
    }

    /// The names of files that a turn has changed, as absolute paths. A file that was too large before or
    /// is now is left out: it could not be brought back.
    ///
    /// # Errors
    /// When git fails.
    pub async fn changed_files(
        &self,
        before: &Snapshot,
        after: &Snapshot,
    ) -> Result<Vec<String>, SnapshotError> {
        let changed = self.changed(&before.tree, &after.tree).await?;
        let whole = changed
            .into_iter()
            .map(|c| c.path)
            .filter(|path| !before.left_out.contains(path) && !after.left_out.contains(path));
        Ok(whole.map(|path| self.absolute(&path)).collect())
    }

    /// The state of the directory now, and the one with the steps taken, in their order. Nothing is done to
    /// the directory yet.
    ///
    /// # Errors
    /// When a state of a step is not there any more, or git fails.
    pub async fn compose(&self, steps: &[Step]) -> Result<(String, String), SnapshotError> {
        let now = self.take().await?;
        let mut index = Vec::new();
        for step in steps {
            self.put(&mut index, step, &now).await?;
        }
        if index.is_empty() {
            return Ok((now.tree.clone(), now.tree));
        }
        // The index is that of the snapshot again after this, since `apply` goes on from there.
        self.store.forget_written();
        let update = self
            .git_at_root("update-index")
            .args(["-z", "--index-info"])
            .input(index);
        update.run().await?;
        let composed = self.git("write-tree").text().await;
        let back = self.git("read-tree").arg(&now.tree).run().await;
        back?;
        let tree = composed?.trim().to_owned();
        self.keep(&tree).await?;
        Ok((now.tree, tree))
    }

    /// Appends the entries of a step, as `update-index --index-info` reads them.
    async fn put(
        &self,
        index: &mut Vec<u8>,
        step: &Step,
        now: &Snapshot,
    ) -> Result<(), SnapshotError> {
        let paths: BTreeSet<&str> = step.paths.iter().map(String::as_str).collect();
        let known = self.entries(&step.tree).await?;
        let entry = |path: &str| known.iter().find(|(name, _)| name == path);
        let fits = |path: &&str| !path.contains('\0') && !now.left_out.contains(*path);
        for path in paths.into_iter().filter(fits) {
            match entry(path) {
                Some((_, entry)) => index.extend(entry.as_bytes()),
                None => index.extend(no_entry().as_bytes()),
            }
            index.push(b'\t');
            index.extend(path.as_bytes());
            index.push(b'\0');
        }
        Ok(())
    }

    /// All files of a state: name, and mode with hash.
    async fn entries(&self, tree: &str) -> Result<Vec<(String, String)>, SnapshotError> {
        check_name(tree)?;
        let list = self
            .git_at_root("ls-tree")
            .args(["-r", "-z", "--full-tree", tree])
            .run()
            .await?;
        let list = String::from_utf8_lossy(&list).into_owned();
        let entries = list.split('\0').filter_map(|line| {
            let (head, path) = line.split_once('\t')?;
            let mut head = head.split(' ');
            let (mode, _kind, hash) = (head.next()?, head.next()?, head.next()?);
            Some((path.to_owned(), format!("{mode} {hash}")))
        });
        Ok(entries.collect())
    }

    /// Brings the directory from one state to another: all of it or, when a file has changed meanwhile,
    /// nothing. Files that are the same in both are not touched.
    ///
    /// # Errors
    /// When the directory is not in the first state, or a file cannot be written.
    pub async fn apply(&self, from: &str, to: &str) -> Result<(), SnapshotError> {
        check_name(from)?;
        check_name(to)?;
        self.store.forget_written();
        let refresh = self.git_at_root("update-index").args(["-q", "--refresh"]);
        // Its status says that something has changed, which is for the next call to judge.
        let _something_has_changed = refresh.timeout(FILES_TIMEOUT).run().await;
        let read = self
            .git_at_root("read-tree")
            .args(["-m", "-u", from, to])
            .timeout(FILES_TIMEOUT);
        read.run().await?;
        Ok(())
    }
}

fn git(store: &Store, directory: &Path, command: &str) -> Git {
    let git = Git::new(directory, command)
        .repository(&store.git_dir, &store.root)
        .isolated()
        .env("GIT_LITERAL_PATHSPECS", "1")
        // Those of the worktree say nothing here, and one of them could be a pipe.
        .env("GIT_ATTR_SOURCE", EMPTY_TREE);
    SETTINGS
        .iter()
        .fold(git, |git, setting| git.setting(setting))
}

/// Names come back from parts, which clients can edit.
pub(super) fn check_name(tree: &str) -> Result<(), SnapshotError> {
    let is_hash = tree.len() == HASH_CHARS && tree.bytes().all(|b| b.is_ascii_hexdigit());
    if is_hash {
        return Ok(());
    }
    Err(SnapshotError::Unknown(tree.chars().take(64).collect()))
}

/// Makes the git directory, unless it is there.
async fn prepare(store: &Store) -> Result<(), SnapshotError> {
    let lock = store.git_dir.join("index.lock");
    // Left behind by a git that was killed; Baton's own lock keeps others out.
    match tokio::fs::remove_file(&lock).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    folder::make_async(&store.git_dir).await?;
    git(store, &store.root, "init")
        .args(["--quiet", "--template=", "--object-format=sha1"])
        .run()
        .await?;
    let info = store.git_dir.join("info");
    folder::make_async(&info).await?;
    tokio::fs::write(info.join("attributes"), ATTRIBUTES).await?;
    Ok(())
}

#[cfg(test)]
mod tests;
