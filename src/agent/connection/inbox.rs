//! What an agent has sent about one native session and was not read yet.
//!
//! The connection's reader must never wait for one session, or all the others of the process would
//! wait with it. So an inbox takes any number of messages, within a budget of bytes; a session that
//! exceeds it loses its inbox, and only that session.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::error::{PARSE_ERROR, RpcError};

/// What may wait for the reader of one native session, in bytes of JSON.
///
/// It is at least [`LINE_MAX_BYTES`](super::LINE_MAX_BYTES), so that any single message fits an
/// empty inbox.
pub const INBOX_MAX_BYTES: usize = 64 * 1024 * 1024;
/// What a waiting message takes besides its JSON, in bytes, roughly: many tiny ones must count, too.
const MESSAGE_OVERHEAD_BYTES: usize = 128;

/// What an agent sends about one native session, in its order.
#[derive(Debug)]
pub enum Inbound {
    /// `session/update`: the `update` object.
    Update(Value),
    /// A request that has to be answered with [`Connection::respond`](super::Connection::respond).
    Request {
        /// The request's id, in the agent's own numbering.
        id: Value,
        /// The method.
        method: String,
        /// Its parameters.
        params: Value,
    },
    /// The reply to the prompt.
    PromptReply(Result<Value, RpcError>),
    /// More has come than may wait, and from here on everything is lost, the prompt's reply too. It is
    /// the last message of this inbox; the agent itself and its other sessions are not affected.
    Overflowed {
        /// The limit, in bytes of JSON.
        limit_bytes: usize,
    },
}

/// A message as it waits: as its text, which takes a fraction of the memory of the parsed value.
#[derive(Debug)]
pub(super) enum Waiting {
    Update(Box<RawValue>),
    Request {
        id: Value,
        method: String,
        params: Box<RawValue>,
    },
    Reply(RawReply),
    Overflowed {
        limit_bytes: usize,
    },
}

/// A reply as it waits.
#[derive(Debug, Default)]
pub(super) struct RawReply {
    pub(super) result: Option<Box<RawValue>>,
    pub(super) error: Option<Box<RawValue>>,
}

impl RawReply {
    /// Reads it. The outer error says that it is not readable JSON.
    pub(super) fn read(&self) -> serde_json::Result<Result<Value, RpcError>> {
        if let Some(error) = &self.error {
            return Ok(Err(RpcError::read(&serde_json::from_str(error.get())?)));
        }
        match &self.result {
            Some(result) => Ok(Ok(serde_json::from_str(result.get())?)),
            None => Ok(Ok(Value::Null)),
        }
    }
}

impl Waiting {
    /// What it counts against a budget.
    pub(super) fn bytes(&self) -> usize {
        let length = |raw: &Option<Box<RawValue>>| raw.as_ref().map_or(0, |raw| raw.get().len());
        let json = match self {
            Self::Update(update) => update.get().len(),
            // An id is any text that the agent likes.
            Self::Request { id, method, params } => {
                let id = id.as_str().map_or(0, str::len);
                id + method.len() + params.get().len()
            }
            Self::Reply(reply) => length(&reply.result) + length(&reply.error),
            Self::Overflowed { .. } => 0,
        };
        json + MESSAGE_OVERHEAD_BYTES
    }

    /// Parses it; `None` for an update that cannot be read.
    fn read(self) -> Option<Inbound> {
        match self {
            Self::Update(update) => match serde_json::from_str(update.get()) {
                Ok(update) => Some(Inbound::Update(update)),
                Err(error) => {
                    tracing::warn!(target: "baton::acp", "skipped an update that cannot be read: {error}");
                    None
                }
            },
            // A request is answered even if it cannot be read: the agent waits for it.
            Self::Request { id, method, params } => Some(Inbound::Request {
                id,
                method,
                params: serde_json::from_str(params.get()).unwrap_or_default(),
            }),
            // Without its reply the turn would never end.
            Self::Reply(reply) => {
                Some(Inbound::PromptReply(reply.read().unwrap_or_else(|error| {
                    Err(RpcError {
                        code: PARSE_ERROR,
                        message: format!("the agent's reply cannot be read: {error}"),
                        data: None,
                    })
                })))
            }
            Self::Overflowed { limit_bytes } => Some(Inbound::Overflowed { limit_bytes }),
        }
    }
}

/// Receives what an agent sends about one native session.
#[derive(Debug)]
pub struct Inbox {
    queue: mpsc::UnboundedReceiver<Waiting>,
    waiting_bytes: Arc<AtomicUsize>,
}

/// Tells an inbox from others of the same native session.
#[derive(Debug)]
pub(super) struct Mark(Arc<AtomicUsize>);

impl Mark {
    pub(super) fn is_of(&self, inbox: &Inbox) -> bool {
        Arc::ptr_eq(&self.0, &inbox.waiting_bytes)
    }
}

impl Inbox {
    pub(super) fn mark(&self) -> Mark {
        Mark(Arc::clone(&self.waiting_bytes))
    }

    /// A message that waits already.
    pub fn take_waiting(&mut self) -> Option<Inbound> {
        while let Ok(message) = self.queue.try_recv() {
            self.waiting_bytes
                .fetch_sub(message.bytes(), Ordering::AcqRel);
            if let Some(message) = message.read() {
                return Some(message);
            }
        }
        None
    }

    /// The next message; `None` when the agent is gone, the session was detached, or
    /// [`Inbound::Overflowed`] was the last one. Nothing is lost if the future is dropped.
    pub async fn recv(&mut self) -> Option<Inbound> {
        loop {
            let message = self.queue.recv().await?;
            self.waiting_bytes
                .fetch_sub(message.bytes(), Ordering::AcqRel);
            if let Some(message) = message.read() {
                return Some(message);
            }
        }
    }
}

/// The connection's end of an inbox.
#[derive(Debug)]
pub(super) struct InboxSender {
    queue: mpsc::UnboundedSender<Waiting>,
    waiting_bytes: Arc<AtomicUsize>,
    limit_bytes: usize,
}

/// Why an inbox does not take a message.
#[derive(Debug, PartialEq)]
pub(super) enum NotTaken {
    /// The budget is used up.
    Overflow,
    /// It has no reader any more.
    Unread,
}

/// A new inbox with this budget, and its other end.
pub(super) fn inbox(limit_bytes: usize) -> (InboxSender, Inbox) {
    let (sender, queue) = mpsc::unbounded_channel();
    let waiting_bytes = Arc::new(AtomicUsize::new(0));
    let sender = InboxSender {
        queue: sender,
        waiting_bytes: Arc::clone(&waiting_bytes),
        limit_bytes,
    };
    (
        sender,
        Inbox {
            queue,
            waiting_bytes,
        },
    )
}

impl InboxSender {
    /// Adds a message, without waiting.
    pub(super) fn push(&self, message: Waiting) -> Result<(), NotTaken> {
        let bytes = message.bytes();
        let before = self.waiting_bytes.fetch_add(bytes, Ordering::AcqRel);
        // What comes into an empty inbox is within the limit of a line.
        if before > 0 && before + bytes > self.limit_bytes {
            return Err(NotTaken::Overflow);
        }
        self.queue.send(message).map_err(|_| NotTaken::Unread)
    }

    /// Ends the inbox: its reader gets what waits, the cause, and nothing more.
    pub(super) fn overflow(self) {
        // Its reader may have gone in the meantime.
        let limit_bytes = self.limit_bytes;
        let _unread = self.queue.send(Waiting::Overflowed { limit_bytes });
    }
}
