//! Writes changes within the transaction of the writer.

use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};

use super::search;
use crate::opencode::SessionId;
use crate::store::{Change, HANDOVERS_KEPT, SessionKeys, StoreError};

/// Writes one change.
///
/// # Errors
/// A conflict, or a failing database. What was written of the change is for the caller to take back.
pub(super) fn write(db: &Connection, change: &Change) -> Result<(), StoreError> {
    match change {
        Change::PutSession { .. } | Change::DeleteSession { .. } => write_session(db, change),
        Change::PutMessage { .. }
        | Change::DeleteMessage { .. }
        | Change::PutPart { .. }
        | Change::SavePart { .. }
        | Change::DeletePart { .. } => write_conversation(db, change),
        Change::PutHandover { .. } | Change::DeleteHandovers { .. } => write_handover(db, change),
        _ => write_other(db, change),
    }
}

fn run(db: &Connection, sql: &str, params: &[&dyn ToSql]) -> Result<usize, StoreError> {
    Ok(db.prepare_cached(sql)?.execute(params)?)
}

fn write_session(db: &Connection, change: &Change) -> Result<(), StoreError> {
    match change {
        Change::PutSession {
            id,
            expected,
            revision,
            keys,
            body,
        } => {
            let stored = stored(db, id, keys)?;
            match (stored, expected) {
                (None, None) => insert_session(db, id, *revision, keys, body),
                (Some(stored), Some(expected)) if stored.revision == *expected => {
                    update_session(db, &stored, *revision, keys, body)
                }
                _ => Err(StoreError::Conflict(id.clone())),
            }
        }
        Change::DeleteSession { id } => {
            for table in ["part", "message", "binding", "switch", "handover"] {
                let sql = format!("DELETE FROM {table} WHERE session = ?1");
                run(db, &sql, params![id.as_str()])?;
            }
            let mut number = db.prepare_cached("SELECT n FROM session WHERE id = ?1")?;
            let number: Option<i64> = number
                .query_row([id.as_str()], |row| row.get(0))
                .optional()?;
            if let Some(n) = number {
                run(db, "DELETE FROM session_title WHERE rowid = ?1", params![n])?;
                run(db, "DELETE FROM session_body WHERE n = ?1", params![n])?;
                run(db, "DELETE FROM session WHERE n = ?1", params![n])?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// What a session's row says, compared with the keys that it is to have.
struct Stored {
    n: i64,
    revision: u64,
    same_title: bool,
    same_time: bool,
    same_rest: bool,
}

fn stored(
    db: &Connection,
    id: &SessionId,
    keys: &SessionKeys,
) -> Result<Option<Stored>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT n, revision, title, updated, project, directory, path, parent, created, archived, restoring
         FROM session WHERE id = ?1",
    )?;
    let compare = |row: &Row<'_>| {
        let is = |column: usize, text: &str| -> rusqlite::Result<bool> {
            Ok(row.get_ref(column)?.as_str()? == text)
        };
        Ok(Stored {
            n: row.get(0)?,
            revision: row.get(1)?,
            same_title: is(2, &keys.title)?,
            same_time: row.get::<_, u64>(3)? == keys.updated,
            same_rest: is(4, &keys.project)?
                && is(5, &keys.directory)?
                && is(6, &keys.path)?
                && row.get_ref(7)?.as_str_or_null()? == keys.parent.as_ref().map(SessionId::as_str)
                && row.get::<_, u64>(8)? == keys.created
                && row.get::<_, Option<u64>>(9)? == keys.archived
                && row.get::<_, bool>(10)? == keys.restoring,
        })
    };
    Ok(statement.query_row([id.as_str()], compare).optional()?)
}

fn insert_session(
    db: &Connection,
    id: &SessionId,
    revision: u64,
    keys: &SessionKeys,
    body: &str,
) -> Result<(), StoreError> {
    run(
        db,
        "INSERT INTO session (id, revision, project, directory, path, parent, title, created, updated, archived, restoring)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        params![
            id.as_str(),
            revision,
            keys.project,
            keys.directory,
            keys.path,
            keys.parent.as_ref().map(SessionId::as_str),
            keys.title,
            keys.created,
            keys.updated,
            keys.archived,
            keys.restoring
        ],
    )?;
    let n = db.last_insert_rowid();
    run(
        db,
        "INSERT INTO session_body (n, body) VALUES (?1, ?2)",
        params![n, body],
    )?;
    let title = search::indexed(&keys.title);
    run(db, search::INSERT_TITLE, params![n, title])?;
    Ok(())
}

/// SQLite writes every index of which a column is named in the statement, also where the value stays the same. So
/// only what differs is named: most writes change the time of use and nothing else.
fn update_session(
    db: &Connection,
    stored: &Stored,
    revision: u64,
    keys: &SessionKeys,
    body: &str,
) -> Result<(), StoreError> {
    let n = stored.n;
    if stored.same_time {
        run(
            db,
            "UPDATE session SET revision = ?2 WHERE n = ?1",
            params![n, revision],
        )?;
    } else {
        run(
            db,
            "UPDATE session SET revision = ?2, updated = ?3 WHERE n = ?1",
            params![n, revision, keys.updated],
        )?;
    }
    run(
        db,
        "UPDATE session_body SET body = ?2 WHERE n = ?1",
        params![n, body],
    )?;
    if !stored.same_rest {
        run(
            db,
            "UPDATE session SET project = ?2, directory = ?3, path = ?4, parent = ?5, created = ?6, archived = ?7,
                 restoring = ?8
             WHERE n = ?1",
            params![
                n,
                keys.project,
                keys.directory,
                keys.path,
                keys.parent.as_ref().map(SessionId::as_str),
                keys.created,
                keys.archived,
                keys.restoring
            ],
        )?;
    }
    if !stored.same_title {
        run(
            db,
            "UPDATE session SET title = ?2 WHERE n = ?1",
            params![n, keys.title],
        )?;
        run(db, "DELETE FROM session_title WHERE rowid = ?1", params![n])?;
        let title = search::indexed(&keys.title);
        run(db, search::INSERT_TITLE, params![n, title])?;
    }
    Ok(())
}

