//! `POST /session/{sessionID}/permissions/{permissionID}`: OpenCode's older way to answer a permission
//! request, which its web UI uses.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::http::error::Problem;
use crate::http::extract::{Body, SessionPermissionPath};
use crate::http::permission::reply::answer;
use crate::http::responses::{Invalid, NotJson, NotThere, TooLarge};
use crate::http::state::Shared;
use crate::opencode::request::PermissionReply;
use crate::session;

/// The answer to a permission request.
#[derive(Debug, Deserialize, ToSchema)]
pub struct PermissionResponse {
    /// The answer.
    pub response: PermissionReply,
}

/// Respond to a permission request
///
/// The same as `permission.reply`, below the session.
#[utoipa::path(
    post,
    path = "/session/{sessionID}/permissions/{permissionID}",
    operation_id = "permission.respond",
    tag = "permission",
    params(SessionPermissionPath),
    request_body(content = PermissionResponse, description = "The answer."),
    responses(
        (status = 200, description = "`true`: the agent has the answer.", body = bool),
        Invalid, NotThere, TooLarge, NotJson,
    )
)]
pub async fn respond(
    State(state): State<Shared>,
    path: SessionPermissionPath,
    Body(input): Body<PermissionResponse>,
) -> Result<Json<bool>, Problem> {
    let waiting = state.sessions.permissions(None);
    let belongs = |r: &crate::opencode::request::PermissionRequest| {
        r.id == path.permission && r.session_id == path.session
    };
    if !waiting.iter().any(belongs) {
        return Err(session::Error::PermissionNotFound(path.permission).into());
    }
    answer(&state, path.permission, input.response).await
}
