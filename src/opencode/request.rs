//! What an agent asks of the user: permissions and questions.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::id::{PermissionId, QuestionId, SessionId};

/// The tool call that a request belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ToolRef {
    /// The message.
    #[serde(rename = "messageID")]
    pub message_id: String,
    /// The call.
    #[serde(rename = "callID")]
    pub call_id: String,
}

/// An agent wants to do something that the user has to allow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PermissionRequest {
    /// The request's id.
    pub id: PermissionId,
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// The kind of thing: `edit`, `bash`, `read`, …
    pub permission: String,
    /// What it is done to: commands, paths.
    pub patterns: Vec<String>,
    /// What the agent says about it.
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    /// What the answer `always` would allow from then on.
    pub always: Vec<String>,
    /// The tool call that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub tool: Option<ToolRef>,
}

/// The user's answer to a permission request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = PermissionAnswer)]
pub enum PermissionReply {
    /// This time.
    Once,
    /// This time, and every matching request of this session on this backend.
    Always,
    /// No.
    Reject,
}

/// One choice of a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuestionOption {
    /// What is shown and sent back.
    pub label: String,
    /// What it means.
    pub description: String,
}

/// One question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuestionInfo {
    /// The whole question.
    pub question: String,
    /// A very short label.
    pub header: String,
    /// The choices; empty for free text.
    pub options: Vec<QuestionOption>,
    /// More than one choice may be taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub multiple: Option<bool>,
    /// Free text is an answer, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub custom: Option<bool>,
}

/// An agent asks the user something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuestionRequest {
    /// The request's id.
    pub id: QuestionId,
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// The questions, answered together.
    pub questions: Vec<QuestionInfo>,
    /// The tool call that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub tool: Option<ToolRef>,
}
