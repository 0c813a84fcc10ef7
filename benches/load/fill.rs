//! What is written into a database of Baton's to measure with: by requests it would take minutes.

use rusqlite::{Connection, params};

/// The times of two sessions lie so far apart, in milliseconds.
const APART_MS: i64 = 1_000;

/// A message with its parts, as the database has it.
struct Message {
    id: String,
    turn: u32,
    body: String,
    parts: Vec<(u32, String, String)>,
}

/// Brings a session with one prompt and its answer to so many messages: more of the same.
pub(crate) fn messages(db: &Connection, session: &str, wanted: u32) {
    let said = conversation(db, session);
    assert_eq!(said.len(), 2, "a prompt and its answer");
    copy(db, session, session, &said, 1..wanted / 2);
}

/// Makes so many sessions like one, each with a prompt and its answer and as many messages more as are wanted. Answers
/// their ids.
pub(crate) fn alike(db: &Connection, like: &str, wanted: u32, of_messages: u32) -> Vec<String> {
    let said = conversation(db, like);
    let made = sessions(db, like, wanted);
    for session in &made {
        copy(db, like, session, &said, 0..of_messages / 2);
    }
    made
}

/// Makes so many sessions like one, without a message. Answers their ids.
pub(crate) fn sessions(db: &Connection, like: &str, wanted: u32) -> Vec<String> {
    let mut last: i64 = db
        .query_row("SELECT max(n) FROM session", [], |row| row.get(0))
        .expect("a number");
    let mut session = db
        .prepare(
            "INSERT INTO session (n, id, project, directory, path, parent, title, created, updated, archived, restoring)
             SELECT ?1, ?2, project, directory, path, parent, ?3, created - ?4, updated - ?4, archived, restoring
             FROM session WHERE id = ?5",
        )
        .expect("SQL");
    let mut body = db
        .prepare(
            "INSERT INTO session_body (n, revision, used, moved, body)
             SELECT ?1, revision, used - ?2, 0, replace(json_set(body, '$.title', ?3), ?5, ?4)
             FROM session_body WHERE n = (SELECT n FROM session WHERE id = ?5)",
        )
        .expect("SQL");
    let mut title = db
        .prepare("INSERT INTO session_title (rowid, title) VALUES (?1, ?2 || char(2, 2))")
        .expect("SQL");
    let mut made = Vec::new();
    for n in 0..wanted {
        last += 1;
        let id = format!("ses_load{last:022}");
        let name = format!("a session like others, number {n}");
        let earlier = i64::from(n + 1) * APART_MS;
        let done = session.execute(params![last, id, name, earlier, like]);
        assert_eq!(done.expect("a row"), 1);
        let done = body.execute(params![last, earlier, name, id, like]);
        assert_eq!(done.expect("a row"), 1);
        title.execute(params![last, name]).expect("a row");
        made.push(id);
    }
    made
}

fn conversation(db: &Connection, session: &str) -> Vec<Message> {
    let mut query = db
        .prepare("SELECT id, turn, body FROM message WHERE session = ?1 ORDER BY seq")
        .expect("SQL");
    let rows = query.query_map([session], |row| {
        Ok(Message {
            id: row.get(0)?,
            turn: row.get(1)?,
            body: row.get(2)?,
            parts: Vec::new(),
        })
    });
    let mut said: Vec<_> = rows.expect("rows").map(|row| row.expect("a row")).collect();
    let mut query = db
        .prepare(
            "SELECT place, id, body FROM part WHERE session = ?1 AND message = ?2 ORDER BY place",
        )
        .expect("SQL");
    for message in &mut said {
        let rows = query.query_map([session, &message.id], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        });
        message.parts = rows.expect("rows").map(|row| row.expect("a row")).collect();
    }
    said
}

/// Writes a conversation so often into a session.
fn copy(db: &Connection, from: &str, to: &str, said: &[Message], times: std::ops::Range<u32>) {
    let mut message = db
        .prepare("INSERT INTO message (session, seq, turn, id, open, body) VALUES (?1, ?2, ?3, ?4, 0, ?5)")
        .expect("SQL");
    let mut part = db
        .prepare("INSERT INTO part (session, message, place, id, body) VALUES (?1, ?2, ?3, ?4, ?5)")
        .expect("SQL");
    let length = u32::try_from(said.len()).expect("few");
    for time in times {
        let seq = |at: usize| time * length + u32::try_from(at).expect("few") + 1;
        // All after the first one's, so that they ascend as the messages do.
        let ids: Vec<_> = (0..said.len())
            .map(|at| later(&said[0].id, seq(at)))
            .collect();
        let renamed = |body: &str| {
            let mut body = body.replace(from, to);
            for (message, id) in said.iter().zip(&ids) {
                body = body.replace(&message.id, id);
            }
            body
        };
        for (
            at,
            Message {
                body, parts, turn, ..
            },
        ) in said.iter().enumerate()
        {
            let turn = time * length + turn;
            message
                .execute(params![to, seq(at), turn, ids[at], renamed(body)])
                .expect("a row");
            for (place, id, body) in parts {
                let new = later(id, seq(at) * 8 + place);
                let body = renamed(body).replace(id.as_str(), &new);
                part.execute(params![to, ids[at], place, new, body])
                    .expect("a row");
            }
        }
    }
}

/// An id like another one, so much later: an id begins with its time.
fn later(id: &str, by: u32) -> String {
    let (prefix, rest) = id.split_once('_').expect("a prefix");
    let time = u64::from_str_radix(&rest[..12], 16).expect("a time") + u64::from(by);
    format!("{prefix}_{time:012x}{}", &rest[12..])
}
