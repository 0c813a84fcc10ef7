//! OpenCode 2's messages.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::info::V2Tokens;
use crate::opencode::message::FilePart;
use crate::opencode::session::ModelRef;
use crate::opencode::{MessageId, SessionId};

/// A message of OpenCode 2: what the user said, what a model answered, or what was changed in between.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[expect(
    clippy::large_enum_variant,
    reason = "about as many of one as of the other, and a box would show in every match"
)]
#[schema(as = V2Message)]
pub enum SessionMessage {
    /// The agent was changed.
    AgentSwitched(AgentSwitchedMessage),
    /// The model was changed.
    ModelSwitched(ModelSwitchedMessage),
    /// A prompt.
    User(V2UserMessage),
    /// A prompt that the server made.
    Synthetic(SyntheticMessage),
    /// An answer.
    Assistant(V2AssistantMessage),
    /// The summary that replaces what came before it.
    Compaction(CompactionMessage),
}

impl SessionMessage {
    /// The message's id.
    pub fn id(&self) -> &MessageId {
        match self {
            Self::AgentSwitched(m) => &m.id,
            Self::ModelSwitched(m) => &m.id,
            Self::User(m) => &m.id,
            Self::Synthetic(m) => &m.id,
            Self::Assistant(m) => &m.id,
            Self::Compaction(m) => &m.id,
        }
    }
}

/// When something was made, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct CreatedTime {
    /// When it was made.
    pub created: u64,
}

/// When something began and ended, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct SpanTime {
    /// When it began.
    pub created: u64,
    /// When it ended; absent while it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub completed: Option<u64>,
}

/// The agent was changed.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AgentSwitchedMessage {
    /// Its id.
    pub id: MessageId,
    /// When.
    pub time: CreatedTime,
    /// The agent from then on.
    pub agent: String,
}

/// The model was changed.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ModelSwitchedMessage {
    /// Its id.
    pub id: MessageId,
    /// When.
    pub time: CreatedTime,
    /// The model from then on.
    pub model: ModelRef,
}

/// A part of a prompt's text.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PromptSource {
    /// Where it begins.
    pub start: u64,
    /// Where it ends.
    pub end: u64,
    /// The text between.
    pub text: String,
}

/// A file of a prompt.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PromptFile {
    /// `file:` or `data:` URL.
    pub uri: String,
    /// Its media type.
    pub mime: String,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub name: Option<String>,
    /// Where in the text it was mentioned.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub source: Option<PromptSource>,
}

/// An agent that a prompt mentions.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PromptAgent {
    /// Its name.
    pub name: String,
    /// Where in the text it was mentioned.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub source: Option<PromptSource>,
}

/// What a prompt says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct V2Prompt {
    /// Its text.
    pub text: String,
    /// Its files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub files: Vec<PromptFile>,
    /// The agents that it mentions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub agents: Vec<PromptAgent>,
}

/// A prompt of the user.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct V2UserMessage {
    /// Its id.
    pub id: MessageId,
    /// When it was made.
    pub time: CreatedTime,
    /// Its text.
    pub text: String,
    /// Its files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub files: Vec<PromptFile>,
    /// The agents that it mentions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub agents: Vec<PromptAgent>,
}

/// A prompt that the server made.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SyntheticMessage {
    /// Its id.
    pub id: MessageId,
    /// When it was made.
    pub time: CreatedTime,
    /// The session it belongs to.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// Its text.
    pub text: String,
}

/// The summary that replaces what came before it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct CompactionMessage {
    /// Its id.
    pub id: MessageId,
    /// When it was made.
    pub time: CreatedTime,
    /// `auto` or `manual`.
    pub reason: String,
    /// The summary.
    pub summary: String,
    /// The part of the conversation that was kept verbatim; empty.
    pub recent: String,
}

/// Why an answer or a tool call failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct V2Error {
    /// `unknown`.
    pub r#type: String,
    /// What happened and what to do.
    pub message: String,
}

