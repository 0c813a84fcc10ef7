//! What a copy of a whole database needs of this one besides SQL.

use std::path::Path;

use rusqlite::{Connection, params};

use super::connection::{self, Role};
use super::search;
use crate::store::StoreError;

/// A connection that writes, beside that of the store.
///
/// # Errors
/// When the file cannot be opened.
pub(crate) fn open(path: &Path) -> Result<Connection, StoreError> {
    connection::open(path, Role::Writer)
}

/// Puts the title of a session into the index.
///
/// # Errors
/// When the database fails.
pub(crate) fn insert(db: &Connection, n: i64, title: &str) -> Result<(), StoreError> {
    let mut insert = db.prepare_cached(search::INSERT_TITLE)?;
    insert.execute(params![n, search::indexed(title)])?;
    Ok(())
}
