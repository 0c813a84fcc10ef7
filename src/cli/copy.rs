//! `baton copy`: moves everything from a data directory into PostgreSQL, or back.

use std::io::{IsTerminal, Write, stderr};
use std::ops::ControlFlow;
use std::path::Path;

use clap::Args;

use super::table::table;
use crate::store::copy::{CopyError, Place, Progress, copy};
use crate::store::postgres::{StoreUrl, is_postgres};

/// What `baton copy` takes.
#[derive(Debug, Clone, Args)]
pub struct CopyArgs {
    /// What to copy: a data directory, or postgres://USER:PASSWORD@HOST/DATABASE
    #[arg(value_name = "FROM")]
    pub from: String,

    /// Where to: the other of the two. There must be nothing in it yet but what an interrupted copy has left
    #[arg(value_name = "TO")]
    pub to: String,
}

/// A data directory or a database, as it was given.
///
/// # Errors
/// What is wrong with it, as a sentence.
pub fn place(text: &str, directory: &Path) -> Result<Place, String> {
    if !is_postgres(text) {
        return Ok(Place::Directory(directory.join(text)));
    }
    let url = StoreUrl::parse(text)?.beside(directory);
    url.learn_secrets();
    Ok(Place::Database(Box::new(url)))
}

/// Copies everything. Answers what there is now.
///
/// # Errors
/// See [`CopyError`].
pub async fn run(from: &Place, to: &Place) -> Result<String, CopyError> {
    let shows = stderr().is_terminal();
    let tell = |progress: Progress| {
        if shows {
            // It is only for who looks.
            let _unseen = write!(stderr(), "\r\u{1b}[K{}: {}", progress.table, progress.rows);
        }
        ControlFlow::Continue(())
    };
    let sums = copy(from, to, tell).await;
    if shows {
        let _unseen = write!(stderr(), "\r\u{1b}[K");
    }
    let rows: Vec<_> = sums?
        .into_iter()
        .map(|(name, sum)| {
            vec![
                name.to_owned(),
                sum.rows.to_string(),
                format!("{:016x}", sum.checksum),
            ]
        })
        .collect();
    Ok(format!(
        "{}\n\nAll of {from} is in {to}, and both were read again and are the same.",
        table(&["TABLE", "ROWS", "CHECKSUM"], &rows, None).trim_end()
    ))
}
