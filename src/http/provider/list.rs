//! `GET /provider`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::{connected, defaults, settled};
use crate::http::state::Shared;
use crate::opencode::provider::Provider;

/// All providers.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ProviderList {
    /// The backends that can run, in order of preference.
    pub all: Vec<Provider>,
    /// The model that each of them starts with.
    pub default: BTreeMap<String, String>,
    /// The ids of the backends that can run.
    pub connected: Vec<String>,
}

/// List providers
///
/// The backends that can run, each with its models. A backend that cannot run is not in it; `baton
/// agents` says why. Waits up to ten seconds while the backends are probed for the first time.
#[utoipa::path(
    get,
    path = "/provider",
    operation_id = "provider.list",
    tag = "provider",
    responses((status = 200, description = "The providers.", body = ProviderList))
)]
pub async fn list(State(state): State<Shared>) -> Json<ProviderList> {
    let snapshot = settled(&state).await;
    let all = connected(&snapshot);
    Json(ProviderList {
        connected: all.iter().map(|p| p.id.clone()).collect(),
        default: defaults(&snapshot),
        all,
    })
}
