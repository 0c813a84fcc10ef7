//! Brings the log back into the file, in a thread of its own, so that no commit waits for it.
//!
//! A passive checkpoint does not block writers and readers. The log begins anew when such a checkpoint has caught up with
//! the writer and no reader needs the log; under a load without a pause that never happens. Then, once the log has
//! become too large, the writer itself brings back the rest between two commits: one commit that waits is better than
//! a full disk. So the log has about [`RESTART_FRAMES`] pages at most, and what is written within one pass.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};
use rusqlite::Connection;

use super::connection::{self, BUSY_TIMEOUT, Role};
use crate::store::StoreError;

/// Pages of 4 KiB in the log from which on it is brought back: 8 MiB.
const CHECKPOINT_FRAMES: u64 = 2_048;
/// Pages in the log from which on the writer waits for it to begin anew: 64 MiB.
const RESTART_FRAMES: u64 = 16_384;
/// Pages by which it has to grow before that is tried again, after readers have prevented it: 16 MiB.
const RETRY_FRAMES: u64 = 4_096;
/// How long the writer waits for readers then, in milliseconds.
const RESTART_WAIT_MS: u64 = 200;
/// Bytes of the log's file that stay for the next round. It is larger only after a very large commit.
pub(super) const LOG_KEPT_BYTES: u64 = RESTART_FRAMES * 4_096;
/// Time between two looks at the log, in milliseconds.
const PAUSE_MS: u64 = 50;

/// The thread that does it, and what the two tell each other.
#[derive(Debug)]
pub(super) struct Checkpoints {
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// The writer has to make the log begin anew.
    overgrown: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    written: bool,
    stopped: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl Checkpoints {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the file cannot be opened or the system gives no thread.
    pub(super) fn start(path: &Path) -> Result<Self, StoreError> {
        let connection = connection::open(path, Role::Checkpoint)?;
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("baton-checkpoint".to_owned())
            .spawn(move || run(&connection, &theirs))
            .map_err(|error| StoreError::Database(error.to_string()))?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Tells that something was committed, and makes the log begin anew if it is time for that. Called by the writer
    /// between two transactions, with its own connection.
    pub(super) fn committed(&self, writer: &Connection) {
        if self.shared.overgrown.swap(false, Ordering::Relaxed)
            && let Err(error) = restart(writer)
        {
            tracing::debug!("the store's log could not begin anew: {error}");
        }
        // Only the first since the last look: the thread is not woken in its pause by each commit.
        let known = std::mem::replace(&mut self.shared.lock().written, true);
        if !known {
            self.shared.changed.notify_one();
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's checkpoint thread has panicked");
        }
    }
}

fn run(connection: &Connection, shared: &Shared) {
    let mut restart_from = RESTART_FRAMES;
    let mut failing = false;
    loop {
        let mut state = shared.lock();
        while !state.written && !state.stopped {
            shared.changed.wait(&mut state);
        }
        if state.stopped {
            return;
        }
        state.written = false;
        drop(state);

        match passive(connection) {
            Ok(frames) => {
                failing = false;
                if frames >= restart_from {
                    restart_from = frames + RETRY_FRAMES;
                    shared.overgrown.store(true, Ordering::Relaxed);
                } else if frames < RESTART_FRAMES {
                    restart_from = RESTART_FRAMES;
                }
            }
            Err(error) => {
                // Said once: a full disk stays full for a while.
                if !failing {
                    tracing::warn!("the store's log cannot be brought back into its file: {error}");
                }
                failing = true;
            }
        }
        let pause = Duration::from_millis(PAUSE_MS);
        let mut state = shared.lock();
        shared
            .changed
            .wait_while_for(&mut state, |state| !state.stopped, pause);
    }
}

/// Checkpoints as much of the log as is possible without waiting, if it is large enough. Answers the pages in it.
fn passive(connection: &Connection) -> Result<u64, StoreError> {
    let frames = checkpoint(connection, "NOOP")?;
    if frames < CHECKPOINT_FRAMES {
        return Ok(frames);
    }
    checkpoint(connection, "PASSIVE")
}

fn restart(writer: &Connection) -> Result<(), StoreError> {
    writer.busy_timeout(Duration::from_millis(RESTART_WAIT_MS))?;
    let result = checkpoint(writer, "RESTART");
    writer.busy_timeout(BUSY_TIMEOUT)?;
    result.map(|_frames| ())
}

/// Brings the whole log back and empties its file. For a connection that is alone, or may wait.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn truncate(connection: &Connection) -> Result<(), StoreError> {
    checkpoint(connection, "TRUNCATE").map(|_frames| ())
}

/// Answers the pages in the log.
fn checkpoint(connection: &Connection, mode: &str) -> Result<u64, StoreError> {
    let mut statement = connection.prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?;
    let frames: i64 = statement.query_row([], |row| row.get(1))?;
    Ok(u64::try_from(frames).unwrap_or(0))
}
