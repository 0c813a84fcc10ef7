//! The statements that write changes. None needs the answer of the one before, so that all of a transaction are on their way at
//! once.

use serde::Deserialize;
use serde_json::Value;
use tokio_postgres::types::ToSql;

use super::grams;
use super::text::{escaped, integer};
use crate::opencode::SessionId;
use crate::store::{Change, HANDOVERS_KEPT, Keys, SessionKeys, StoreError};

/// A value of a statement.
pub(super) type Parameter<'a> = Box<dyn ToSql + Sync + Send + 'a>;

/// One statement with its values.
pub(super) struct Statement<'a> {
    /// What to do.
    pub(super) sql: &'static str,
    /// With what.
    pub(super) parameters: Vec<Parameter<'a>>,
    /// What it means if no row was written, or found.
    pub(super) unless: Option<Unless<'a>>,
}

/// Why a statement has found no row.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unless<'a> {
    /// The session has another revision, or is not there.
    Changed(&'a SessionId),
    /// Another server has the session.
    Taken(&'a SessionId),
}

impl From<Unless<'_>> for StoreError {
    fn from(unless: Unless<'_>) -> Self {
        match unless {
            Unless::Changed(id) => Self::Conflict(id.clone()),
            Unless::Taken(id) => Self::TakenOver(id.clone()),
        }
    }
}

/// Where a server is, as far as what it writes goes.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Whose processes it notes.
    pub(super) node: String,
    /// Where its native sessions are; empty where no other server uses the database.
    pub(super) home: String,
}

macro_rules! parameters {
    ($($value:expr),* $(,)?) => { vec![$(Box::new($value) as Parameter<'_>),*] };
}

const INSERT_SESSION: &str = "WITH made AS (
    INSERT INTO baton.session (id, project, directory, path, parent, title, created, updated, archived, restoring)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING RETURNING n
), body AS (
    INSERT INTO baton.session_body (n, revision, body) SELECT n, $11::bigint, $12::bytea FROM made
) INSERT INTO baton.session_title (n, grams) SELECT n, $13::bigint[] FROM made";

/// A column that keeps its value writes no index.
const UPDATE_SESSION: &str = "WITH body AS (
    UPDATE baton.session_body b SET revision = $11, body = $12 FROM baton.session s
    WHERE s.id = $1 AND b.n = s.n AND b.revision = $14 RETURNING b.n
), title AS (
    UPDATE baton.session_title t SET grams = $13 FROM baton.session s JOIN body USING (n)
    WHERE t.n = s.n AND s.title <> $6
) UPDATE baton.session s SET project = $2, directory = $3, path = $4, parent = $5, title = $6, created = $7, updated = $8,
    archived = $9, restoring = $10
FROM body WHERE s.n = body.n";

const USE_SESSION: &str = "WITH body AS (
    UPDATE baton.session_body b SET revision = $3, body = $5 FROM baton.session s
    WHERE s.id = $1 AND b.n = s.n AND b.revision = $2 RETURNING b.n
) UPDATE baton.session s SET updated = $4 FROM body WHERE s.n = body.n";

/// Deletes a session with everything that belongs to it.
pub(super) const DELETE_SESSION: &str =
    "WITH gone AS (DELETE FROM baton.session WHERE id = $1 RETURNING n),
    body AS (DELETE FROM baton.session_body b USING gone WHERE b.n = gone.n),
    title AS (DELETE FROM baton.session_title t USING gone WHERE t.n = gone.n),
    part AS (DELETE FROM baton.part WHERE session = $1),
    growth AS (DELETE FROM baton.growth WHERE session = $1),
    message AS (DELETE FROM baton.message WHERE session = $1),
    binding AS (DELETE FROM baton.binding WHERE session = $1),
    switch AS (DELETE FROM baton.switch WHERE session = $1),
    lease AS (DELETE FROM baton.lease WHERE session = $1)
DELETE FROM baton.handover WHERE session = $1";

/// The place may have been another message's, whose parts go with it.
const EMPTY_PLACE: &str =
    "WITH old AS (SELECT id FROM baton.message WHERE session = $1 AND seq = $2 AND id <> $3),
    growth AS (DELETE FROM baton.growth WHERE session = $1 AND message = (SELECT id FROM old))
    DELETE FROM baton.part WHERE session = $1 AND message = (SELECT id FROM old)";

const PUT_MESSAGE: &str =
    "INSERT INTO baton.message (session, seq, turn, id, open, body) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (session, seq) DO UPDATE
    SET turn = excluded.turn, id = excluded.id, open = excluded.open, body = excluded.body";

