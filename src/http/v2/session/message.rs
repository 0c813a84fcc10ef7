//! `GET /api/session/{sessionID}/message/{messageID}`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::messages::all;
use crate::http::error::Problem;
use crate::http::extract::MessagePath;
use crate::http::responses::{TaggedInvalid, TaggedMissing};
use crate::http::state::Shared;
use crate::opencode::v2::message::SessionMessage;

/// A message.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct V2MessageAnswer {
    /// The message.
    pub data: SessionMessage,
}

/// Get a message
///
/// One message of `api.session.messages`.
#[utoipa::path(
    get,
    path = "/api/session/{sessionID}/message/{messageID}",
    operation_id = "api.session.message",
    tag = "message",
    params(MessagePath),
    responses(
        (status = 200, description = "The message.", body = V2MessageAnswer),
        TaggedInvalid, TaggedMissing,
    )
)]
pub async fn get(
    State(state): State<Shared>,
    path: MessagePath,
) -> Result<Json<V2MessageAnswer>, Problem> {
    let mut messages = all(&state, &path.session).await?.into_iter();
    let found = messages.find(|message| *message.id() == path.message);
    let missing = || {
        let problem = Problem::missing(
            format!("Message not found: {}", path.message),
            "MessageNotFoundError",
        );
        let problem = problem.with_tagged_field("sessionID", path.session.as_str());
        problem.with_tagged_field("messageID", path.message.as_str())
    };
    let data = found.ok_or_else(missing)?;
    Ok(Json(V2MessageAnswer { data }))
}
