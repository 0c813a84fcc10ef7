//! `GET /provider`.

use axum::http::HeaderMap;
use axum::response::Response;

use super::looked_around;
use crate::http::directory::Asked;
use crate::http::handler::*;
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
        (status = 200, description = "The providers.", body = ProviderList,
            headers(("ETag" = String, description = "Changes with the list; `If-None-Match` takes it."))),
        (status = 304, description = "The list is the one that `If-None-Match` names."),
        Invalid,
    )
)]
pub async fn list(
    State(state): State<Shared>,
    asked: Asked,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let snapshot = looked_around(&state, &asked).await;
    let list = state.providers.list(&snapshot, &asked.directory).await?;
    Ok(list.answer(&headers))
}
