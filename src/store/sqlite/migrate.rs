//! Brings the tables of a database up to date.

use rusqlite::{Connection, params};

use super::search;
use crate::store::StoreError;

/// What a step does besides its script, in the same transaction.
type Then = fn(&Connection) -> Result<(), StoreError>;

/// One step from a version to the next: a script, and what SQL cannot do.
struct Migration {
    script: &'static str,
    then: Option<Then>,
}

const fn script(script: &'static str) -> Migration {
    Migration { script, then: None }
}

const MIGRATIONS: &[Migration] = &[
    script(include_str!("../migrations/001_start.sql")),
    script(include_str!("../migrations/002_setting.sql")),
    script(include_str!("../migrations/003_projects.sql")),
    Migration {
        script: include_str!("../migrations/004_sessions.sql"),
        then: Some(index_titles),
    },
    script(include_str!("../migrations/005_native.sql")),
    script(include_str!("../migrations/006_handover.sql")),
    script(include_str!("../migrations/007_used.sql")),
    script(include_str!("../migrations/008_growth.sql")),
    script(include_str!("../migrations/009_retitled.sql")),
];

/// The version of the tables that this Baton writes.
pub(crate) fn schema() -> u64 {
    MIGRATIONS.len() as u64
}

/// Runs the migrations that a database lacks, each in a transaction of its own. Answers whether there were any.
///
/// # Errors
/// When the database was written by a newer Baton, or a migration fails; the database is as before then.
pub(super) fn migrate(connection: &mut Connection) -> Result<bool, StoreError> {
    let version: usize = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version > MIGRATIONS.len() {
        return Err(StoreError::Database(format!(
            "the database has version {version}, this Baton knows only {}; use a newer Baton or another --data-dir",
            MIGRATIONS.len()
        )));
    }
    for (index, migration) in MIGRATIONS.iter().enumerate().skip(version) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration.script)?;
        if let Some(then) = migration.then {
            then(&transaction)?;
        }
        transaction.pragma_update(None, "user_version", index + 1)?;
        transaction.commit()?;
    }
    Ok(version < MIGRATIONS.len())
}

/// Fills the search index. SQLite's own `lower` knows only ASCII.
pub(super) fn index_titles(connection: &Connection) -> Result<(), StoreError> {
    let mut titles = connection.prepare("SELECT n, title FROM session")?;
    let mut rows = titles.query([])?;
    let mut insert = connection.prepare(search::INSERT_TITLE)?;
    while let Some(row) = rows.next()? {
        let (n, title): (i64, String) = (row.get(0)?, row.get(1)?);
        insert.execute(params![n, search::indexed(&title)])?;
    }
    Ok(())
}
