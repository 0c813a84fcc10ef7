//! `GET /session`.

use axum::Json;
use axum::extract::State;
use utoipa::ToSchema;

use crate::http::error::Problem;
use crate::http::extract::{Directory, Params};
use crate::http::responses::Invalid;
use crate::http::state::Shared;
use crate::opencode::Session;
use crate::session::ListFilter;

/// Sessions of one answer, unless the request says otherwise.
const LIMIT: usize = 100;

/// Which sessions are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(as = SessionScope, rename_all = "lowercase")]
pub enum Scope {
    /// Those of the whole project.
    Project,
}

/// List sessions
///
/// The sessions of the working directory's project, the one used last first. With `directory` in the query, those
/// of that directory alone, unless `path` or `scope` widens it.
#[utoipa::path(
    get,
    path = "/session",
    operation_id = "session.list",
    tag = "session",
    params(
        Directory,
        ("scope" = Option<Scope>, Query, description = "`project`: those of the whole project, also with `directory`."),
        ("path" = Option<String>, Query, description = "Those of this directory of the worktree and of all below it; empty for the whole."),
        ("roots" = Option<bool>, Query, description = "Only sessions without a parent."),
        ("start" = Option<u64>, Query, description = "Only sessions used since then, in milliseconds since the Unix epoch."),
        ("search" = Option<String>, Query, description = "Only sessions with this text in their title, whatever its case."),
        ("limit" = Option<u64>, Query, description = "At most so many sessions; 100 if it is left out."),
    ),
    responses(
        (status = 200, description = "The sessions.", body = Vec<Session>),
        Invalid,
    )
)]
pub async fn list(
    State(state): State<Shared>,
    directory: Directory,
    params: Params,
) -> Result<Json<Vec<Session>>, Problem> {
    let path = params.required("path").ok().map(str::to_owned);
    let whole = params.word("scope", &[("project", ())])?.is_some();
    let only_here = params.text("directory").is_some() && path.is_none() && !whole;
    let limit = params.unsigned("limit")?;
    let place = directory.place(&state).await;
    let filter = ListFilter {
        project_id: Some(place.project_id),
        directory: only_here.then_some(place.directory),
        path,
        roots: params.flag("roots")?,
        start: params.unsigned("start")?,
        search: params.text("search").map(str::to_owned),
        before: None,
        without_archived: false,
        limit: Some(limit.map_or(LIMIT, |l| usize::try_from(l).unwrap_or(usize::MAX))),
    };
    Ok(Json(state.sessions.list(filter).await?))
}