fn write_conversation(db: &Connection, change: &Change) -> Result<(), StoreError> {
    match change {
        Change::PutMessage {
            session,
            key,
            open,
            body,
        } => {
            // The place may have been another message's, whose parts go with it.
            run(
                db,
                "DELETE FROM part WHERE session = ?1
                 AND message = (SELECT id FROM message WHERE session = ?1 AND seq = ?2 AND id <> ?3)",
                params![session.as_str(), key.seq, key.id.as_str()],
            )?;
            run(
                db,
                "INSERT INTO message (session, seq, turn, id, open, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (session, seq) DO UPDATE
                 SET turn = excluded.turn, id = excluded.id, open = excluded.open, body = excluded.body",
                params![session.as_str(), key.seq, key.turn, key.id.as_str(), open, body],
            )?;
        }
        Change::DeleteMessage { session, id } => {
            for sql in [
                "DELETE FROM part WHERE session = ?1 AND message = ?2",
                "DELETE FROM message WHERE session = ?1 AND id = ?2",
            ] {
                run(db, sql, params![session.as_str(), id.as_str()])?;
            }
        }
        Change::PutPart {
            session,
            message,
            place,
            id,
            body,
        } => {
            run(
                db,
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
            let params = params![session.as_str(), message.as_str(), id.as_str(), body];
            let written = run(
                db,
                "UPDATE part SET body = ?4 WHERE session = ?1 AND message = ?2 AND id = ?3",
                params,
            )?;
            if written == 0 {
                run(
                    db,
                    "INSERT INTO part (session, message, place, id, body)
                     SELECT ?1, ?2, coalesce(max(place) + 1, 0), ?3, ?4 FROM part WHERE session = ?1 AND message = ?2",
                    params,
                )?;
            }
        }
        Change::DeletePart {
            session,
            message,
            id,
        } => {
            run(
                db,
                "DELETE FROM part WHERE session = ?1 AND message = ?2 AND id = ?3",
                params![session.as_str(), message.as_str(), id.as_str()],
            )?;
        }
        _ => {}
    }
    Ok(())
}

fn write_handover(db: &Connection, change: &Change) -> Result<(), StoreError> {
    match change {
        Change::PutHandover {
            session,
            turn,
            revision,
            body,
        } => {
            run(
                db,
                "INSERT INTO handover (session, turn, revision, body) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (session, turn) DO UPDATE SET revision = excluded.revision, body = excluded.body",
                params![session.as_str(), turn, revision, body],
            )?;
            run(
                db,
                "DELETE FROM handover WHERE session = ?1 AND turn NOT IN
                 (SELECT turn FROM handover WHERE session = ?1 ORDER BY turn DESC LIMIT ?2)",
                params![session.as_str(), HANDOVERS_KEPT],
            )?;
        }
        Change::DeleteHandovers { session, from_turn } => {
            run(
                db,
                "DELETE FROM handover WHERE session = ?1 AND turn >= ?2",
                params![session.as_str(), from_turn],
            )?;
        }
        _ => {}
    }
    Ok(())
}

fn write_other(db: &Connection, change: &Change) -> Result<(), StoreError> {
    match change {
        Change::PutBinding {
            session,
            backend,
            body,
        } => run(
            db,
            "INSERT INTO binding (session, backend, body) VALUES (?1, ?2, ?3)
             ON CONFLICT (session, backend) DO UPDATE SET body = excluded.body",
            params![session.as_str(), backend, body],
        ),
        Change::DeleteBinding { session, backend } => run(
            db,
            "DELETE FROM binding WHERE session = ?1 AND backend = ?2",
            params![session.as_str(), backend],
        ),
        Change::DeleteBindings { session } => run(
            db,
            "DELETE FROM binding WHERE session = ?1",
            params![session.as_str()],
        ),
        Change::PutSwitch {
            session,
            revision,
            body,
        } => run(
            db,
            "INSERT INTO switch (session, revision, body) VALUES (?1, ?2, ?3)
             ON CONFLICT (session, revision) DO UPDATE SET body = excluded.body",
            params![session.as_str(), revision, body],
        ),
        Change::PutBackend { id, body } => run(
            db,
            "INSERT INTO backend (id, body) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            params![id, body],
        ),
        Change::PutSetting { name, body } => run(
            db,
            "INSERT INTO setting (name, body) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET body = excluded.body",
            params![name, body],
        ),
        Change::PutProject { id, body } => run(
            db,
            "INSERT INTO project (id, body) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            params![id, body],
        ),
        Change::PutProcess(row) => run(
            db,
            "INSERT INTO process (pid, started_at_s, boot_id, backend) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (pid) DO UPDATE
             SET started_at_s = excluded.started_at_s, boot_id = excluded.boot_id, backend = excluded.backend",
            params![row.pid, row.started_at_s, row.boot_id, row.backend],
        ),
        Change::DeleteProcess { pid } => {
            run(db, "DELETE FROM process WHERE pid = ?1", params![pid])
        }
        // Sessions and conversations are written by the functions above.
        _ => Ok(0),
    }?;
    Ok(())
}
