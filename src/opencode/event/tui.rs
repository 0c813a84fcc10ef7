//! Events that drive attached terminal UIs.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::opencode::id::SessionId;

/// For terminal UIs: append to the prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TuiPromptAppend {
    /// The text.
    pub text: String,
}

/// For terminal UIs: execute a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TuiCommandExecute {
    /// The terminal UI's name of it, such as `session.new`.
    pub command: String,
}

/// How a notification looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ToastVariant {
    /// Good to know.
    Info,
    /// It went well.
    Success,
    /// Something may be wrong.
    Warning,
    /// Something is wrong.
    Error,
}

/// For terminal UIs: show a notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TuiToastShow {
    /// Its title.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub title: Option<String>,
    /// What it says.
    pub message: String,
    /// How it looks.
    pub variant: ToastVariant,
    /// How long it is shown, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub duration: Option<u64>,
}

/// For terminal UIs: show a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TuiSessionSelect {
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
}

/// A command for a terminal UI: the request that asked for it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TuiRequest {
    /// The request's path.
    #[schema(example = "/tui/append-prompt")]
    pub path: String,
    /// The request's body; null when it had none.
    #[schema(value_type = Option<Object>, required)]
    pub body: Value,
}
