//! What outlives a process: sessions, messages, bindings, the audit trail, the catalogue.
//!
//! The [`Store`] trait takes batches of changes, each all or nothing, and answers once they are
//! committed. Bodies are opaque JSON; nothing outside this module knows SQL.

mod sqlite;

use futures_util::future::BoxFuture;

use crate::opencode::{MessageId, PartId, SessionId};

pub use sqlite::SqliteStore;

/// Why the store did not do it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Another writer has changed the session since it was read.
    #[error("session {0} was changed by another writer")]
    Conflict(SessionId),
    /// The database failed: disk full, file damaged, no permission.
    #[error("the store failed: {0}")]
    Database(String),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

/// One thing to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Writes a session's state.
    PutSession {
        /// Whose.
        id: SessionId,
        /// The revision that has to be there before; `None` for a new session.
        expected: Option<u64>,
        /// The revision from now on.
        revision: u64,
        /// The state.
        body: String,
    },
    /// Deletes a session with everything that belongs to it.
    DeleteSession {
        /// Which.
        id: SessionId,
    },
    /// Writes a message, without its parts.
    PutMessage {
        /// Whose.
        session: SessionId,
        /// Its place.
        key: MessageKey,
        /// Whether the answer is still being written.
        open: bool,
        /// The message.
        body: String,
    },
    /// Deletes a message with its parts.
    DeleteMessage {
        /// Whose.
        session: SessionId,
        /// Which.
        id: MessageId,
    },
    /// Writes a part.
    PutPart {
        /// Whose.
        session: SessionId,
        /// The message.
        message: MessageId,
        /// Its place within the message.
        place: u64,
        /// The part's id.
        id: PartId,
        /// The part.
        body: String,
    },
    /// Writes a part over the one with its id, or behind all others of its message.
    SavePart {
        /// Whose.
        session: SessionId,
        /// The message.
        message: MessageId,
        /// The part's id.
        id: PartId,
        /// The part.
        body: String,
    },
    /// Deletes a part.
    DeletePart {
        /// Whose.
        session: SessionId,
        /// The message.
        message: MessageId,
        /// Which.
        id: PartId,
    },
    /// Writes a binding.
    PutBinding {
        /// Whose.
        session: SessionId,
        /// To which backend.
        backend: String,
        /// The binding.
        body: String,
    },
    /// Forgets one binding of a session.
    DeleteBinding {
        /// Whose.
        session: SessionId,
        /// To which backend.
        backend: String,
    },
    /// Forgets all bindings of a session.
    DeleteBindings {
        /// Whose.
        session: SessionId,
    },
    /// Writes an entry of the audit trail.
    PutSwitch {
        /// Whose.
        session: SessionId,
        /// The revision that it made.
        revision: u64,
        /// The entry.
        body: String,
    },
    /// Writes what a probe has found.
    PutBackend {
        /// Which backend.
        id: String,
        /// What.
        body: String,
    },
    /// Writes what a client has set for the whole server.
    PutSetting {
        /// Its name.
        name: String,
        /// What was set.
        body: String,
    },
    /// Writes a project.
    PutProject {
        /// Which.
        id: String,
        /// The project.
        body: String,
    },
    /// Notes a running process.
    PutProcess(ProcessRow),
    /// Forgets a process.
    DeleteProcess {
        /// Which.
        pid: u32,
    },
}

/// Where a message stands in its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageKey {
    /// Order of arrival, from 1.
    pub seq: u64,
    /// The `seq` of the prompt that it belongs to; its own for a prompt.
    pub turn: u64,
    /// Its id.
    pub id: MessageId,
}

/// A session as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// Its id.
    pub id: SessionId,
    /// Its revision.
    pub revision: u64,
    /// The highest `seq` of its messages.
    pub last_seq: u64,
    /// Its state.
    pub body: String,
    /// Its bindings: backend and body.
    pub bindings: Vec<(String, String)>,
}

/// A message as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRow {
    /// Whose.
    pub session: SessionId,
    /// Its place.
    pub key: MessageKey,
    /// The message.
    pub body: String,
    /// Its parts, in order.
    pub parts: Vec<String>,
}

/// An agent process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessRow {
    /// Its id.
    pub pid: u32,
    /// When it was started, in seconds since the Unix epoch.
    pub started_at_s: u64,
    /// Whose it is.
    pub backend: String,
}

/// Which messages of a session to read, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageRange {
    /// Only those that belong to later prompts than this.
    pub after_turn: Option<u64>,
    /// Only those that arrived before this one.
    pub before_seq: Option<u64>,
    /// Only the newest so many of them.
    pub limit: Option<u64>,
}

/// The store.
pub trait Store: Send + Sync + 'static {
    /// Writes a batch, all or nothing, and answers once it is committed. Batches are committed in
    /// the order of the calls.
    fn commit(&self, batch: Vec<Change>) -> BoxFuture<'static, Result<(), StoreError>>;
    /// All sessions.
    fn sessions(&self) -> BoxFuture<'static, Result<Vec<SessionRow>, StoreError>>;
    /// One session.
    fn session(&self, id: &SessionId)
    -> BoxFuture<'static, Result<Option<SessionRow>, StoreError>>;
    /// Messages of a session, in order of arrival.
    fn messages(
        &self,
        session: &SessionId,
        range: MessageRange,
    ) -> BoxFuture<'static, Result<Vec<MessageRow>, StoreError>>;
    /// One message.
    fn message(
        &self,
        session: &SessionId,
        id: &MessageId,
    ) -> BoxFuture<'static, Result<Option<MessageRow>, StoreError>>;
    /// Answers that were being written when the last server ended.
    fn open_messages(&self) -> BoxFuture<'static, Result<Vec<MessageRow>, StoreError>>;
    /// The audit trail of a session, oldest first.
    fn switches(&self, session: &SessionId) -> BoxFuture<'static, Result<Vec<String>, StoreError>>;
    /// What probes have found: backend and body.
    fn backends(&self) -> BoxFuture<'static, Result<Vec<(String, String)>, StoreError>>;
    /// What a client has set for the whole server.
    fn setting(&self, name: &str) -> BoxFuture<'static, Result<Option<String>, StoreError>>;
    /// Projects that were used: id and body.
    fn projects(&self) -> BoxFuture<'static, Result<Vec<(String, String)>, StoreError>>;
    /// Processes that were running when the last server ended.
    fn processes(&self) -> BoxFuture<'static, Result<Vec<ProcessRow>, StoreError>>;
}
