//! `GET /session/{sessionID}/message`.

use axum::Json;
use axum::extract::State;

use crate::http::error::Problem;
use crate::http::extract::{Params, SessionPath};
use crate::http::responses::{Invalid, NotThere};
use crate::http::state::Shared;
use crate::opencode::{MessageId, MessageWithParts};

/// List a session's messages
///
/// Prompts and answers with their parts, oldest first.
#[utoipa::path(
    get,
    path = "/session/{sessionID}/message",
    operation_id = "session.messages",
    tag = "message",
    params(
        SessionPath,
        ("limit" = Option<u64>, Query, description = "Only the newest so many messages."),
        ("before" = Option<MessageId>, Query, description = "Only messages that stand before this one."),
    ),
    responses(
        (status = 200, description = "The messages.", body = Vec<MessageWithParts>),
        Invalid, NotThere,
    )
)]
pub async fn list(
    State(state): State<Shared>,
    path: SessionPath,
    params: Params,
) -> Result<Json<Vec<MessageWithParts>>, Problem> {
    let limit = params.unsigned("limit")?;
    let before = params.id("before", MessageId::parse)?;
    let messages = state
        .sessions
        .messages(&path.session, limit, before.as_ref());
    Ok(Json(messages.await?))
}
