//! `DELETE /session/{sessionID}/message/{messageID}`.

use axum::Json;
use axum::extract::State;

use crate::http::error::Problem;
use crate::http::extract::MessagePath;
use crate::http::responses::{Busy, Invalid, NotThere};
use crate::http::state::Shared;

/// Delete a message
///
/// Deletes a message with its parts from an idle session. Files that it has changed stay as they are.
#[utoipa::path(
    delete,
    path = "/session/{sessionID}/message/{messageID}",
    operation_id = "session.deleteMessage",
    tag = "message",
    params(MessagePath),
    responses(
        (status = 200, description = "`true`: it is gone.", body = bool),
        Invalid, NotThere, Busy,
    )
)]
pub async fn delete(State(state): State<Shared>, path: MessagePath) -> Result<Json<bool>, Problem> {
    let deleted = state.sessions.delete_message(&path.session, &path.message);
    deleted.await?;
    Ok(Json(true))
}
