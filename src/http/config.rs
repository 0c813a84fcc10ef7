//! `/config` and `/global/config`: what OpenCode's clients ask before they start.

use axum::Extension;

use crate::http::directory::Asked;
use crate::http::front::Front;
use crate::http::global::{announce, announce_instance};
use crate::http::handler::*;
use crate::http::provider::{connected, defaults, settled, settled_at};
use crate::http::read::refusal;
use crate::opencode::bounded;
use crate::opencode::config::Config;
use crate::opencode::provider::ConfigProviders;
use crate::registry::{Defaults, ModelWish};

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

/// List the providers that can be used
///
/// The connected backends of `provider.list`.
#[utoipa::path(
    get,
    path = "/config/providers",
    operation_id = "config.providers",
    tag = "config",
    params(Directory),
    responses(
        (status = 200, description = "The providers.", body = ConfigProviders),
        Invalid,
    )
)]
pub async fn providers(State(state): State<Shared>, asked: Asked) -> Json<ConfigProviders> {
    let snapshot = settled_at(&state, &asked).await;
    Json(ConfigProviders {
        providers: connected(&snapshot),
        default: defaults(&snapshot),
    })
}

/// The settings that can be changed.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ConfigUpdateInput)]
pub struct ConfigUpdate {
    /// The model of sessions that name none, as `provider/model`.
    #[serde(default, deserialize_with = "bounded::path")]
    #[schema(format = "bound:path", example = "claude/opus")]
    pub model: Option<String>,
    /// The agent of sessions that name none: `build`, `plan`, or a mode of the default model's backend.
    #[schema(format = "bound:name", example = "plan")]
    pub default_agent: Option<String>,
}

/// Change the configuration
///
/// Changes what sessions start with when their client names no model or no agent; sessions that have a selection keep
/// it. It is checked as a selection is, and kept over restarts, until the config file names another default model
/// than it does now. The other fields of OpenCode's configuration mean nothing to Baton: they are ignored, and the
/// answer, the whole configuration as it is now, does not have them. Clients are told with the event
/// `server.instance.disposed`.
#[utoipa::path(
    patch,
    path = "/config",
    operation_id = "config.update",
    tag = "config",
    params(Directory),
    request_body(content = ConfigUpdate, description = "The changes."),
    responses(
        (status = 200, description = "The configuration as it is now.", body = Config),
        Unselectable,
    )
)]
pub async fn update(
    State(state): State<Shared>,
    Directory(directory): Directory,
    Body(input): Body<ConfigUpdate>,
) -> Result<Json<Config>, Problem> {
    if change(&state, input).await? {
        announce_instance(&state, directory);
    }
    Ok(Json(current(&state).await))
}

/// Makes the changes; true when anything was asked for that means something here.
pub(in crate::http) async fn change(state: &Shared, input: ConfigUpdate) -> Result<bool, Problem> {
    let expected = || {
        refusal(
            &["model"],
            "Expected provider/model, such as \"claude/opus\"",
        )
    };
    let model = input.model.as_deref();
    let model = model.map(|text| ModelWish::parse(text).ok_or_else(expected));
    let change = Defaults {
        model: model.transpose()?,
        agent: input.default_agent,
    };
    if change == Defaults::default() {
        return Ok(false);
    }
    state.registry.set_defaults(change).await?;
    Ok(true)
}

/// What [`ModelWish::parse`] takes, as a regular expression.
pub const MODEL_PATTERN: &str = r"^[^/]+/[\s\S]+$";

/// Get the configuration of all directories
///
/// The same as `config.get`: Baton has one configuration for all directories.
#[utoipa::path(
    get,
    path = "/global/config",
    operation_id = "global.config.get",
    tag = "config",
    responses((status = 200, description = "The configuration.", body = Config))
)]
pub async fn get_global(State(state): State<Shared>) -> Json<Config> {
    Json(current(&state).await)
}

/// Change the configuration of all directories
///
/// The same as `config.update`; clients are told with the event `global.disposed`.
#[utoipa::path(
    patch,
    path = "/global/config",
    operation_id = "global.config.update",
    tag = "config",
    request_body(content = ConfigUpdate, description = "The changes."),
    responses(
        (status = 200, description = "The configuration as it is now.", body = Config),
        Unselectable,
    )
)]
pub async fn update_global(
    State(state): State<Shared>,
    Body(input): Body<ConfigUpdate>,
) -> Result<Json<Config>, Problem> {
    if change(&state, input).await? {
        announce(&state);
    }
    Ok(Json(current(&state).await))
}
