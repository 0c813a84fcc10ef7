//! The store on SQLite: one writer thread with group commit, a few readers.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use futures_util::future::BoxFuture;
use rusqlite::{Connection, Row, params};
use tokio::sync::oneshot;

use super::{
    Change, MessageKey, MessageRange, MessageRow, ProcessRow, SessionRow, Store, StoreError,
};
use crate::opencode::{MessageId, SessionId};

/// Batches that are committed together at most.
const GROUP_BATCHES: usize = 512;
/// Read connections that are kept open.
const IDLE_READERS: usize = 4;
/// How long a connection waits for a lock, in milliseconds; only another process can hold one.
const BUSY_TIMEOUT_MS: u64 = 5_000;
/// The log is written back into the file when it has this many pages of 4 KiB. That is the only moment at
/// which a commit waits for the disk.
const CHECKPOINT_PAGES: u32 = 8_000;
/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 64;

const MIGRATIONS: &[&str] = &[
    include_str!("migrations/001_start.sql"),
    include_str!("migrations/002_setting.sql"),
    include_str!("migrations/003_projects.sql"),
];

struct Job {
    batch: Vec<Change>,
    done: oneshot::Sender<Result<(), StoreError>>,
}

/// A store in one SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    writer: Mutex<Option<thread::JoinHandle<()>>>,
    readers: Arc<Readers>,
}

#[derive(Debug)]
struct Readers {
    path: std::path::PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.to_string())
    }
}

fn open(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_millis(BUSY_TIMEOUT_MS))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // With WAL and NORMAL a commit survives the death of this process at any moment; only a power
    // failure can take the last ones back, and never leaves half of one.
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES};"
    ))?;
    Ok(connection)
}

fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let version: usize = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version > MIGRATIONS.len() {
        return Err(StoreError::Database(format!(
            "the database has version {version}, this Baton knows only {}; use a newer Baton or another --data-dir",
            MIGRATIONS.len()
        )));
    }
    for (index, script) in MIGRATIONS.iter().enumerate().skip(version) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(script)?;
        transaction.pragma_update(None, "user_version", index + 1)?;
        transaction.commit()?;
    }
    Ok(())
}

impl SqliteStore {
    /// Opens the file, makes it if it is missing, and brings its tables up to date. Blocks.
    ///
    /// # Errors
    /// When the file cannot be opened, or was written by a newer Baton.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut connection = open(path)?;
        migrate(&mut connection)?;
        let (jobs, queue) = mpsc::channel();
        let writer = thread::Builder::new()
            .name("baton-store".to_owned())
            .spawn(move || write_loop(connection, &queue))
            .map_err(|error| StoreError::Database(error.to_string()))?;
        let readers = Readers {
            path: path.to_owned(),
            idle: Mutex::new(Vec::new()),
        };
        Ok(Self {
            jobs: Mutex::new(Some(jobs)),
            writer: Mutex::new(Some(writer)),
            readers: Arc::new(readers),
        })
    }

    /// Commits what is queued and closes the file. Blocks.
    pub fn close(&self) {
        drop(
            self.jobs
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        let writer = self
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(writer) = writer
            && writer.join().is_err()
        {
            tracing::error!("the store's writer thread has panicked");
        }
    }

    fn read<T, F>(&self, query: F) -> BoxFuture<'static, Result<T, StoreError>>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let readers = Arc::clone(&self.readers);
        Box::pin(async move {
            let task = tokio::task::spawn_blocking(move || readers.with(query));
            task.await
                .map_err(|error| StoreError::Database(error.to_string()))?
        })
    }
}

impl Readers {
    fn with<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let connection = match idle {
            Some(connection) => connection,
            None => open(&self.path)?,
        };
        let result = query(&connection);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_READERS {
            idle.push(connection);
        }
        result
    }
}

fn write_loop(mut connection: Connection, queue: &mpsc::Receiver<Job>) {
    while let Ok(first) = queue.recv() {
        let mut group = vec![first];
        while group.len() < GROUP_BATCHES {
            match queue.try_recv() {
                Ok(job) => group.push(job),
                Err(_) => break,
            }
        }
        let results = write_group(&mut connection, &group);
        for (job, result) in group.into_iter().zip(results) {
            // A caller that has gone away does not need the answer; its batch is committed all the same.
            let _nobody_waits = job.done.send(result);
        }
    }
}

