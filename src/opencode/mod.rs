//! OpenCode's wire types and ids, as its 1.18 line speaks them.
//!
//! Nothing here knows any other part of Baton. Fields that Baton adds to an OpenCode shape (a session's
//! `revision` and `runtime`, the `session.model_*` events) say so in their doc comment; clients that
//! do not know them ignore them.

pub mod absent;
pub mod bounded;
pub mod command;
pub mod config;
pub mod event;
pub mod file;
pub mod handoff;
pub mod history;
pub mod id;
pub mod message;
pub mod metadata;
pub mod project;
pub mod prompt;
pub mod provider;
pub mod request;
pub mod session;
pub mod spending;
mod told;
pub mod v2;

pub use event::EventPayload;
pub use id::{EventId, MessageId, PartId, PermissionId, QuestionId, SessionId};
pub use message::{AssistantMessage, Message, MessageWithParts, Part, UserMessage};
pub use metadata::Metadata;
pub use session::{Selection, Session};
pub use told::ToldSession;

use std::time::{SystemTime, UNIX_EPOCH};

/// The OpenCode whose API this is; clients ask for it with `opencode --version`.
pub const VERSION: &str = "1.18.33";

/// Milliseconds since the Unix epoch, the unit of every time on the wire.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    // A clock before 1970 is a broken clock; zero keeps the server running with it.
    since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}
