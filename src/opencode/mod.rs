//! OpenCode's wire types and ids, as its 1.18 line speaks them.
//!
//! Nothing here knows any other part of Baton. Fields that Baton adds to an OpenCode shape (a session's
//! `revision` and `runtime`, the `session.model_*` events) say so in their doc comment; clients that
//! do not know them ignore them.

pub mod event;
pub mod history;
pub mod id;
pub mod message;
pub mod prompt;
pub mod provider;
pub mod request;
pub mod session;
pub mod v2;

pub use event::EventPayload;
pub use id::{EventId, MessageId, PartId, PermissionId, QuestionId, SessionId};
pub use message::{AssistantMessage, Message, MessageWithParts, Part, UserMessage};
pub use session::{Selection, Session};

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch, the unit of every time on the wire.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    // A clock before 1970 is a broken clock; zero keeps the server running with it.
    since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

/// The id of the project at a directory: the same directory always has the same.
pub fn project_id(directory: &str) -> String {
    // FNV-1a: an id, not a secret; it only has to be the same in every run and every version.
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let hash = directory.bytes().fold(OFFSET, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(PRIME)
    });
    format!("prj_{hash:016x}")
}
