//! Going back in a session, coming back, and going on from there elsewhere.

use axum::response::Response;

use crate::http::handler::*;
use crate::http::session::with_etag;
use crate::opencode::event::Source;
use crate::opencode::{MessageId, PartId, Session};

/// Where to go back to.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = SessionRevertInput)]
pub struct SessionRevert {
    /// This message and everything after it is taken out. An answer goes together with its prompt.
    #[serde(rename = "messageID")]
    pub message_id: MessageId,
    /// Only what comes from this part of the message on.
    #[serde(rename = "partID")]
    pub part_id: Option<PartId>,
}

/// Revert a session to a message
///
/// Takes the message and everything after it out of the conversation, and brings the files of the working
/// directory back to how they were before it, where snapshots are taken. `session.unrevert` brings all of it
/// back; the next prompt removes it for good, and agents that have seen it are given what is left of the
/// conversation.
#[utoipa::path(
    post,
    path = "/session/{sessionID}/revert",
    operation_id = "session.revert",
    tag = "session",
    params(SessionPath),
    request_body(content = SessionRevert, description = "Where to go back to."),
    responses(
        (status = 200, description = "The session, with `revert`.", body = Session),
        Invalid, NotThere, Busy, Full,
    )
)]
pub async fn revert(
    State(state): State<Shared>,
    path: SessionPath,
    Body(to): Body<SessionRevert>,
) -> Result<Json<Session>, Problem> {
    let session = state
        .sessions
        .revert(&path.session, to.message_id, to.part_id)
        .await?;
    Ok(Json(session))
}

/// Bring back what was reverted
///
/// Brings the messages back, and the files that reverting has changed. A session that is not reverted
/// stays as it is.
#[utoipa::path(
    post,
    path = "/session/{sessionID}/unrevert",
    operation_id = "session.unrevert",
    tag = "session",
    params(SessionPath),
    responses(
        (status = 200, description = "The session, without `revert`.", body = Session),
        Invalid, NotThere, Busy, Full,
    )
)]
pub async fn unrevert(
    State(state): State<Shared>,
    path: SessionPath,
) -> Result<Json<Session>, Problem> {
    Ok(Json(state.sessions.unrevert(&path.session).await?))
}

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
        Invalid, NotThere, Full,
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
    Ok(with_etag(session.revision, &session))
}
