//! `GET /vcs`.

use axum::Json;
use axum::extract::State;

use crate::http::error::Problem;
use crate::http::extract::Directory;
use crate::http::responses::Invalid;
use crate::http::state::Shared;
use crate::opencode::file::VcsInfo;
use crate::vcs;

/// Get the branch
///
/// The branch of the working directory and the default one; an empty object outside of a repository.
#[utoipa::path(
    get,
    path = "/vcs",
    operation_id = "vcs.get",
    tag = "vcs",
    params(Directory),
    responses(
        (status = 200, description = "The branches.", body = VcsInfo),
        Invalid,
    )
)]
pub async fn get(
    State(state): State<Shared>,
    directory: Directory,
) -> Result<Json<VcsInfo>, Problem> {
    Ok(Json(vcs::info(&directory.place(&state).await).await?))
}
