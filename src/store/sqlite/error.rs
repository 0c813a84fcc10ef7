//! What a failure of SQLite means to the caller.

use rusqlite::{ErrorCode, ffi};

use crate::store::StoreError;

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let text = error.to_string();
        match &error {
            rusqlite::Error::SqliteFailure(failure, _) if failure.code == ErrorCode::DiskFull => {
                Self::Full(text)
            }
            rusqlite::Error::SqliteFailure(failure, _) if may_pass(*failure) => {
                Self::Unavailable(text)
            }
            _ => Self::Database(text),
        }
    }
}

/// Whether the same statement may succeed later, without anybody mending the file.
fn may_pass(failure: ffi::Error) -> bool {
    match failure.code {
        ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::ReadOnly
        | ErrorCode::CannotOpen => true,
        // A write beyond a limit of the file's size or a quota comes as one of these; what cannot be read is damaged.
        ErrorCode::SystemIoFailure => matches!(
            failure.extended_code,
            ffi::SQLITE_IOERR_WRITE
                | ffi::SQLITE_IOERR_FSYNC
                | ffi::SQLITE_IOERR_DIR_FSYNC
                | ffi::SQLITE_IOERR_TRUNCATE
                | ffi::SQLITE_IOERR_LOCK
                | ffi::SQLITE_IOERR_RDLOCK
                | ffi::SQLITE_IOERR_SHMOPEN
                | ffi::SQLITE_IOERR_SHMSIZE
                | ffi::SQLITE_IOERR_SHMLOCK
                | ffi::SQLITE_IOERR_SHMMAP
        ),
        _ => false,
    }
}
