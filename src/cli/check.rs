//! `baton check`: whether a data directory is whole, and `--repair`, which makes the best of it.

use std::fmt::Write;
use std::path::Path;

use clap::Args;

use super::DataDirArgs;
use crate::session;
use crate::store::StoreError;
use crate::store::data_dir::{self, DATABASE_FILE, DataDirError, Repair, store_elsewhere};
use crate::store::upkeep::{self, Finding};

/// Findings that are listed one by one.
const LISTED: usize = 100;

/// What `baton check` takes.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// Set aside what is damaged and accept what is there; no server may be running
    #[arg(long)]
    pub repair: bool,

    /// Of which data directory.
    #[command(flatten)]
    pub data: DataDirArgs,
}

/// What a check has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// For people.
    pub text: String,
    /// Nothing is wrong, or nothing any more.
    pub good: bool,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The database cannot be read at all.
    #[error("{0}. `baton check --repair` reads what can be read into a new one.")]
    Store(StoreError),
    /// There is none in the data directory.
    #[error(transparent)]
    Elsewhere(StoreError),
}

/// A database elsewhere looks after itself.
fn is_here(data_dir: &Path) -> Result<(), CheckError> {
    match store_elsewhere(data_dir) {
        Some(store) => Err(CheckError::Elsewhere(StoreError::Elsewhere(store))),
        None => Ok(()),
    }
}

/// Looks at a data directory, which a server may be using. Changes nothing. Blocks.
///
/// # Errors
/// When there is no database, or it cannot be read at all.
pub fn check(data_dir: &Path) -> Result<Report, CheckError> {
    is_here(data_dir)?;
    let doubt = data_dir::doubt(data_dir);
    let database = data_dir.join(DATABASE_FILE);
    let findings = match database.metadata().is_ok_and(|file| file.len() > 0) {
        true => upkeep::inspect(&database, session::check_body).map_err(CheckError::Store)?,
        false => Vec::new(),
    };
    let mut text = String::new();
    if let Some(doubt) = &doubt {
        line(&mut text, &format!("{doubt}."));
    }
    list(&mut text, &findings);
    let good = doubt.is_none() && findings.is_empty();
    line(
        &mut text,
        if good {
            "Everything is whole."
        } else {
            "`baton check --repair` sets aside what is damaged and goes on with the rest."
        },
    );
    Ok(Report { text, good })
}

/// Makes the best of what is there, and keeps a copy of what was. Blocks.
///
/// # Errors
/// When a server uses the directory, or it cannot be read or written.
pub fn repair(data_dir: &Path) -> Result<Report, CheckError> {
    is_here(data_dir)?;
    let Repair {
        doubt,
        findings,
        kept,
    } = data_dir::repair(data_dir, session::check_body)?;
    let mut text = String::new();
    if let Some(doubt) = doubt {
        line(&mut text, &format!("Accepted: {doubt}."));
    }
    list(&mut text, &findings);
    if let Some(kept) = kept {
        let kept = kept.display();
        line(&mut text, &format!("The database as it was is {kept}."));
    }
    line(&mut text, "The next start uses what is there.");
    Ok(Report { text, good: true })
}

fn list(text: &mut String, findings: &[Finding]) {
    for Finding {
        source,
        key,
        reason,
    } in findings.iter().take(LISTED)
    {
        line(text, &format!("{source} {key}: {reason}"));
    }
    if findings.len() > LISTED {
        let more = findings.len() - LISTED;
        line(text, &format!("… and {more} more"));
    }
}

fn line(text: &mut String, line: &str) {
    // Writing to a string never fails.
    let _written = writeln!(text, "{line}");
}
