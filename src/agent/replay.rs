//! What an agent replays of a native session that is opened again.

use serde_json::Value;

use super::client;
use super::commands::AgentCommand;
use super::connection::Inbound;

/// What is noted about the messages that come while a native session is opened again.
#[derive(Default)]
pub(super) struct Replay {
    pub(super) commands: Option<Vec<AgentCommand>>,
    pub(super) messages: usize,
}

impl Replay {
    pub(super) fn note(&mut self, message: &Inbound) {
        client::note(&mut self.commands, message);
        self.messages += usize::from(is_conversation(message));
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
