//! `GET /provider`.

use crate::http::directory::Asked;
use crate::http::handler::*;
use crate::http::provider::{all, connected, defaults, settled_at};
use crate::opencode::provider::ProviderList;

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
