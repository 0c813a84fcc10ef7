//! `POST /session/{sessionID}/abort` ends what a session does, `DELETE /session/{sessionID}` the session.

use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};

use crate::http::handler::*;
use crate::opencode::MessageId;
use crate::session::{Aborted, AtAbort};

/// The prompt whose turn was stopped.
pub(in crate::http) const ABORTED: HeaderName = HeaderName::from_static("baton-aborted");
/// The prompts that waited and were aborted with it.
pub(in crate::http) const DROPPED: HeaderName = HeaderName::from_static("baton-dropped");

/// At most this many ids are listed; clients limit the size of headers.
const TOLD_MAX: usize = 64;

/// Abort a session
///
/// Stops the turn in flight and, unless `queue` is `keep`, the prompts that wait. What was written so far is kept; every prompt
/// that is stopped gets an answer of its own with a `MessageAbortedError`. The answer's headers name them.
#[utoipa::path(
    post,
    path = "/session/{sessionID}/abort",
    operation_id = "session.abort",
    tag = "session",
    params(
        SessionPath,
        ("queue" = Option<AtAbort>, Query, description = "`drop` aborts the prompts that wait, `keep` goes on with the next one; as configured (`sessions.abort_queue`) when left out."),
    ),
    responses(
        (status = 200, description = "`true`: what was running is being stopped.", body = bool,
            headers(
                ("baton-aborted" = String, description = "The id of the prompt whose turn was in flight; absent when there was none."),
                ("baton-dropped" = String, description = "The ids of the prompts that waited and were aborted, with commas between (at most 64); absent when there were none."))),
        Invalid, NotThere,
    )
)]
pub async fn abort(
    State(state): State<Shared>,
    path: SessionPath,
    params: Params,
) -> Result<Response, Problem> {
    let words = [("drop", AtAbort::Drop), ("keep", AtAbort::Keep)];
    let waiting = params.word("queue", &words)?;
    let aborted = state.sessions.abort(&path.session, waiting).await?;
    Ok(telling(&aborted, Json(true)))
}

/// An answer whose headers say what was stopped.
pub(in crate::http) fn telling(aborted: &Aborted, answer: impl IntoResponse) -> Response {
    let mut answer = answer.into_response();
    let mut tell = |name: HeaderName, prompts: &[MessageId]| {
        let ids: Vec<_> = prompts
            .iter()
            .take(TOLD_MAX)
            .map(MessageId::as_str)
            .collect();
        if let Ok(value) = HeaderValue::from_str(&ids.join(","))
            && !ids.is_empty()
        {
            answer.headers_mut().insert(name, value);
        }
    };
    tell(ABORTED, aborted.running.as_slice());
    tell(DROPPED, &aborted.dropped);
    answer
}

/// Delete a session
///
/// Deletes the session with everything that belongs to it. A turn in flight is aborted.
#[utoipa::path(
    delete,
    path = "/session/{sessionID}",
    operation_id = "session.delete",
    tag = "session",
    params(SessionPath),
    responses(
        (status = 200, description = "`true`: it is gone.", body = bool),
        Invalid, NotThere,
    )
)]
pub async fn delete(State(state): State<Shared>, path: SessionPath) -> Result<Json<bool>, Problem> {
    state.sessions.delete(&path.session).await?;
    Ok(Json(true))
}
