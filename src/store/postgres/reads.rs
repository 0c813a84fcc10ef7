//! Reads conversations, single sessions and what belongs to none: each answer by one statement, so that it shows one state of
//! the database.

use deadpool_postgres::ClientWrapper;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::changes::Place;
use super::text::{body, escaped, integer, natural, unescaped};
use crate::opencode::{MessageId, SessionId};
use crate::store::growth::grown;
use crate::store::{MessageKey, MessageRange, MessageRow, ProcessRow, SessionRow, StoreError};

/// The values of a statement.
type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// What is read of a message, in the order that [`message_row`] takes it.
const MESSAGE: &str = "SELECT m.session, m.seq, m.turn, m.id, m.body, m.open,
        (SELECT array_agg(p.body ORDER BY p.place) FROM baton.part p WHERE p.session = m.session AND p.message = m.id),
        growth.at, growth.body
     FROM baton.message m LEFT JOIN LATERAL (
        SELECT array_agg(of_part.at ORDER BY of_part.at) AS at, array_agg(of_part.body ORDER BY of_part.at) AS body FROM (
            SELECT (SELECT count(*) FROM baton.part p
                    WHERE p.session = m.session AND p.message = m.id AND p.place < g.place) AS at,
                string_agg(g.body, '' ORDER BY g.at) AS body
            FROM baton.growth g WHERE g.session = m.session AND g.message = m.id GROUP BY g.place
        ) of_part
     ) growth ON true";

/// The rows of a statement.
pub(super) async fn rows(
    db: &ClientWrapper,
    sql: &str,
    values: Values<'_>,
) -> Result<Vec<Row>, StoreError> {
    let statement = db.prepare_cached(sql).await?;
    Ok(db.query(&statement, values).await?)
}

pub(super) fn session_id(text: &str) -> Result<SessionId, StoreError> {
    SessionId::parse(text).map_err(|error| StoreError::Database(error.to_string()))
}

fn message_row(row: &Row) -> Result<MessageRow, StoreError> {
    let id = MessageId::parse(row.try_get(3)?);
    let parts: Option<Vec<Vec<u8>>> = row.try_get(6)?;
    let parts: Result<Vec<_>, _> = parts.unwrap_or_default().into_iter().map(body).collect();
    let mut parts = parts?;
    let grown_at: Option<Vec<i64>> = row.try_get(7)?;
    let more: Option<Vec<Vec<u8>>> = row.try_get(8)?;
    for (at, more) in grown_at
        .into_iter()
        .flatten()
        .zip(more.into_iter().flatten())
    {
        if let Some(part) = usize::try_from(at).ok().and_then(|at| parts.get_mut(at)) {
            *part = grown(part, &body(more)?);
        }
    }
    Ok(MessageRow {
        session: session_id(row.try_get(0)?)?,
        key: MessageKey {
            seq: natural(row.try_get(1)?),
            turn: natural(row.try_get(2)?),
            id: id.map_err(|error| StoreError::Database(error.to_string()))?,
        },
        body: body(row.try_get(4)?)?,
        open: row.try_get(5)?,
        parts,
    })
}

async fn message_rows(
    db: &ClientWrapper,
    condition: &str,
    values: Values<'_>,
) -> Result<Vec<MessageRow>, StoreError> {
    let rows = rows(db, &format!("{MESSAGE} WHERE {condition}"), values).await?;
    rows.iter().map(message_row).collect()
}

/// Messages of a session, in order of arrival.
pub(super) async fn messages(
    db: &ClientWrapper,
    session: &SessionId,
    range: &MessageRange,
) -> Result<Vec<MessageRow>, StoreError> {
    let after = range.after_turn.map_or(-1, integer);
    let before = range.before_seq.map_or(i64::MAX, integer);
    let limit = range.limit.map_or(i64::MAX, integer);
    let condition = "m.session = $1 AND m.turn > $2 AND m.seq < $3 ORDER BY m.seq DESC LIMIT $4";
    let values: Values<'_> = &[&session.as_str(), &after, &before, &limit];
    let mut rows = message_rows(db, condition, values).await?;
    rows.reverse();
    Ok(rows)
}

/// One message.
pub(super) async fn message(
    db: &ClientWrapper,
    session: &SessionId,
    id: &MessageId,
) -> Result<Option<MessageRow>, StoreError> {
    let values: Values<'_> = &[&session.as_str(), &id.as_str()];
    let mut rows = message_rows(db, "m.session = $1 AND m.id = $2", values).await?;
    Ok(rows.pop())
}

