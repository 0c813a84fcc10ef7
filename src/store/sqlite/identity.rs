//! Which database this is, as it says itself: a row of the table of settings.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use crate::store::StoreError;
use crate::store::data_dir::marker::Identity;

/// The name of the setting.
const SETTING: &str = "data";

/// What a database says about itself, without changing anything in the directory. `None` for one from before there
/// were identities, for a new one, and for none.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn identity(path: &Path) -> Result<Option<Identity>, StoreError> {
    if !path.metadata().is_ok_and(|file| file.len() > 0) {
        return Ok(None);
    }
    // A connection that may write would bring the log back into the file when it is closed.
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(super::connection::BUSY_TIMEOUT)?;
    let has_settings = connection
        .prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'setting'")?
        .exists([])?;
    if !has_settings {
        return Ok(None);
    }
    let body = connection
        .query_row(
            "SELECT body FROM setting WHERE name = ?1",
            [SETTING],
            |row| row.get::<_, String>(0),
        )
        .optional()?;
    let parse = |body: String| serde_json::from_str(&body);
    let damaged = |error| StoreError::Database(format!("its identity is damaged: {error}"));
    body.map(parse).transpose().map_err(damaged)
}

/// Writes the identity, so that also a power failure does not take it back: the marker says the same.
///
/// # Errors
/// When it cannot be written.
pub(super) fn write(connection: &Connection, identity: &Identity) -> Result<(), StoreError> {
    let body =
        serde_json::to_string(identity).map_err(|error| StoreError::Database(error.to_string()))?;
    connection.execute_batch("PRAGMA synchronous = FULL")?;
    connection.execute(
        "INSERT INTO setting (name, body) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET body = excluded.body",
        params![SETTING, body],
    )?;
    Ok(())
}
