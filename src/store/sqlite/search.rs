//! Finds sessions by a part of their title.
//!
//! What a title contains is decided here and not by SQLite, whose lower case knows only ASCII. Titles are read in the
//! order of the list, which ends soon when many match. When few do, the index of trigrams tells which ones can.

use rusqlite::{Connection, Rows, params, params_from_iter};

use super::list::{Cursor, Source, select};
use crate::store::{SessionQuery, StoreError};

/// When the index is asked, and how much is made of its answer.
pub(super) struct Effort {
    /// Titles that are read in the order of the list before the index is asked.
    pub(super) walk_rows: usize,
    /// Sessions that the index may name. Where it knows more, the list goes on: it finds enough of them soon.
    pub(super) candidates: usize,
}

/// The effort of a search: each step takes a few milliseconds at most.
pub(super) const EFFORT: Effort = Effort {
    walk_rows: 2_000,
    candidates: 2_000,
};
/// Characters in an entry of the index.
const GRAM_CHARS: usize = 3;
/// Entries of the index that a search asks for.
const GRAMS_AT_MOST: usize = 16;
/// Puts a title into the index.
pub(super) const INSERT_TITLE: &str = "INSERT INTO session_title (rowid, title) VALUES (?1, ?2)";

/// A title as it stands in the index. SQLite takes a NUL for the end of a text.
pub(super) fn indexed(title: &str) -> String {
    title.to_lowercase().replace('\0', "\u{1}")
}

/// The bodies of the sessions of a query whose titles contain `needle`.
pub(super) fn search(
    db: &Connection,
    query: &SessionQuery,
    cursor: Option<&Cursor>,
    needle: &str,
    effort: &Effort,
) -> Result<Vec<String>, StoreError> {
    let wanted = Wanted {
        needle: needle.to_lowercase(),
        limit: query
            .limit
            .and_then(|limit| usize::try_from(limit).ok())
            .unwrap_or(usize::MAX),
    };
    // The limit counts sessions that match, not those that are looked at.
    let (sql, values) = select("s.n, s.title", query, cursor, Source::Index, None);
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut found = Vec::new();
    if !wanted.take(&mut rows, &mut found, effort.walk_rows)? {
        match candidates(db, &wanted.needle, effort.candidates)? {
            Some(candidates) => {
                found.clear();
                let (sql, values) = select(
                    "s.n, s.title",
                    query,
                    cursor,
                    Source::Among(&candidates),
                    None,
                );
                let mut statement = db.prepare_cached(&sql)?;
                let mut rows = statement.query(params_from_iter(values))?;
                wanted.take(&mut rows, &mut found, usize::MAX)?;
            }
            None => {
                wanted.take(&mut rows, &mut found, usize::MAX)?;
            }
        }
    }
    let mut body = db.prepare_cached("SELECT body FROM session_body WHERE n = ?1")?;
    let bodies = found.iter().map(|n| body.query_row([n], |row| row.get(0)));
    Ok(bodies.collect::<Result<_, _>>()?)
}

/// What is looked for, and how much of it.
struct Wanted {
    needle: String,
    limit: usize,
}

impl Wanted {
    /// Takes the sessions whose titles match. False when there are more rows than it was to look at.
    fn take(
        &self,
        rows: &mut Rows<'_>,
        found: &mut Vec<i64>,
        rows_at_most: usize,
    ) -> Result<bool, StoreError> {
        for _ in 0..rows_at_most {
            if found.len() >= self.limit {
                return Ok(true);
            }
            let Some(row) = rows.next()? else {
                return Ok(true);
            };
            let title = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
            if title.to_lowercase().contains(&self.needle) {
                found.push(row.get(0)?);
            }
        }
        Ok(found.len() >= self.limit)
    }
}

/// The sessions that the index names, as a JSON array of their numbers: every one whose title contains the text is
/// among them. `None` when the index cannot tell or names too many.
fn candidates(db: &Connection, lower: &str, at_most: usize) -> Result<Option<String>, StoreError> {
    let Some(expression) = expression(lower) else {
        return Ok(None);
    };
    let mut statement =
        db.prepare_cached("SELECT rowid FROM session_title WHERE session_title MATCH ?1")?;
    let mut rows = statement.query(params![expression])?;
    let mut numbers = Vec::new();
    while let Some(row) = rows.next()? {
        if numbers.len() == at_most {
            return Ok(None);
        }
        numbers.push(row.get::<_, i64>(0)?.to_string());
    }
    Ok(Some(format!("[{}]", numbers.join(","))))
}

/// The trigrams of a text as the index is asked for them; `None` for a text that is too short to have one.
fn expression(lower: &str) -> Option<String> {
    let chars: Vec<char> = indexed(lower).chars().collect();
    let grams = chars.windows(GRAM_CHARS);
    // Some of a long text's are enough to leave few candidates.
    let step = grams.len().div_ceil(GRAMS_AT_MOST).max(1);
    let quoted = |gram: &[char]| {
        let gram: String = gram.iter().collect();
        format!("\"{}\"", gram.replace('"', "\"\""))
    };
    let quoted: Vec<_> = grams.step_by(step).map(quoted).collect();
    (!quoted.is_empty()).then(|| quoted.join(" AND "))
}