impl V2Error {
    /// An error with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            r#type: "unknown".to_owned(),
            message: message.into(),
        }
    }
}

/// The files before an answer, and which of them it has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct V2Snapshot {
    /// Names the state before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub start: Option<String>,
    /// The files that were changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub files: Vec<String>,
}

/// An answer of a model.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct V2AssistantMessage {
    /// Its id.
    pub id: MessageId,
    /// When it began and ended.
    pub time: SpanTime,
    /// The agent.
    pub agent: String,
    /// The model that produced it.
    pub model: ModelRef,
    /// What it said and did, in order.
    pub content: Vec<Content>,
    /// The files before it, and which of them it has changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub snapshot: Option<V2Snapshot>,
    /// Why it ended: `stop`, `length`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub finish: Option<String>,
    /// Cost, in US dollars where the agent says so; absent while it is being written.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub cost: Option<f64>,
    /// Tokens spent on it; absent while it is being written.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub tokens: Option<V2Tokens>,
    /// Why it failed or was cut short.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<V2Error>,
}

/// One piece of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
#[schema(as = V2Content)]
pub enum Content {
    /// Text.
    Text(TextContent),
    /// What the model thought.
    Reasoning(ReasoningContent),
    /// A tool call.
    Tool(Box<ToolContent>),
}

/// Text of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TextContent {
    /// Its id.
    pub id: String,
    /// The text.
    pub text: String,
}

/// What a model thought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReasoningContent {
    /// Its id.
    pub id: String,
    /// The text.
    pub text: String,
    /// When it was written.
    pub time: SpanTime,
}

/// Who has run a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct ToolProvider {
    /// Whether the model's provider has; `false`, the agent runs its tools.
    pub executed: bool,
}

/// When a tool call was made and ended, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct ToolTime {
    /// When it was made.
    pub created: u64,
    /// When it began to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub ran: Option<u64>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub completed: Option<u64>,
}

/// A tool call of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ToolContent {
    /// The call's id, as the agent made it.
    pub id: String,
    /// The tool: `bash`, `edit`, `read`, …
    pub name: String,
    /// Who has run it.
    pub provider: ToolProvider,
    /// How far it is.
    pub state: V2ToolState,
    /// When it was made and ended.
    pub time: ToolTime,
}

/// A piece of what a tool has returned.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum ToolOutput {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// A picture or another file.
    File {
        /// Its `data:` URL.
        uri: String,
        /// Its media type.
        mime: String,
        /// Its name.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        name: Option<String>,
    },
}

impl ToolOutput {
    /// Text that a tool has returned.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }

    /// A file that a tool has returned.
    pub fn file(file: &FilePart) -> Self {
        Self::File {
            uri: file.url.clone(),
            mime: file.mime.clone(),
            name: file.filename.clone(),
        }
    }
}

/// How far a tool call is.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum V2ToolState {
    /// Announced.
    Pending {
        /// Its arguments as text, as far as known.
        input: String,
    },
    /// Running.
    Running {
        /// Its arguments.
        #[schema(value_type = Object)]
        input: Map<String, Value>,
        /// Free data.
        #[schema(value_type = Object)]
        structured: Map<String, Value>,
        /// What it has returned so far.
        content: Vec<ToolOutput>,
    },
    /// Done.
    Completed {
        /// Its arguments.
        #[schema(value_type = Object)]
        input: Map<String, Value>,
        /// Free data, such as the diff of an edit.
        #[schema(value_type = Object)]
        structured: Map<String, Value>,
        /// What it has returned.
        content: Vec<ToolOutput>,
    },
    /// Failed.
    Error {
        /// Its arguments.
        #[schema(value_type = Object)]
        input: Map<String, Value>,
        /// Free data.
        #[schema(value_type = Object)]
        structured: Map<String, Value>,
        /// What it had returned before.
        content: Vec<ToolOutput>,
        /// Why.
        error: V2Error,
    },
}
