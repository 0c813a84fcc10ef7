//! `GET /api/fs/list`.

use axum::Json;

use super::Entries;
use crate::files::{self, Work};
use crate::http::error::Problem;
use crate::http::extract::Params;
use crate::http::responses::{TaggedInvalid, TaggedNotThere};
use crate::http::v2::location::Location;
use crate::opencode::file::FileSystemEntry;

/// List a folder (OpenCode 2)
///
/// Folders first, each kind by name.
#[utoipa::path(
    get,
    path = "/api/fs/list",
    operation_id = "api.fs.list",
    tag = "file",
    params(
        Location,
        ("path" = Option<String>, Query, description = "The folder, relative to the location's directory; left out, that itself."),
    ),
    responses(
        (status = 200, description = "Its entries.", body = Entries),
        TaggedInvalid, TaggedNotThere,
    )
)]
pub async fn list(Location(location): Location, params: Params) -> Result<Json<Entries>, Problem> {
    let path = params.text("path").unwrap_or_default().to_owned();
    let nodes = files::run(&location.directory, Work::One, move |root, _| {
        root.list(&path)
    })
    .await?;
    let entry = |node: crate::opencode::file::FileNode| FileSystemEntry {
        path: node.path,
        r#type: node.r#type,
    };
    let data = nodes.into_iter().map(entry).collect();
    Ok(Json(Entries { location, data }))
}
