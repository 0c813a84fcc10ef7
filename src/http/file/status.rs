//! `GET /file/status`.

use axum::Json;
use axum::extract::State;

use crate::http::error::Problem;
use crate::http::extract::Directory;
use crate::http::responses::Invalid;
use crate::http::state::Shared;
use crate::opencode::file::File;
use crate::vcs;

/// Get the status of files
///
/// The files below the working directory that differ from the last commit; none outside of a repository. (OpenCode
/// 1.18 always answers an empty list here.)
#[utoipa::path(
    get,
    path = "/file/status",
    operation_id = "file.status",
    tag = "file",
    params(Directory),
    responses(
        (status = 200, description = "The files that differ.", body = Vec<File>),
        Invalid,
    )
)]
pub async fn status(
    State(state): State<Shared>,
    directory: Directory,
) -> Result<Json<Vec<File>>, Problem> {
    let changed = vcs::status(&state.settings.data_dir, &directory.place(&state).await).await?;
    let file = |entry: crate::opencode::file::VcsFileStatus| File {
        path: entry.file,
        added: entry.additions,
        removed: entry.deletions,
        status: entry.status,
    };
    Ok(Json(changed.into_iter().map(file).collect()))
}
