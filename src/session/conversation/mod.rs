//! What was said: messages and their parts, how an agent's updates become them, where a conversation is
//! cut, and how it is handed over. Pure: no locks, no store, no agents.

pub(super) mod answer;
pub(super) mod cut;
mod diff;
pub mod handoff;
pub(super) mod imported;
pub(super) mod media;
pub(super) mod prompt;
pub(super) mod structured;
pub(super) mod tool;
pub(super) mod transcript;

use crate::json;
use crate::opencode::event::{EventPayload, MessageEvent, PartUpdated};
use crate::opencode::message::{Message, MessageWithParts, Part};
use crate::opencode::{SessionId, now_ms};
use crate::store::{Change, MessageKey};

/// The event of a whole message.
pub(super) fn message_event(session: &SessionId, info: Message) -> EventPayload {
    EventPayload::MessageUpdated(MessageEvent {
        session_id: session.clone(),
        info,
    })
}

/// The event of a part that was made or has changed.
pub(super) fn part_event(session: &SessionId, part: Part) -> EventPayload {
    EventPayload::PartUpdated(PartUpdated {
        session_id: session.clone(),
        part,
        time: now_ms(),
    })
}

/// A message at its place, whole.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    /// Its place.
    pub key: MessageKey,
    /// The message.
    pub message: MessageWithParts,
}

impl Placed {
    /// What writes it.
    pub(super) fn changes(&self, session: &SessionId) -> impl Iterator<Item = Change> {
        let message = put_message(&self.message.info, session, &self.key);
        let parts = self.message.parts.iter().enumerate();
        std::iter::once(message).chain(parts.map(|(at, part)| put_part(part, session, at)))
    }
}

/// Writes a message without its parts.
pub(super) fn put_message(message: &Message, session: &SessionId, key: &MessageKey) -> Change {
    let open = matches!(message, Message::Assistant(m) if m.time.completed.is_none());
    Change::PutMessage {
        session: session.clone(),
        key: key.clone(),
        open,
        body: json::text(message),
    }
}

/// Writes a part.
pub(super) fn put_part(part: &Part, session: &SessionId, place: usize) -> Change {
    Change::PutPart {
        session: session.clone(),
        message: part.message_id().clone(),
        place: place as u64,
        id: part.id().clone(),
        body: json::text(part),
    }
}
