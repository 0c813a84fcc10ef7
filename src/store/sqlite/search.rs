//! Finds sessions by a part of their title.
//!
//! What a title contains is decided here and not by SQLite, whose lower case knows only ASCII. Titles are read in the
//! order of the list, which ends soon when many match. When few do, the index of trigrams says which ones can.

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
    walk_rows: 100,
    candidates: 2_000,
};
/// Characters in an entry of the index.
const GRAM_CHARS: usize = 3;
/// Entries of the index that a search for a long text asks for: some are enough to leave few candidates.
const GRAMS_AT_MOST: usize = 16;
/// Entries of the index that may begin with a short text. Where more do, enough sessions match.
const BEGINNINGS_AT_MOST: usize = 64;
/// Follows a title in the index, so that an entry begins with each of its characters, also with the last two.
const END: &str = "\u{2}\u{2}";
/// So many titles may wait for the index: it takes them in together, in a few milliseconds.
const RETITLED_AT_MOST: u64 = 256;
/// Notes that the index lacks a title.
pub(super) const RETITLED: &str = "INSERT OR IGNORE INTO session_retitled (n) VALUES (?1)";
/// Puts a title into the index.
pub(super) const INSERT_TITLE: &str = "INSERT INTO session_title (rowid, title) VALUES (?1, ?2)";

/// A title as the index has it.
pub(super) fn indexed(title: &str) -> String {
    tokenized(&title.to_lowercase()) + END
}

/// A text as SQLite's tokenizer reads it: a NUL would end it. Texts that then look the same are compared afterwards.
fn tokenized(text: &str) -> String {
    text.replace('\0', "\u{1}")
        .replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

/// Whether the index lacks more titles than it should.
pub(super) fn lacks_many(db: &Connection) -> Result<bool, StoreError> {
    let sql = "SELECT count(*) FROM (SELECT 1 FROM session_retitled LIMIT ?1)";
    let mut statement = db.prepare_cached(sql)?;
    let count: u64 = statement.query_row(params![RETITLED_AT_MOST], |row| row.get(0))?;
    Ok(count == RETITLED_AT_MOST)
}

/// Puts titles that the index lacks into it, within a transaction of the caller's.
pub(super) fn take_in(db: &Connection) -> Result<(), StoreError> {
    let sql = "DELETE FROM session_title WHERE rowid IN (SELECT n FROM session_retitled)";
    db.prepare_cached(sql)?.execute([])?;
    let mut lacking =
        db.prepare_cached("SELECT n, title FROM session_retitled JOIN session USING (n)")?;
    let mut insert = db.prepare_cached(INSERT_TITLE)?;
    let mut rows = lacking.query([])?;
    while let Some(row) = rows.next()? {
        let (n, title): (i64, String) = (row.get(0)?, row.get(1)?);
        insert.execute(params![n, indexed(&title)])?;
    }
    db.prepare_cached("DELETE FROM session_retitled")?
        .execute([])?;
    Ok(())
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

/// The sessions that the index names, and those whose titles it lacks, as a JSON array of their numbers: every one whose
/// title contains the text is among them. `None` when the index cannot say or names too many.
fn candidates(db: &Connection, lower: &str, at_most: usize) -> Result<Option<String>, StoreError> {
    let text = tokenized(lower);
    let grams = trigrams(&text);
    let expression = if grams.is_empty() {
        let Some(grams) = beginnings(db, &text)? else {
            return Ok(None);
        };
        grams.join(" OR ")
    } else {
        grams.join(" AND ")
    };
    let mut numbers = Vec::new();
    let mut take = |mut rows: Rows<'_>| -> Result<bool, StoreError> {
        while let Some(row) = rows.next()? {
            if numbers.len() == at_most {
                return Ok(false);
            }
            numbers.push(row.get::<_, i64>(0)?.to_string());
        }
        Ok(true)
    };
    let mut lacking = db.prepare_cached("SELECT n FROM session_retitled")?;
    let mut known =
        db.prepare_cached("SELECT rowid FROM session_title WHERE session_title MATCH ?1")?;
    let all = take(lacking.query([])?)?
        && (expression.is_empty() || take(known.query(params![expression])?)?);
    Ok(all.then(|| format!("[{}]", numbers.join(","))))
}

/// Some of the trigrams of a text, all of which its titles have; none for a text that is too short.
fn trigrams(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let grams = chars.windows(GRAM_CHARS);
    let step = grams.len().div_ceil(GRAMS_AT_MOST).max(1);
    grams
        .step_by(step)
        .map(|gram| quoted(&gram.iter().collect::<String>()))
        .collect()
}

/// The trigrams in the index that begin with a short text, one of which its titles have; `None` when there are too
/// many.
fn beginnings(db: &Connection, text: &str) -> Result<Option<Vec<String>>, StoreError> {
    let last = format!("{text}{0}{0}", char::MAX);
    let mut statement =
        db.prepare_cached("SELECT term FROM session_gram WHERE term >= ?1 AND term <= ?2")?;
    let mut rows = statement.query(params![text, last])?;
    let mut grams = Vec::new();
    while let Some(row) = rows.next()? {
        if grams.len() == BEGINNINGS_AT_MOST {
            return Ok(None);
        }
        grams.push(quoted(&row.get::<_, String>(0)?));
    }
    Ok(Some(grams))
}

/// A text as a string of a search expression.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}