/// Commits a group as one transaction. A batch that fails is taken back alone.
fn write_group(connection: &mut Connection, group: &[Job]) -> Vec<Result<(), StoreError>> {
    let commit = |connection: &mut Connection| -> Result<Vec<Result<(), StoreError>>, StoreError> {
        let mut transaction =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let mut results = Vec::with_capacity(group.len());
        for job in group {
            if let [_alone] = group {
                // Without companions the transaction itself is the savepoint.
                write_batch(&transaction, &job.batch)?;
                results.push(Ok(()));
                continue;
            }
            let savepoint = transaction.savepoint()?;
            let result = write_batch(&savepoint, &job.batch);
            if result.is_ok() {
                savepoint.commit()?;
            } else {
                drop(savepoint);
            }
            results.push(result);
        }
        transaction.commit()?;
        Ok(results)
    };
    match commit(connection) {
        Ok(results) => results,
        Err(error) => group.iter().map(|_| Err(error.clone())).collect(),
    }
}

fn write_batch(connection: &Connection, batch: &[Change]) -> Result<(), StoreError> {
    batch
        .iter()
        .try_for_each(|change| write_change(connection, change))
}

fn write_change(db: &Connection, change: &Change) -> Result<(), StoreError> {
    let run = |sql: &str, params: &[&dyn rusqlite::ToSql]| -> Result<usize, StoreError> {
        Ok(db.prepare_cached(sql)?.execute(params)?)
    };
    match change {
        Change::PutSession {
            id,
            expected,
            revision,
            body,
        } => {
            let written = match expected {
                None => run(
                    "INSERT INTO session (id, revision, body) VALUES (?1, ?2, ?3)",
                    params![id.as_str(), revision, body],
                )?,
                Some(expected) => run(
                    "UPDATE session SET revision = ?2, body = ?3 WHERE id = ?1 AND revision = ?4",
                    params![id.as_str(), revision, body, expected],
                )?,
            };
            if written == 0 {
                return Err(StoreError::Conflict(id.clone()));
            }
        }
        Change::DeleteSession { id } => {
            for table in ["part", "message", "binding", "switch"] {
                run(
                    &format!("DELETE FROM {table} WHERE session = ?1"),
                    params![id.as_str()],
                )?;
            }
            run("DELETE FROM session WHERE id = ?1", params![id.as_str()])?;
        }
        Change::PutMessage {
            session,
            key,
            open,
            body,
        } => {
            run(
                "INSERT INTO message (session, seq, turn, id, open, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (session, seq) DO UPDATE SET open = excluded.open, body = excluded.body",
                params![session.as_str(), key.seq, key.turn, key.id.as_str(), open, body],
            )?;
        }
        Change::DeleteMessage { session, id } => {
            run(
                "DELETE FROM part WHERE session = ?1 AND message = ?2",
                params![session.as_str(), id.as_str()],
            )?;
            run(
                "DELETE FROM message WHERE session = ?1 AND id = ?2",
                params![session.as_str(), id.as_str()],
            )?;
        }
        Change::PutPart {
            session,
            message,
            place,
            id,
            body,
        } => {
            run(
                "INSERT INTO part (session, message, place, id, body) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (session, message, place) DO UPDATE SET id = excluded.id, body = excluded.body",
                params![session.as_str(), message.as_str(), place, id.as_str(), body],
            )?;
        }
        Change::SavePart {
            session,
            message,
            id,
            body,
        } => {
            let written = run(
                "UPDATE part SET body = ?4 WHERE session = ?1 AND message = ?2 AND id = ?3",
                params![session.as_str(), message.as_str(), id.as_str(), body],
            )?;
            if written == 0 {
                run(
                    "INSERT INTO part (session, message, place, id, body)
                     SELECT ?1, ?2, coalesce(max(place) + 1, 0), ?3, ?4 FROM part WHERE session = ?1 AND message = ?2",
                    params![session.as_str(), message.as_str(), id.as_str(), body],
                )?;
            }
        }
        Change::DeletePart {
            session,
            message,
            id,
        } => {
            run(
                "DELETE FROM part WHERE session = ?1 AND message = ?2 AND id = ?3",
                params![session.as_str(), message.as_str(), id.as_str()],
            )?;
        }
        Change::PutBinding {
            session,
            backend,
            body,
        } => {
            run(
                "INSERT INTO binding (session, backend, body) VALUES (?1, ?2, ?3)
                 ON CONFLICT (session, backend) DO UPDATE SET body = excluded.body",
                params![session.as_str(), backend, body],
            )?;
        }
        Change::DeleteBinding { session, backend } => {
            run(
                "DELETE FROM binding WHERE session = ?1 AND backend = ?2",
                params![session.as_str(), backend],
            )?;
        }
        Change::DeleteBindings { session } => {
            run(
                "DELETE FROM binding WHERE session = ?1",
                params![session.as_str()],
            )?;
        }
        Change::PutSwitch {
            session,
            revision,
            body,
        } => {
            run(
                "INSERT INTO switch (session, revision, body) VALUES (?1, ?2, ?3)
                 ON CONFLICT (session, revision) DO UPDATE SET body = excluded.body",
                params![session.as_str(), revision, body],
            )?;
        }
        Change::PutBackend { id, body } => {
            run(
                "INSERT INTO backend (id, body) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
                params![id, body],
            )?;
        }
        Change::PutSetting { name, body } => {
            run(
                "INSERT INTO setting (name, body) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET body = excluded.body",
                params![name, body],
            )?;
        }
        Change::PutProject { id, body } => {
            run(
                "INSERT INTO project (id, body) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
                params![id, body],
            )?;
        }
        Change::PutProcess(row) => {
            run(
                "INSERT INTO process (pid, started_at_s, backend) VALUES (?1, ?2, ?3)
                 ON CONFLICT (pid) DO UPDATE SET started_at_s = excluded.started_at_s, backend = excluded.backend",
                params![row.pid, row.started_at_s, row.backend],
            )?;
        }
        Change::DeleteProcess { pid } => {
            run("DELETE FROM process WHERE pid = ?1", params![pid])?;
        }
    }
    Ok(())
}

