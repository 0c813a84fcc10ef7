//! What was said: messages and their parts, how an agent's updates become them, where a conversation is
//! cut, and how it is handed over. Pure: no locks, no store, no agents.

pub mod answer;
pub mod cut;
mod diff;
pub mod handoff;
pub mod media;
pub mod prompt;
pub mod structured;
pub mod tool;
pub mod transcript;

use serde::Serialize;

use crate::opencode::event::{EventPayload, MessageEvent, PartUpdated};
use crate::opencode::message::{Message, Part};
use crate::opencode::{SessionId, now_ms};
use crate::store::{Change, MessageKey};

/// JSON of one of our own types.
pub fn to_json(value: &impl Serialize) -> String {
    // Our types are trees of strings, numbers and string-keyed maps, which always serialise.
    serde_json::to_string(value).unwrap_or_default()
}

/// The event of a whole message.
pub fn message_event(session: &SessionId, info: Message) -> EventPayload {
    EventPayload::MessageUpdated(MessageEvent {
        session_id: session.clone(),
        info,
    })
}

/// The event of a part that was made or has changed.
pub fn part_event(session: &SessionId, part: Part) -> EventPayload {
    EventPayload::PartUpdated(PartUpdated {
        session_id: session.clone(),
        part,
        time: now_ms(),
    })
}

/// Writes a message without its parts.
pub fn put_message(message: &Message, session: &SessionId, key: &MessageKey) -> Change {
    let open = matches!(message, Message::Assistant(m) if m.time.completed.is_none());
    Change::PutMessage {
        session: session.clone(),
        key: key.clone(),
        open,
        body: to_json(message),
    }
}

/// Writes a part.
pub fn put_part(part: &Part, session: &SessionId, place: usize) -> Change {
    Change::PutPart {
        session: session.clone(),
        message: part.message_id().clone(),
        place: place as u64,
        id: part.id().clone(),
        body: to_json(part),
    }
}
