//! `/permission` and its twins below a session and below `/api`: what agents want to be allowed.

use axum::http::StatusCode;

use crate::http::handler::*;
use crate::http::v2::location::Location;
use crate::opencode::request::{PermissionReply, PermissionRequest};
use crate::opencode::v2::answer::{V2PermissionAnswer, V2Permissions, V2SessionPermissions};
use crate::opencode::v2::info::V2Permission;
use crate::opencode::{PermissionId, SessionId};
use crate::session::{self, Error};

/// List permission requests
///
/// Those of the directory's sessions that wait for an answer.
#[utoipa::path(
    get,
    path = "/permission",
    operation_id = "permission.list",
    tag = "permission",
    params(Directory),
    responses(
        (status = 200, description = "The requests.", body = Vec<PermissionRequest>),
        Invalid,
    )
)]
pub async fn list(
    State(state): State<Shared>,
    Directory(directory): Directory,
) -> Result<Json<Vec<PermissionRequest>>, Problem> {
    Ok(Json(state.sessions.permissions(Some(&directory))))
}

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
        Invalid, NotThere,
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
        Invalid, NotThere,
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

/// List permission requests
///
/// What the agents of the sessions in a directory want to be allowed.
#[utoipa::path(
    get,
    path = "/api/permission/request",
    operation_id = "api.permission.request.list",
    tag = "permission",
    params(Location),
    responses(
        (status = 200, description = "The requests.", body = V2Permissions),
        TaggedInvalid,
    )
)]
pub async fn list_at(
    State(state): State<Shared>,
    Location(location): Location,
) -> Json<V2Permissions> {
    let waiting = state.sessions.permissions(Some(&location.directory));
    let data = waiting.into_iter().map(Into::into).collect();
    Json(V2Permissions { location, data })
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
pub async fn list_of_session(
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
pub async fn get_of_session(
    State(state): State<Shared>,
    path: V2PermissionPath,
) -> Result<Json<V2PermissionAnswer>, Problem> {
    let data = find(&state, &path.session, &path.request).await?;
    Ok(Json(V2PermissionAnswer { data }))
}

/// The user's answer.
#[derive(Debug, Deserialize, ToSchema)]
pub struct V2PermissionReply {
    /// The answer.
    pub reply: PermissionReply,
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
        TaggedInvalid, TaggedMissing,
    )
)]
pub async fn reply_of_session(
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