fn session_id(text: &str) -> Result<SessionId, StoreError> {
    SessionId::parse(text).map_err(|error| StoreError::Database(error.to_string()))
}

/// Message columns in the order that [`read_message`] takes them.
const MESSAGE_COLUMNS: &str = "session, seq, turn, id, body";

fn read_message(row: &Row<'_>) -> Result<MessageRow, StoreError> {
    let id: String = row.get(3)?;
    let id = MessageId::parse(&id).map_err(|error| StoreError::Database(error.to_string()))?;
    Ok(MessageRow {
        session: session_id(&row.get::<_, String>(0)?)?,
        key: MessageKey {
            seq: row.get(1)?,
            turn: row.get(2)?,
            id,
        },
        body: row.get(4)?,
        parts: Vec::new(),
    })
}

fn read_messages(
    db: &Connection,
    sql: &str,
    params: &[&dyn rusqlite::ToSql],
) -> Result<Vec<MessageRow>, StoreError> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut messages = Vec::new();
    while let Some(row) = rows.next()? {
        messages.push(read_message(row)?);
    }
    let mut parts = db.prepare_cached(
        "SELECT body FROM part WHERE session = ?1 AND message = ?2 ORDER BY place",
    )?;
    for message in &mut messages {
        let bodies = parts.query_map(
            params![message.session.as_str(), message.key.id.as_str()],
            |row| row.get(0),
        )?;
        message.parts = bodies.collect::<Result<_, _>>()?;
    }
    Ok(messages)
}

fn read_pairs(
    db: &Connection,
    sql: &str,
    params: &[&dyn rusqlite::ToSql],
) -> Result<Vec<(String, String)>, StoreError> {
    let mut statement = db.prepare_cached(sql)?;
    let pairs = statement.query_map(params, |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(pairs.collect::<Result<_, _>>()?)
}

/// Session columns in the order that [`read_sessions`] takes them.
const SESSION_COLUMNS: &str =
    "id, revision, body, (SELECT max(seq) FROM message WHERE session = session.id)";

fn read_sessions(
    db: &Connection,
    sql: &str,
    params: &[&dyn rusqlite::ToSql],
) -> Result<Vec<SessionRow>, StoreError> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut sessions = Vec::new();
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        let bindings = read_pairs(
            db,
            "SELECT backend, body FROM binding WHERE session = ?1",
            params![id],
        )?;
        sessions.push(SessionRow {
            id: session_id(&id)?,
            revision: row.get(1)?,
            body: row.get(2)?,
            last_seq: row.get::<_, Option<u64>>(3)?.unwrap_or(0),
            bindings,
        });
    }
    Ok(sessions)
}

