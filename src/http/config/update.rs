//! `PATCH /config`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::opencode::bounded;

use super::get::{Config, current};
use crate::http::error::Problem;
use crate::http::extract::{Body, Directory};
use crate::http::instance;
use crate::http::read::refusal;
use crate::http::responses::{NotJson, TooLarge, Unselectable};
use crate::http::state::Shared;
use crate::registry::{Defaults, ModelWish};

/// What of the configuration can be changed.
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
        Unselectable, TooLarge, NotJson,
    )
)]
pub async fn update(
    State(state): State<Shared>,
    Directory(directory): Directory,
    Body(input): Body<ConfigUpdate>,
) -> Result<Json<Config>, Problem> {
    if change(&state, input).await? {
        instance::dispose::announce(&state, directory);
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
    let model = model.map(|text| parse_model(text).ok_or_else(expected));
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

/// What [`parse_model`] takes, as a regular expression.
pub const MODEL_PATTERN: &str = r"^[^/]+/[\s\S]+$";

/// Reads `provider/model`; the model's id may contain further slashes.
fn parse_model(text: &str) -> Option<ModelWish> {
    let (provider, model) = text.split_once('/')?;
    let whole = !provider.is_empty() && !model.is_empty();
    whole.then(|| ModelWish {
        provider_id: provider.to_owned(),
        model_id: model.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::parse_model;

    #[test]
    fn a_model_may_have_slashes_of_its_own() {
        let model = parse_model("opencode/stub/alpha").expect("a model");
        assert_eq!(
            (&*model.provider_id, &*model.model_id),
            ("opencode", "stub/alpha")
        );
        for bad in ["", "/", "a/", "/b", "opus"] {
            assert!(parse_model(bad).is_none(), "{bad}");
        }
    }
}
