//! A data directory as one end of a copy. Every call blocks.

use std::path::Path;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params, params_from_iter};

use super::end::written;
use super::table::{PAGE_ROWS, Page, Table, Value, rows_in_page};
use super::{CopyError, NOTE, Note};
use crate::store::data_dir::{DATABASE_FILE, DataDir, DataDirError};
use crate::store::sqlite::whole;
use crate::store::{Durability, SqliteStore, StoreError};

/// Settings that belong to this database and no other: which one it is, and how far a copy has come.
const OWN_SETTINGS: &str = "name NOT IN ('data', 'copy')";

/// See the module.
pub(super) struct SqliteEnd {
    connection: Connection,
    store: SqliteStore,
    /// Let go of last.
    _data: DataDir,
}

impl SqliteEnd {
    /// Whether there is a database.
    pub(super) fn is_there(path: &Path) -> bool {
        let file = path.join(DATABASE_FILE).metadata();
        file.is_ok_and(|file| file.len() > 0)
    }

    /// Takes a data directory as a server does, so that its tables are up to date and it is left in order.
    pub(super) fn open(path: &Path) -> Result<Self, CopyError> {
        let data = DataDir::claim(path)?;
        let store = data.open_store(Durability::Power)?;
        let shown = path.display().to_string();
        let connection = whole::open(&path.join(DATABASE_FILE))
            .map_err(|error| DataDirError::Store(shown, error))?;
        Ok(Self {
            connection,
            store,
            _data: data,
        })
    }

    pub(super) fn page(&self, table: &Table, after: Option<&[Value]>) -> Result<Page, StoreError> {
        let key = table.key().join(", ");
        let mut condition = match table.name {
            "setting" => OWN_SETTINGS.to_owned(),
            _ => "1".to_owned(),
        };
        if after.is_some() {
            let places = vec!["?"; table.key].join(", ");
            condition = format!("{condition} AND ({key}) > ({places})");
        }
        let from = match table.name {
            "session" => "session LEFT JOIN session_body USING (n)",
            other => other,
        };
        let rest = format!("FROM {from} WHERE {condition} ORDER BY {key} LIMIT");
        let bytes = format!("SELECT coalesce(length(CAST(body AS BLOB)), 0) {rest} {PAGE_ROWS}");
        let mut bytes = self.connection.prepare_cached(&bytes)?;
        let lengths = bytes.query_map(params_from_iter(after.into_iter().flatten()), |row| {
            row.get(0)
        })?;
        let limit = rows_in_page(lengths.collect::<Result<Vec<i64>, _>>()?.into_iter());
        let columns: Vec<&str> = table
            .columns
            .iter()
            .map(|(name, _)| column(table, name))
            .collect();
        let select = format!("SELECT {} {rest} {limit}", columns.join(", "));
        let mut select = self.connection.prepare(&select)?;
        let count = table.columns.len();
        let rows = select.query_map(params_from_iter(after.into_iter().flatten()), |row| {
            (0..count).map(|at| value(row, at)).collect()
        })?;
        Ok(Page {
            rows: rows.collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn write(
        &mut self,
        table: &Table,
        page: &Page,
        note: &Note,
    ) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        for row in &page.rows {
            match table.name {
                "session" => write_session(&transaction, row)?,
                _ => {
                    let names: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
                    let places = vec!["?"; names.len()].join(", ");
                    let sql = format!(
                        "INSERT INTO {} ({}) VALUES ({places})",
                        table.name,
                        names.join(", ")
                    );
                    transaction
                        .prepare_cached(&sql)?
                        .execute(params_from_iter(row))?;
                }
            }
        }
        transaction.execute(
            "INSERT INTO setting (name, body) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET body = excluded.body",
            params![NOTE, written(note)?],
        )?;
        Ok(transaction.commit()?)
    }

    pub(super) fn note(&self) -> Result<Option<String>, StoreError> {
        let sql = "SELECT body FROM setting WHERE name = ?1";
        let note = self.connection.query_row(sql, [NOTE], |row| row.get(0));
        Ok(note.optional()?)
    }

    pub(super) fn finish(&self) -> Result<(), StoreError> {
        self.connection
            .execute("DELETE FROM setting WHERE name = ?1", [NOTE])?;
        Ok(())
    }

    pub(super) fn close(self) {
        drop(self.connection);
        self.store.close();
    }
}

/// A column as this database has it.
fn column<'a>(table: &Table, name: &'a str) -> &'a str {
    match (table.name, name) {
        // The other one may be behind.
        ("session", "updated") => "used",
        _ => name,
    }
}

fn value(row: &Row<'_>, at: usize) -> rusqlite::Result<Value> {
    Ok(match row.get_ref(at)? {
        ValueRef::Null => Value::Null(()),
        ValueRef::Integer(number) => Value::Integer(number),
        // What is no text is an error, which names the column.
        _ => Value::Text(row.get(at)?),
    })
}

fn write_session(db: &Connection, row: &[Value]) -> Result<(), StoreError> {
    let [
        n,
        id,
        project,
        directory,
        path,
        parent,
        title,
        created,
        updated,
        archived,
        restoring,
        revision,
        body,
    ] = row
    else {
        return Err(StoreError::Database(
            "a session has other columns".to_owned(),
        ));
    };
    db.prepare_cached(
        "INSERT INTO session (n, id, project, directory, path, parent, title, created, updated, archived, restoring)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        n, id, project, directory, path, parent, title, created, updated, archived, restoring
    ])?;
    db.prepare_cached(
        "INSERT INTO session_body (n, revision, used, moved, body) VALUES (?, ?, ?, 0, ?)",
    )?
    .execute(params![n, revision, updated, body])?;
    if let (Value::Integer(n), Value::Text(title)) = (n, title) {
        whole::insert(db, *n, title)?;
    }
    Ok(())
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Null(()) => ValueRef::Null,
        }))
    }
}
