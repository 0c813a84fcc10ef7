//! `POST /session/{sessionID}/revert`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::http::error::Problem;
use crate::http::extract::{Body, SessionPath};
use crate::http::responses::{Busy, Invalid, NotJson, NotThere, Stopping, TooLarge};
use crate::http::state::Shared;
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
        Invalid, NotThere, Busy, TooLarge, NotJson, Stopping,
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
