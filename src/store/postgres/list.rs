//! Lists of sessions: each is a walk over one index, which ends at the limit.

use std::collections::HashSet;

use deadpool_postgres::ClientWrapper;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::changes::Parameter;
use super::reads::{bodies, rows, session_id};
use super::search;
use super::text::{body, escaped, integer};
use crate::opencode::SessionId;
use crate::store::{SessionOrder, SessionQuery, StoreError};

/// Where a page begins: after this session.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor {
    pub(super) n: i64,
    pub(super) created: i64,
    pub(super) updated: i64,
}

impl Cursor {
    /// What it is read from.
    pub(super) const COLUMNS: &str = "s.n, s.created, s.updated";

    /// Of a row that begins with these columns.
    pub(super) fn of(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            n: row.try_get(0)?,
            created: row.try_get(1)?,
            updated: row.try_get(2)?,
        })
    }
}

/// The bodies that a query selects; `None` when the session that it starts after does not exist.
pub(super) async fn sessions(
    db: &mut ClientWrapper,
    query: &SessionQuery,
) -> Result<Option<Vec<String>>, StoreError> {
    let cursor = match &query.after {
        None => None,
        Some(id) => {
            let sql = format!(
                "SELECT {} FROM baton.session s WHERE s.id = $1",
                Cursor::COLUMNS
            );
            match rows(db, &sql, &[&id.as_str()]).await?.first() {
                None => return Ok(None),
                Some(row) => Some(Cursor::of(row)?),
            }
        }
    };
    // Every title contains the empty text.
    let needle = query.search.as_deref().filter(|needle| !needle.is_empty());
    if let Some(needle) = needle {
        return search::search(db, query, cursor, needle).await.map(Some);
    }
    let columns = "(SELECT body FROM baton.session_body b WHERE b.n = s.n)";
    let select = select(columns, query, cursor, query.limit);
    let statement = db.prepare_cached(&select.sql).await?;
    let rows = db.query(&statement, &select.values()).await?;
    let bodies = rows.iter().map(|row| body(row.try_get(0)?));
    bodies.collect::<Result<_, _>>().map(Some)
}

/// A statement with its values.
#[derive(Default)]
pub(super) struct Select {
    pub(super) sql: String,
    terms: Vec<String>,
    values: Vec<Parameter<'static>>,
}

impl Select {
    /// The values, in order.
    pub(super) fn values(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.values
            .iter()
            .map(|value| &**value as &(dyn ToSql + Sync))
            .collect()
    }

    /// The place of a new value in the statement.
    fn value(&mut self, value: impl ToSql + Sync + Send + 'static) -> usize {
        self.values.push(Box::new(value));
        self.values.len()
    }

    /// The conditions of a query behind a session.
    fn behind(&mut self, query: &SessionQuery, cursor: Option<Cursor>) {
        let (cursor, used_before) = narrower(query, cursor);
        if let Some(cursor) = cursor {
            let behind = match query.order {
                SessionOrder::Used | SessionOrder::Newest => "<",
                SessionOrder::Oldest => ">",
            };
            let at = match query.order {
                SessionOrder::Used => cursor.updated,
                SessionOrder::Newest | SessionOrder::Oldest => cursor.created,
            };
            let (at, n) = (self.value(at), self.value(cursor.n));
            let time = time(query);
            self.terms
                .push(format!("(s.{time}, s.n) {behind} (${at}, ${n})"));
        }
        if let Some(before) = used_before {
            let at = self.value(before);
            self.terms.push(format!("s.updated < ${at}"));
        }
        self.filter(query);
    }

    fn terms(&self) -> String {
        match self.terms.is_empty() {
            true => "true".to_owned(),
            false => self.terms.join(" AND "),
        }
    }

    fn filter(&mut self, query: &SessionQuery) {
        // The first condition of each is the one of an index.
        for (column, text) in [("directory", &query.directory), ("project", &query.project)] {
            if let Some(text) = text {
                let at = self.value(escaped(text).into_owned());
                self.terms.push(format!(
                    "left(s.{column}, 600) = left(${at}, 600) AND s.{column} = ${at}"
                ));
            }
        }
        if let Some(below) = query.below.as_ref().filter(|below| !below.is_empty()) {
            let at = self.value(escaped(below).into_owned());
            let term = format!("(s.path = ${at} OR starts_with(s.path, ${at} || '/'))");
            self.terms.push(term);
        }
        if query.roots {
            self.terms.push("s.parent IS NULL".to_owned());
        }
        if let Some(since) = query.used_since {
            let at = self.value(integer(since));
            self.terms.push(format!("s.updated >= ${at}"));
        }
        if query.without_archived {
            self.terms.push("s.archived IS NULL".to_owned());
        }
    }
}