/// Answers that are being written.
pub(super) async fn open_messages(db: &ClientWrapper) -> Result<Vec<MessageRow>, StoreError> {
    message_rows(db, "m.open ORDER BY m.session, m.seq", &[]).await
}

/// One session.
pub(super) async fn session(
    db: &ClientWrapper,
    id: &SessionId,
    home: &str,
) -> Result<Option<SessionRow>, StoreError> {
    // Where only one server uses the database, it has no home, and all native sessions are its own.
    let sql =
        "SELECT b.revision, b.body, (SELECT max(seq) FROM baton.message WHERE session = s.id),
            (SELECT array_agg(backend ORDER BY backend) FROM baton.binding WHERE session = s.id AND $2 IN ('', home)),
            (SELECT array_agg(body ORDER BY backend) FROM baton.binding WHERE session = s.id AND $2 IN ('', home))
        FROM baton.session s JOIN baton.session_body b USING (n) WHERE s.id = $1";
    let Some(row) = rows(db, sql, &[&id.as_str(), &home]).await?.pop() else {
        return Ok(None);
    };
    let backends: Option<Vec<String>> = row.try_get(3)?;
    let bodies: Option<Vec<Vec<u8>>> = row.try_get(4)?;
    let bindings = backends
        .into_iter()
        .flatten()
        .zip(bodies.into_iter().flatten());
    Ok(Some(SessionRow {
        id: id.clone(),
        revision: natural(row.try_get(0)?),
        body: body(row.try_get(1)?)?,
        last_seq: row.try_get::<_, Option<i64>>(2)?.map_or(0, natural),
        bindings: bindings
            .map(|(backend, bytes)| Ok((unescaped(backend), body(bytes)?)))
            .collect::<Result<_, StoreError>>()?,
    }))
}

/// The sessions that have a native session.
pub(super) async fn bound(
    db: &ClientWrapper,
    backend: &str,
    native_session: &str,
) -> Result<Vec<SessionId>, StoreError> {
    // The first condition is the one of the index.
    let sql = "SELECT session FROM baton.binding
               WHERE left(native, 600) = left($2, 600) AND native = $2 AND backend = $1 ORDER BY session";
    let rows = rows(db, sql, &[&escaped(backend), &escaped(native_session)]).await?;
    rows.iter().map(|row| session_id(row.try_get(0)?)).collect()
}

/// The rows of a statement with a text and a body.
pub(super) async fn pairs(
    db: &ClientWrapper,
    sql: &str,
    values: Values<'_>,
) -> Result<Vec<(String, String)>, StoreError> {
    let rows = rows(db, sql, values).await?;
    let pair = |row: &Row| Ok((unescaped(row.try_get(0)?), body(row.try_get(1)?)?));
    rows.iter().map(pair).collect()
}

/// What was found out about the backends of a server.
pub(super) async fn backends(
    db: &ClientWrapper,
    place: &Place,
) -> Result<Vec<(String, String)>, StoreError> {
    if place.home.is_empty() {
        return pairs(db, "SELECT id, body FROM baton.backend ORDER BY id", &[]).await;
    }
    let sql = "SELECT id, body FROM baton.node_backend WHERE node = $1 ORDER BY id";
    pairs(db, sql, &[&place.node]).await
}

/// The rows of a statement with a body.
pub(super) async fn bodies(
    db: &ClientWrapper,
    sql: &str,
    values: Values<'_>,
) -> Result<Vec<String>, StoreError> {
    let rows = rows(db, sql, values).await?;
    rows.iter().map(|row| body(row.try_get(0)?)).collect()
}

/// Processes of a node that were running.
pub(super) async fn processes(
    db: &ClientWrapper,
    node: &str,
) -> Result<Vec<ProcessRow>, StoreError> {
    let sql = "SELECT pid, started_at_s, boot_id, backend FROM baton.process WHERE node = $1 ORDER BY pid";
    let rows = rows(db, sql, &[&node]).await?;
    let process = |row: &Row| {
        let pid: i64 = row.try_get(0)?;
        Ok(ProcessRow {
            pid: u32::try_from(pid).map_err(|e| StoreError::Database(e.to_string()))?,
            started_at_s: natural(row.try_get(1)?),
            boot_id: unescaped(row.try_get(2)?),
            backend: unescaped(row.try_get(3)?),
        })
    };
    rows.iter().map(process).collect()
}
