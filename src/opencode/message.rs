//! OpenCode's messages and their parts.

mod part;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::history::Overrides;
use super::id::{MessageId, SessionId};
use super::session::{FileDiff, MessageModel, Tokens};
use crate::json;
pub use part::{
    AgentPart, Attachment, CompactionPart, FilePart, Part, PartTime, PatchPart, ReasoningPart,
    StepFinishPart, StepStartPart, SubtaskPart, TextPart, ToolPart, ToolState,
};

/// A message: what the user said, or what a model answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "role", rename_all = "lowercase")]
#[expect(
    clippy::large_enum_variant,
    reason = "there are a few at a time, nearly all of them answers"
)]
pub enum Message {
    /// A prompt.
    User(UserMessage),
    /// An answer.
    Assistant(AssistantMessage),
}

/// Whose message it is; see [`Part::read`].
#[derive(Deserialize)]
struct Author<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
}

impl Message {
    /// Reads one from JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(text: &str) -> serde_json::Result<Self> {
        let role = match json::leading_tag(text, "role") {
            Some(role) => Cow::Borrowed(role),
            None => serde_json::from_str::<Author<'_>>(text)?.role,
        };
        match role.as_ref() {
            "user" => serde_json::from_str(text).map(Self::User),
            "assistant" => serde_json::from_str(text).map(Self::Assistant),
            _ => serde_json::from_str(text),
        }
    }

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
    /// It asks for a summary that is for the handover of the next prompt alone: whoever knows the conversation goes on
    /// without it; absent otherwise (Baton's addition).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub handoff: Option<bool>,
}

/// The form that an answer shall have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OutputFormat {
    /// Text.
    Text {},
    /// One JSON value, in the answer's `structured`.
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
        #[schema(nullable = false, format = Int64, maximum = 9007199254740991_i64)]
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
    /// The session's revision that selected what it was asked with; absent in answers from before that was noted
    /// (Baton's addition).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub revision: Option<u64>,
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
    /// The agent has failed, or the model's provider behind it.
    APIError {
        /// What happened.
        message: String,
        /// Whether the same prompt may work later.
        #[serde(rename = "isRetryable")]
        is_retryable: bool,
    },
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