impl Store for SqliteStore {
    fn commit(&self, batch: Vec<Change>) -> BoxFuture<'static, Result<(), StoreError>> {
        let (done, answer) = oneshot::channel();
        // Queued here and not in the future, so that the order of calls is the order of commits.
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let queued = jobs
            .as_ref()
            .is_some_and(|jobs| jobs.send(Job { batch, done }).is_ok());
        drop(jobs);
        Box::pin(async move {
            if !queued {
                return Err(StoreError::Closed);
            }
            answer.await.unwrap_or(Err(StoreError::Closed))
        })
    }

    fn sessions(&self) -> BoxFuture<'static, Result<Vec<SessionRow>, StoreError>> {
        self.read(|db| {
            let sql = format!("SELECT {SESSION_COLUMNS} FROM session");
            read_sessions(db, &sql, &[])
        })
    }

    fn session(
        &self,
        id: &SessionId,
    ) -> BoxFuture<'static, Result<Option<SessionRow>, StoreError>> {
        let id = id.clone();
        self.read(move |db| {
            let sql = format!("SELECT {SESSION_COLUMNS} FROM session WHERE id = ?1");
            Ok(read_sessions(db, &sql, params![id.as_str()])?.pop())
        })
    }

    fn messages(
        &self,
        session: &SessionId,
        range: MessageRange,
    ) -> BoxFuture<'static, Result<Vec<MessageRow>, StoreError>> {
        let session = session.clone();
        self.read(move |db| {
            let sql = format!(
                "SELECT {MESSAGE_COLUMNS} FROM message WHERE session = ?1 AND turn > ?2 AND seq < ?3 ORDER BY seq DESC LIMIT ?4"
            );
            let after = range.after_turn.unwrap_or(0);
            let limit_of = |value: Option<u64>| value.and_then(|v| i64::try_from(v).ok()).unwrap_or(i64::MAX);
            let mut rows = read_messages(
                db,
                &sql,
                params![session.as_str(), after, limit_of(range.before_seq), limit_of(range.limit)],
            )?;
            rows.reverse();
            Ok(rows)
        })
    }

    fn message(
        &self,
        session: &SessionId,
        id: &MessageId,
    ) -> BoxFuture<'static, Result<Option<MessageRow>, StoreError>> {
        let (session, id) = (session.clone(), id.clone());
        self.read(move |db| {
            let sql =
                format!("SELECT {MESSAGE_COLUMNS} FROM message WHERE session = ?1 AND id = ?2");
            Ok(read_messages(db, &sql, params![session.as_str(), id.as_str()])?.pop())
        })
    }

    fn open_messages(&self) -> BoxFuture<'static, Result<Vec<MessageRow>, StoreError>> {
        self.read(|db| {
            read_messages(
                db,
                &format!("SELECT {MESSAGE_COLUMNS} FROM message WHERE open = 1"),
                &[],
            )
        })
    }

    fn switches(&self, session: &SessionId) -> BoxFuture<'static, Result<Vec<String>, StoreError>> {
        let session = session.clone();
        self.read(move |db| {
            let mut statement =
                db.prepare_cached("SELECT body FROM switch WHERE session = ?1 ORDER BY revision")?;
            let bodies = statement.query_map(params![session.as_str()], |row| row.get(0))?;
            Ok(bodies.collect::<Result<_, _>>()?)
        })
    }

    fn backends(&self) -> BoxFuture<'static, Result<Vec<(String, String)>, StoreError>> {
        self.read(|db| read_pairs(db, "SELECT id, body FROM backend", &[]))
    }

    fn setting(&self, name: &str) -> BoxFuture<'static, Result<Option<String>, StoreError>> {
        let name = name.to_owned();
        self.read(move |db| {
            let mut statement = db.prepare_cached("SELECT body FROM setting WHERE name = ?1")?;
            let mut rows = statement.query(params![name])?;
            Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
        })
    }

    fn projects(&self) -> BoxFuture<'static, Result<Vec<(String, String)>, StoreError>> {
        self.read(|db| read_pairs(db, "SELECT id, body FROM project", &[]))
    }

    fn processes(&self) -> BoxFuture<'static, Result<Vec<ProcessRow>, StoreError>> {
        self.read(|db| {
            let mut statement =
                db.prepare_cached("SELECT pid, started_at_s, backend FROM process")?;
            let rows = statement.query_map([], |row| {
                Ok(ProcessRow {
                    pid: row.get(0)?,
                    started_at_s: row.get(1)?,
                    backend: row.get(2)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

#[cfg(test)]
mod tests;
