//! `GET /experimental/session`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::error::Problem;
use crate::http::extract::Params;
use crate::http::responses::Invalid;
use crate::http::state::Shared;
use crate::opencode::Session;
use crate::session::ListFilter;

/// Sessions of a page when the request does not say.
pub const PAGE: usize = 100;

/// The project of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProjectSummary {
    /// Its id.
    pub id: String,
    /// Its folder.
    pub worktree: String,
}

/// A session of any directory.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct GlobalSession {
    /// The session.
    #[serde(flatten)]
    pub session: Session,
    /// Its project.
    pub project: ProjectSummary,
}

/// List the sessions of all directories
///
/// The one used last first. Archived sessions are left out unless they are asked for.
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
        ("limit" = Option<u64>, Query, description = "At most so many sessions; 100 when it is left out."),
        ("archived" = Option<bool>, Query, description = "Archived sessions, too."),
    ),
    responses(
        (status = 200, description = "The sessions.", body = Vec<GlobalSession>),
        Invalid,
    )
)]
pub async fn list(
    State(state): State<Shared>,
    params: Params,
) -> Result<Json<Vec<GlobalSession>>, Problem> {
    let limit = params.unsigned("limit")?;
    let limit = limit.map_or(PAGE, |l| usize::try_from(l).unwrap_or(usize::MAX));
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
