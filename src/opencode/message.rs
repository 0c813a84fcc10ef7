//! OpenCode's messages and their parts.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::history::Overrides;
use super::id::{MessageId, PartId, SessionId};
use super::session::{FileDiff, MessageModel, Tokens};

/// A message: what the user said, or what a model answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "role", rename_all = "lowercase")]
pub enum Message {
    /// A prompt.
    User(UserMessage),
    /// An answer.
    Assistant(AssistantMessage),
}

impl Message {
    /// The message's id.
    pub fn id(&self) -> &MessageId {
        match self {
            Self::User(m) => &m.id,
            Self::Assistant(m) => &m.id,
        }
    }
}

/// When a user message was made, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserTime {
    /// When it was made.
    pub created: u64,
}

/// What came of a prompt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PromptSummary {
    /// What was changed in the working directory while it was answered.
    pub diffs: Vec<FileDiff>,
}

/// A prompt of the user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UserMessage {
    /// The message's id; a client may bring its own.
    pub id: MessageId,
    /// The session it belongs to.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// When it was made.
    pub time: UserTime,
    /// What came of it; absent before it is answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub summary: Option<PromptSummary>,
    /// The agent that was selected when it was admitted.
    pub agent: String,
    /// The model that was selected when it was admitted: the one that answers it.
    pub model: MessageModel,
    /// An instruction for this prompt alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub system: Option<String>,
    /// The form that the answer shall have; absent for text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub format: Option<OutputFormat>,
    /// What the prompt's own model, variant or agent took back of what somebody else had selected; absent when it took
    /// back nothing (Baton's addition).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub overrides: Option<Overrides>,
    /// The model that the prompt named and that does not answer it, because the session is pinned to another one; absent
    /// otherwise (Baton's addition).
    #[serde(
        rename = "pinnedOver",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(nullable = false)]
    pub pinned_over: Option<MessageModel>,
}

/// The form that an answer shall have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OutputFormat {
    /// Text.
    Text {},
    /// One JSON value; it stands in the answer's `structured`.
    JsonSchema {
        /// The JSON Schema that it is valid against. References to other documents are not followed.
        #[schema(value_type = std::collections::HashMap<String, serde_json::Value>)]
        schema: serde_json::Map<String, serde_json::Value>,
        /// How often the model may correct an answer that does not fit; 2 when left out, 10 at most.
        #[serde(
            rename = "retryCount",
            default,
            skip_serializing_if = "Option::is_none"
        )]
        #[schema(nullable = false)]
        retry_count: Option<u32>,
    },
}

/// When an answer began and ended, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AssistantTime {
    /// When it began.
    pub created: u64,
    /// When it ended; absent while it is being written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub completed: Option<u64>,
}

/// The directory that an answer was made in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MessagePath {
    /// The working directory.
    pub cwd: String,
    /// The project's root.
    pub root: String,
}

/// An answer of a model, with the model that really produced it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AssistantMessage {
    /// The message's id.
    pub id: MessageId,
    /// The session it belongs to.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// When it began and ended.
    pub time: AssistantTime,
    /// Why it failed or was cut short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<MessageError>,
    /// The prompt that it answers.
    #[serde(rename = "parentID")]
    pub parent_id: MessageId,
    /// The model.
    #[serde(rename = "modelID")]
    pub model_id: String,
    /// The provider.
    #[serde(rename = "providerID")]
    pub provider_id: String,
    /// The agent, under OpenCode's older name.
    pub mode: String,
    /// The agent.
    pub agent: String,
    /// The directory that it was made in.
    pub path: MessagePath,
    /// Marks the summary of a compaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub summary: Option<bool>,
    /// Cost, in US dollars where the agent says so.
    pub cost: f64,
    /// Tokens spent on it.
    pub tokens: Tokens,
    /// The JSON value, where the prompt asked for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub structured: Option<serde_json::Value>,
    /// The reasoning effort; absent for the model's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub variant: Option<String>,
    /// Why it ended: `stop`, `length`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub finish: Option<String>,
    /// What the prompt's own model, variant or agent took back of what somebody else had selected; absent when it took
    /// back nothing (Baton's addition).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub overrides: Option<Overrides>,
    /// The model that the prompt named and that does not answer it, because the session is pinned to another one; absent
    /// otherwise (Baton's addition).
    #[serde(
        rename = "pinnedOver",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(nullable = false)]
    pub pinned_over: Option<MessageModel>,
}

/// Why an answer failed. The names are OpenCode's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "name", content = "data")]
pub enum MessageError {
    /// The agent is not signed in.
    ProviderAuthError {
        /// Whose credentials are missing.
        #[serde(rename = "providerID")]
        provider_id: String,
        /// What happened and what to do.
        message: String,
    },
    /// The user aborted it, or the server was restarted while it was being written.
    MessageAbortedError {
        /// What happened.
        message: String,
    },
    /// The model's output limit was reached.
    MessageOutputLengthError {},
    /// The model refused to answer.
    ContentFilterError {
        /// What happened.
        message: String,
    },
    /// The model's provider failed.
    APIError {
        /// What happened.
        message: String,
        /// Whether the same prompt may work later.
        #[serde(rename = "isRetryable")]
        is_retryable: bool,
    },
    /// Anything else; the message says what.
    /// The answer does not have the form that the prompt asked for.
    StructuredOutputError {
        /// What does not fit.
        message: String,
        /// How often the model has corrected it.
        retries: u32,
    },
    /// Anything else.
    UnknownError {
        /// What happened and what to do.
        message: String,
    },
}

impl MessageError {
    /// What happened, for a person.
    pub fn message(&self) -> &str {
        match self {
            Self::ProviderAuthError { message, .. }
            | Self::MessageAbortedError { message }
            | Self::ContentFilterError { message }
            | Self::APIError { message, .. }
            | Self::StructuredOutputError { message, .. }
            | Self::UnknownError { message } => message,
            Self::MessageOutputLengthError {} => "the model's output limit was reached",
        }
    }
}

/// A message with its parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MessageWithParts {
    /// The message.
    pub info: Message,
    /// Its parts, in order.
    pub parts: Vec<Part>,
}

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

impl Part {
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
