//! `GET /project/current`.

use axum::Json;
use axum::extract::State;

use crate::http::error::Problem;
use crate::http::extract::Directory;
use crate::http::responses::Invalid;
use crate::http::state::Shared;
use crate::opencode::project::Project;

/// Get the current project
///
/// The project of the working directory: the git repository that it is in, known by its first commit, or
/// `global` where there is none. It is listed once a session was made there.
#[utoipa::path(
    get,
    path = "/project/current",
    operation_id = "project.current",
    tag = "project",
    params(Directory),
    responses(
        (status = 200, description = "The project.", body = Project),
        Invalid,
    )
)]
pub async fn current(
    State(state): State<Shared>,
    directory: Directory,
) -> Result<Json<Project>, Problem> {
    let place = directory.place(&state).await;
    Ok(Json(state.projects.current(&place)))
}
