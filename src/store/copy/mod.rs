//! Moves everything from one store to another, table by table in the order of the keys, in bounded memory.
//!
//! How far it has come is noted in the target, in the transaction of the rows that came with it: so it goes on where it was
//! interrupted. At the end both are read once more and compared.

mod end;
mod postgres;
mod sqlite;
mod table;

use std::ops::ControlFlow;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::data_dir::DataDirError;
use super::postgres::StoreUrl;
use super::{Store, StoreError};
use end::End;
use table::{Digest, Page, TABLES, Table};

/// The setting of a target that is not whole yet.
const NOTE: &str = "copy";

/// One end of a copy.
#[derive(Debug, Clone)]
pub enum Place {
    /// A data directory.
    Directory(PathBuf),
    /// A database.
    Database(Box<StoreUrl>),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Directory(path) => path.display().fmt(f),
            Self::Database(url) => url.fmt(f),
        }
    }
}

/// Why a copy was not made, as a sentence for the user.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// There is nothing to copy.
    #[error("there is no database in {0}")]
    Nothing(String),
    /// Both are the same.
    #[error("both are {0}")]
    Same(String),
    /// One of them cannot be read or written.
    #[error("{0}: {1}")]
    Store(String, StoreError),
    /// The target is something else's.
    #[error("{0} is not empty: {1}. Copy into a new one")]
    NotEmpty(String, String),
    /// What was copied is not what is there.
    #[error(
        "{0} is not the same in both: {1} and {2}. Empty the target, and copy again while no server runs on either"
    )]
    Differs(&'static str, Sum, Sum),
    /// Whoever was told how far it has come has stopped it.
    #[error("it was interrupted; copy again to go on")]
    Interrupted,
}

/// How far it has come.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// The table.
    pub table: &'static str,
    /// Its rows that were copied in this run.
    pub rows: u64,
}

/// What a table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sum {
    /// Its rows.
    pub rows: u64,
    /// Of all that is in them, in whatever order.
    pub checksum: u64,
}

impl std::fmt::Display for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} rows with the checksum {:016x}",
            self.rows, self.checksum
        )
    }
}

/// How far a copy has come, as the target has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Note {
    /// What is copied.
    from: String,
    /// The table that is being copied.
    table: String,
    /// The key of the last row that was.
    last: Option<Vec<table::Value>>,
}

/// Whether a store is the target of a copy that was not finished: what it is a copy of.
///
/// # Errors
/// When it cannot be read.
pub async fn is_unfinished(store: &dyn Store) -> Result<Option<String>, StoreError> {
    let note = store.setting(NOTE).await?;
    Ok(note.map(|note| {
        let note = serde_json::from_str::<Note>(&note);
        note.map_or_else(|_| "another store".to_owned(), |note| note.from)
    }))
}

/// Copies everything, or goes on with that. `tell` hears of each page, and may stop it. Answers what each table holds, in both.
///
/// # Errors
/// See [`CopyError`].
pub async fn copy(
    from: &Place,
    to: &Place,
    mut tell: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Vec<(&'static str, Sum)>, CopyError> {
    if from.to_string() == to.to_string() {
        return Err(CopyError::Same(from.to_string()));
    }
    let mut source = End::source(from).await?;
    let mut target = match End::target(to).await {
        Ok(target) => target,
        Err(error) => {
            source.close().await;
            return Err(error);
        }
    };
    let copied = run(&mut source, &mut target, (from, to), &mut tell).await;
    source.close().await;
    target.close().await;
    copied
}

async fn run(
    source: &mut End,
    target: &mut End,
    (from, to): (&Place, &Place),
    tell: &mut impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Vec<(&'static str, Sum)>, CopyError> {
    let reading = |error| CopyError::Store(from.to_string(), error);
    let writing = |error| CopyError::Store(to.to_string(), error);
    let note = target.note().await.map_err(writing)?;
    let (at, mut last) = match note {
        None => {
            for table in TABLES {
                let there = target.page(table, None).await.map_err(writing)?;
                if !there.rows.is_empty() {
                    let why = format!("there is something in its table {}", table.name);
                    return Err(CopyError::NotEmpty(to.to_string(), why));
                }
            }
            (0, None)
        }
        Some(note) if note.from == from.to_string() => {
            let at = TABLES.iter().position(|table| table.name == note.table);
            (at.unwrap_or(0), note.last)
        }
        Some(note) => {
            let why = format!("a copy of {} was begun there", note.from);
            return Err(CopyError::NotEmpty(to.to_string(), why));
        }
    };
    for table in TABLES.iter().skip(at) {
        let mut progress = Progress {
            table: table.name,
            rows: 0,
        };
        loop {
            let page = source.page(table, last.as_deref()).await.map_err(reading)?;
            let Some(key) = page.last_key(table) else {
                break;
            };
            let note = Note {
                from: from.to_string(),
                table: table.name.to_owned(),
                last: Some(key.clone()),
            };
            target.write(table, &page, &note).await.map_err(writing)?;
            last = Some(key);
            progress.rows += page.rows.len() as u64;
            if tell(progress).is_break() {
                return Err(CopyError::Interrupted);
            }
        }
        last = None;
    }
    let mut sums = Vec::new();
    for table in TABLES {
        let there = sum(source, table).await.map_err(reading)?;
        let copied = sum(target, table).await.map_err(writing)?;
        if there != copied {
            return Err(CopyError::Differs(table.name, there, copied));
        }
        sums.push((table.name, copied));
    }
    target.finish().await.map_err(writing)?;
    Ok(sums)
}

/// What a table holds.
async fn sum(end: &mut End, table: &'static Table) -> Result<Sum, StoreError> {
    let (mut digest, mut last) = (Digest::default(), None);
    loop {
        let page: Page = end.page(table, last.as_deref()).await?;
        let Some(key) = page.last_key(table) else {
            return Ok(digest.sum());
        };
        page.rows.iter().for_each(|row| digest.add(row));
        last = Some(key);
    }
}
