//! Finds sessions by a part of their title.
//!
//! What a title contains is decided here and not by PostgreSQL, whose lower case depends on its locale. Titles are read in the
//! order of the list, which ends soon when many match. When few do, the index of grams says which ones can.

use deadpool_postgres::{ClientWrapper, Transaction};
use tokio_postgres::{IsolationLevel, Row};

use super::grams;
use super::list::{Cursor, Select, select, select_among};
use super::text::{body, unescaped};
use crate::store::{SessionOrder, SessionQuery, StoreError};

/// Titles that are read in the order of the list before the index is asked.
const WALK_ROWS: u64 = 100;
/// Titles that are read at once where the list goes on.
const PAGE_ROWS: u64 = 2_000;
/// Sessions that the index may name. Where it knows more, the list goes on: it finds enough of them soon.
const CANDIDATES: i64 = 2_000;

/// The bodies of the sessions of a query whose titles contain `needle`. All of it sees one state of the database.
pub(super) async fn search(
    db: &mut ClientWrapper,
    query: &SessionQuery,
    cursor: Option<Cursor>,
    needle: &str,
) -> Result<Vec<String>, StoreError> {
    let transaction = db
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    let limit = query.limit.and_then(|limit| usize::try_from(limit).ok());
    let mut search = Search {
        db: &transaction,
        query,
        needle: needle.to_lowercase(),
        limit: limit.unwrap_or(usize::MAX),
        found: Vec::new(),
    };
    if let Some(last) = search.walk(cursor, WALK_ROWS).await? {
        match search.candidates().await? {
            Some(candidates) => search.take_among(last, candidates).await?,
            None => {
                let mut last = Some(last);
                while last.is_some() {
                    last = search.walk(last, PAGE_ROWS).await?;
                }
            }
        }
    }
    let found = search.found;
    let sql = "SELECT b.body FROM unnest($1::bigint[]) WITH ORDINALITY AS found (n, place)
               JOIN baton.session_body b USING (n) ORDER BY place";
    let statement = transaction.prepare_cached(sql).await?;
    let rows = transaction.query(&statement, &[&found]).await?;
    let bodies = rows.iter().map(|row| body(row.try_get(0)?)).collect();
    transaction.commit().await?;
    bodies
}

/// The place of a session, and its title.
fn columns() -> String {
    format!("{}, s.title", Cursor::COLUMNS)
}

/// What is looked for, and what was found.
struct Search<'a> {
    db: &'a Transaction<'a>,
    query: &'a SessionQuery,
    needle: String,
    limit: usize,
    found: Vec<i64>,
}

impl Search<'_> {
    /// Takes the sessions whose titles match, from a place in the order on. Answers where to go on, if there may be more.
    async fn walk(
        &mut self,
        cursor: Option<Cursor>,
        rows_at_most: u64,
    ) -> Result<Option<Cursor>, StoreError> {
        let select = select(&columns(), self.query, cursor, Some(rows_at_most));
        let rows = self.rows(&select).await?;
        self.take(&rows);
        let all_read = (rows.len() as u64) < rows_at_most;
        match rows.last() {
            Some((last, _)) if !all_read && self.found.len() < self.limit => Ok(Some(*last)),
            _ => Ok(None),
        }
    }

    /// Takes the sessions whose titles match, of some that come after a place in the order.
    async fn take_among(&mut self, cursor: Cursor, among: Vec<i64>) -> Result<(), StoreError> {
        let select = select_among(&columns(), self.query, Some(cursor), among);
        let mut rows = self.rows(&select).await?;
        rows.sort_unstable_by_key(|(place, _)| match self.query.order {
            SessionOrder::Used => (place.updated, place.n),
            SessionOrder::Newest | SessionOrder::Oldest => (place.created, place.n),
        });
        if self.query.order != SessionOrder::Oldest {
            rows.reverse();
        }
        self.take(&rows);
        Ok(())
    }

    async fn rows(&self, select: &Select) -> Result<Vec<(Cursor, String)>, StoreError> {
        let statement = self.db.prepare_cached(&select.sql).await?;
        let rows = self.db.query(&statement, &select.values()).await?;
        let read = |row: &Row| Ok((Cursor::of(row)?, unescaped(row.try_get(3)?)));
        rows.iter().map(read).collect()
    }

    fn take(&mut self, rows: &[(Cursor, String)]) {
        for (place, title) in rows {
            if self.found.len() < self.limit && title.to_lowercase().contains(&self.needle) {
                self.found.push(place.n);
            }
        }
    }

    /// The sessions that the index names: every one whose title contains the text is among them. `None` when there are too
    /// many.
    async fn candidates(&self) -> Result<Option<Vec<i64>>, StoreError> {
        let sql = "SELECT n FROM baton.session_title WHERE grams @> $1 LIMIT $2";
        let statement = self.db.prepare_cached(sql).await?;
        let wanted = grams::of_needle(&self.needle);
        let rows = self
            .db
            .query(&statement, &[&wanted, &(CANDIDATES + 1)])
            .await?;
        if rows.len() as i64 > CANDIDATES {
            return Ok(None);
        }
        let numbers = rows.iter().map(|row| Ok(row.try_get(0)?));
        numbers.collect::<Result<_, StoreError>>().map(Some)
    }
}
