//! `GET /permission`.

use axum::Json;
use axum::extract::State;

use crate::http::error::Problem;
use crate::http::extract::Directory;
use crate::http::responses::Invalid;
use crate::http::state::Shared;
use crate::opencode::request::PermissionRequest;

/// List permission requests
///
/// Those of the directory's sessions that wait for an answer.
#[utoipa::path(
    get,
    path = "/permission",
    operation_id = "permission.list",
    tag = "permission",
    params(Directory),
    responses(
        (status = 200, description = "The requests.", body = Vec<PermissionRequest>),
        Invalid,
    )
)]
pub async fn list(
    State(state): State<Shared>,
    Directory(directory): Directory,
) -> Result<Json<Vec<PermissionRequest>>, Problem> {
    Ok(Json(state.sessions.permissions(Some(&directory))))
}
