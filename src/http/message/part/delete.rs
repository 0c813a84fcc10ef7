//! `DELETE /session/{sessionID}/message/{messageID}/part/{partID}`.

use axum::Json;
use axum::extract::State;

use crate::http::error::Problem;
use crate::http::extract::PartPath;
use crate::http::responses::{Busy, Invalid, NotThere};
use crate::http::state::Shared;

/// Delete a part of a message
///
/// Agents that have seen it are given the conversation anew, without it. The message that is being written
/// cannot be changed.
#[utoipa::path(
    delete,
    path = "/session/{sessionID}/message/{messageID}/part/{partID}",
    operation_id = "part.delete",
    tag = "message",
    params(PartPath),
    responses(
        (status = 200, description = "`true`: it is gone.", body = bool),
        Invalid, NotThere, Busy,
    )
)]
pub async fn delete(State(state): State<Shared>, path: PartPath) -> Result<Json<bool>, Problem> {
    let deleted = state
        .sessions
        .delete_part(&path.session, &path.message, &path.part);
    deleted.await?;
    Ok(Json(true))
}
