//! `GET /session`, and `GET /experimental/session` for those of all directories.

use std::ops::RangeInclusive;

use axum::extract::OriginalUri;
use axum::http::{HeaderMap, Uri};

use crate::http::error::BadKind;
use crate::http::handler::*;
use crate::http::message::read::leading_on;
use crate::http::opaque;
use crate::http::read::INTEGER_MAX;
use crate::opencode::session::{GlobalSession, ProjectSummary};
use crate::opencode::{Session, SessionId};
use crate::session::ListFilter;

/// Sessions of one answer, unless the request says otherwise.
pub const LIMIT: usize = 100;
/// What `limit` may be.
const ANY: RangeInclusive<usize> = 0..=INTEGER_MAX as usize;

/// Which sessions are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(as = SessionScope, rename_all = "lowercase")]
pub enum Scope {
    /// Those of the whole project.
    Project,
}

/// The place after a session in a list. Clients get it as opaque text.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    id: SessionId,
    /// When it was used last: it may move, or be deleted, before the next page is asked for.
    time: u64,
}

/// List sessions
///
/// The sessions of the working directory's project, the most recently used first. With `directory` in the query, those
/// of that directory alone, unless `path` or `scope` widens it. If there are more than `limit`, the header
/// `X-Next-Cursor` has the value of `cursor` that continues with them.
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
        ("limit" = Option<u64>, Query, description = "At most this many sessions; 100 if it is left out."),
        ("cursor" = Option<String>, Query, description = "Continues after an earlier answer: its `X-Next-Cursor`."),
    ),
    responses(
        (status = 200, description = "The sessions.", body = Vec<Session>,
            headers(
                ("X-Next-Cursor" = String, description = "The cursor for the next page; absent on the last one."),
                ("Link" = String, description = "The address of the next page, with `rel=\"next\"`; absent on the last one."),
            )),
        Invalid,
    )
)]
pub async fn list(
    State(state): State<Shared>,
    directory: Directory,
    params: Params,
    OriginalUri(uri): OriginalUri,
) -> Result<(HeaderMap, Json<Vec<Session>>), Problem> {
    let path = params.required("path").ok().map(str::to_owned);
    let whole = params.word("scope", &[("project", ())])?.is_some();
    let only_here = params.text("directory").is_some() && path.is_none() && !whole;
    let limit = params.between("limit", ANY)?.unwrap_or(LIMIT);
    let cursor = params.text("cursor").map(read_cursor).transpose()?;
    let place = directory.place(&state).await;
    let filter = ListFilter {
        project_id: Some(place.project_id),
        directory: only_here.then_some(place.directory),
        path,
        roots: params.flag("roots")?,
        start: params.unsigned("start")?,
        search: params.text("search").map(str::to_owned),
        before: cursor.as_ref().map(|cursor| cursor.time.saturating_add(1)),
        behind: cursor.map(|cursor| cursor.id),
        without_archived: false,
        // One more, to see whether there is a next page.
        limit: Some(limit.saturating_add(1)),
    };
    let mut sessions = state.sessions.list(filter).await?;
    let is_all = sessions.len() <= limit;
    sessions.truncate(limit);
    let headers = match sessions.last() {
        Some(last) if !is_all => next(last, &uri),
        _ => HeaderMap::new(),
    };
    Ok((headers, Json(sessions)))
}

/// The headers that lead to what comes after a session, with the same query.
fn next(last: &Session, uri: &Uri) -> HeaderMap {
    let place = Cursor {
        id: last.id.clone(),
        time: last.time.updated,
    };
    let cursor = opaque::write(&place);
    let asked = uri.query().unwrap_or_default().split('&');
    let asked = asked.filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="));
    let mut query: Vec<_> = asked.map(str::to_owned).collect();
    query.push(format!("cursor={cursor}"));
    leading_on(cursor, &query.join("&"), uri)
}

fn read_cursor(text: &str) -> Result<Cursor, Problem> {
    opaque::read(text).ok_or_else(|| {
        let message = "Expected the X-Next-Cursor of an answer before, as it is";
        Problem::bad_at(BadKind::Query, "cursor", message)
    })
}

/// Sessions of a page when the request does not say.
pub const PAGE_EVERYWHERE: usize = 100;

/// List the sessions of all directories
///
/// Most recently used first. Archived sessions are left out unless they are asked for.
#[utoipa::path(
    get,
    path = "/experimental/session",
    operation_id = "experimental.session.list",
    tag = "experimental",
    params(
        ("directory" = Option<String>, Query, description = "Only sessions of this directory."),
        ("roots" = Option<bool>, Query, description = "Only sessions without a parent."),
        ("start" = Option<u64>, Query, description = "Only sessions used since then, in milliseconds since the Unix epoch."),
        ("cursor" = Option<u64>, Query, description = "Only sessions used before then: the time of the last one of the page before."),
        ("search" = Option<String>, Query, description = "Only sessions with this text in their title, whatever its case."),
        ("limit" = Option<u64>, Query, description = "At most this many sessions; 100 when it is left out."),
        ("archived" = Option<bool>, Query, description = "Archived sessions, too."),
    ),
    responses(
        (status = 200, description = "The sessions.", body = Vec<GlobalSession>),
        Invalid,
    )
)]
pub async fn list_everywhere(
    State(state): State<Shared>,
    params: Params,
) -> Result<Json<Vec<GlobalSession>>, Problem> {
    let limit = params.between("limit", ANY)?.unwrap_or(PAGE_EVERYWHERE);
    let filter = ListFilter {
        project_id: None,
        path: None,
        directory: params.text("directory").map(str::to_owned),
        roots: params.flag("roots")?,
        start: params.unsigned("start")?,
        before: params.unsigned("cursor")?,
        behind: None,
        without_archived: !params.flag("archived")?,
        search: params.text("search").map(str::to_owned),
        limit: Some(limit),
    };
    let sessions = state.sessions.list(filter).await?.into_iter();
    let page = sessions.map(|session| {
        let project = ProjectSummary {
            id: session.project_id.clone(),
            worktree: state
                .projects
                .find(&session.project_id)
                .map_or_else(|| session.directory.clone(), |project| project.worktree),
        };
        GlobalSession { session, project }
    });
    Ok(Json(page.collect()))
}
