//! `GET /path`.

use std::path::Path;

use axum::Json;
use axum::extract::State;

use super::error::Problem;
use super::extract::Directory;
use super::responses::Invalid;
use super::state::Shared;
use crate::opencode::provider::Paths;

/// Get paths
///
/// Where things are on the server's machine.
#[utoipa::path(
    get,
    path = "/path",
    operation_id = "path.get",
    tag = "project",
    params(Directory),
    responses(
        (status = 200, description = "The paths.", body = Paths),
        Invalid,
    )
)]
pub async fn get(
    State(state): State<Shared>,
    directory: Directory,
) -> Result<Json<Paths>, Problem> {
    let settings = &state.settings;
    let place = directory.place(&state).await;
    let text = |path: &Path| path.to_string_lossy().into_owned();
    Ok(Json(Paths {
        home: text(&settings.home),
        state: text(&settings.data_dir),
        config: text(&settings.config_dir),
        worktree: place.worktree,
        directory: place.directory,
    }))
}
