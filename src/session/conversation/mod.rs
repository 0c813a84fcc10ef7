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

use crate::json;
use crate::opencode::event::{EventPayload, MessageEvent, PartUpdated};
use crate::opencode::message::{Message, Part};
use crate::opencode::{SessionId, now_ms};
use crate::store::{Change, MessageKey};

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
        body: json::text(message),
    }
}

/// Writes a part.
pub fn put_part(part: &Part, session: &SessionId, place: usize) -> Change {
    Change::PutPart {
        session: session.clone(),
        message: part.message_id().clone(),
        place: place as u64,
        id: part.id().clone(),
        body: json::text(part),
    }
}
