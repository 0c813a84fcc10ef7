//! `/find`: searches in the working directory.

use crate::files::{self, Names, Wanted, Work};
use crate::http::handler::*;
use crate::opencode::file::{FileKind, TextMatch};

/// What a search by name can be limited to.
pub const KINDS: &[(&str, Wanted)] = &[
    ("file", Wanted::Only(FileKind::File)),
    ("directory", Wanted::Only(FileKind::Directory)),
];

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
        ("limit" = Option<u64>, Query, format = "range:find", description = "At most this many, up to 200; 10 if it is left out."),
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

/// Find text
///
/// The first ten lines below the working directory that match a regular expression, in the order of their paths.
/// What `.gitignore` excludes is not searched, and neither are binary files.
#[utoipa::path(
    get,
    path = "/find",
    operation_id = "find.text",
    tag = "find",
    params(
        Directory,
        ("pattern" = String, Query, description = "The regular expression, in the syntax of ripgrep."),
    ),
    responses(
        (status = 200, description = "The lines.", body = Vec<TextMatch>),
        Invalid,
    )
)]
pub async fn text(
    State(_state): State<Shared>,
    directory: Directory,
    params: Params,
) -> Result<Json<Vec<TextMatch>>, Problem> {
    let pattern = params.required("pattern")?.to_owned();
    let directory = directory.existing().await?;
    let search = move |root: &files::Root, deadline: &files::Deadline| {
        files::search(root, &pattern, deadline)
    };
    Ok(Json(files::run(&directory, Work::Search, search).await?))
}