const DELETE_MESSAGE: &str =
    "WITH part AS (DELETE FROM baton.part WHERE session = $1 AND message = $2),
    growth AS (DELETE FROM baton.growth WHERE session = $1 AND message = $2)
    DELETE FROM baton.message WHERE session = $1 AND id = $2";

const PUT_PART: &str =
    "WITH growth AS (DELETE FROM baton.growth WHERE session = $1 AND message = $2 AND place = $3)
    INSERT INTO baton.part (session, message, place, id, body) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (session, message, place) DO UPDATE SET id = excluded.id, body = excluded.body";

const SAVE_PART: &str = "WITH saved AS (
    UPDATE baton.part SET body = $4 WHERE session = $1 AND message = $2 AND id = $3 RETURNING place
), growth AS (
    DELETE FROM baton.growth WHERE session = $1 AND message = $2 AND place IN (SELECT place FROM saved)
) INSERT INTO baton.part (session, message, place, id, body)
SELECT $1::text, $2::text, (SELECT coalesce(max(place) + 1, 0) FROM baton.part WHERE session = $1 AND message = $2),
    $3::text, $4::bytea
WHERE NOT EXISTS (SELECT FROM saved)";

const GROW_PART: &str = "INSERT INTO baton.growth (session, message, place, at, body)
    SELECT session, message, place, $4::bigint, $5::bytea FROM baton.part
    WHERE session = $1 AND message = $2 AND place = $3
    ON CONFLICT (session, message, place, at) DO UPDATE SET body = excluded.body";

const END_PART: &str =
    "UPDATE baton.part SET body = $4 WHERE session = $1 AND message = $2 AND place = $3";

const DELETE_PART: &str = "WITH part AS (
    DELETE FROM baton.part WHERE session = $1 AND message = $2 AND id = $3 RETURNING place
) DELETE FROM baton.growth WHERE session = $1 AND message = $2 AND place IN (SELECT place FROM part)";

const PUT_HANDOVER: &str =
    "INSERT INTO baton.handover (session, turn, revision, body) VALUES ($1, $2, $3, $4)
    ON CONFLICT (session, turn) DO UPDATE SET revision = excluded.revision, body = excluded.body";

const KEEP_HANDOVERS: &str = "DELETE FROM baton.handover WHERE session = $1 AND turn NOT IN
    (SELECT turn FROM baton.handover WHERE session = $1 ORDER BY turn DESC LIMIT $2)";

const DELETE_HANDOVERS: &str = "DELETE FROM baton.handover WHERE session = $1 AND turn >= $2";

const PUT_BINDING: &str =
    "INSERT INTO baton.binding (session, backend, native, body, home) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (session, backend) DO UPDATE
    SET native = excluded.native, body = excluded.body, home = excluded.home";

const DELETE_BINDING: &str = "DELETE FROM baton.binding WHERE session = $1 AND backend = $2";

const DELETE_BINDINGS: &str = "DELETE FROM baton.binding WHERE session = $1";

const PUT_SWITCH: &str = "INSERT INTO baton.switch (session, revision, body) VALUES ($1, $2, $3)
    ON CONFLICT (session, revision) DO UPDATE SET body = excluded.body";

const PUT_BACKEND: &str = "INSERT INTO baton.backend (id, body) VALUES ($1, $2)
    ON CONFLICT (id) DO UPDATE SET body = excluded.body";

const PUT_SETTING: &str = "INSERT INTO baton.setting (name, body) VALUES ($1, $2)
    ON CONFLICT (name) DO UPDATE SET body = excluded.body";

const PUT_PROJECT: &str = "INSERT INTO baton.project (id, body) VALUES ($1, $2)
    ON CONFLICT (id) DO UPDATE SET body = excluded.body";

const ADD_SPENDING: &str = "INSERT INTO baton.setting (name, body) VALUES (
    'spent ' || $1::text, convert_to(json_build_object('cost', $2::float8, 'tokens', $3::bigint)::text, 'UTF8')
) ON CONFLICT (name) DO UPDATE SET body = convert_to(json_build_object(
    'cost', (convert_from(setting.body, 'UTF8')::json ->> 'cost')::float8 + $2::float8,
    'tokens', (convert_from(setting.body, 'UTF8')::json ->> 'tokens')::bigint + $3::bigint)::text, 'UTF8')";

const PUT_PROCESS: &str = "INSERT INTO baton.process (node, pid, started_at_s, boot_id, backend) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (node, pid) DO UPDATE
    SET started_at_s = excluded.started_at_s, boot_id = excluded.boot_id, backend = excluded.backend";

const PUT_NODE_BACKEND: &str = "INSERT INTO baton.node_backend (node, id, body) VALUES ($1, $2, $3)
    ON CONFLICT (node, id) DO UPDATE SET body = excluded.body";

