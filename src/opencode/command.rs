//! A slash command, as OpenCode lists it.

use serde::Serialize;
use utoipa::ToSchema;

/// A slash command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = SlashCommand)]
pub struct CommandInfo {
    /// Its name, without the slash.
    #[schema(example = "review")]
    pub name: String,
    /// What it does. For a command that backends advertise, these follow it in brackets.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub description: Option<String>,
    /// The agent that it selects.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub agent: Option<String>,
    /// The model that it selects.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub model: Option<String>,
    /// `command`; OpenCode has others, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub source: Option<String>,
    /// What is sent. For a command of a backend, the line that the backend is given.
    pub template: String,
    /// OpenCode runs it in a sub-agent; Baton answers it like any other.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub subtask: Option<bool>,
    /// The placeholders of the template.
    pub hints: Vec<String>,
}
