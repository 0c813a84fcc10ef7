//! Lists of sessions: each is a walk over one index, which ends at the limit.

use std::collections::HashSet;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use super::search::{EFFORT, search};
use crate::opencode::SessionId;
use crate::store::{SessionOrder, SessionQuery, StoreError};

/// Where a page begins: after this session.
#[derive(Debug)]
pub(super) struct Cursor {
    n: i64,
    created: i64,
    updated: i64,
}

/// Where the rows come from.
pub(super) enum Source<'a> {
    /// The index of the order.
    Index,
    /// These sessions: a JSON array of their numbers.
    Among(&'a str),
}

/// Whether a query asks when sessions were used.
pub(super) fn is_by_use(query: &SessionQuery) -> bool {
    query.order == SessionOrder::Used || query.used_since.is_some() || query.used_before.is_some()
}

/// The bodies that a query selects; `None` when the session that it starts after does not exist.
pub(super) fn sessions(
    db: &Connection,
    query: &SessionQuery,
) -> Result<Option<Vec<String>>, StoreError> {
    let cursor = match &query.after {
        None => None,
        Some(id) => match cursor(db, id)? {
            None => return Ok(None),
            found => found,
        },
    };
    // Every title contains the empty text.
    let needle = query.search.as_deref().filter(|needle| !needle.is_empty());
    if let Some(needle) = needle {
        return search(db, query, cursor.as_ref(), needle, &EFFORT).map(Some);
    }
    let (sql, values) = select(
        "(SELECT body FROM session_body WHERE n = s.n)",
        query,
        cursor.as_ref(),
        Source::Index,
        query.limit,
    );
    let mut statement = db.prepare_cached(&sql)?;
    let bodies = statement.query_map(params_from_iter(values), |row| row.get(0))?;
    Ok(Some(bodies.collect::<Result<_, _>>()?))
}

fn cursor(db: &Connection, id: &SessionId) -> Result<Option<Cursor>, StoreError> {
    let mut statement =
        db.prepare_cached("SELECT n, created, updated FROM session WHERE id = ?1")?;
    let cursor = statement.query_row([id.as_str()], |row| {
        Ok(Cursor {
            n: row.get(0)?,
            created: row.get(1)?,
            updated: row.get(2)?,
        })
    });
    Ok(cursor.optional()?)
}

/// SQLite's integers are signed; nothing that is stored is larger than the largest of them.
fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The statement that reads the sessions of a query in order, and its parameters.
pub(super) fn select(
    columns: &str,
    query: &SessionQuery,
    cursor: Option<&Cursor>,
    source: Source<'_>,
    limit: Option<u64>,
) -> (String, Vec<Value>) {
    let (time, kind) = match query.order {
        SessionOrder::Used => ("updated", "used"),
        SessionOrder::Newest | SessionOrder::Oldest => ("created", "made"),
    };
    let (direction, behind) = match query.order {
        SessionOrder::Used | SessionOrder::Newest => ("DESC", "<"),
        SessionOrder::Oldest => ("ASC", ">"),
    };
    let mut terms = Terms::default();
    let from = match source {
        // Named, because the planner does not know which way ends first.
        Source::Index => format!("INDEXED BY {}_{kind}", index(query)),
        Source::Among(numbers) => {
            terms.add(
                "s.n IN (SELECT value FROM json_each(?))",
                [numbers.to_owned().into()],
            );
            "NOT INDEXED".to_owned()
        }
    };
    let (cursor, used_before) = narrower(query, cursor);
    if let Some(cursor) = cursor {
        let at = match query.order {
            SessionOrder::Used => cursor.updated,
            SessionOrder::Newest | SessionOrder::Oldest => cursor.created,
        };
        let term = format!("(s.{time}, s.n) {behind} (?, ?)");
        terms.add(&term, [at.into(), cursor.n.into()]);
    }
    if let Some(before) = used_before {
        terms.add("s.updated < ?", [before.into()]);
    }
    terms.filter(query);
    let sql = format!(
        "SELECT {columns} FROM session s {from} WHERE {} ORDER BY s.{time} {direction}, s.n {direction} LIMIT ?",
        terms.sql()
    );
    let mut values = terms.values;
    values.push(limit.map_or(i64::MAX, integer).into());
    (sql, values)
}

/// The index of a query without its last word. A directory lies in one project, so it selects more narrowly.
fn index(query: &SessionQuery) -> &'static str {
    match (&query.directory, &query.project) {
        (Some(_), _) => "session_directory",
        (None, Some(_)) => "session_project",
        (None, None) => "session",
    }
}

