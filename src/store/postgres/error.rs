//! What a failure of PostgreSQL means to the caller.

use std::error::Error as _;
use std::io;

use deadpool_postgres::PoolError;
use tokio_postgres::error::{Severity, SqlState};

use crate::store::StoreError;

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        let text = text(&error);
        match error.code() {
            Some(code) if *code == SqlState::DISK_FULL => Self::ServerFull,
            Some(code) if may_pass(code.code()) => Self::Unavailable(text),
            Some(_) => Self::Database(text),
            None if is_lost(&error) => Self::Unavailable(text),
            None => Self::Database(text),
        }
    }
}

impl From<PoolError> for StoreError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => error.into(),
            PoolError::Closed => Self::Closed,
            PoolError::Timeout(_) => Self::Unavailable(
                "no connection to the database became free in time, or none could be made"
                    .to_owned(),
            ),
            other => Self::Database(other.to_string()),
        }
    }
}

/// Whether the same statement may succeed later, by its SQLSTATE, without anybody mending the database.
fn may_pass(code: &str) -> bool {
    match code {
        // Serialization and deadlock; a lock that was not got in time; a statement that took too long.
        "40001" | "40P01" | "55P03" | "57014" => true,
        // The server is being stopped, has crashed, or is being started.
        "57P01" | "57P02" | "57P03" | "57P05" | "25P03" => true,
        // A primary that has become a standby. Another system call than one for room has failed.
        "25006" | "58030" => true,
        // The connection; too many of them, or too little memory.
        _ => code.starts_with("08") || code.starts_with("53"),
    }
}

/// Whether it is the connection that has failed.
pub(super) fn is_lost(error: &tokio_postgres::Error) -> bool {
    let is_io = |error: &tokio_postgres::Error| {
        let source = error.source();
        source.is_some_and(|source| source.downcast_ref::<io::Error>().is_some())
    };
    error.is_closed() || is_io(error)
}

/// Whether the server itself has ended the connection with this error, so that nothing is known about what it was doing.
pub(super) fn ends_connection(error: &tokio_postgres::Error) -> bool {
    let severity = error
        .as_db_error()
        .and_then(|error| error.parsed_severity());
    severity != Some(Severity::Error)
}

/// What has failed, without the values that the server quotes in its details.
pub(super) fn text(error: &tokio_postgres::Error) -> String {
    if let Some(error) = error.as_db_error() {
        return format!("{} (SQLSTATE {})", error.message(), error.code().code());
    }
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