/// Locked until the commit, so that whoever takes the session waits for it.
const HELD: &str =
    "SELECT FROM baton.lease WHERE session = $1 AND node = $2 AND epoch = $3 FOR SHARE";

/// The head is held until the commit, so that the numbers are in the order of the commits.
const TELL: &str = "WITH head AS (
    UPDATE baton.event_head SET seq = seq + cardinality($3::bytea[]) RETURNING seq - cardinality($3::bytea[]) AS before
) INSERT INTO baton.event (seq, session, directory, last, body)
SELECT head.before + told.place, $1, $2, told.place = cardinality($3::bytea[]), told.body
FROM head, unnest($3::bytea[]) WITH ORDINALITY AS told (body, place)";

const NAME: &str = "INSERT INTO baton.committed (node, name) VALUES ($1, $2)
    ON CONFLICT (node) DO UPDATE SET name = excluded.name";

/// Of several in one transaction one is sent.
const NEWS: &str = "NOTIFY baton_event";

const DELETE_PROCESS: &str = "DELETE FROM baton.process WHERE node = $1 AND pid = $2";

/// What writes a change, in order.
pub(super) fn statements<'a>(change: &'a Change, place: &'a Place) -> Vec<Statement<'a>> {
    match change {
        Change::PutSession {
            id,
            expected,
            revision,
            keys,
            body,
        } => vec![Statement {
            unless: Some(Unless::Changed(id)),
            ..put_session(id, *expected, *revision, keys, body)
        }],
        Change::PutMessage {
            session,
            key,
            open,
            body,
        } => {
            let (session, id) = (session.as_str(), key.id.as_str());
            let (seq, turn) = (integer(key.seq), integer(key.turn));
            vec![
                plain(EMPTY_PLACE, parameters![session, seq, id]),
                plain(
                    PUT_MESSAGE,
                    parameters![session, seq, turn, id, *open, body.as_bytes()],
                ),
            ]
        }
        Change::PutHandover {
            session,
            turn,
            revision,
            body,
        } => {
            let (session, turn, revision) = (session.as_str(), integer(*turn), integer(*revision));
            vec![
                plain(
                    PUT_HANDOVER,
                    parameters![session, turn, revision, body.as_bytes()],
                ),
                plain(
                    KEEP_HANDOVERS,
                    parameters![session, integer(HANDOVERS_KEPT)],
                ),
            ]
        }
        Change::Held { session, epoch } => vec![Statement {
            unless: Some(Unless::Taken(session)),
            ..plain(
                HELD,
                parameters![session.as_str(), place.node.as_str(), integer(*epoch)],
            )
        }],
        Change::Tell {
            session,
            directory,
            events,
        } => {
            let session = session.as_ref().map(SessionId::as_str);
            let events: Vec<_> = events.iter().map(String::as_bytes).collect();
            vec![
                plain(TELL, parameters![session, escaped(directory), events]),
                plain(NEWS, Vec::new()),
            ]
        }
        other => {
            let (sql, parameters) = one_statement(other, place);
            vec![plain(sql, parameters)]
        }
    }
}

/// What gives a transaction its name.
pub(super) fn naming<'a>(name: &'a str, place: &'a Place) -> Statement<'a> {
    plain(NAME, parameters![place.node.as_str(), name])
}

fn plain<'a>(sql: &'static str, parameters: Vec<Parameter<'a>>) -> Statement<'a> {
    Statement {
        sql,
        parameters,
        unless: None,
    }
}

fn put_session<'a>(
    id: &'a SessionId,
    expected: Option<u64>,
    revision: u64,
    keys: &'a Keys,
    body: &'a str,
) -> Statement<'a> {
    let (revision, body) = (integer(revision), body.as_bytes());
    match (keys, expected) {
        (Keys::Used(used), expected) => {
            // Without a revision it is a new session, which cannot have been used: it conflicts, as with no row.
            let expected = expected.map_or(-1, integer);
            let used = integer(*used);
            plain(
                USE_SESSION,
                parameters![id.as_str(), expected, revision, used, body],
            )
        }
        (Keys::All(keys), None) => plain(INSERT_SESSION, all_of_session(id, keys, revision, body)),
        (Keys::All(keys), Some(expected)) => {
            let mut parameters = all_of_session(id, keys, revision, body);
            parameters.push(Box::new(integer(expected)));
            plain(UPDATE_SESSION, parameters)
        }
    }
}

