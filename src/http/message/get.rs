//! `GET /session/{sessionID}/message/{messageID}`.

use axum::Json;
use axum::extract::State;

use crate::http::error::Problem;
use crate::http::extract::MessagePath;
use crate::http::responses::{Invalid, NotThere};
use crate::http::state::Shared;
use crate::opencode::MessageWithParts;

/// Get a message
///
/// A prompt or an answer with its parts.
#[utoipa::path(
    get,
    path = "/session/{sessionID}/message/{messageID}",
    operation_id = "session.message",
    tag = "message",
    params(MessagePath),
    responses(
        (status = 200, description = "The message.", body = MessageWithParts),
        Invalid, NotThere,
    )
)]
pub async fn get(
    State(state): State<Shared>,
    path: MessagePath,
) -> Result<Json<MessageWithParts>, Problem> {
    let message = state.sessions.message(&path.session, &path.message).await?;
    Ok(Json(message))
}
