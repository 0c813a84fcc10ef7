//! `GET /global/config` and `PATCH /global/config`.

use axum::Json;
use axum::extract::State;

use super::dispose;
use crate::http::config::get::{Config, current};
use crate::http::config::update::{ConfigUpdate, change};
use crate::http::error::Problem;
use crate::http::extract::Body;
use crate::http::responses::{NotJson, TooLarge, Unselectable};
use crate::http::state::Shared;

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
pub async fn get(State(state): State<Shared>) -> Json<Config> {
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
        Unselectable, TooLarge, NotJson,
    )
)]
pub async fn update(
    State(state): State<Shared>,
    Body(input): Body<ConfigUpdate>,
) -> Result<Json<Config>, Problem> {
    if change(&state, input).await? {
        dispose::announce(&state);
    }
    Ok(Json(current(&state).await))
}
