//! OpenCode 2's events: `{"id", "type", "location"?, "durable"?, "data"}`.

use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::info::{LocationRef, V2Tokens};
use super::message::{ToolProvider, V2Error, V2Prompt, V2ToolState};
use super::project::{model_of, tool_state};
use crate::opencode::message::{AssistantMessage, ReasoningPart, TextPart, ToolPart};
use crate::opencode::session::ModelRef;
use crate::opencode::{EventId, MessageId, SessionId};

/// The place of an event in the log of its session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = V2LogPlace)]
pub struct Durable {
    /// The session.
    #[serde(rename = "aggregateID")]
    pub aggregate_id: SessionId,
    /// Its number; later ones are higher, and not every number is used.
    pub seq: u64,
    /// The version of its shape.
    pub version: u32,
}

/// An event of OpenCode 2's streams. `data` depends on `type`: the `session.next.*` events are OpenCode 2's own; an
/// event of the first version has there what it has in `properties` on `/event`.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct V2Event {
    /// The event's id.
    pub id: EventId,
    /// What happened.
    #[schema(example = "session.next.text.delta")]
    pub r#type: String,
    /// Its place in the log of its session, for events of that log.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub durable: Option<Durable>,
    /// Where it happened; absent for events of the whole server.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub location: Option<LocationRef>,
    /// What it carries.
    #[schema(value_type = Object)]
    pub data: Value,
}

impl V2Event {
    /// A live event, under a new id.
    pub fn now(kind: &str, data: Value) -> Self {
        Self {
            id: EventId::new(),
            r#type: kind.to_owned(),
            durable: None,
            location: None,
            data,
        }
    }
}

/// A type and what it carries.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// The type.
    pub kind: &'static str,
    /// What it carries.
    pub data: Value,
}

impl Said {
    /// Adds a field.
    fn with(mut self, name: &str, value: &impl Serialize) -> Self {
        if let Value::Object(data) = &mut self.data {
            data.insert(name.to_owned(), json!(value));
        }
        self
    }

    /// The version of its shape. OpenCode counts those of a step's end apart.
    pub fn version(&self) -> u32 {
        match self.kind {
            STEP_ENDED | STEP_FAILED => 2,
            _ => 1,
        }
    }
}

const STEP_ENDED: &str = "session.next.step.ended";
const STEP_FAILED: &str = "session.next.step.failed";

/// How prompts are delivered: each waits for its turn. Agents cannot be given a prompt in the middle of another one.
pub const DELIVERY: &str = "queue";

/// Makes the events of one answer, or of one session where no answer is concerned.
#[derive(Debug, Clone, Copy)]
pub struct Teller<'a> {
    /// The session.
    pub session: &'a SessionId,
    /// When, in milliseconds since the Unix epoch.
    pub time: u64,
}

