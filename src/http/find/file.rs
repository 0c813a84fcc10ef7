//! `GET /find/file`.

use axum::Json;
use axum::extract::State;

use super::KINDS;
use crate::files::{self, Names, Wanted, Work};
use crate::http::error::Problem;
use crate::http::extract::{Directory, Params};
use crate::http::responses::Invalid;
use crate::http::state::Shared;
use crate::opencode::file::FileKind;

/// Results of one answer, unless the request says otherwise.
pub const LIMIT: usize = 10;
/// The most that a request can say.
pub const LIMIT_MAX: usize = 200;

/// Find files
///
/// The files and folders below the working directory whose path is most like the query. What `.gitignore` excludes
/// is left out.
#[utoipa::path(
    get,
    path = "/find/file",
    operation_id = "find.files",
    tag = "find",
    params(
        Directory,
        ("query" = String, Query, description = "Characters that the path has, in this order. Empty: the shortest paths."),
        ("dirs" = Option<bool>, Query, description = "`false`: no folders."),
        ("type" = Option<FileKind>, Query, description = "`file` or `directory`: only those."),
        ("limit" = Option<u64>, Query, format = "range:find", description = "At most so many, up to 200; 10 if it is left out."),
    ),
    responses(
        (status = 200, description = "Paths relative to the working directory; those of folders end in `/`.",
            body = Vec<String>),
        Invalid,
    )
)]
pub async fn file(
    State(_state): State<Shared>,
    directory: Directory,
    params: Params,
) -> Result<Json<Vec<String>>, Problem> {
    let query = params.required("query")?.to_owned();
    let folders = params.word("dirs", &[("true", true), ("false", false)])?;
    let kind = params.word("type", KINDS)?;
    // Somebody who has typed nothing yet wants to see files first.
    let wanted = match (kind, folders) {
        (Some(kind), _) => kind,
        (None, Some(false)) => Wanted::Only(FileKind::File),
        (None, None) if query.trim().is_empty() => Wanted::Only(FileKind::File),
        (None, _) => Wanted::Both,
    };
    let names = Names {
        query,
        wanted,
        limit: params.between("limit", 1..=LIMIT_MAX)?.unwrap_or(LIMIT),
    };
    let directory = directory.existing().await?;
    let found = files::run(&directory, Work::Search, move |root, deadline| {
        Ok(files::find(root, &names, deadline))
    });
    Ok(Json(found.await?.into_iter().map(|e| e.path).collect()))
}
