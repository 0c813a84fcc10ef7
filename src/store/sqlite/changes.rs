//! Writes changes within the transaction of the writer.

use rusqlite::{Connection, OptionalExtension, ToSql, params};

use super::search;
use crate::opencode::{MessageId, PartId, SessionId};
use crate::store::{Change, HANDOVERS_KEPT, Keys, SessionKeys, StoreError};

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
        | Change::GrowPart { .. }
        | Change::EndPart { .. }
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
            let is_written = match (expected, keys) {
                (None, Keys::All(keys)) => insert_session(db, id, *revision, keys, body)?,
                (Some(expected), Keys::All(keys)) => {
                    update_session(db, id, (*expected, *revision), keys, body)?
                }
                (Some(expected), Keys::Used(used)) => match number(db, id)? {
                    Some(n) => use_session(db, n, (*expected, *revision), *used, body)?,
                    None => false,
                },
                (None, Keys::Used(_)) => false,
            };
            match is_written {
                true => Ok(()),
                false => Err(StoreError::Conflict(id.clone())),
            }
        }
        Change::DeleteSession { id } => {
            for table in ["growth", "part", "message", "binding", "switch", "handover"] {
                let sql = format!("DELETE FROM {table} WHERE session = ?1");
                run(db, &sql, params![id.as_str()])?;
            }
            if let Some(n) = number(db, id)? {
                run(db, "DELETE FROM session_title WHERE rowid = ?1", params![n])?;
                run(db, "DELETE FROM session_retitled WHERE n = ?1", params![n])?;
                run(db, "DELETE FROM session_body WHERE n = ?1", params![n])?;
                run(db, "DELETE FROM session WHERE n = ?1", params![n])?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Makes a session. False when there is one of that id.
fn insert_session(
    db: &Connection,
    id: &SessionId,
    revision: u64,
    keys: &SessionKeys,
    body: &str,
) -> Result<bool, StoreError> {
    let made = run(
        db,
        "INSERT INTO session (id, project, directory, path, parent, title, created, updated, archived, restoring)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (id) DO NOTHING",
        params![
            id.as_str(),
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
    if made == 0 {
        return Ok(false);
    }
    let n = db.last_insert_rowid();
    run(
        db,
        "INSERT INTO session_body (n, revision, used, moved, body) VALUES (?1, ?2, ?3, 0, ?4)",
        params![n, revision, keys.updated, body],
    )?;
    run(db, search::RETITLED, params![n])?;
    Ok(true)
}

/// Writes a session that was used, over the first of two revisions, and nothing that an index is made of. False when
/// it has another revision. SQLite writes an index as soon as the statement names a column of it: so only the first
/// that moves a session says so.
fn use_session(
    db: &Connection,
    n: i64,
    (expected, revision): (u64, u64),
    used: u64,
    body: &str,
) -> Result<bool, StoreError> {
    let params = params![n, expected, revision, used, body];
    let written = run(
        db,
        "UPDATE session_body SET revision = ?3, used = ?4, body = ?5 WHERE n = ?1 AND revision = ?2 AND moved = 1",
        params,
    )?;
    if written > 0 {
        return Ok(true);
    }
    let written = run(
        db,
        "UPDATE session_body SET revision = ?3, used = ?4, body = ?5, moved = 1 WHERE n = ?1 AND revision = ?2",
        params,
    )?;
    Ok(written > 0)
}

/// The number of a session.
fn number(db: &Connection, id: &SessionId) -> Result<Option<i64>, StoreError> {
    let mut number = db.prepare_cached("SELECT n FROM session WHERE id = ?1")?;
    let number = number.query_row([id.as_str()], |row| row.get(0));
    Ok(number.optional()?)
}

/// What lists order and select a session by, as it is stored, besides its number.
fn stored(
    db: &Connection,
    id: &SessionId,
    revision: u64,
) -> Result<Option<(i64, SessionKeys)>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT n, project, directory, path, parent, title, created, updated, archived, restoring
         FROM session JOIN session_body USING (n) WHERE id = ?1 AND revision = ?2",
    )?;
    let stored = statement.query_row(params![id.as_str(), revision], |row| {
        let parent: Option<String> = row.get(4)?;
        let keys = SessionKeys {
            project: row.get(1)?,
            directory: row.get(2)?,
            path: row.get(3)?,
            parent: parent.and_then(|parent| SessionId::parse(&parent).ok()),
            title: row.get(5)?,
            created: row.get(6)?,
            updated: row.get(7)?,
            archived: row.get(8)?,
            restoring: row.get(9)?,
        };
        Ok((row.get(0)?, keys))
    });
    Ok(stored.optional()?)
}

/// Writes a session with what lists order and select by, over the first of two revisions; of that only what differs, and
/// the time of the last use as [`use_session`] does.
/// False when it has another revision.
fn update_session(
    db: &Connection,
    id: &SessionId,
    (expected, revision): (u64, u64),
    keys: &SessionKeys,
    body: &str,
) -> Result<bool, StoreError> {
    let Some((n, mut stored)) = stored(db, id, expected)? else {
        return Ok(false);
    };
    use_session(db, n, (expected, revision), keys.updated, body)?;
    stored.updated = keys.updated;
    if stored.title != keys.title {
        let sql = "UPDATE session SET title = ?2 WHERE n = ?1";
        run(db, sql, params![n, keys.title])?;
        run(db, search::RETITLED, params![n])?;
        stored.title.clone_from(&keys.title);
    }
    if stored != *keys {
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
    Ok(true)
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
            for sql in [
                "DELETE FROM growth WHERE session = ?1
                 AND message = (SELECT id FROM message WHERE session = ?1 AND seq = ?2 AND id <> ?3)",
                "DELETE FROM part WHERE session = ?1
                 AND message = (SELECT id FROM message WHERE session = ?1 AND seq = ?2 AND id <> ?3)",
            ] {
                run(db, sql, params![session.as_str(), key.seq, key.id.as_str()])?;
            }
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
                "DELETE FROM growth WHERE session = ?1 AND message = ?2",
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
            run(
                db,
                "DELETE FROM growth WHERE session = ?1 AND message = ?2 AND place = ?3",
                params![session.as_str(), message.as_str(), place],
            )?;
        }
        Change::SavePart {
            session,
            message,
            id,
            body,
        } => {
            forget_growth(db, session, message, id)?;
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
        Change::GrowPart {
            session,
            message,
            place,
            at,
            text,
        } => {
            run(
                db,
                "INSERT INTO growth (session, message, place, at, body) SELECT session, message, place, ?4, ?5 FROM part
                 WHERE session = ?1 AND message = ?2 AND place = ?3
                 ON CONFLICT (session, message, place, at) DO UPDATE SET body = excluded.body",
                params![session.as_str(), message.as_str(), place, at, text],
            )?;
        }
        Change::EndPart {
            session,
            message,
            place,
            body,
        } => {
            run(
                db,
                "UPDATE part SET body = ?4 WHERE session = ?1 AND message = ?2 AND place = ?3",
                params![session.as_str(), message.as_str(), place, body],
            )?;
        }
        Change::DeletePart {
            session,
            message,
            id,
        } => {
            forget_growth(db, session, message, id)?;
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

/// What a part has grown by is forgotten.
fn forget_growth(
    db: &Connection,
    session: &SessionId,
    message: &MessageId,
    id: &PartId,
) -> Result<(), StoreError> {
    run(
        db,
        "DELETE FROM growth WHERE session = ?1 AND message = ?2
         AND place IN (SELECT place FROM part WHERE session = ?1 AND message = ?2 AND id = ?3)",
        params![session.as_str(), message.as_str(), id.as_str()],
    )?;
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
        Change::AddSpending { day, cost, tokens } => run(
            db,
            "INSERT INTO setting (name, body) VALUES ('spent ' || ?1, json_object('cost', ?2, 'tokens', ?3))
             ON CONFLICT (name) DO UPDATE SET body = json_object(
                 'cost', body ->> '$.cost' + ?2, 'tokens', body ->> '$.tokens' + ?3)",
            params![day, cost, tokens],
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
        // Sessions and conversations are written by the functions above; it has one server, which holds and tells all.
        _ => Ok(0),
    }?;
    Ok(())
}
