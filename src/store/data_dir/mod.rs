//! The data directory: whose it is, who may look into it, and whether what lies in it is whole.
//!
//! Beside the database lies a marker (`baton-data.json`) that says which database belongs here and how it was left.
//! A database that does not fit to it is not opened: a store that is gone is never replaced by an empty one without
//! a word.

pub mod marker;
mod node;

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::StoreError;
use super::sqlite::upkeep::{self, Finding, Judge};
use super::sqlite::{self, Durability, Opening, SqliteStore};
use crate::folder;
use crate::opencode::now_ms;
use marker::{Doubt, Found, Identity, Marker};
pub use node::store_elsewhere;

/// The store's file.
pub const DATABASE_FILE: &str = "baton.sqlite";
/// Locked while a server uses the directory.
const LOCK_FILE: &str = "baton.lock";
/// The marker.
const MARKER_FILE: &str = "baton-data.json";
/// The files of the store that may be there from before, when others could read them.
const STORE_FILES: [&str; 5] = [
    DATABASE_FILE,
    "baton.sqlite-wal",
    "baton.sqlite-shm",
    LOCK_FILE,
    MARKER_FILE,
];
/// A server that was killed is waited for this long.
const LEAVING: Duration = Duration::from_secs(1);
/// Between two looks whether it is gone.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// The mode of a file that only its owner can read.
const OWNER_ONLY_FILE: u32 = 0o600;
/// The bits of a mode that say what others may do.
const OTHERS: u32 = 0o077;
/// The bit of a directory that everybody writes into.
const STICKY: u32 = 0o1000;

/// Why a data directory is not used, as a sentence for the user.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another server uses it.
    #[error(
        "another baton uses the data directory {0} already; stop it, or give this one another --data-dir"
    )]
    InUse(String),
    /// It cannot be used.
    #[error("the data directory {0} cannot be used: {1}")]
    Unusable(String, io::Error),
    /// Others may write into it.
    #[error(
        "the data directory {0} belongs to everybody (mode {1:o}): conversations would not be safe in it. Give a \
         --data-dir of its own."
    )]
    Shared(String, u32),
    /// What lies in it is not the whole of what was there.
    #[error(
        "in the data directory {0}: {1}. Nothing was changed. Put the right files back (`baton backup` makes copies of \
         a database), or go on with what is there: `baton check --repair --data-dir {0}`."
    )]
    Doubtful(String, Doubt),
    /// The database cannot be opened.
    #[error(
        "the store in {0} cannot be opened: {1}. `baton check --data-dir {0}` says what is wrong with it."
    )]
    Store(String, StoreError),
}

/// A data directory that is ours as long as this lives.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// Held for the lock, which the system gives back when this process ends in whatever way.
    _lock: File,
    /// Held for its lock, in case that somebody has removed the other one. Closed last: closing any handle of the
    /// file takes SQLite's own locks of this process away. None where the store is elsewhere.
    _database: Option<File>,
    unclean: bool,
}

