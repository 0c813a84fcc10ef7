//! `GET /config/providers`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::directory::Asked;
use crate::http::extract::Directory;
use crate::http::provider::{connected, defaults, settled_at};
use crate::http::responses::Invalid;
use crate::http::state::Shared;
use crate::opencode::provider::Provider;

/// The providers that can be used.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ConfiguredProviders)]
pub struct ConfigProviders {
    /// The backends that can run, in order of preference.
    pub providers: Vec<Provider>,
    /// The model that each of them starts with.
    pub default: BTreeMap<String, String>,
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
