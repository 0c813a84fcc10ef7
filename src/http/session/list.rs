//! `GET /session`.

use axum::Json;
use axum::extract::State;

use crate::http::error::Problem;
use crate::http::extract::{Directory, Params};
use crate::http::responses::Invalid;
use crate::http::state::Shared;
use crate::opencode::Session;
use crate::session::ListFilter;

/// List sessions
///
/// The sessions of a directory, the one used last first.
#[utoipa::path(
    get,
    path = "/session",
    operation_id = "session.list",
    tag = "session",
    params(
        Directory,
        ("roots" = Option<bool>, Query, description = "Only sessions without a parent."),
        ("start" = Option<u64>, Query, description = "Only sessions used since then, in milliseconds since the Unix epoch."),
        ("search" = Option<String>, Query, description = "Only sessions with this text in their title, whatever its case."),
        ("limit" = Option<u64>, Query, description = "At most so many sessions."),
    ),
    responses(
        (status = 200, description = "The sessions.", body = Vec<Session>),
        Invalid,
    )
)]
pub async fn list(
    State(state): State<Shared>,
    Directory(directory): Directory,
    params: Params,
) -> Result<Json<Vec<Session>>, Problem> {
    let limit = params.unsigned("limit")?;
    let filter = ListFilter {
        directory: Some(directory),
        roots: params.flag("roots")?,
        start: params.unsigned("start")?,
        search: params.text("search").map(str::to_owned),
        limit: limit.map(|l| usize::try_from(l).unwrap_or(usize::MAX)),
    };
    Ok(Json(state.sessions.list(filter).await))
}