impl DataDir {
    /// Makes the directory if there is none, and takes it for this process. Blocks.
    ///
    /// # Errors
    /// When it is in use, cannot be used, or is not what it was.
    pub fn claim(path: &Path) -> Result<Self, DataDirError> {
        let shown = path.display().to_string();
        let unusable = |error| DataDirError::Unusable(shown.clone(), error);
        let lock = claim_directory(path)?;
        let marker = read_marker(path);
        let doubtful = |doubt| DataDirError::Doubtful(shown.clone(), doubt);
        marker::judge_files(marker.as_ref(), found(path)).map_err(doubtful)?;
        let database = open(&path.join(DATABASE_FILE)).map_err(unusable)?;
        take(&database, &shown)?;
        for name in STORE_FILES {
            narrow_file(&path.join(name)).map_err(unusable)?;
        }
        if node::is_noted(path) {
            node::note(path, None).map_err(unusable)?;
        }
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
            _database: Some(database),
            unclean: marker.is_some_and(|marker| !marker.clean),
        })
    }

    /// Makes the directory if there is none, and takes it for a process whose store is elsewhere: in `store`, as it may be
    /// shown. What lies in it of a database is left alone. Answers the name of the directory among others, too. Blocks.
    ///
    /// # Errors
    /// When it is in use, or cannot be used.
    pub fn claim_beside(path: &Path, store: &str) -> Result<(Self, String), DataDirError> {
        let lock = claim_directory(path)?;
        let unusable = |error| DataDirError::Unusable(path.display().to_string(), error);
        let node = node::note(path, Some(store)).map_err(unusable)?;
        if found(path).database.is_some_and(|bytes| bytes > 0) {
            tracing::info!(
                "the sessions of {DATABASE_FILE} in the data directory are not shown: the store is {store}. `baton copy` \
                 moves them there"
            );
        }
        let data = Self {
            path: path.to_owned(),
            _lock: lock,
            _database: None,
            unclean: false,
        };
        Ok((data, node))
    }

    /// Whether a server uses this directory now.
    pub fn is_claimed(path: &Path) -> bool {
        let lock = File::open(path.join(LOCK_FILE));
        lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// Opens the store, and notes that a server was started on it. Blocks.
    ///
    /// # Errors
    /// When it cannot be opened, or is not the one that belongs here.
    pub fn open_store(&self, durability: Durability) -> Result<SqliteStore, DataDirError> {
        let shown = self.path.display().to_string();
        let failed = |error| DataDirError::Store(shown.clone(), error);
        let path = self.path.join(DATABASE_FILE);
        let old = read_marker(&self.path);
        let identity = sqlite::identity(&path).map_err(failed)?;
        marker::judge_identity(old.as_ref(), identity.as_ref())
            .map_err(|doubt| DataDirError::Doubtful(shown.clone(), doubt))?;
        let directory = self.path.clone();
        let starts = 1 + identity.as_ref().map_or(0, |identity| identity.starts);
        let identity = Identity {
            id: identity.map_or_else(new_id, |identity| identity.id),
            starts,
        };
        let started = now_ms();
        let mark = move |identity: &Identity, clean: bool| {
            let marker = Marker {
                id: identity.id.clone(),
                schema: sqlite::schema(),
                starts: identity.starts,
                started,
                written: now_ms(),
                clean,
                database_bytes: found(&directory).database.unwrap_or(0),
            };
            write_marker(&directory, &marker)
        };
        let at_rest = {
            let (mark, identity) = (mark.clone(), identity.clone());
            Box::new(move || {
                let noted = mark(&identity, true);
                if let Err(error) = &noted {
                    tracing::warn!("it was not noted that the store was closed in order: {error}");
                }
                noted.is_ok()
            })
        };
        let opening = Opening {
            durability,
            identity: Some(identity.clone()),
            at_rest: Some(at_rest),
        };
        let store = SqliteStore::open_with(&path, opening).map_err(failed)?;
        mark(&identity, false).map_err(|error| DataDirError::Unusable(shown.clone(), error))?;
        Ok(store)
    }

    /// Whether the last server on it did not end in order.
    pub fn was_left_unclean(&self) -> bool {
        self.unclean
    }
}

/// Makes a directory if there is none, and takes its lock.
fn claim_directory(path: &Path) -> Result<File, DataDirError> {
    let shown = path.display().to_string();
    let unusable = |error| DataDirError::Unusable(shown.clone(), error);
    folder::make(path).map_err(unusable)?;
    narrow_directory(path)?;
    let lock = open(&path.join(LOCK_FILE)).map_err(unusable)?;
    take(&lock, &shown)?;
    Ok(lock)
}

/// What is doubtful about the directory's files.
pub fn doubt(path: &Path) -> Option<Doubt> {
    let marker = read_marker(path);
    if let Err(doubt) = marker::judge_files(marker.as_ref(), found(path)) {
        return Some(doubt);
    }
    let identity = sqlite::identity(&path.join(DATABASE_FILE)).ok()?;
    marker::judge_identity(marker.as_ref(), identity.as_ref()).err()
}

fn new_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}

fn found(path: &Path) -> Found {
    let bytes = |name: &str| fs::metadata(path.join(name)).ok().map(|file| file.len());
    Found {
        database: bytes(DATABASE_FILE),
        log: bytes("baton.sqlite-wal"),
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(OWNER_ONLY_FILE)
        .open(path)
}

/// Takes the lock. A server that was killed a moment ago may still have it: the kernel gives it back only when the
/// process, and a child that it was about to start, have ended.
fn take(file: &File, shown: &str) -> Result<(), DataDirError> {
    let until = Instant::now() + LEAVING;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if Instant::now() < until => thread::sleep(LOOK_AGAIN),
            Err(TryLockError::WouldBlock) => return Err(DataDirError::InUse(shown.to_owned())),
            Err(TryLockError::Error(error)) => {
                return Err(DataDirError::Unusable(shown.to_owned(), error));
            }
        }
    }
}

