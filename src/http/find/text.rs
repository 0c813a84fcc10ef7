//! `GET /find`.

use axum::Json;
use axum::extract::State;

use crate::files::{self, Work};
use crate::http::error::Problem;
use crate::http::extract::{Directory, Params};
use crate::http::responses::Invalid;
use crate::http::state::Shared;
use crate::opencode::file::TextMatch;

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
