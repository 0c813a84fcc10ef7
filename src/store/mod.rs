//! What outlives a process: sessions, messages, bindings, the audit trail, the catalogue.
//!
//! The [`Store`] trait takes batches of changes, each all or nothing, and answers once they are
//! committed. Bodies are opaque JSON; what the store has to compare, order or search by is next to
//! them ([`SessionKeys`], [`MessageKey`]). Nothing outside this module knows SQL.
//!
//! Every implementation passes the conformance suite in `tests/store`.

pub mod copy;
pub mod data_dir;
pub mod flaky;
mod growth;
pub mod memory;
pub mod postgres;
pub mod shared;
mod sqlite;

use futures_util::future::BoxFuture;

use crate::opencode::{MessageId, PartId, SessionId};

pub use postgres::PostgresStore;
pub use sqlite::{Durability, SqliteStore, upkeep};

/// So many handovers of a session are kept: each may be as large as a conversation.
pub const HANDOVERS_KEPT: u64 = 32;

/// Why the store did not do it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Another writer has changed the session since it was read.
    #[error("session {0} was changed by another writer")]
    Conflict(SessionId),
    /// The disk is full; of which directory. The same batch succeeds once there is room.
    #[error(
        "the disk of the data directory {0} is full: make room on it, for instance by deleting sessions, which still \
         works"
    )]
    Full(String),
    /// The disk of the database's server is full. The same batch succeeds once there is room.
    #[error("the disk of the database server is full: make room on it")]
    ServerFull,
    /// Another server has taken the session over since this one read it.
    #[error("another node has taken session {0} over; ask again")]
    TakenOver(SessionId),
    /// The database is locked or cannot be written for now. The same batch may succeed later.
    #[error("the store cannot be written at the moment: {0}")]
    Unavailable(String),
    /// The database failed in a way that waiting does not mend: a damaged file, a broken rule.
    #[error("the store failed: {0}")]
    Database(String),
    /// What was asked for belongs to a database in the data directory, and the store is this one.
    #[error(
        "the store of this data directory is {0}: PostgreSQL's own tools look after it (pg_dump makes a copy, pg_amcheck \
         looks for damage)"
    )]
    Elsewhere(String),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Whether the same batch may succeed later, without anybody mending the database.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Full(_) | Self::ServerFull | Self::Unavailable(_)
        )
    }
}

/// One thing to write.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Writes a session's state.
    PutSession {
        /// Whose.
        id: SessionId,
        /// The revision that has to be there before; `None` for a new session.
        expected: Option<u64>,
        /// The revision from now on.
        revision: u64,
        /// What lists order and select by.
        keys: Keys,
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
    /// Writes a part over the one with its id, or after all others of its message.
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
    /// Writes what the text of a stored part has grown by; the part is read with it, until it is written or saved. Nothing
    /// is written where there is no such part.
    GrowPart {
        /// Whose.
        session: SessionId,
        /// The message.
        message: MessageId,
        /// The part's place within the message.
        place: u64,
        /// How long the text was before, in bytes.
        at: u64,
        /// What has come to it.
        text: String,
    },
    /// Writes a part that is there, but for what its text has grown by: that stays.
    EndPart {
        /// Whose.
        session: SessionId,
        /// The message.
        message: MessageId,
        /// The part's place within the message.
        place: u64,
        /// The part, with the text that it had when it was written last.
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
    /// Writes what an agent was given of the conversation. Of a session only the newest [`HANDOVERS_KEPT`] are kept.
    PutHandover {
        /// Whose.
        session: SessionId,
        /// With the prompt of which turn.
        turn: u64,
        /// With the selection of which revision.
        revision: u64,
        /// What was given.
        body: String,
    },
    /// Forgets what agents were given in a turn and later ones: what it quotes is gone.
    DeleteHandovers {
        /// Whose.
        session: SessionId,
        /// From which turn on.
        from_turn: u64,
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
    /// Adds to what was spent on a day: `{"cost", "tokens"}` under the setting `spent DAY`.
    AddSpending {
        /// The day, as `2026-11-27`.
        day: String,
        /// US dollars.
        cost: f64,
        /// Tokens.
        tokens: u64,
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
    /// The rest of the batch is written only if this server holds the session under this epoch. Where a store has one server,
    /// it always does.
    Held {
        /// Which session.
        session: SessionId,
        /// The epoch of its lease.
        epoch: u64,
    },
    /// What has happened, for those who follow events on other servers. Where a store has one server, it is told by that.
    Tell {
        /// The session that it is about, if it is about one.
        session: Option<SessionId>,
        /// The directory; empty for what concerns all.
        directory: String,
        /// Each as `{"id", "type", "properties"}`.
        events: Vec<String>,
    },
}

/// The place of a message in its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageKey {
    /// Order of arrival, from 1.
    pub seq: u64,
    /// The `seq` of the prompt that it belongs to; its own for a prompt.
    pub turn: u64,
    /// Its id.
    pub id: MessageId,
}

/// What lists of sessions order and select by; the store keeps it in columns next to the body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionKeys {
    /// Its project; empty for a session from before there were projects.
    pub project: String,
    /// Its directory.
    pub directory: String,
    /// The directory relative to its worktree.
    pub path: String,
    /// The session that it belongs to.
    pub parent: Option<SessionId>,
    /// Its title.
    pub title: String,
    /// When it was made, in milliseconds since the Unix epoch.
    pub created: u64,
    /// When it was last used, in milliseconds since the Unix epoch.
    pub updated: u64,
    /// When it was archived, in milliseconds since the Unix epoch.
    pub archived: Option<u64>,
    /// Its working directory is being brought to another state.
    pub restoring: bool,
}

/// What lists order and select a session by, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// All of it.
    All(SessionKeys),
    /// As it is stored, but for the time of the last use, in milliseconds since the Unix epoch. Most changes are such.
    Used(u64),
}

