//! `GET /config`.

use axum::extract::State;
use axum::{Extension, Json};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::http::front::Front;
use crate::http::provider::settled;
use crate::http::state::Shared;

/// The part of OpenCode's configuration that its clients look at.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
#[schema(as = ServerConfig)]
pub struct Config {
    /// The model of a session that names none, as `provider/model`; absent when none was set. A client takes a model
    /// that stands here as a wish, and goes on with the one that its user picked last when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "opencode/anthropic/claude-opus-4")]
    pub model: Option<String>,
    /// The agent of a session that names none.
    #[schema(example = "build")]
    pub default_agent: String,
    /// Agents; Baton's stand in `GET /agent`.
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

/// Get the configuration
///
/// What OpenCode's clients look at before they start. Baton itself is configured in its own file.
#[utoipa::path(
    get,
    path = "/config",
    operation_id = "config.get",
    tag = "config",
    responses((status = 200, description = "The configuration.", body = Config))
)]
pub async fn get(State(state): State<Shared>, front: Option<Extension<Front>>) -> Json<Config> {
    let mut config = current(&state).await;
    let snapshot = state.registry.snapshot();
    let own = front.as_ref().and_then(|front| front.model_in(&snapshot));
    if let Some(model) = own {
        config.model = Some(format!("{}/{}", model.provider_id, model.model_id));
    }
    Json(config)
}

/// The configuration as it is now.
pub(in crate::http) async fn current(state: &Shared) -> Config {
    let snapshot = settled(state).await;
    let model = snapshot.defaults.model.as_ref();
    Config {
        model: model.map(|m| format!("{}/{}", m.provider_id, m.model_id)),
        default_agent: snapshot.default_agent().to_owned(),
        share: "disabled".to_owned(),
        ..Config::default()
    }
}
