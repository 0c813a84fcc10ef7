//! `POST /project/git/init`.

use axum::Json;
use axum::extract::State;

use crate::git::Git;
use crate::http::error::Problem;
use crate::http::extract::Directory;
use crate::http::responses::Invalid;
use crate::http::state::Shared;
use crate::opencode::project::Project;

/// Make a git repository
///
/// Makes one in the working directory, unless that is in a repository already, and answers with its project.
#[utoipa::path(
    post,
    path = "/project/git/init",
    operation_id = "project.initGit",
    tag = "project",
    params(Directory),
    responses(
        (status = 200, description = "The project.", body = Project),
        Invalid,
    )
)]
pub async fn git_init(
    State(state): State<Shared>,
    directory: Directory,
) -> Result<Json<Project>, Problem> {
    let place = directory.place(&state).await;
    if place.git {
        state.projects.note(&place).await?;
        return Ok(Json(state.projects.current(&place)));
    }
    let directory = directory.existing().await?;
    Git::new(&directory, "init").arg("--quiet").run().await?;
    state.projects.forget(&directory);
    let place = state.projects.locate(&directory).await;
    state.projects.note(&place).await?;
    Ok(Json(state.projects.current(&place)))
}
