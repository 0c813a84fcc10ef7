//! The parts of a message: what is said, done and given along.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::json;
use crate::opencode::id::{MessageId, PartId, SessionId};
use crate::opencode::session::Tokens;

/// When a part began and ended, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PartTime {
    /// When it began.
    pub start: u64,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub end: Option<u64>,
}

/// One part of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[schema(as = MessagePart)]
pub enum Part {
    /// Text.
    Text(TextPart),
    /// What the model thought before it spoke.
    Reasoning(ReasoningPart),
    /// A file that came with a prompt, or that an agent has shown.
    File(FilePart),
    /// A tool call.
    Tool(ToolPart),
    /// A step of an answer begins.
    StepStart(StepStartPart),
    /// A step of an answer has ended.
    StepFinish(StepFinishPart),
    /// Files that an answer has changed.
    Patch(PatchPart),
    /// An agent that a prompt mentions.
    Agent(AgentPart),
    /// A task for a sub-agent.
    Subtask(SubtaskPart),
    /// The wish for a summary of the conversation.
    Compaction(CompactionPart),
}

macro_rules! part_accessor {
    ($self:ident, $part:ident => $body:expr) => {
        match $self {
            Self::Text($part) => $body,
            Self::Reasoning($part) => $body,
            Self::File($part) => $body,
            Self::Tool($part) => $body,
            Self::StepStart($part) => $body,
            Self::StepFinish($part) => $body,
            Self::Patch($part) => $body,
            Self::Agent($part) => $body,
            Self::Subtask($part) => $body,
            Self::Compaction($part) => $body,
        }
    };
}

/// Which part it is. Read ahead of the part: a derived enum keeps everything else aside until it has found this, which takes
/// twice as long.
#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
}

impl Part {
    /// Reads one from JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(text: &str) -> serde_json::Result<Self> {
        let kind = match json::leading_tag(text, "type") {
            Some(kind) => Cow::Borrowed(kind),
            None => serde_json::from_str::<Kind<'_>>(text)?.kind,
        };
        match kind.as_ref() {
            "text" => serde_json::from_str(text).map(Self::Text),
            "reasoning" => serde_json::from_str(text).map(Self::Reasoning),
            "tool" => serde_json::from_str(text).map(Self::Tool),
            "step-start" => serde_json::from_str(text).map(Self::StepStart),
            "step-finish" => serde_json::from_str(text).map(Self::StepFinish),
            // There are few of them.
            _ => serde_json::from_str(text),
        }
    }

    /// Whether the JSON of a part that was stored is that of a step, of which no model is told.
    pub fn is_step(text: &str) -> bool {
        let kind = json::leading_tag(text, "type");
        kind.is_some_and(|kind| matches!(kind, "step-start" | "step-finish"))
    }

    /// The part's id.
    pub fn id(&self) -> &PartId {
        part_accessor!(self, p => &p.id)
    }

    /// The message that the part belongs to.
    pub fn message_id(&self) -> &MessageId {
        part_accessor!(self, p => &p.message_id)
    }

    /// The session that the part belongs to.
    pub fn session_id(&self) -> &SessionId {
        part_accessor!(self, p => &p.session_id)
    }

    /// Makes it a part of another message, under another id.
    pub fn belong_to(&mut self, id: PartId, session: &SessionId, message: &MessageId) {
        part_accessor!(self, p => {
            p.id = id;
            p.session_id = session.clone();
            p.message_id = message.clone();
        });
    }
}

/// Text of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TextPart {
    /// The part's id.
    pub id: PartId,
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// The message.
    #[serde(rename = "messageID")]
    pub message_id: MessageId,
    /// The text.
    pub text: String,
    /// Made by the server, not by the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub synthetic: Option<bool>,
    /// Not given to the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub ignored: Option<bool>,
    /// When it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub time: Option<PartTime>,
    /// Free data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
}

/// What the model thought. It is shown, kept, and never handed to another model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReasoningPart {
    /// The part's id.
    pub id: PartId,
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// The message.
    #[serde(rename = "messageID")]
    pub message_id: MessageId,
    /// The text.
    pub text: String,
    /// When it was written.
    pub time: PartTime,
}

/// A file that came with a prompt, or that an agent has shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FilePart {
    /// The part's id.
    pub id: PartId,
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// The message.
    #[serde(rename = "messageID")]
    pub message_id: MessageId,
    /// Its media type.
    pub mime: String,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub filename: Option<String>,
    /// `data:` or `file:` URL.
    pub url: String,
    /// Where in the prompt it was mentioned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<Object>)]
    pub source: Option<Map<String, Value>>,
}

/// A file that a tool has returned: a part of type `file`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Attachment {
    /// The file.
    File(FilePart),
}

impl Attachment {
    /// The file.
    pub fn file(&self) -> &FilePart {
        let Self::File(file) = self;
        file
    }
}

/// A tool call of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ToolPart {
    /// The part's id.
    pub id: PartId,
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// The message.
    #[serde(rename = "messageID")]
    pub message_id: MessageId,
    /// The call's id, as the agent made it.
    #[serde(rename = "callID")]
    pub call_id: String,
    /// The tool: `bash`, `edit`, `read`, …
    pub tool: String,
    /// How far it is.
    pub state: ToolState,
}

