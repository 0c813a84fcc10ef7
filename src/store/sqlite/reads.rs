//! Reads conversations, single sessions and what belongs to none.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};

use crate::opencode::{MessageId, SessionId};
use crate::store::growth::grown;
use crate::store::{MessageKey, MessageRange, MessageRow, ProcessRow, SessionRow, StoreError};

/// Message columns in the order that [`message_row`] takes them.
const MESSAGE_COLUMNS: &str = "session, seq, turn, id, body, open";
/// Of more messages than this, the parts are read in one walk instead of by message.
const READ_BY_MESSAGE_AT_MOST: usize = 8;

pub(super) fn session_id(text: &str) -> Result<SessionId, StoreError> {
    SessionId::parse(text).map_err(|error| StoreError::Database(error.to_string()))
}

fn message_row(row: &Row<'_>) -> Result<MessageRow, StoreError> {
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
        open: row.get(5)?,
        parts: Vec::new(),
    })
}

/// The messages that a condition selects, with their parts.
fn message_rows(
    db: &Connection,
    condition: &str,
    params: &[&dyn ToSql],
) -> Result<Vec<MessageRow>, StoreError> {
    let sql = format!("SELECT {MESSAGE_COLUMNS} FROM message WHERE {condition}");
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(params)?;
    let mut messages = Vec::new();
    while let Some(row) = rows.next()? {
        messages.push(message_row(row)?);
    }
    let of_one = |first: &MessageRow| messages.iter().all(|m| m.session == first.session);
    let may_walk = messages.len() > READ_BY_MESSAGE_AT_MOST && messages.first().is_some_and(of_one);
    if !may_walk || !read_parts_in_one_walk(db, &mut messages)? {
        read_parts_by_message(db, &mut messages)?;
    }
    Ok(messages)
}

fn read_parts_by_message(db: &Connection, messages: &mut [MessageRow]) -> Result<(), StoreError> {
    let mut parts = db.prepare_cached(
        "SELECT body FROM part WHERE session = ?1 AND message = ?2 ORDER BY place",
    )?;
    for message in messages {
        let bodies = parts.query_map(
            params![message.session.as_str(), message.key.id.as_str()],
            |row| row.get(0),
        )?;
        message.parts = bodies.collect::<Result<_, _>>()?;
        read_growth(db, &mut [message])?;
    }
    Ok(())
}

/// Puts what the parts of messages of one session have grown by to them. The messages are in the order of their ids.
fn read_growth(db: &Connection, messages: &mut [&mut MessageRow]) -> Result<(), StoreError> {
    let (Some(first), Some(last)) = (messages.first(), messages.last()) else {
        return Ok(());
    };
    let mut growth = db.prepare_cached(
        "SELECT message, place, body FROM growth WHERE session = ?1 AND message BETWEEN ?2 AND ?3
         ORDER BY message, place, at",
    )?;
    let session = first.session.clone();
    let (first, last) = (first.key.id.as_str(), last.key.id.as_str());
    let mut rows = growth.query(params![session.as_str(), first, last])?;
    let mut more: BTreeMap<(String, u64), String> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let text = more.entry((row.get(0)?, row.get(1)?)).or_default();
        text.push_str(row.get_ref(2)?.as_str().unwrap_or_default());
    }
    for ((id, place), more) in more {
        let mut before = db.prepare_cached(
            "SELECT count(*) FROM part WHERE session = ?1 AND message = ?2 AND place < ?3",
        )?;
        let at: usize = before.query_row(params![session.as_str(), id, place], |row| row.get(0))?;
        let found = messages.binary_search_by(|message| message.key.id.as_str().cmp(&id));
        let message = found.ok().and_then(|found| messages.get_mut(found));
        if let Some(part) = message.and_then(|message| message.parts.get_mut(at)) {
            *part = grown(part, &more);
        }
    }
    Ok(())
}

/// Ids ascend with time, so that few other messages of the session lie between the first and the last. False where that is not
/// so, since clients may give messages their ids.
fn read_parts_in_one_walk(
    db: &Connection,
    messages: &mut [MessageRow],
) -> Result<bool, StoreError> {
    let mut others_at_most = messages.len();
    let mut by_id: Vec<&mut MessageRow> = messages.iter_mut().collect();
    by_id.sort_unstable_by(|one, other| one.key.id.as_str().cmp(other.key.id.as_str()));
    let (Some(first), Some(last)) = (by_id.first(), by_id.last()) else {
        return Ok(true);
    };
    let session = first.session.as_str().to_owned();
    let (first, last) = (first.key.id.to_string(), last.key.id.to_string());
    let mut parts = db.prepare_cached(
        "SELECT message, body FROM part WHERE session = ?1 AND message BETWEEN ?2 AND ?3
         ORDER BY message, place",
    )?;
    let mut rows = parts.query(params![session, first, last])?;
    // Both ascend.
    let mut messages = by_id.iter_mut().peekable();
    while let Some(row) = rows.next()? {
        let id = row.get_ref(0)?.as_str().unwrap_or_default();
        while messages.next_if(|m| m.key.id.as_str() < id).is_some() {}
        match messages.peek_mut().filter(|m| m.key.id.as_str() == id) {
            Some(message) => message.parts.push(row.get(1)?),
            None if others_at_most == 0 => return Ok(false),
            None => others_at_most -= 1,
        }
    }
    read_growth(db, &mut by_id)?;
    Ok(true)
}

