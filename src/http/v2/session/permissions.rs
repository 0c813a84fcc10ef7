//! `/api/session/{sessionID}/permission`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::error::Problem;
use crate::http::extract::{Body, SessionPath, V2PermissionPath};
use crate::http::responses::{
    TaggedInvalid, TaggedMissing, TaggedNotJson, TaggedNotThere, TaggedTooLarge,
};
use crate::http::state::Shared;
use crate::opencode::request::PermissionReply;
use crate::opencode::v2::info::V2Permission;
use crate::opencode::{PermissionId, SessionId};
use crate::session::Error;

/// The permission requests of a session.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct V2SessionPermissions {
    /// The requests.
    pub data: Vec<V2Permission>,
}

/// A permission request.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct V2PermissionAnswer {
    /// The request.
    pub data: V2Permission,
}

/// The user's answer.
#[derive(Debug, Deserialize, ToSchema)]
pub struct V2PermissionReply {
    /// The answer.
    pub reply: PermissionReply,
}

/// List a session's permission requests
///
/// What its agent wants to be allowed.
#[utoipa::path(
    get,
    path = "/api/session/{sessionID}/permission",
    operation_id = "api.session.permission.list",
    tag = "permission",
    params(SessionPath),
    responses(
        (status = 200, description = "The requests.", body = V2SessionPermissions),
        TaggedInvalid, TaggedNotThere,
    )
)]
pub async fn list(
    State(state): State<Shared>,
    path: SessionPath,
) -> Result<Json<V2SessionPermissions>, Problem> {
    let data = of(&state, &path.session).await?;
    Ok(Json(V2SessionPermissions { data }))
}

/// Get a permission request
///
/// One that waits for its answer.
#[utoipa::path(
    get,
    path = "/api/session/{sessionID}/permission/{requestID}",
    operation_id = "api.session.permission.get",
    tag = "permission",
    params(V2PermissionPath),
    responses(
        (status = 200, description = "The request.", body = V2PermissionAnswer),
        TaggedInvalid, TaggedMissing,
    )
)]
pub async fn get(
    State(state): State<Shared>,
    path: V2PermissionPath,
) -> Result<Json<V2PermissionAnswer>, Problem> {
    let data = find(&state, &path.session, &path.request).await?;
    Ok(Json(V2PermissionAnswer { data }))
}

/// Answer a permission request
///
/// The same as `permission.reply`.
#[utoipa::path(
    post,
    path = "/api/session/{sessionID}/permission/{requestID}/reply",
    operation_id = "api.session.permission.reply",
    tag = "permission",
    params(V2PermissionPath),
    request_body(content = V2PermissionReply, description = "The answer."),
    responses(
        (status = 204, description = "It was passed on."),
        TaggedInvalid, TaggedMissing, TaggedTooLarge, TaggedNotJson,
    )
)]
pub async fn reply(
    State(state): State<Shared>,
    path: V2PermissionPath,
    Body(input): Body<V2PermissionReply>,
) -> Result<StatusCode, Problem> {
    find(&state, &path.session, &path.request).await?;
    state
        .sessions
        .reply_permission(&path.request, input.reply)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn of(state: &Shared, session: &SessionId) -> Result<Vec<V2Permission>, Problem> {
    state.sessions.info(session).await?;
    let all = state.sessions.permissions(None).into_iter();
    let own = all.filter(|request| request.session_id == *session);
    Ok(own.map(V2Permission::from).collect())
}

async fn find(
    state: &Shared,
    session: &SessionId,
    id: &PermissionId,
) -> Result<V2Permission, Problem> {
    let mut requests = of(state, session).await?.into_iter();
    let found = requests.find(|request| request.id == *id);
    Ok(found.ok_or_else(|| Error::PermissionNotFound(id.clone()))?)
}