/// In which order sessions are listed. Of two with the same time the one made later counts as newer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SessionOrder {
    /// Most recently used first.
    #[default]
    Used,
    /// Most recently made first.
    Newest,
    /// The one made first comes first.
    Oldest,
}

/// Which sessions to list. Everything that is left out selects all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionQuery {
    /// Only of this project.
    pub project: Option<String>,
    /// Only of this directory.
    pub directory: Option<String>,
    /// Only with this path, or one below it; empty for all.
    pub below: Option<String>,
    /// Only those without a parent.
    pub roots: bool,
    /// Only those last used at this time or later, in milliseconds since the Unix epoch.
    pub used_since: Option<u64>,
    /// Only those last used before this time, in milliseconds since the Unix epoch.
    pub used_before: Option<u64>,
    /// Leaves out what is archived.
    pub without_archived: bool,
    /// Only those with this text in their title, whatever its case.
    pub search: Option<String>,
    /// In which order.
    pub order: SessionOrder,
    /// Only what comes after this session in that order.
    pub after: Option<SessionId>,
    /// At most this many; all when it is left out.
    pub limit: Option<u64>,
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
    /// Whether the answer is still being written.
    pub open: bool,
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
    /// The boot of the system that it was started in; empty in rows from before that was noted.
    pub boot_id: String,
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
    /// Only this many of them, the newest.
    pub limit: Option<u64>,
}

/// The store.
pub trait Store: Send + Sync + 'static {
    /// Writes a batch, all or nothing, and answers once it is committed. Batches are committed in
    /// the order of the calls.
    fn commit(&self, batch: Vec<Change>) -> BoxFuture<'static, Result<(), StoreError>>;
    /// One session.
    fn session(&self, id: &SessionId)
    -> BoxFuture<'static, Result<Option<SessionRow>, StoreError>>;
    /// The bodies of sessions, in the order of the query; `None` when the one that it starts after is
    /// not there.
    fn sessions(
        &self,
        query: SessionQuery,
    ) -> BoxFuture<'static, Result<Option<Vec<String>>, StoreError>>;
    /// How many sessions there are.
    fn count_sessions(&self) -> BoxFuture<'static, Result<u64, StoreError>>;
    /// A session and all that belong to it, directly or not: those furthest below it first, itself last.
    /// Nothing when there is no such session.
    fn family(&self, id: &SessionId) -> BoxFuture<'static, Result<Vec<SessionId>, StoreError>>;
    /// Sessions that belong to one directly, most recently used first: their bodies.
    fn children(&self, id: &SessionId) -> BoxFuture<'static, Result<Vec<String>, StoreError>>;
    /// Sessions whose working directory was being brought to another state when the last server ended.
    fn restoring(&self) -> BoxFuture<'static, Result<Vec<SessionId>, StoreError>>;
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
    /// The entry of a session's audit trail that made this revision.
    fn switch(
        &self,
        session: &SessionId,
        revision: u64,
    ) -> BoxFuture<'static, Result<Option<String>, StoreError>>;
    /// What agents were given of the conversation with the selection of this revision, oldest first.
    fn handovers(
        &self,
        session: &SessionId,
        revision: u64,
    ) -> BoxFuture<'static, Result<Vec<String>, StoreError>>;
    /// The sessions that have this native session of a backend. More than one is an agent's mistake.
    fn bound(
        &self,
        backend: &str,
        native_session: &str,
    ) -> BoxFuture<'static, Result<Vec<SessionId>, StoreError>>;
    /// What probes have found: backend and body.
    fn backends(&self) -> BoxFuture<'static, Result<Vec<(String, String)>, StoreError>>;
    /// What a client has set for the whole server.
    fn setting(&self, name: &str) -> BoxFuture<'static, Result<Option<String>, StoreError>>;
    /// Projects that were used: id and body.
    fn projects(&self) -> BoxFuture<'static, Result<Vec<(String, String)>, StoreError>>;
    /// Processes that were running when the last server ended.
    fn processes(&self) -> BoxFuture<'static, Result<Vec<ProcessRow>, StoreError>>;
    /// Looks for damage of the database as a whole. Answers what it finds, at most a few lines. Nothing where the database
    /// looks after itself.
    fn damage(&self) -> BoxFuture<'static, Result<Vec<String>, StoreError>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }
    /// Commits what is queued, and lets go of everything. Whatever is asked for after that is answered with
    /// [`StoreError::Closed`].
    fn close(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}
