//! `GET /project/current`.

use axum::Json;
use axum::extract::State;

use super::error::Problem;
use super::extract::Directory;
use super::responses::Invalid;
use super::state::Shared;
use crate::opencode::project_id;
use crate::opencode::provider::{Project, ProjectTime};

/// Get the current project
///
/// The working directory as OpenCode's project. Its id is derived from the directory alone.
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
    Directory(directory): Directory,
) -> Result<Json<Project>, Problem> {
    let git = std::path::Path::new(&directory).join(".git");
    let has_git = tokio::fs::try_exists(git).await.unwrap_or(false);
    let started = state.settings.started_at_ms;
    Ok(Json(Project {
        id: project_id(&directory),
        worktree: directory,
        vcs: has_git.then(|| "git".to_owned()),
        time: ProjectTime {
            created: started,
            updated: started,
        },
        sandboxes: Vec::new(),
    }))
}