/// The one upper bound of the time of use that implies the other: SQLite begins the walk at one of two only, and
/// would walk from there to the other.
fn narrower<'a>(
    query: &SessionQuery,
    cursor: Option<&'a Cursor>,
) -> (Option<&'a Cursor>, Option<i64>) {
    let before = query.used_before.map(integer);
    match (query.order, cursor, before) {
        (SessionOrder::Used, Some(cursor), Some(before)) if before <= cursor.updated => {
            (None, Some(before))
        }
        (SessionOrder::Used, Some(cursor), Some(_)) => (Some(cursor), None),
        (_, cursor, before) => (cursor, before),
    }
}

/// The conditions of a statement with their parameters.
#[derive(Default)]
struct Terms {
    terms: Vec<String>,
    values: Vec<Value>,
}

impl Terms {
    fn add<const N: usize>(&mut self, term: &str, values: [Value; N]) {
        self.terms.push(term.to_owned());
        self.values.extend(values);
    }

    fn filter(&mut self, query: &SessionQuery) {
        if let Some(directory) = &query.directory {
            self.add("s.directory = ?", [directory.clone().into()]);
        }
        if let Some(project) = &query.project {
            self.add("s.project = ?", [project.clone().into()]);
        }
        if let Some(below) = query.below.as_ref().filter(|below| !below.is_empty()) {
            let start = format!("{below}/");
            let chars = i64::try_from(start.chars().count()).unwrap_or(i64::MAX);
            self.add(
                "(s.path = ? OR substr(s.path, 1, ?) = ?)",
                [below.clone().into(), chars.into(), start.into()],
            );
        }
        if query.roots {
            self.add("s.parent IS NULL", []);
        }
        if let Some(since) = query.used_since {
            self.add("s.updated >= ?", [integer(since).into()]);
        }
        if query.without_archived {
            self.add("s.archived IS NULL", []);
        }
    }

    fn sql(&self) -> String {
        if self.terms.is_empty() {
            "1".to_owned()
        } else {
            self.terms.join(" AND ")
        }
    }
}

/// A session and all below it, those furthest below first.
pub(super) fn family(db: &Connection, id: &SessionId) -> Result<Vec<SessionId>, StoreError> {
    let mut exists = db.prepare_cached("SELECT 1 FROM session WHERE id = ?1")?;
    if !exists.exists([id.as_str()])? {
        return Ok(Vec::new());
    }
    let mut below = db.prepare_cached("SELECT id FROM session WHERE parent = ?1")?;
    let mut family = vec![id.clone()];
    let mut known: HashSet<SessionId> = family.iter().cloned().collect();
    let mut next = 0;
    // Level by level. A session that is its own ancestor is met once.
    while let Some(parent) = family.get(next) {
        let children = below.query_map([parent.as_str()], |row| row.get::<_, String>(0))?;
        let children = children.collect::<Result<Vec<_>, _>>()?;
        for child in children {
            let child = super::reads::session_id(&child)?;
            if known.insert(child.clone()) {
                family.push(child);
            }
        }
        next += 1;
    }
    family.reverse();
    Ok(family)
}

/// How many sessions there are.
pub(super) fn count(db: &Connection) -> Result<u64, StoreError> {
    let mut count = db.prepare_cached("SELECT count(*) FROM session")?;
    Ok(count.query_row([], |row| row.get(0))?)
}

/// The bodies of a session's children, most recently used first.
pub(super) fn children(db: &Connection, id: &SessionId) -> Result<Vec<String>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT (SELECT body FROM session_body WHERE n = s.n)
         FROM session s WHERE parent = ?1 ORDER BY updated DESC, n DESC",
    )?;
    let bodies = statement.query_map(params![id.as_str()], |row| row.get(0))?;
    Ok(bodies.collect::<Result<_, _>>()?)
}

/// The sessions whose working directory is being brought to another state.
pub(super) fn restoring(db: &Connection) -> Result<Vec<SessionId>, StoreError> {
    let mut statement =
        db.prepare_cached("SELECT id FROM session WHERE restoring = 1 ORDER BY n")?;
    let mut rows = statement.query([])?;
    let mut ids = Vec::new();
    while let Some(row) = rows.next()? {
        ids.push(super::reads::session_id(&row.get::<_, String>(0)?)?);
    }
    Ok(ids)
}
