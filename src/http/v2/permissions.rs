//! `GET /api/permission/request` and `GET /api/permission/saved`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::location::Location;
use crate::http::responses::TaggedInvalid;
use crate::http::state::Shared;
use crate::opencode::project::LocationInfo;
use crate::opencode::v2::info::V2Permission;

/// The permission requests at a location.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct V2Permissions {
    /// The location.
    pub location: LocationInfo,
    /// The requests.
    pub data: Vec<V2Permission>,
}

/// A permission that was given for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct V2SavedPermission {
    /// Its id.
    pub id: String,
    /// The project.
    #[serde(rename = "projectID")]
    pub project_id: String,
    /// The kind of thing.
    pub action: String,
    /// What it is done to.
    pub resource: String,
}

/// The permissions that were given for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct V2SavedPermissions {
    /// The permissions.
    pub data: Vec<V2SavedPermission>,
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
pub async fn list(
    State(state): State<Shared>,
    Location(location): Location,
) -> Json<V2Permissions> {
    let waiting = state.sessions.permissions(Some(&location.directory));
    let data = waiting.into_iter().map(Into::into).collect();
    Json(V2Permissions { location, data })
}

/// List permissions that were given for good
///
/// Empty, as OpenCode answers when none was given.
///
/// Stub: a permission that was given for good belongs to one session, and ends with it; a project keeps none.
#[utoipa::path(
    get,
    path = "/api/permission/saved",
    operation_id = "api.permission.saved.list",
    tag = "permission",
    responses((status = 200, description = "The permissions.", body = V2SavedPermissions))
)]
pub async fn saved() -> Json<V2SavedPermissions> {
    Json(V2SavedPermissions { data: Vec::new() })
}
