//! What is read of a session.

use std::collections::BTreeMap;

use axum::response::Response;

use crate::http::handler::*;
use crate::http::session::with_etag;
use crate::opencode::event::{SessionStatus, Todo};
use crate::opencode::history::ModelHistory;
use crate::opencode::session::FileDiff;
use crate::opencode::{MessageId, Session};

/// Get a session
///
/// The session with its selection, and whether the running agent has applied it.
#[utoipa::path(
    get,
    path = "/session/{sessionID}",
    operation_id = "session.get",
    tag = "session",
    params(SessionPath),
    responses(
        (status = 200, description = "The session.", body = Session,
            headers(("ETag" = String, description = "The session's revision, in quotes."))),
        Invalid, NotThere,
    )
)]
pub async fn get(State(state): State<Shared>, path: SessionPath) -> Result<Response, Problem> {
    let session = state.sessions.info(&path.session).await?;
    Ok(with_etag(session.revision, &session))
}

/// Get a session's children
///
/// The sessions whose parent this one is.
#[utoipa::path(
    get,
    path = "/session/{sessionID}/children",
    operation_id = "session.children",
    tag = "session",
    params(SessionPath),
    responses(
        (status = 200, description = "The children.", body = Vec<Session>),
        Invalid, NotThere,
    )
)]
pub async fn children(
    State(state): State<Shared>,
    path: SessionPath,
) -> Result<Json<Vec<Session>>, Problem> {
    Ok(Json(state.sessions.children(&path.session).await?))
}

/// The sessions that are busy, by id.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionStatuses(BTreeMap<String, SessionStatus>);

/// Get the status of a directory's sessions
///
/// Those that are busy, by id. A session that is not in it is idle.
#[utoipa::path(
    get,
    path = "/session/status",
    operation_id = "session.status",
    tag = "session",
    params(Directory),
    responses(
        (status = 200, description = "Busy sessions by id.", body = SessionStatuses),
        Invalid,
    )
)]
pub async fn status(
    State(state): State<Shared>,
    Directory(directory): Directory,
) -> Result<Json<SessionStatuses>, Problem> {
    let busy = state.sessions.statuses(Some(&directory));
    Ok(Json(SessionStatuses(busy)))
}

/// Get a session's todo list
///
/// The plan that the agent has made last.
#[utoipa::path(
    get,
    path = "/session/{sessionID}/todo",
    operation_id = "session.todo",
    tag = "session",
    params(SessionPath),
    responses(
        (status = 200, description = "The entries.", body = Vec<Todo>),
        Invalid, NotThere,
    )
)]
pub async fn todo(
    State(state): State<Shared>,
    path: SessionPath,
) -> Result<Json<Vec<Todo>>, Problem> {
    Ok(Json(state.sessions.todos(&path.session).await?))
}

/// Whose changes.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DiffQuery {
    /// A prompt: only what was changed while it was answered.
    #[param(rename = "messageID", required = false)]
    pub message_id: Option<MessageId>,
}

/// Get a session's file changes
///
/// What was changed in the working directory since the session's first turn, or by the answer to one prompt.
/// Empty where no snapshots are taken: outside of git repositories, and with `snapshot = false`.
#[utoipa::path(
    get,
    path = "/session/{sessionID}/diff",
    operation_id = "session.diff",
    tag = "session",
    params(SessionPath, DiffQuery),
    responses(
        (status = 200, description = "The changed files.", body = Vec<FileDiff>),
        Invalid, NotThere,
    )
)]
pub async fn diff(
    State(state): State<Shared>,
    path: SessionPath,
    query: Params,
) -> Result<Json<Vec<FileDiff>>, Problem> {
    let message = query.id("messageID", MessageId::parse)?;
    let diffs = state.sessions.diff(&path.session, message.as_ref());
    Ok(Json(diffs.await?))
}

/// Get a session's models
///
/// What is selected and applied now, the tokens and cost of each model so far, and the audit trail of
/// every change: when, from what, to what, by whom, how the conversation was handed over, how long that
/// took, and why it failed.
#[utoipa::path(
    get,
    path = "/session/{sessionID}/model",
    operation_id = "session.modelHistory",
    tag = "session",
    params(SessionPath),
    responses(
        (status = 200, description = "The models of the session.", body = ModelHistory),
        Invalid, NotThere,
    )
)]
pub async fn model_history(
    State(state): State<Shared>,
    path: SessionPath,
) -> Result<Json<ModelHistory>, Problem> {
    Ok(Json(state.sessions.model_history(&path.session).await?))
}
