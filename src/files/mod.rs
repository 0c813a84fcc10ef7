//! Files of a working directory: read, listed, found by name and by content.
//!
//! Everything here blocks, and is called through [`run`], which bounds how many of these calls run at a time in a
//! directory, ends one whose caller has gone away, and does not wait for one that hangs. Nothing outside of the directory is read: a path is resolved first,
//! symlinks included, and has to be inside; then it is opened relative to the open directory in a way (openat2
//! with RESOLVE_BENEATH, through `cap-std`) that fails if it leads out by then.

mod find;
#[cfg(test)]
mod fuzz;
mod limits;
mod open;
mod rules;
mod search;
mod walk;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use crate::lanes::{LaneError, Lanes};

pub use find::{Names, Wanted, find, not_ignored};
pub use limits::{FileLimits, limit};
pub use open::{FileBytes, Root};
pub use search::search;

/// Calls of one kind that run at the same time in one directory.
const AT_ONCE: usize = 2;
/// Threads of one kind in one directory, those included that hang in a file system that does not answer.
const THREADS: usize = 6;
/// The same in all directories. The runtime has 512 threads for all that blocks.
const ALL_THREADS: usize = 192;
/// How long a call waits for others in the same directory.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much longer than its time a call is waited for: it looks at the clock only now and then.
const GRACE: Duration = Duration::from_secs(2);

/// What is waited for in a directory. A file is read at once although searches go through thousands of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Work {
    /// One file or folder.
    One,
    /// All that there is.
    Search,
}

static LANES: LazyLock<Lanes<(String, Work)>> =
    LazyLock::new(|| Lanes::new(AT_ONCE, THREADS, ALL_THREADS));

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is not there.
    #[error("There is no {0} in the directory")]
    NotFound(String),
    /// It leads out of the directory.
    #[error("{0} leads out of the directory")]
    Outside(String),
    /// It is not a regular file: a folder, a pipe, a device.
    #[error("{0} is not a regular file")]
    NotAFile(String),
    /// It belongs to the system or to Baton itself, and is never read.
    #[error(
        "{0} lies on a pseudo file system like /proc, or in Baton's own data, and is not served"
    )]
    Withheld(String),
    /// It is not a folder.
    #[error("{0} is not a directory")]
    NotADirectory(String),
    /// It is larger than may be read.
    #[error("{path} is larger than {max_bytes} bytes (limits.file_bytes)")]
    TooLarge {
        /// Which.
        path: String,
        /// How large it may be.
        max_bytes: u64,
    },
    /// The path cannot be one, such as one with a NUL.
    #[error("{0} cannot be a path")]
    Invalid(String),
    /// It is not text.
    #[error("Cannot read binary file: {0}")]
    NotText(String),
    /// The pattern is not a regular expression.
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
    /// Nothing was done, or what was done has not come back.
    #[error("{directory} cannot be read now: {error}")]
    Lane {
        /// Where.
        directory: String,
        /// Why.
        error: LaneError,
    },
}

/// Tells a call to end: its time is over, or it is no longer awaited.
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
            until: Instant::now() + limits::limits().search,
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
/// The call's own error; that there is no such directory; that it does not answer.
pub async fn run<T: Send + 'static>(
    directory: &str,
    work: Work,
    call: impl FnOnce(&Root, &Deadline) -> Result<T, FileError> + Send + 'static,
) -> Result<T, FileError> {
    let opened = directory.to_owned();
    block(directory, work, move |deadline| {
        call(&Root::open(&opened)?, deadline)
    })
    .await?
}

/// The same where the directory is not opened.
///
/// # Errors
/// That the directory does not answer, or too much is being done there.
pub async fn block<T: Send + 'static>(
    directory: &str,
    work: Work,
    call: impl FnOnce(&Deadline) -> T + Send + 'static,
) -> Result<T, FileError> {
    let gone = Gone(Arc::default());
    let flag = Arc::clone(&gone.0);
    let lane = (directory.to_owned(), work);
    let time = limits::limits().search;
    let called = LANES.block(&lane, PATIENCE, time + GRACE, move || {
        let until = Instant::now() + time;
        call(&Deadline { gone: flag, until })
    });
    let (directory, _) = &lane;
    called.await.map_err(|error| FileError::Lane {
        directory: directory.clone(),
        error,
    })
}

#[cfg(test)]
mod tests;
