//! `GET /vcs/status`.

use axum::Json;
use axum::extract::State;

use crate::http::error::Problem;
use crate::http::extract::Directory;
use crate::http::responses::Invalid;
use crate::http::state::Shared;
use crate::opencode::file::VcsFileStatus;
use crate::vcs;

/// List changed files
///
/// The files below the working directory that differ from the last commit; none outside of a repository.
#[utoipa::path(
    get,
    path = "/vcs/status",
    operation_id = "vcs.status",
    tag = "vcs",
    params(Directory),
    responses(
        (status = 200, description = "The files that differ.", body = Vec<VcsFileStatus>),
        Invalid,
    )
)]
pub async fn status(
    State(state): State<Shared>,
    directory: Directory,
) -> Result<Json<Vec<VcsFileStatus>>, Problem> {
    Ok(Json(
        vcs::status(&state.settings.data_dir, &directory.place(&state).await).await?,
    ))
}
