//! `GET /api/fs/read/{path}`.

use axum::extract::RawPathParams;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use utoipa::ToSchema;

use crate::files::{self, Work};
use crate::http::error::{BadKind, Problem};
use crate::http::responses::{TaggedInvalid, TaggedNotThere};
use crate::http::v2::location::Location;

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
        ("path" = String, Path, description = "The file, relative to the location's directory. Its slashes stand as they are."),
    ),
    responses(
        (status = 200, description = "The bytes.", body = inline(FileBytes), content_type = "application/octet-stream"),
        TaggedInvalid, TaggedNotThere,
    )
)]
pub async fn read(Location(location): Location, path: RawPathParams) -> Result<Response, Problem> {
    let path = path.iter().find(|(name, _)| *name == "path");
    let missing = || Problem::bad(BadKind::Params, "Missing key\n  at [\"path\"]");
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
