//! `POST /session/{sessionID}/fork`.

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;

use super::with_etag;
use crate::http::error::Problem;
use crate::http::extract::{Body, Client, SessionPath};
use crate::http::responses::{Invalid, NotJson, NotThere, Stopping, TooLarge};
use crate::http::state::Shared;
use crate::opencode::event::Source;
use crate::opencode::{MessageId, Session};

/// How much of the conversation is copied.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = SessionForkInput)]
pub struct SessionFork {
    /// Only what comes before this message; left out, all of it.
    #[serde(rename = "messageID")]
    pub message_id: Option<MessageId>,
}

/// Fork a session
///
/// Makes a session with a copy of the messages, the selection and the permission rules of this one. Both go
/// on independently of each other, in the same directory. What is reverted is not copied.
#[utoipa::path(
    post,
    path = "/session/{sessionID}/fork",
    operation_id = "session.fork",
    tag = "session",
    params(SessionPath, Client),
    request_body(content = Option<SessionFork>, description = "How much of the conversation is copied."),
    responses(
        (status = 200, description = "The new session.", body = Session,
            headers(("ETag" = String, description = "The session's revision, in quotes."))),
        Invalid, NotThere, TooLarge, NotJson, Stopping,
    )
)]
pub async fn fork(
    State(state): State<Shared>,
    path: SessionPath,
    client: Client,
    Body(fork): Body<Option<SessionFork>>,
) -> Result<Response, Problem> {
    let before = fork.and_then(|fork| fork.message_id);
    let caller = client.by(Source::Fork);
    let session = state.sessions.fork(&path.session, before, caller).await?;
    Ok(with_etag(&session))
}
