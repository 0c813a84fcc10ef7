//! What can go wrong with a session. These errors know no HTTP.

use crate::opencode::message::MessageError;
use crate::opencode::{MessageId, PartId, PermissionId, QuestionId, Selection, SessionId};
use crate::registry::{NativeError, SelectError};
use crate::session::spending::LimitReached;
use crate::store::StoreError;

/// Why a session did not do it. Nothing has changed then.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// No such session.
    #[error("Session not found: {0}")]
    NotFound(SessionId),
    /// No such message in the session.
    #[error("Message not found: {0}")]
    MessageNotFound(MessageId),
    /// No such part in the message.
    #[error("Part not found: {0}")]
    PartNotFound(PartId),
    /// No such permission request is waiting for an answer.
    #[error("Permission request not found: {0}. It may have been answered already.")]
    PermissionNotFound(PermissionId),
    /// No such question is waiting for an answer.
    #[error("Question not found: {0}. It may have been answered already.")]
    QuestionNotFound(QuestionId),
    /// The requested selection is not available.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// There is no such slash command.
    #[error("There is no command \"{command}\".{} GET /command lists what there is.", crate::registry::did_you_mean(.suggestions))]
    UnknownCommand {
        /// What was asked for.
        command: String,
        /// What is alike.
        suggestions: Vec<String>,
    },
    /// The session has moved on since the client read it.
    #[error(
        "The session is at revision {revision}, not at the one in If-Match. Read it again and decide anew."
    )]
    RevisionConflict {
        /// The revision that it has.
        revision: u64,
        /// The selection that it has.
        selection: Option<Box<Selection>>,
    },
    /// A turn is in flight, and this cannot be done at the same time.
    #[error("The session is busy. Wait until it is idle, or abort it first.")]
    Busy(SessionId),
    /// Too many prompts wait already.
    #[error(
        "{limit} prompts wait for this session already. Send this one again when some are answered."
    )]
    QueueFull {
        /// The limit.
        limit: usize,
    },
    /// No more may be spent.
    #[error("{0}")]
    SpendingLimit(Box<LimitReached>),
    /// There are as many sessions as there may be.
    #[error(
        "There are {limit} sessions already (limits.sessions). Delete some, or raise the limit."
    )]
    TooManySessions {
        /// The limit.
        limit: usize,
    },
    /// Too many prompts were only stored since the last one that was answered.
    #[error(
        "{limit} {counted} of prompts without a reply are stored in a row already ({setting}). Send one that is to be \
         answered, without noReply."
    )]
    TooManyStored {
        /// The limit.
        limit: usize,
        /// What it counts.
        counted: &'static str,
        /// Where it is set.
        setting: &'static str,
    },
    /// The agents ask too much at once. This is never seen outside of sessions.
    #[error("{limit} requests of agents wait for the user already ({setting})")]
    TooManyAsks {
        /// The limit.
        limit: usize,
        /// Where it is set.
        setting: &'static str,
    },
    /// A field of the request cannot be used.
    #[error("{message}\n  at {field}")]
    Invalid {
        /// The field, as `["parts"][0]["url"]`.
        field: String,
        /// What is wrong with it and what to send instead.
        message: String,
    },
    /// A message with this id exists already.
    #[error("Message {0} exists already. Leave messageID out, or send a new one.")]
    DuplicateMessage(MessageId),
    /// Another session goes on in the native session already.
    #[error(
        "Session {session} goes on in native session \"{native}\" already. Use that one, or fork it."
    )]
    NativeTaken {
        /// That session.
        session: SessionId,
        /// The native session.
        native: String,
    },
    /// A backend cannot be asked for its native sessions.
    #[error(transparent)]
    Native(#[from] NativeError),
    /// The selection was taken back because the agent could not apply it.
    #[error("{}", .0.message())]
    NotApplied(MessageError),
    /// Files of the working directory could not be brought to an earlier state.
    #[error("The files could not be restored: {0}. Nothing was changed.")]
    NotRestored(String),
    /// What the change was prepared from is out of date; it is prepared again. Nobody outside of sessions
    /// sees this.
    #[error("The session has changed in the meantime. Try again.")]
    MovedOn,
    /// A mistake of Baton's own.
    #[error("{0}")]
    Internal(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The server is shutting down.
    #[error("Baton is shutting down")]
    ShutDown,
}
