//! `GET /permission`.

use axum::Json;
use axum::extract::State;

use crate::http::state::Shared;
use crate::opencode::request::PermissionRequest;

/// List permission requests
///
/// Those of all sessions that wait for an answer.
#[utoipa::path(
    get,
    path = "/permission",
    operation_id = "permission.list",
    tag = "permission",
    responses((status = 200, description = "The requests.", body = Vec<PermissionRequest>))
)]
pub async fn list(State(state): State<Shared>) -> Json<Vec<PermissionRequest>> {
    Json(state.sessions.permissions().await)
}
