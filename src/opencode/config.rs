//! The part of OpenCode's configuration that its clients look at.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// The part of OpenCode's configuration that its clients look at.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
#[schema(as = ServerConfig)]
pub struct Config {
    /// The model of a session that names none, as `provider/model`; absent when none was set. A client takes a model
    /// that is set here as a wish, and otherwise continues with the one that its user picked last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "opencode/anthropic/claude-opus-4")]
    pub model: Option<String>,
    /// The agent of a session that names none.
    #[schema(example = "build")]
    pub default_agent: String,
    /// Agents; Baton's are in `GET /agent`.
    #[schema(value_type = Object)]
    pub agent: Map<String, Value>,
    /// Modes; empty.
    #[schema(value_type = Object)]
    pub mode: Map<String, Value>,
    /// Slash commands; empty.
    #[schema(value_type = Object)]
    pub command: Map<String, Value>,
    /// Plugins; empty.
    pub plugin: Vec<String>,
    /// `disabled`: Baton shares nothing.
    pub share: String,
    /// `false`: Baton does not update itself.
    pub autoupdate: bool,
}