/// Takes from others what they may do with the directory. One that everybody writes into is refused.
fn narrow_directory(path: &Path) -> Result<(), DataDirError> {
    let shown = path.display().to_string();
    let unusable = |error| DataDirError::Unusable(shown.clone(), error);
    let mode = fs::metadata(path).map_err(unusable)?.mode() & 0o7777;
    if mode & OTHERS == 0 {
        return Ok(());
    }
    if mode & STICKY != 0 {
        return Err(DataDirError::Shared(shown, mode));
    }
    let narrow = Permissions::from_mode(mode & !OTHERS);
    fs::set_permissions(path, narrow).map_err(unusable)?;
    tracing::info!(
        "the data directory {shown} could be looked into by others (mode {mode:o}); it no longer can"
    );
    Ok(())
}

fn narrow_file(path: &Path) -> io::Result<()> {
    let mode = match fs::metadata(path) {
        Ok(file) => file.mode(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    match mode & OTHERS {
        0 => Ok(()),
        _ => fs::set_permissions(path, Permissions::from_mode(OWNER_ONLY_FILE)),
    }
}

fn read_marker(path: &Path) -> Option<Marker> {
    let text = match fs::read_to_string(path.join(MARKER_FILE)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::warn!("the marker of the data directory cannot be read: {error}");
            return None;
        }
    };
    serde_json::from_str(&text)
        .inspect_err(|error| {
            tracing::warn!(
                "the marker of the data directory is damaged, a new one is written: {error}"
            );
        })
        .ok()
}

fn write_marker(path: &Path, marker: &Marker) -> io::Result<()> {
    write_whole(path, MARKER_FILE, marker)
}

/// Writes a file so that there is always a whole one, also after a power failure.
fn write_whole(path: &Path, name: &str, content: &impl serde::Serialize) -> io::Result<()> {
    let new = path.join(format!("{name}.new"));
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(OWNER_ONLY_FILE)
        .open(&new)?;
    serde_json::to_writer(&mut file, content)?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&new, path.join(name))?;
    File::open(path)?.sync_all()
}

/// What a repair has done.
#[derive(Debug)]
pub struct Repair {
    /// What was doubtful, and is accepted now.
    pub doubt: Option<Doubt>,
    /// What was set aside.
    pub findings: Vec<Finding>,
    /// The database as it was.
    pub kept: Option<PathBuf>,
}

/// Makes the best of a data directory that no server uses: what is damaged in its database is set aside, and what is
/// left is what belongs here from now on. Blocks.
///
/// # Errors
/// When it is in use, or cannot be read or written.
pub fn repair(path: &Path, judge: Judge) -> Result<Repair, DataDirError> {
    let shown = path.display().to_string();
    let unusable = |error| DataDirError::Unusable(shown.clone(), error);
    let lock = open(&path.join(LOCK_FILE)).map_err(unusable)?;
    take(&lock, &shown)?;
    let database = path.join(DATABASE_FILE);
    let held = File::open(&database).ok();
    if let Some(held) = &held {
        take(held, &shown)?;
    }
    let doubt = doubt(path);
    let has_content = found(path).database.is_some_and(|bytes| bytes > 0);
    let (mut findings, mut kept) = (Vec::new(), None);
    if has_content {
        let repaired = upkeep::repair(&database, judge);
        let (found, file) = repaired.map_err(|error| DataDirError::Store(shown.clone(), error))?;
        (findings, kept) = (found, Some(file));
    } else {
        // A log without its database is useless, and would be in the way of a new one.
        let log = path.join("baton.sqlite-wal");
        if log.exists() {
            let aside = path.join(format!("baton.sqlite-wal.before-repair-{}", now_ms()));
            fs::rename(&log, &aside).map_err(unusable)?;
            kept = Some(aside);
        }
    }
    match fs::remove_file(path.join(MARKER_FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unusable(error)),
        _ => {}
    }
    Ok(Repair {
        doubt,
        findings,
        kept,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_about_to_be_gone_is_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(LOCK_FILE);
        let (held, other) = (open(&path).expect("a file"), open(&path).expect("a file"));
        held.try_lock().expect("free");
        let began = Instant::now();
        let refused = take(&other, "here");
        assert!(matches!(refused, Err(DataDirError::InUse(_))));
        assert!(began.elapsed() < LEAVING * 5);
        let leaving = thread::spawn(move || {
            thread::sleep(LOOK_AGAIN * 5);
            drop(held);
        });
        take(&other, "here").expect("it is free in time");
        leaving.join().expect("no panic");
    }
}
