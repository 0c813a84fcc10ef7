//! Files of a working directory: read, listed, found by name and by content.
//!
//! Everything here blocks, and is called through [`run`], which bounds how many of these calls run at a time and
//! ends one whose caller has gone away. Nothing outside of the directory is read: a path is resolved first,
//! symlinks included, and has to be inside; then it is opened relative to the open directory in a way (openat2
//! with RESOLVE_BENEATH, through `cap-std`) that fails if it leads out by then.

mod find;
mod open;
mod search;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

pub use find::{Names, Wanted, find};
pub use open::{FileBytes, Root};
pub use search::search;

/// Calls that run at the same time, in the whole process.
const AT_ONCE: usize = 4;
/// How long a call may take. A search that takes longer gives what it has found until then.
const TIME: Duration = Duration::from_secs(10);

static RUNNING: Semaphore = Semaphore::const_new(AT_ONCE);

/// Why a file cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is not there.
    #[error("There is no {0} in the directory")]
    NotFound(String),
    /// It leads out of the directory.
    #[error("{0} leads out of the directory")]
    Outside(String),
    /// It is no regular file: a folder, a pipe, a device.
    #[error("{0} is not a regular file")]
    NotAFile(String),
    /// It is no folder.
    #[error("{0} is not a directory")]
    NotADirectory(String),
    /// It is larger than may be read.
    #[error("{path} is larger than {max_bytes} bytes")]
    TooLarge {
        /// Which.
        path: String,
        /// How large it may be.
        max_bytes: u64,
    },
    /// The path cannot be one, such as one with a NUL.
    #[error("{0} cannot be a path")]
    Invalid(String),
    /// It is no text.
    #[error("Cannot read binary file: {0}")]
    NotText(String),
    /// The pattern is no regular expression.
    #[error("The pattern is no regular expression: {0}")]
    Pattern(String),
    /// The system refuses.
    #[error("{path} cannot be read: {error}")]
    Io {
        /// Which.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// The call itself has failed.
    #[error("{0}")]
    Internal(String),
}

/// Says to a call that it shall end: its time is over, or nobody waits for it.
#[derive(Debug, Clone)]
pub struct Deadline {
    gone: Arc<AtomicBool>,
    until: Instant,
}

impl Deadline {
    /// Whether to end now.
    pub fn is_over(&self) -> bool {
        self.gone.load(Ordering::Relaxed) || Instant::now() >= self.until
    }

    #[cfg(test)]
    fn far() -> Self {
        Self {
            gone: Arc::default(),
            until: Instant::now() + TIME,
        }
    }
}

/// Raises the flag when the caller drops its future.
struct Gone(Arc<AtomicBool>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs a blocking call in a directory.
///
/// # Errors
/// What the call fails with, or that there is no such directory.
pub async fn run<T: Send + 'static>(
    directory: &str,
    call: impl FnOnce(&Root, &Deadline) -> Result<T, FileError> + Send + 'static,
) -> Result<T, FileError> {
    let internal = |error: &dyn std::fmt::Display| FileError::Internal(error.to_string());
    // The semaphore is never closed.
    let permit = RUNNING.acquire().await.map_err(|e| internal(&e))?;
    let gone = Gone(Arc::default());
    let deadline = Deadline {
        gone: Arc::clone(&gone.0),
        until: Instant::now() + TIME,
    };
    let directory = directory.to_owned();
    let task = tokio::task::spawn_blocking(move || {
        // Held until the call has really ended, also when nobody waits for it any more.
        let _permit = permit;
        call(&Root::open(&directory)?, &deadline)
    });
    task.await.map_err(|e| internal(&e))?
}

#[cfg(test)]
mod tests;
