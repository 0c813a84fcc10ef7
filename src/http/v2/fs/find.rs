//! `GET /api/fs/find`.

use axum::Json;

use super::Entries;
use crate::files::{self, Names, Wanted, Work};
use crate::http::error::Problem;
use crate::http::extract::Params;
use crate::http::find::KINDS;
use crate::http::read::INTEGER_MAX;
use crate::http::responses::TaggedInvalid;
use crate::http::v2::location::Location;
use crate::opencode::file::FileKind;

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
        ("limit" = Option<u64>, Query, format = "range:fs-find", description = "At most so many; 50 if it is left out."),
    ),
    responses(
        (status = 200, description = "What was found, the best first.", body = Entries),
        TaggedInvalid,
    )
)]
pub async fn find(Location(location): Location, params: Params) -> Result<Json<Entries>, Problem> {
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
    Ok(Json(Entries { location, data }))
}
