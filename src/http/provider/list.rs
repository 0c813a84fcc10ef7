//! `GET /provider`.

use std::collections::BTreeMap;

use crate::http::directory::Asked;
use crate::http::handler::*;
use crate::http::provider::{all, connected, defaults, settled_at};
use crate::opencode::provider::Provider;

/// All providers.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ProviderCatalog)]
pub struct ProviderList {
    /// Every backend, in order of preference. One that cannot run has the models that it had when it did, or none.
    pub all: Vec<Provider>,
    /// The model that each of them starts with.
    pub default: BTreeMap<String, String>,
    /// The ids of the backends that can run.
    pub connected: Vec<String>,
}

/// List providers
///
/// Every backend with its models; those that can run are named in `connected`. `backend.list` says why another cannot,
/// and what to do. A project may have models of its own: the backends are asked about a directory that is named. Waits up to ten seconds while the backends are probed for the first time.
#[utoipa::path(
    get,
    path = "/provider",
    operation_id = "provider.list",
    tag = "provider",
    params(Directory),
    responses(
        (status = 200, description = "The providers.", body = ProviderList),
        Invalid,
    )
)]
pub async fn list(State(state): State<Shared>, asked: Asked) -> Json<ProviderList> {
    let snapshot = settled_at(&state, &asked).await;
    Json(ProviderList {
        all: all(&snapshot),
        default: defaults(&snapshot),
        connected: connected(&snapshot).into_iter().map(|p| p.id).collect(),
    })
}
