//! `/api/fs`: OpenCode 2's files.

use axum::extract::RawPathParams;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};

use crate::files::{self, Names, Wanted, Work};
use crate::http::error::BadKind;
use crate::http::find::KINDS;
use crate::http::handler::*;
use crate::http::read::INTEGER_MAX;
use crate::http::v2::location::Location;
use crate::opencode::file::{FileKind, FileSystemEntry};
use crate::opencode::v2::answer::V2FileEntries;

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
        (status = 200, description = "Its entries.", body = V2FileEntries),
        TaggedInvalid, TaggedNotThere,
    )
)]
pub async fn list(
    Location(location): Location,
    params: Params,
) -> Result<Json<V2FileEntries>, Problem> {
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
    Ok(Json(V2FileEntries { location, data }))
}

/// Results of one answer, unless the request says otherwise.
pub const LIMIT: usize = 50;
/// The most that a request gets, whatever it says.
const LIMIT_MAX: usize = 10_000;

/// Find files (OpenCode 2)
///
/// The files and folders below the location's directory whose path is most like the query. What `.gitignore`
/// excludes is left out.
#[utoipa::path(
    get,
    path = "/api/fs/find",
    operation_id = "api.fs.find",
    tag = "find",
    params(
        Location,
        ("query" = String, Query, description = "Characters that the path has, in this order. Empty: the shortest paths."),
        ("type" = Option<FileKind>, Query, description = "`file` or `directory`: only those."),
        ("limit" = Option<u64>, Query, format = "range:fs-find", description = "At most this many; 50 if it is left out."),
    ),
    responses(
        (status = 200, description = "What was found, the best first.", body = V2FileEntries),
        TaggedInvalid,
    )
)]
pub async fn find(
    Location(location): Location,
    params: Params,
) -> Result<Json<V2FileEntries>, Problem> {
    let limit = params
        .between("limit", 1..=INTEGER_MAX as usize)?
        .unwrap_or(LIMIT);
    let names = Names {
        query: params.required("query")?.to_owned(),
        wanted: params.word("type", KINDS)?.unwrap_or(Wanted::Both),
        limit: limit.min(LIMIT_MAX),
    };
    let found = files::run(&location.directory, Work::Search, move |root, deadline| {
        Ok(files::find(root, &names, deadline))
    });
    let data = found.await?;
    Ok(Json(V2FileEntries { location, data }))
}

/// What a file has, as it is.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
struct FileBytes(#[expect(dead_code, reason = "only the document has it")] Vec<u8>);

/// Read a file (OpenCode 2)
///
/// Its bytes, with the media type that its name suggests. A browser that shows it runs nothing of it.
#[utoipa::path(
    get,
    path = "/api/fs/read/{*path}",
    operation_id = "api.fs.read",
    tag = "file",
    params(
        Location,
        ("path" = String, Path, description = "The file, relative to the location's directory. Its slashes are not encoded."),
    ),
    responses(
        (status = 200, description = "The bytes.", body = inline(FileBytes), content_type = "application/octet-stream"),
        TaggedInvalid, TaggedNotThere,
    )
)]
pub async fn read(Location(location): Location, path: RawPathParams) -> Result<Response, Problem> {
    let path = path.iter().find(|(name, _)| *name == "path");
    let missing = || Problem::bad_at(BadKind::Params, "path", "Missing key");
    let path = path.map(|(_, path)| path.to_owned()).ok_or_else(missing)?;
    let file = files::run(&location.directory, Work::One, move |root, _| {
        root.read(&path)
    })
    .await?;
    let mime = mime_guess::from_path(&file.path).first_or_octet_stream();
    let headers = [
        (CONTENT_TYPE, mime.essence_str()),
        // The file comes from the server's own origin; a page in it could otherwise do all that a client can.
        (CONTENT_SECURITY_POLICY, "sandbox"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, file.bytes).into_response())
}
