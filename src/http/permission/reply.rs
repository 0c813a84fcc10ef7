//! `POST /permission/{requestID}/reply`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::http::error::Problem;
use crate::http::extract::{Body, PermissionPath};
use crate::http::responses::{Invalid, NotJson, NotThere, TooLarge};
use crate::http::state::Shared;
use crate::opencode::PermissionId;
use crate::opencode::request::PermissionReply;

/// The answer to a permission request.
#[derive(Debug, Deserialize, ToSchema)]
pub struct PermissionReplyInput {
    /// The answer.
    pub reply: PermissionReply,
}

/// Reply to a permission request
///
/// `once` allows it, `always` allows it and every matching request of the session from then on, `reject`
/// refuses it.
#[utoipa::path(
    post,
    path = "/permission/{requestID}/reply",
    operation_id = "permission.reply",
    tag = "permission",
    params(PermissionPath),
    request_body(content = PermissionReplyInput, description = "The answer."),
    responses(
        (status = 200, description = "`true`: the agent has the answer.", body = bool),
        Invalid, NotThere, TooLarge, NotJson,
    )
)]
pub async fn reply(
    State(state): State<Shared>,
    path: PermissionPath,
    Body(input): Body<PermissionReplyInput>,
) -> Result<Json<bool>, Problem> {
    answer(&state, path.request, input.reply).await
}

/// Gives the answer to the agent.
pub(in crate::http) async fn answer(
    state: &Shared,
    id: PermissionId,
    reply: PermissionReply,
) -> Result<Json<bool>, Problem> {
    state.sessions.reply_permission(&id, reply).await?;
    Ok(Json(true))
}
