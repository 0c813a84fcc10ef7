//! `GET /api/reference`.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::location::Location;
use crate::http::responses::TaggedInvalid;
use crate::opencode::project::LocationInfo;

/// A folder or repository that agents may look into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct V2Reference {
    /// Its name.
    pub name: String,
    /// Its folder.
    pub path: String,
}

/// The references at a location.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct V2References {
    /// The location.
    pub location: LocationInfo,
    /// The references.
    pub data: Vec<V2Reference>,
}

/// List references
///
/// Empty, as OpenCode answers when none is configured.
///
/// Stub: agents look into the folders that their own configuration names; ACP does not tell which ones.
#[utoipa::path(
    get,
    path = "/api/reference",
    operation_id = "api.reference.list",
    tag = "project",
    params(Location),
    responses(
        (status = 200, description = "The references.", body = V2References),
        TaggedInvalid,
    )
)]
pub async fn list(Location(location): Location) -> Json<V2References> {
    let data = Vec::new();
    Json(V2References { location, data })
}
