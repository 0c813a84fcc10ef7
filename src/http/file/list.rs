//! `GET /file`.

use axum::Json;
use axum::extract::State;

use crate::files::{self, Work};
use crate::http::error::Problem;
use crate::http::extract::{Directory, Params};
use crate::http::responses::{Invalid, NotThere};
use crate::http::state::Shared;
use crate::opencode::file::FileNode;

/// List a folder
///
/// Folders first, each kind by name; ignored ones are marked. Nothing outside of the working directory is listed,
/// and neither are symlinks, pipes and devices.
#[utoipa::path(
    get,
    path = "/file",
    operation_id = "file.list",
    tag = "file",
    params(
        Directory,
        ("path" = String, Query, description = "The folder, relative to the working directory; empty for that itself."),
    ),
    responses(
        (status = 200, description = "Its entries.", body = Vec<FileNode>),
        Invalid, NotThere,
    )
)]
pub async fn list(
    State(_state): State<Shared>,
    Directory(directory): Directory,
    params: Params,
) -> Result<Json<Vec<FileNode>>, Problem> {
    let path = params.required("path")?.to_owned();
    let nodes = files::run(&directory, Work::One, move |root, _| root.list(&path)).await?;
    Ok(Json(nodes))
}
