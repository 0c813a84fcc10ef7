//! Opens connections.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use serde::Deserialize;

use super::checkpoint::LOG_KEPT_BYTES;
use crate::store::StoreError;

/// How long a connection waits for a lock; only another process can hold one.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 64;
/// Pages that the writer keeps, in KiB: the upper levels of every index, and the leaves in use.
const WRITER_CACHE_KIB: u32 = 2_048;
/// Pages that a reader keeps, in KiB. The system's own cache holds the file; this saves the calls.
const READER_CACHE_KIB: u32 = 512;
/// Pages that the connection for checkpoints keeps, in KiB: it copies pages past its cache.
const CHECKPOINT_CACHE_KIB: u32 = 64;

/// What a commit outlives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// The death of this process at any moment. A power failure can take the last commits back, never a half of one.
    #[default]
    Process,
    /// A power failure, too: every commit waits for the disk.
    Power,
}

impl Durability {
    /// Sets it for a connection that writes.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) fn apply(self, connection: &Connection) -> Result<(), StoreError> {
        let synchronous = match self {
            Self::Process => "NORMAL",
            Self::Power => "FULL",
        };
        connection.execute_batch(&format!("PRAGMA synchronous = {synchronous};"))?;
        Ok(())
    }
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The one that writes.
    Writer,
    /// One of those that read.
    Reader,
    /// The one that brings the log back into the file.
    Checkpoint,
}

/// Opens a connection.
///
/// # Errors
/// When the file cannot be opened.
pub(super) fn open(path: &Path, role: Role) -> Result<Connection, StoreError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    let cache_kib = match role {
        Role::Writer => WRITER_CACHE_KIB,
        Role::Reader => READER_CACHE_KIB,
        Role::Checkpoint => CHECKPOINT_CACHE_KIB,
    };
    if role == Role::Writer {
        connection.execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA journal_size_limit = {LOG_KEPT_BYTES};"
        ))?;
    }
    // No commit brings the log back: see `checkpoint`. A damaged page is noticed where it is read.
    connection.execute_batch(&format!(
        "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -{cache_kib};
         PRAGMA cell_size_check = ON;"
    ))?;
    if role == Role::Reader {
        connection.execute_batch("PRAGMA query_only = ON;")?;
    }
    Ok(connection)
}
