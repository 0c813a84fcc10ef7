//! Looks after a database from outside of a server: copies it, looks for damage, sets aside what is damaged.

use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, params, params_from_iter};

use super::connection::BUSY_TIMEOUT;
use super::{checkpoint, connection, migrate};
use crate::opencode::now_ms;
use crate::store::StoreError;

/// At most this many lines of SQLite's own check are reported.
const CHECK_LINES: usize = 100;
/// Keeps what was set aside: where it came from, its key, the row as JSON, why, and when.
const ASIDE_TABLE: &str = "CREATE TABLE IF NOT EXISTS damaged
    (source TEXT NOT NULL, key TEXT NOT NULL, content TEXT, reason TEXT NOT NULL, time INTEGER NOT NULL)";

/// A copy that was made and opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// Its size in bytes.
    pub bytes: u64,
    /// Sessions in it.
    pub sessions: u64,
    /// Messages in it.
    pub messages: u64,
}

/// Something that is wrong with a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The table, or `database` for damage of the file itself.
    pub source: String,
    /// Which row.
    pub key: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Says what is wrong with the body of a row of a table.
pub type Judge = fn(table: &str, body: &str) -> Result<(), String>;

/// A table whose rows are looked at: its name, the columns that name a row, the column of its body, and what its row
/// needs to be of use.
struct Table {
    name: &'static str,
    key: &'static [&'static str],
    belongs: Option<&'static str>,
}

const TABLES: [Table; 10] = [
    Table {
        name: "session_body",
        key: &["n"],
        belongs: Some("EXISTS (SELECT 1 FROM session s WHERE s.n = t.n)"),
    },
    of_session("message", &["session", "seq"]),
    Table {
        name: "part",
        key: &["session", "message", "place"],
        belongs: Some(
            "EXISTS (SELECT 1 FROM message m WHERE m.session = t.session AND m.id = t.message)",
        ),
    },
    Table {
        name: "growth",
        key: &["session", "message", "place", "at"],
        belongs: Some(
            "EXISTS (SELECT 1 FROM part p WHERE p.session = t.session AND p.message = t.message AND p.place = t.place)",
        ),
    },
    of_session("binding", &["session", "backend"]),
    of_session("switch", &["session", "revision"]),
    of_session("handover", &["session", "turn"]),
    alone("backend", &["id"]),
    alone("setting", &["name"]),
    alone("project", &["id"]),
];

