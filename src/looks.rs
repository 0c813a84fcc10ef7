//! A look at a directory, for no more than what a name refers to and whether it exists.
//!
//! Every request names a directory, and one on a share whose server is gone never answers. So a look runs in a lane
//! of its directory and is waited for no longer than [`TIME`]; the threads that hang are few, and others are not
//! concerned.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use crate::lanes::Lanes;

/// Looks at the same time in one directory.
const AT_ONCE: usize = 4;
/// Threads in one directory, those included that hang.
const THREADS: usize = 8;
/// The same in all directories. The runtime has 512 threads for all that blocks.
const ALL_THREADS: usize = 128;
/// How long a look waits for others in the same directory.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long one is waited for.
pub const TIME: Duration = Duration::from_secs(5);

static LANES: LazyLock<Lanes<PathBuf>> =
    LazyLock::new(|| Lanes::new(AT_ONCE, THREADS, ALL_THREADS));

/// Makes a short blocking call about a directory.
///
/// # Errors
/// When it does not come back within [`TIME`] (`TimedOut`).
pub async fn at<T: Send + 'static>(
    directory: impl AsRef<Path>,
    call: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    within(TIME, directory, call).await
}

/// Makes a blocking call about a directory which may take longer.
///
/// # Errors
/// When it does not come back in time (`TimedOut`).
pub async fn within<T: Send + 'static>(
    time: Duration,
    directory: impl AsRef<Path>,
    call: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let lane = directory.as_ref().to_owned();
    let looked = LANES.block(&lane, PATIENCE, time, call).await;
    looked.map_err(|error| {
        let message = format!("{} cannot be read now: {error}", lane.display());
        io::Error::new(error.kind(), message)
    })
}

/// Whether it is a directory.
///
/// # Errors
/// When it does not answer.
pub async fn is_directory(path: impl AsRef<Path>) -> io::Result<bool> {
    let path = path.as_ref().to_owned();
    at(path.clone(), move || path.is_dir()).await
}

/// The directory without links.
///
/// # Errors
/// When it is not there, or does not answer.
pub async fn resolved(directory: &Path) -> io::Result<PathBuf> {
    let path = directory.to_owned();
    at(directory, move || path.canonicalize()).await?
}