/// Messages of a session, in order of arrival.
pub(super) fn messages(
    db: &Connection,
    session: &SessionId,
    range: &MessageRange,
) -> Result<Vec<MessageRow>, StoreError> {
    let at_most =
        |value: Option<u64>| value.map_or(i64::MAX, |v| i64::try_from(v).unwrap_or(i64::MAX));
    let after = range
        .after_turn
        .map_or(-1, |turn| i64::try_from(turn).unwrap_or(i64::MAX));
    let mut rows = message_rows(
        db,
        "session = ?1 AND turn > ?2 AND seq < ?3 ORDER BY seq DESC LIMIT ?4",
        params![
            session.as_str(),
            after,
            at_most(range.before_seq),
            at_most(range.limit)
        ],
    )?;
    rows.reverse();
    Ok(rows)
}

/// One message.
pub(super) fn message(
    db: &Connection,
    session: &SessionId,
    id: &MessageId,
) -> Result<Option<MessageRow>, StoreError> {
    let params = params![session.as_str(), id.as_str()];
    Ok(message_rows(db, "session = ?1 AND id = ?2", params)?.pop())
}

/// Answers that are being written.
pub(super) fn open_messages(db: &Connection) -> Result<Vec<MessageRow>, StoreError> {
    message_rows(db, "open = 1", &[])
}

/// One session.
pub(super) fn session(db: &Connection, id: &SessionId) -> Result<Option<SessionRow>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT revision, body, (SELECT max(seq) FROM message WHERE session = ?1)
         FROM session JOIN session_body USING (n) WHERE id = ?1",
    )?;
    let row = statement.query_row([id.as_str()], |row| {
        Ok(SessionRow {
            id: id.clone(),
            revision: row.get(0)?,
            body: row.get(1)?,
            last_seq: row.get::<_, Option<u64>>(2)?.unwrap_or(0),
            bindings: Vec::new(),
        })
    });
    let Some(mut row) = row.optional()? else {
        return Ok(None);
    };
    row.bindings = pairs(
        db,
        "SELECT backend, body FROM binding WHERE session = ?1",
        params![id.as_str()],
    )?;
    Ok(Some(row))
}

/// The sessions that have a native session. The expression is the one of the index.
pub(super) fn bound(
    db: &Connection,
    backend: &str,
    native_session: &str,
) -> Result<Vec<SessionId>, StoreError> {
    let ids = texts(
        db,
        "SELECT session FROM binding WHERE backend = ?1
         AND (CASE WHEN json_valid(body) THEN json_extract(body, '$.native_session') END) = ?2",
        params![backend, native_session],
    )?;
    ids.iter().map(|id| session_id(id)).collect()
}

/// The rows of a statement with two columns.
pub(super) fn pairs(
    db: &Connection,
    sql: &str,
    params: &[&dyn ToSql],
) -> Result<Vec<(String, String)>, StoreError> {
    let mut statement = db.prepare_cached(sql)?;
    let pairs = statement.query_map(params, |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(pairs.collect::<Result<_, _>>()?)
}

/// The rows of a statement with one column.
pub(super) fn texts(
    db: &Connection,
    sql: &str,
    params: &[&dyn ToSql],
) -> Result<Vec<String>, StoreError> {
    let mut statement = db.prepare_cached(sql)?;
    let texts = statement.query_map(params, |row| row.get(0))?;
    Ok(texts.collect::<Result<_, _>>()?)
}

/// Processes that were running.
pub(super) fn processes(db: &Connection) -> Result<Vec<ProcessRow>, StoreError> {
    let mut statement =
        db.prepare_cached("SELECT pid, started_at_s, boot_id, backend FROM process")?;
    let rows = statement.query_map([], |row| {
        Ok(ProcessRow {
            pid: row.get(0)?,
            started_at_s: row.get(1)?,
            boot_id: row.get(2)?,
            backend: row.get(3)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