fn all_of_session<'a>(
    id: &'a SessionId,
    keys: &'a SessionKeys,
    revision: i64,
    body: &'a [u8],
) -> Vec<Parameter<'a>> {
    parameters![
        id.as_str(),
        escaped(&keys.project),
        escaped(&keys.directory),
        escaped(&keys.path),
        keys.parent.as_ref().map(SessionId::as_str),
        escaped(&keys.title),
        integer(keys.created),
        integer(keys.updated),
        keys.archived.map(integer),
        keys.restoring,
        revision,
        body,
        grams::of_title(&keys.title),
    ]
}

fn one_statement<'a>(change: &'a Change, place: &'a Place) -> (&'static str, Vec<Parameter<'a>>) {
    match change {
        Change::DeleteSession { id } => (DELETE_SESSION, parameters![id.as_str()]),
        Change::DeleteMessage { session, id } => {
            (DELETE_MESSAGE, parameters![session.as_str(), id.as_str()])
        }
        Change::PutPart {
            session,
            message,
            place,
            id,
            body,
        } => {
            let (session, message) = (session.as_str(), message.as_str());
            let place = integer(*place);
            (
                PUT_PART,
                parameters![session, message, place, id.as_str(), body.as_bytes()],
            )
        }
        Change::SavePart {
            session,
            message,
            id,
            body,
        } => {
            let (session, message) = (session.as_str(), message.as_str());
            (
                SAVE_PART,
                parameters![session, message, id.as_str(), body.as_bytes()],
            )
        }
        Change::GrowPart {
            session,
            message,
            place,
            at,
            text,
        } => {
            let (session, message) = (session.as_str(), message.as_str());
            let (place, at) = (integer(*place), integer(*at));
            (
                GROW_PART,
                parameters![session, message, place, at, text.as_bytes()],
            )
        }
        Change::EndPart {
            session,
            message,
            place,
            body,
        } => (
            END_PART,
            parameters![
                session.as_str(),
                message.as_str(),
                integer(*place),
                body.as_bytes()
            ],
        ),
        Change::DeletePart {
            session,
            message,
            id,
        } => (
            DELETE_PART,
            parameters![session.as_str(), message.as_str(), id.as_str()],
        ),
        Change::DeleteHandovers { session, from_turn } => (
            DELETE_HANDOVERS,
            parameters![session.as_str(), integer(*from_turn)],
        ),
        Change::PutBinding {
            session,
            backend,
            body,
        } => {
            let native = native_session(body).map(|native| escaped(&native).into_owned());
            (
                PUT_BINDING,
                parameters![
                    session.as_str(),
                    escaped(backend),
                    native,
                    body.as_bytes(),
                    place.home.as_str()
                ],
            )
        }
        Change::DeleteBinding { session, backend } => (
            DELETE_BINDING,
            parameters![session.as_str(), escaped(backend)],
        ),
        Change::DeleteBindings { session } => (DELETE_BINDINGS, parameters![session.as_str()]),
        Change::PutSwitch {
            session,
            revision,
            body,
        } => (
            PUT_SWITCH,
            parameters![session.as_str(), integer(*revision), body.as_bytes()],
        ),
        other => without_session(other, place),
    }
}

fn without_session<'a>(change: &'a Change, place: &'a Place) -> (&'static str, Vec<Parameter<'a>>) {
    match change {
        Change::PutBackend { id, body } if place.home.is_empty() => {
            (PUT_BACKEND, parameters![escaped(id), body.as_bytes()])
        }
        Change::PutBackend { id, body } => (
            PUT_NODE_BACKEND,
            parameters![place.node.as_str(), escaped(id), body.as_bytes()],
        ),
        Change::PutSetting { name, body } => {
            (PUT_SETTING, parameters![escaped(name), body.as_bytes()])
        }
        Change::AddSpending { day, cost, tokens } => (
            ADD_SPENDING,
            parameters![escaped(day), *cost, integer(*tokens)],
        ),
        Change::PutProject { id, body } => (PUT_PROJECT, parameters![escaped(id), body.as_bytes()]),
        Change::PutProcess(row) => (
            PUT_PROCESS,
            parameters![
                place.node.as_str(),
                i64::from(row.pid),
                integer(row.started_at_s),
                escaped(&row.boot_id),
                escaped(&row.backend)
            ],
        ),
        Change::DeleteProcess { pid } => (
            DELETE_PROCESS,
            parameters![place.node.as_str(), i64::from(*pid)],
        ),
        // All others were written above.
        _ => ("SELECT", Vec::new()),
    }
}

/// The native session that a binding names. One that is not JSON names none.
pub(super) fn native_session(body: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Names {
        native_session: Value,
    }
    match serde_json::from_str::<Names>(body).ok()?.native_session {
        Value::String(native) => Some(native),
        _ => None,
    }
}
