//! What an agent replays of a native session that is opened again.

use serde_json::Value;

use super::client;
use super::commands::AgentCommand;
use super::connection::Inbound;
use crate::json;

/// What is noted about the messages that come while a native session is opened again.
#[derive(Default)]
pub(super) struct Replay {
    pub(super) commands: Option<Vec<AgentCommand>>,
    pub(super) messages: usize,
    /// All of it, for who wants to know what was said.
    pub(super) kept: Option<Kept>,
}

/// What was replayed.
pub(super) struct Kept {
    /// The updates, in their order.
    pub(super) updates: Vec<Value>,
    /// How many bytes of JSON there is room for. With none left, something is missing.
    pub(super) room: Option<usize>,
}

impl Kept {
    /// Room for so many bytes of JSON.
    pub(super) fn within(bytes: usize) -> Self {
        Self {
            updates: Vec::new(),
            room: Some(bytes),
        }
    }

    fn keep(&mut self, update: Value) {
        let bytes = json::text(&update).len();
        self.room = self.room.and_then(|room| room.checked_sub(bytes));
        match self.room {
            Some(_) => self.updates.push(update),
            None => self.updates.clear(),
        }
    }
}

impl Replay {
    pub(super) fn note(&mut self, message: Inbound) {
        client::note(&mut self.commands, &message);
        self.messages += usize::from(is_conversation(&message));
        match (&mut self.kept, message) {
            (Some(kept), Inbound::Update(update)) => kept.keep(update),
            // From here on everything is lost.
            (Some(kept), Inbound::Overflowed { .. }) => kept.room = None,
            _ => {}
        }
    }
}

/// Whether a message is a piece of a conversation.
fn is_conversation(message: &Inbound) -> bool {
    const KINDS: [&str; 4] = [
        "user_message_chunk",
        "agent_message_chunk",
        "agent_thought_chunk",
        "tool_call",
    ];
    let Inbound::Update(update) = message else {
        return false;
    };
    let kind = update.get("sessionUpdate").and_then(Value::as_str);
    kind.is_some_and(|kind| KINDS.contains(&kind))
}
