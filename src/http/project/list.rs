//! `GET /project`.

use axum::Json;
use axum::extract::State;

use crate::http::error::Problem;
use crate::http::extract::Directory;
use crate::http::responses::Invalid;
use crate::http::state::Shared;
use crate::opencode::project::Project;

/// List projects
///
/// The projects that were used, the one used first first. The one of the working directory is among them.
#[utoipa::path(
    get,
    path = "/project",
    operation_id = "project.list",
    tag = "project",
    params(Directory),
    responses(
        (status = 200, description = "The projects.", body = Vec<Project>),
        Invalid,
    )
)]
pub async fn list(
    State(state): State<Shared>,
    directory: Directory,
) -> Result<Json<Vec<Project>>, Problem> {
    let place = directory.place(&state).await;
    Ok(Json(state.projects.list(&place)))
}
