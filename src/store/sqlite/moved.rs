//! Sessions that were used since they were last sorted in.
//!
//! Most changes of a session move it in the lists that are ordered by use, of which there are three. So a change only
//! notes its time next to the body, and that the session has moved; it is sorted in before the next such list is read.

use rusqlite::{Connection, params};

use crate::store::StoreError;

/// So many may wait to be sorted in: a list that waits for them waits a few milliseconds.
const MOVED_AT_MOST: u64 = 256;

/// Whether any session has moved.
pub(super) fn any(db: &Connection) -> Result<bool, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT 1 FROM session_body INDEXED BY session_moved WHERE moved = 1 LIMIT 1",
    )?;
    Ok(statement.exists([])?)
}

/// Sorts all of them in, within a transaction of the caller's.
pub(super) fn sort_in(db: &Connection) -> Result<(), StoreError> {
    for sql in [
        "UPDATE session SET updated = moved.used
         FROM (SELECT n, used FROM session_body INDEXED BY session_moved WHERE moved = 1) AS moved
         WHERE session.n = moved.n AND session.updated <> moved.used",
        "UPDATE session_body INDEXED BY session_moved SET moved = 0 WHERE moved = 1",
    ] {
        db.prepare_cached(sql)?.execute([])?;
    }
    Ok(())
}

/// Whether more of them wait than should.
pub(super) fn are_many(db: &Connection) -> Result<bool, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT count(*) FROM (SELECT 1 FROM session_body INDEXED BY session_moved WHERE moved = 1 LIMIT ?1)",
    )?;
    let count: u64 = statement.query_row(params![MOVED_AT_MOST], |row| row.get(0))?;
    Ok(count == MOVED_AT_MOST)
}
