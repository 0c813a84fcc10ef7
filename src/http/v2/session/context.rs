//! `GET /api/session/{sessionID}/context`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::messages::all;
use crate::http::error::Problem;
use crate::http::extract::SessionPath;
use crate::http::responses::{TaggedInvalid, TaggedNotThere};
use crate::http::state::Shared;
use crate::opencode::v2::message::SessionMessage;

/// The messages that count.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct V2Context {
    /// The messages, oldest first.
    pub data: Vec<SessionMessage>,
}

/// Get the context
///
/// The messages that the model goes on from, oldest first: the conversation, or what came since its last summary,
/// with that summary.
#[utoipa::path(
    get,
    path = "/api/session/{sessionID}/context",
    operation_id = "api.session.context",
    tag = "message",
    params(SessionPath),
    responses(
        (status = 200, description = "The messages.", body = V2Context),
        TaggedInvalid, TaggedNotThere,
    )
)]
pub async fn get(
    State(state): State<Shared>,
    path: SessionPath,
) -> Result<Json<V2Context>, Problem> {
    let mut data = all(&state, &path.session).await?;
    let summary = data
        .iter()
        .rposition(|m| matches!(m, SessionMessage::Compaction(_)));
    data.drain(..summary.unwrap_or(0));
    Ok(Json(V2Context { data }))
}