impl Teller<'_> {
    fn say(self, kind: &'static str, more: Value) -> Said {
        let mut data = Map::from_iter([
            ("timestamp".to_owned(), Value::from(self.time)),
            ("sessionID".to_owned(), json!(self.session)),
        ]);
        if let Value::Object(more) = more {
            data.extend(more);
        }
        let data = Value::Object(data);
        Said { kind, data }
    }

    fn of(self, kind: &'static str, answer: &MessageId, more: Value) -> Said {
        self.say(kind, more).with("assistantMessageID", answer)
    }

    /// A prompt was stored.
    pub fn admitted(self, message: &MessageId, prompt: &V2Prompt) -> Said {
        let data = json!({ "messageID": message, "prompt": prompt, "delivery": DELIVERY });
        self.say("session.next.prompt.admitted", data)
    }

    /// A prompt was given to its agent.
    pub fn prompted(self, message: &MessageId, prompt: &V2Prompt) -> Said {
        let data = json!({ "messageID": message, "prompt": prompt, "delivery": DELIVERY });
        self.say("session.next.prompted", data)
    }

    /// A prompt that the server made was stored.
    pub fn synthetic(self, message: &MessageId, text: &str) -> Said {
        self.say(
            "session.next.synthetic",
            json!({ "messageID": message, "text": text }),
        )
    }

    /// The model was changed.
    pub fn model_switched(self, message: &MessageId, model: &ModelRef) -> Said {
        self.say(
            "session.next.model.switched",
            json!({ "messageID": message, "model": model }),
        )
    }

    /// The agent was changed.
    pub fn agent_switched(self, message: &MessageId, agent: &str) -> Said {
        self.say(
            "session.next.agent.switched",
            json!({ "messageID": message, "agent": agent }),
        )
    }

    /// An answer begins.
    pub fn step_started(self, answer: &AssistantMessage) -> Said {
        let data = json!({ "agent": answer.agent, "model": model_of(answer) });
        self.of("session.next.step.started", &answer.id, data)
    }

    /// An answer has ended.
    pub fn step_ended(self, answer: &AssistantMessage) -> Said {
        if let Some(error) = &answer.error {
            let error = V2Error::new(error.message());
            return self.of(STEP_FAILED, &answer.id, json!({ "error": error }));
        }
        let finish = answer.finish.as_deref().unwrap_or("stop");
        let tokens = V2Tokens::from(answer.tokens);
        let data = json!({ "finish": finish, "cost": answer.cost, "tokens": tokens });
        self.of(STEP_ENDED, &answer.id, data)
    }

    /// The summary of a conversation begins.
    pub fn compaction_started(self, summary: &MessageId) -> Said {
        let data = json!({ "messageID": summary, "reason": "manual" });
        self.say("session.next.compaction.started", data)
    }

    /// The summary of a conversation is there.
    pub fn compaction_ended(self, summary: &MessageId, text: &str) -> Said {
        let data = json!({ "messageID": summary, "reason": "manual", "text": text, "recent": "" });
        self.say("session.next.compaction.ended", data)
    }

    /// A text begins.
    pub fn text_started(self, part: &TextPart) -> Said {
        self.of(
            "session.next.text.started",
            &part.message_id,
            json!({ "textID": part.id }),
        )
    }

    /// A text is complete.
    pub fn text_ended(self, part: &TextPart) -> Said {
        let data = json!({ "textID": part.id, "text": part.text });
        self.of("session.next.text.ended", &part.message_id, data)
    }

    /// A text has grown.
    pub fn text_delta(self, answer: &MessageId, part: &str, delta: &str) -> Said {
        self.of(
            "session.next.text.delta",
            answer,
            json!({ "textID": part, "delta": delta }),
        )
    }

    /// A thought begins.
    pub fn reasoning_started(self, part: &ReasoningPart) -> Said {
        self.of(
            "session.next.reasoning.started",
            &part.message_id,
            json!({ "reasoningID": part.id }),
        )
    }

    /// A thought is complete.
    pub fn reasoning_ended(self, part: &ReasoningPart) -> Said {
        let data = json!({ "reasoningID": part.id, "text": part.text });
        self.of("session.next.reasoning.ended", &part.message_id, data)
    }

    /// A thought has grown.
    pub fn reasoning_delta(self, answer: &MessageId, part: &str, delta: &str) -> Said {
        self.of(
            "session.next.reasoning.delta",
            answer,
            json!({ "reasoningID": part, "delta": delta }),
        )
    }

    /// A tool call was announced.
    pub fn input_started(self, part: &ToolPart) -> Said {
        let data = json!({ "callID": part.call_id, "name": part.tool });
        self.of("session.next.tool.input.started", &part.message_id, data)
    }

    /// The arguments of a tool call are complete.
    pub fn input_ended(self, part: &ToolPart) -> Said {
        let text = Value::from(input_of(part)).to_string();
        let data = json!({ "callID": part.call_id, "text": text });
        self.of("session.next.tool.input.ended", &part.message_id, data)
    }

    /// A tool runs.
    pub fn called(self, part: &ToolPart) -> Said {
        let provider = ToolProvider { executed: false };
        let data = json!({
            "callID": part.call_id, "tool": part.tool, "input": input_of(part), "provider": provider,
        });
        self.of("session.next.tool.called", &part.message_id, data)
    }

    /// A running tool has reported something, or has ended; none while it was only announced.
    pub fn tool(self, part: &ToolPart) -> Option<Said> {
        let provider = ToolProvider { executed: false };
        let (kind, data) = match tool_state(&part.state) {
            V2ToolState::Pending { .. } => return None,
            V2ToolState::Running {
                structured,
                content,
                ..
            } => (
                "session.next.tool.progress",
                json!({ "structured": structured, "content": content }),
            ),
            V2ToolState::Completed {
                structured,
                content,
                ..
            } => (
                "session.next.tool.success",
                json!({ "structured": structured, "content": content, "provider": provider }),
            ),
            V2ToolState::Error { error, .. } => (
                "session.next.tool.failed",
                json!({ "error": error, "provider": provider }),
            ),
        };
        let said = self.of(kind, &part.message_id, data);
        Some(said.with("callID", &part.call_id))
    }
}

fn input_of(part: &ToolPart) -> Map<String, Value> {
    use crate::opencode::message::ToolState;
    match &part.state {
        ToolState::Pending { input, .. }
        | ToolState::Running { input, .. }
        | ToolState::Completed { input, .. }
        | ToolState::Error { input, .. } => input.clone(),
    }
}
