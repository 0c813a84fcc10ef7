//! `GET /project/{projectID}/directories`.

use axum::Json;
use axum::extract::State;

use super::update::ProjectPath;
use crate::http::error::Problem;
use crate::http::extract::Directory;
use crate::http::responses::Invalid;
use crate::http::state::Shared;
use crate::opencode::project::ProjectDirectory;

/// List a project's directories
///
/// The roots of its worktrees, as far as they were used; none for `global` and for one that is not known.
#[utoipa::path(
    get,
    path = "/project/{projectID}/directories",
    operation_id = "project.directories",
    tag = "project",
    params(ProjectPath, Directory),
    responses(
        (status = 200, description = "The directories.", body = Vec<ProjectDirectory>),
        Invalid,
    )
)]
pub async fn directories(
    State(state): State<Shared>,
    path: ProjectPath,
    _directory: Directory,
) -> Result<Json<Vec<ProjectDirectory>>, Problem> {
    Ok(Json(state.projects.directories(&path.project)))
}