/// The one upper bound of the time of use that implies the other: a walk begins at one of two only, and would go from there to
/// the other.
fn narrower(query: &SessionQuery, cursor: Option<Cursor>) -> (Option<Cursor>, Option<i64>) {
    let before = query.used_before.map(integer);
    match (query.order, cursor, before) {
        (SessionOrder::Used, Some(cursor), Some(before)) if before <= cursor.updated => {
            (None, Some(before))
        }
        (SessionOrder::Used, Some(cursor), Some(_)) => (Some(cursor), None),
        (_, cursor, before) => (cursor, before),
    }
}

/// The statement that reads the sessions of a query in order.
pub(super) fn select(
    columns: &str,
    query: &SessionQuery,
    cursor: Option<Cursor>,
    limit: Option<u64>,
) -> Select {
    let mut select = Select::default();
    select.behind(query, cursor);
    let limit = select.value(limit.map_or(i64::MAX, integer));
    let terms = select.terms();
    let (time, direction) = (time(query), direction(query));
    select.sql = format!(
        "SELECT {columns} FROM baton.session s WHERE {terms} ORDER BY s.{time} {direction}, s.n {direction} LIMIT ${limit}"
    );
    select
}

/// The statement that reads those of a query that are among some, in no order.
pub(super) fn select_among(
    columns: &str,
    query: &SessionQuery,
    cursor: Option<Cursor>,
    among: Vec<i64>,
) -> Select {
    let mut select = Select::default();
    let at = select.value(among);
    select.terms.push(format!("s.n = ANY (${at})"));
    select.behind(query, cursor);
    select.sql = format!(
        "SELECT {columns} FROM baton.session s WHERE {}",
        select.terms()
    );
    select
}

/// By which time a query orders.
fn time(query: &SessionQuery) -> &'static str {
    match query.order {
        SessionOrder::Used => "updated",
        SessionOrder::Newest | SessionOrder::Oldest => "created",
    }
}

/// And which way.
fn direction(query: &SessionQuery) -> &'static str {
    match query.order {
        SessionOrder::Used | SessionOrder::Newest => "DESC",
        SessionOrder::Oldest => "ASC",
    }
}

/// A session and all below it, those furthest below first.
pub(super) async fn family(
    db: &mut ClientWrapper,
    id: &SessionId,
) -> Result<Vec<SessionId>, StoreError> {
    let mut family = Vec::new();
    let mut known = HashSet::new();
    let mut level = rows(
        db,
        "SELECT id FROM baton.session WHERE id = $1",
        &[&id.as_str()],
    )
    .await?;
    // Level by level. A session that is its own ancestor is met once.
    while !level.is_empty() {
        let mut parents = Vec::new();
        for row in &level {
            let id = session_id(row.try_get(0)?)?;
            if known.insert(id.clone()) {
                parents.push(id.to_string());
                family.push(id);
            }
        }
        let sql =
            "SELECT id FROM baton.session WHERE parent = ANY ($1) ORDER BY parent, updated, n";
        level = rows(db, sql, &[&parents]).await?;
    }
    family.reverse();
    Ok(family)
}

/// How many sessions there are.
pub(super) async fn count(db: &ClientWrapper) -> Result<u64, StoreError> {
    let rows = rows(db, "SELECT count(*) FROM baton.session", &[]).await?;
    let count = rows.first().map(|row| row.try_get(0)).transpose()?;
    Ok(count.map_or(0, super::text::natural))
}

/// The bodies of a session's children, most recently used first.
pub(super) async fn children(
    db: &ClientWrapper,
    id: &SessionId,
) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT (SELECT body FROM baton.session_body b WHERE b.n = s.n)
               FROM baton.session s WHERE parent = $1 ORDER BY updated DESC, n DESC";
    bodies(db, sql, &[&id.as_str()]).await
}

/// The sessions whose working directory is being brought to another state.
pub(super) async fn restoring(db: &ClientWrapper) -> Result<Vec<SessionId>, StoreError> {
    let rows = rows(
        db,
        "SELECT id FROM baton.session WHERE restoring ORDER BY n",
        &[],
    )
    .await?;
    rows.iter().map(|row| session_id(row.try_get(0)?)).collect()
}
