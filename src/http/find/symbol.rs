//! `GET /find/symbol`.

use axum::Json;

use crate::http::error::Problem;
use crate::http::extract::{Directory, Params};
use crate::http::responses::Invalid;
use crate::opencode::file::Symbol;

/// Find symbols
///
/// Stub: Baton starts no language servers, so the list is always empty, as OpenCode's is without one.
#[utoipa::path(
    get,
    path = "/find/symbol",
    operation_id = "find.symbols",
    tag = "find",
    params(Directory, ("query" = String, Query, description = "A part of the symbol's name.")),
    responses(
        (status = 200, description = "No symbols.", body = Vec<Symbol>),
        Invalid,
    )
)]
pub async fn symbol(_directory: Directory, params: Params) -> Result<Json<Vec<Symbol>>, Problem> {
    params.required("query")?;
    Ok(Json(Vec::new()))
}
