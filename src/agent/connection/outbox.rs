//! The queue of what is written to an agent.
//!
//! Senders do not wait for the agent to read: lines go into a queue with a budget of
//! bytes, and the writer gives up an agent that does not read for a while. Closing the connection is
//! then what ends everybody's waiting.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

/// What may wait to be written before nothing more is accepted, in bytes. A single message may be
/// longer.
pub const OUTBOX_MAX_BYTES: usize = 64 * 1024 * 1024;
/// An agent that has not read anything for this long, while something waits for it, is disconnected.
pub const WRITE_STALL_MAX: Duration = Duration::from_secs(10);

/// The way to the writer.
#[derive(Debug)]
pub(super) struct Outbox {
    queue: mpsc::UnboundedSender<String>,
    waiting_bytes: Arc<AtomicUsize>,
}

/// The writer's end of it.
#[derive(Debug)]
pub(super) struct Lines {
    queue: mpsc::UnboundedReceiver<String>,
    waiting_bytes: Arc<AtomicUsize>,
}

/// Why a line was not accepted.
#[derive(Debug, PartialEq)]
pub(super) enum NotAccepted {
    /// Too much waits already.
    Full,
    /// The writer has ended.
    Closed,
}

/// Why nothing more can be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    /// Its pipe is full, and it does not read.
    #[error("it has not read what it is sent for {0:?}")]
    Stalled(Duration),
    /// Its pipe is closed.
    #[error("it cannot be written to: {0}")]
    Io(#[from] io::Error),
}

/// A new outbox and its other end.
pub(super) fn outbox() -> (Outbox, Lines) {
    let (sender, queue) = mpsc::unbounded_channel();
    let waiting_bytes = Arc::new(AtomicUsize::new(0));
    let outbox = Outbox {
        queue: sender,
        waiting_bytes: Arc::clone(&waiting_bytes),
    };
    (
        outbox,
        Lines {
            queue,
            waiting_bytes,
        },
    )
}

impl Outbox {
    /// Queues a line, without waiting.
    pub(super) fn push(&self, line: String) -> Result<(), NotAccepted> {
        let bytes = line.len();
        let before = self.waiting_bytes.fetch_add(bytes, Ordering::AcqRel);
        if before > OUTBOX_MAX_BYTES {
            self.waiting_bytes.fetch_sub(bytes, Ordering::AcqRel);
            return Err(NotAccepted::Full);
        }
        self.queue.send(line).map_err(|_| NotAccepted::Closed)
    }
}

/// Writes line after line, until the connection is dropped or the agent does not take any more.
pub(super) async fn write_lines(
    stdin: &mut (impl AsyncWrite + Unpin),
    mut lines: Lines,
) -> Result<(), WriteError> {
    while let Some(line) = lines.queue.recv().await {
        let mut rest = line.as_bytes();
        while !rest.is_empty() {
            // The deadline is for each piece: a long line to a slow reader is fine while it moves.
            let written = in_time(stdin.write(rest)).await?;
            if written == 0 {
                return Err(io::Error::from(io::ErrorKind::WriteZero).into());
            }
            rest = &rest[written..];
        }
        in_time(stdin.flush()).await?;
        lines.waiting_bytes.fetch_sub(line.len(), Ordering::AcqRel);
    }
    Ok(())
}

async fn in_time<T>(write: impl Future<Output = io::Result<T>>) -> Result<T, WriteError> {
    match tokio::time::timeout(WRITE_STALL_MAX, write).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(WriteError::Stalled(WRITE_STALL_MAX)),
    }
}