/// How far a tool call is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum ToolState {
    /// Announced.
    Pending {
        /// Its arguments, as far as known.
        #[schema(value_type = Object)]
        input: Map<String, Value>,
        /// Its arguments as raw text.
        raw: String,
    },
    /// Running.
    Running {
        /// Its arguments.
        #[schema(value_type = Object)]
        input: Map<String, Value>,
        /// What it does, in a few words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        title: Option<String>,
        /// Free data.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false, value_type = Option<Object>)]
        metadata: Option<Map<String, Value>>,
        /// When it began.
        time: PartTime,
    },
    /// Done.
    Completed {
        /// Its arguments.
        #[schema(value_type = Object)]
        input: Map<String, Value>,
        /// Its result.
        output: String,
        /// What it did, in a few words.
        title: String,
        /// Free data, such as the diff of an edit.
        #[schema(value_type = Object)]
        metadata: Map<String, Value>,
        /// When it ran.
        time: PartTime,
        /// Pictures and other files that it has returned.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[schema(nullable = false, required = false, value_type = Vec<FilePart>)]
        attachments: Vec<Attachment>,
    },
    /// Failed.
    Error {
        /// Its arguments.
        #[schema(value_type = Object)]
        input: Map<String, Value>,
        /// Why.
        error: String,
        /// Free data.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false, value_type = Option<Object>)]
        metadata: Option<Map<String, Value>>,
        /// When it ran.
        time: PartTime,
    },
}

/// A step of an answer begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StepStartPart {
    /// The part's id.
    pub id: PartId,
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// The message.
    #[serde(rename = "messageID")]
    pub message_id: MessageId,
    /// Names the state of the working directory before the step; absent where no snapshots are taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub snapshot: Option<String>,
}

/// A step of an answer has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StepFinishPart {
    /// The part's id.
    pub id: PartId,
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// The message.
    #[serde(rename = "messageID")]
    pub message_id: MessageId,
    /// Why: `stop`, `length`, …
    pub reason: String,
    /// Names the state of the working directory after the step; absent where no snapshots are taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub snapshot: Option<String>,
    /// Cost, in US dollars where the agent says so.
    pub cost: f64,
    /// Tokens spent.
    pub tokens: Tokens,
}

/// Files that an answer has changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PatchPart {
    /// The part's id.
    pub id: PartId,
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// The message.
    #[serde(rename = "messageID")]
    pub message_id: MessageId,
    /// Names the state of the working directory before.
    pub hash: String,
    /// The files, as absolute paths.
    pub files: Vec<String>,
}

/// An agent that a prompt mentions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AgentPart {
    /// The part's id.
    pub id: PartId,
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// The message.
    #[serde(rename = "messageID")]
    pub message_id: MessageId,
    /// The agent's name.
    pub name: String,
    /// Where in the prompt it was mentioned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<Object>)]
    pub source: Option<Map<String, Value>>,
}

/// A task for a sub-agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SubtaskPart {
    /// The part's id.
    pub id: PartId,
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// The message.
    #[serde(rename = "messageID")]
    pub message_id: MessageId,
    /// What to do.
    pub prompt: String,
    /// The same in a few words.
    pub description: String,
    /// Who is to do it.
    pub agent: String,
}

/// The wish for a summary of the conversation; the answer to it is the summary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CompactionPart {
    /// The part's id.
    pub id: PartId,
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// The message.
    #[serde(rename = "messageID")]
    pub message_id: MessageId,
    /// The work goes on by itself afterwards.
    pub auto: bool,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(own: &Value) -> String {
        let mut part = json!({"id": "prt_1", "sessionID": "ses_1", "messageID": "msg_1"});
        let own = own.as_object().expect("an object").clone();
        part.as_object_mut().expect("an object").extend(own);
        part.to_string()
    }

    #[test]
    fn a_part_is_read_as_serde_reads_it() {
        let tokens =
            json!({"input": 1, "output": 2, "reasoning": 0, "cache": {"read": 0, "write": 0}});
        for own in [
            json!({"type": "text", "text": "a \" \u{e9}"}),
            json!({"type": "reasoning", "text": "a", "time": {"start": 1}}),
            json!({"type": "file", "mime": "text/plain", "url": "data:,"}),
            json!({"type": "tool", "callID": "c", "tool": "bash", "state": {"status": "pending", "input": {}, "raw": ""}}),
            json!({"type": "step-start"}),
            json!({"type": "step-finish", "reason": "stop", "cost": 0.5, "tokens": tokens}),
            json!({"type": "patch", "hash": "a", "files": []}),
            json!({"type": "agent", "name": "build"}),
            json!({"type": "subtask", "prompt": "a", "description": "a", "agent": "build"}),
            json!({"type": "compaction", "auto": false}),
        ] {
            let text = with(&own);
            let read = Part::read(&text).expect("a part");
            assert_eq!(read, serde_json::from_str(&text).expect("a part"));
            // As it is written its kind comes first.
            let written = crate::json::text(&read);
            assert_eq!(Part::read(&written).expect("a part"), read);
            let is_step = matches!(read, Part::StepStart(_) | Part::StepFinish(_));
            assert_eq!(Part::is_step(&written), is_step);
            let escaped = written.replacen("\"type\":\"", "\"type\":\"\\u", 1);
            assert!(Part::read(&escaped).is_err(), "{escaped}");
        }
        for own in [
            json!({"type": "nothing"}),
            json!({}),
            json!({"type": "text"}),
        ] {
            assert!(Part::read(&with(&own)).is_err(), "{own}");
        }
    }
}