const fn of_session(name: &'static str, key: &'static [&'static str]) -> Table {
    Table {
        name,
        key,
        belongs: Some("EXISTS (SELECT 1 FROM session s WHERE s.id = t.session)"),
    }
}

const fn alone(name: &'static str, key: &'static [&'static str]) -> Table {
    Table {
        name,
        key,
        belongs: None,
    }
}

/// Opens a database that a server may be using, and changes nothing.
fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

/// Copies a database, also one in use, to a file that is not there yet, and opens the copy. A copy that fails leaves
/// no file. Blocks.
///
/// # Errors
/// When there is such a file, or reading or writing fails.
pub fn copy(from: &Path, to: &Path) -> Result<Copied, StoreError> {
    let failed = |error: io::Error| StoreError::Database(format!("{}: {error}", to.display()));
    let source = open_to_read(from)?;
    // Created here, exclusively, and readable only by its owner.
    fs::OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(to)
        .map_err(failed)?;
    let copied = fill(&source, to).and_then(|()| verify(to));
    if copied.is_err() {
        let _gone = fs::remove_file(to);
    }
    copied
}

fn fill(source: &Connection, to: &Path) -> Result<(), StoreError> {
    let mut target = Connection::open(to)?;
    let backup = Backup::new(source, &mut target)?;
    // In one step: what is copied is one moment, and a server can write meanwhile.
    if backup.step(-1)? != StepResult::Done {
        return Err(StoreError::Unavailable("the database is locked".to_owned()));
    }
    drop(backup);
    // A copy is one file: it has no log.
    target.execute_batch("PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL;")?;
    let file = fs::File::open(to).and_then(|file| file.sync_all());
    file.map_err(|error| StoreError::Database(error.to_string()))
}

fn verify(copy: &Path) -> Result<Copied, StoreError> {
    let db = open_to_read(copy)?;
    let damage = check_file(&db)?;
    if let Some(first) = damage.first() {
        return Err(StoreError::Database(format!(
            "the database is damaged, and so would be its copy: {}",
            first.reason
        )));
    }
    let count = |table: &str| -> Result<u64, StoreError> {
        let sql = format!("SELECT count(*) FROM {table}");
        Ok(db.query_row(&sql, [], |row| row.get(0))?)
    };
    Ok(Copied {
        bytes: fs::metadata(copy).map_or(0, |file| file.len()),
        sessions: count("session")?,
        messages: count("message")?,
    })
}

/// What is wrong with a database, also with one in use. Changes nothing. Blocks.
///
/// # Errors
/// When it cannot be read at all.
pub fn inspect(path: &Path, judge: Judge) -> Result<Vec<Finding>, StoreError> {
    let db = open_to_read(path)?;
    let mut findings = check_file(&db)?;
    for table in &TABLES {
        match inspect_table(&db, table, judge) {
            Ok(found) => findings.extend(found.into_iter().map(|(finding, _)| finding)),
            Err(error) => findings.push(unreadable(table, &error)),
        }
    }
    Ok(findings)
}

fn unreadable(table: &Table, error: &StoreError) -> Finding {
    Finding {
        source: "database".to_owned(),
        key: table.name.to_owned(),
        reason: error.to_string(),
    }
}

fn check_file(db: &Connection) -> Result<Vec<Finding>, StoreError> {
    let mut check = db.prepare(&format!("PRAGMA integrity_check({CHECK_LINES})"))?;
    let lines = check.query_map([], |row| row.get::<_, String>(0))?;
    let mut findings = Vec::new();
    for line in lines {
        let reason = line.unwrap_or_else(|error| error.to_string());
        if reason != "ok" {
            findings.push(Finding {
                source: "database".to_owned(),
                key: String::new(),
                reason,
            });
        }
    }
    Ok(findings)
}

/// The rows of a table that are damaged, with the values of their keys.
fn inspect_table(
    db: &Connection,
    table: &Table,
    judge: Judge,
) -> Result<Vec<(Finding, Vec<Value>)>, StoreError> {
    let belongs = table.belongs.unwrap_or("1");
    let keys = table.key.join(", ");
    let sql = format!("SELECT body, {belongs}, {keys} FROM {} t", table.name);
    let mut statement = db.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let reason = match row.get_ref(0)?.as_str() {
            _ if !row.get::<_, bool>(1)? => Err("what it belongs to is not there".to_owned()),
            Ok(body) => judge(table.name, body),
            Err(_) => Err("it is not text".to_owned()),
        };
        let Err(reason) = reason else { continue };
        let key = (0..table.key.len()).map(|n| row.get(n + 2));
        let key: Vec<Value> = key.collect::<Result<_, _>>()?;
        found.push((
            Finding {
                source: table.name.to_owned(),
                key: shown(&key),
                reason,
            },
            key,
        ));
    }
    Ok(found)
}

fn shown(key: &[Value]) -> String {
    let text = |value: &Value| match value {
        Value::Text(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    key.iter().map(text).collect::<Vec<_>>().join(" ")
}

/// Sets damaged rows aside, into a table `damaged`; a file that is itself damaged is read as far as that goes into a
/// new one. The old database stays next to it, under the returned name. For a database that is not in use.
/// Blocks.
///
/// # Errors
/// When it cannot be read or written at all; then it is as it was.
pub fn repair(path: &Path, judge: Judge) -> Result<(Vec<Finding>, PathBuf), StoreError> {
    let failed = |error: io::Error| StoreError::Database(error.to_string());
    let kept = path.with_extension(format!("sqlite.before-repair-{}", now_ms()));
    // Brings the log back, so that one file is everything.
    let mut findings = match connection::open(path, connection::Role::Writer).and_then(|db| {
        checkpoint::truncate(&db)?;
        check_file(&db)
    }) {
        Ok(findings) => findings,
        Err(error) => vec![Finding {
            source: "database".to_owned(),
            key: String::new(),
            reason: error.to_string(),
        }],
    };
    fs::copy(path, &kept).map_err(failed)?;
    if !findings.is_empty() {
        findings.extend(salvage(&kept, path)?);
    }
    let mut db = connection::open(path, connection::Role::Writer)?;
    migrate::migrate(&mut db)?;
    let transaction = db.transaction()?;
    transaction.execute_batch(ASIDE_TABLE)?;
    // A part of a message that is set aside belongs to nothing then; so it is looked at until nothing is found.
    loop {
        let mut found = Vec::new();
        for table in &TABLES {
            for (finding, key) in inspect_table(&transaction, table, judge)? {
                set_aside(&transaction, table, &finding, &key)?;
                found.push(finding);
            }
        }
        let orphaned = transaction.execute(
            "DELETE FROM session WHERE NOT EXISTS (SELECT 1 FROM session_body b WHERE b.n = session.n)",
            [],
        )?;
        if found.is_empty() && orphaned == 0 {
            break;
        }
        findings.extend(found);
    }
    rebuild_titles(&transaction)?;
    transaction.commit()?;
    checkpoint::truncate(&db)?;
    Ok((findings, kept))
}

fn set_aside(
    db: &Connection,
    table: &Table,
    finding: &Finding,
    key: &[Value],
) -> Result<(), StoreError> {
    let places = table.key.iter().enumerate();
    let is_it: Vec<_> = places
        .map(|(n, key)| format!("{key} IS ?{}", n + 1))
        .collect();
    let is_it = is_it.join(" AND ");
    let content: String = db.query_row(
        &format!(
            "SELECT CAST(body AS TEXT) FROM {} WHERE {is_it}",
            table.name
        ),
        params_from_iter(key),
        |row| {
            Ok(row.get_ref(0)?.as_bytes().map_or_else(
                |_| String::new(),
                |bytes| String::from_utf8_lossy(bytes).into_owned(),
            ))
        },
    )?;
    db.execute(
        "INSERT INTO damaged (source, key, content, reason, time) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            finding.source,
            finding.key,
            content,
            finding.reason,
            now_ms()
        ],
    )?;
    let delete = format!("DELETE FROM {} WHERE {is_it}", table.name);
    db.execute(&delete, params_from_iter(key))?;
    Ok(())
}

fn rebuild_titles(db: &Connection) -> Result<(), StoreError> {
    db.execute_batch(
        "INSERT INTO session_title (session_title) VALUES ('delete-all'); DELETE FROM session_retitled",
    )?;
    migrate::index_titles(db)?;
    Ok(())
}

/// Reads a damaged file as far as that goes into a new one in its place. Answers what could not be read.
fn salvage(from: &Path, to: &Path) -> Result<Vec<Finding>, StoreError> {
    let failed = |error: io::Error| StoreError::Database(error.to_string());
    let new = to.with_extension("sqlite.new");
    let _left_behind = fs::remove_file(&new);
    let mut target = connection::open(&new, connection::Role::Writer)?;
    migrate::migrate(&mut target)?;
    let source = open_to_read(from)?;
    let mut findings = Vec::new();
    let tables = ["session", "process"]
        .into_iter()
        .chain(TABLES.iter().map(|table| table.name));
    for table in tables {
        for descending in [false, true] {
            // From both ends: what lies between two damaged pages is lost, the rest is not.
            if let Err(error) = pour(&source, &target, table, descending)
                && !descending
            {
                findings.push(Finding {
                    source: "database".to_owned(),
                    key: table.to_owned(),
                    reason: format!("not all of it can be read: {error}"),
                });
            }
        }
    }
    target.execute_batch("PRAGMA journal_mode = DELETE")?;
    drop(target);
    fs::rename(&new, to).map_err(failed)?;
    for log in ["sqlite-wal", "sqlite-shm"] {
        // They belong to the old file.
        let _none = fs::remove_file(to.with_extension(log));
    }
    Ok(findings)
}

fn pour(
    source: &Connection,
    target: &Connection,
    table: &str,
    descending: bool,
) -> Result<(), StoreError> {
    let known = TABLES.iter().find(|known| known.name == table);
    let key = known.map_or(
        if table == "session" { "n" } else { "pid" }.to_owned(),
        |table| table.key.join(if descending { " DESC, " } else { ", " }),
    );
    let order = if descending { " DESC" } else { "" };
    let mut rows = source.prepare(&format!("SELECT * FROM {table} ORDER BY {key}{order}"))?;
    let columns: Vec<String> = rows.column_names().map(str::to_owned).collect();
    let places: Vec<_> = (1..=columns.len()).map(|n| format!("?{n}")).collect();
    let insert = format!(
        "INSERT OR IGNORE INTO {table} ({}) VALUES ({})",
        columns.join(", "),
        places.join(", ")
    );
    let mut insert = target.prepare(&insert)?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        let values = (0..columns.len()).map(|n| row.get::<_, Value>(n));
        // A value that cannot be read, such as text that is not UTF-8, costs its row.
        if let Ok(values) = values.collect::<Result<Vec<_>, _>>() {
            insert.execute(params_from_iter(values))?;
        }
    }
    Ok(())
}
