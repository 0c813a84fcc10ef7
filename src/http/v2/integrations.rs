//! `GET /api/integration`.

use axum::Json;
use axum::extract::Path;
use serde::Serialize;
use utoipa::ToSchema;

use super::location::Location;
use crate::http::error::{BadKind, Problem};
use crate::http::responses::TaggedInvalid;
use crate::opencode::project::LocationInfo;

/// A service that credentials can be given for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct V2Integration {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// The integrations at a location.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct V2Integrations {
    /// The location.
    pub location: LocationInfo,
    /// The integrations.
    pub data: Vec<V2Integration>,
}

/// List integrations
///
/// Empty: there is nothing that credentials could be given for.
///
/// Stub: Baton keeps no credentials, agents sign in themselves.
#[utoipa::path(
    get,
    path = "/api/integration",
    operation_id = "api.integration.list",
    tag = "provider",
    params(Location),
    responses(
        (status = 200, description = "The integrations.", body = V2Integrations),
        TaggedInvalid,
    )
)]
pub async fn list(Location(location): Location) -> Json<V2Integrations> {
    let data = Vec::new();
    Json(V2Integrations { location, data })
}

/// An integration at a location.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct V2IntegrationAt {
    /// The location.
    pub location: LocationInfo,
    /// The integration.
    pub data: V2Integration,
}

/// Get an integration
///
/// Refused: there is none with any id. OpenCode fails here with 500.
///
/// Stub: Baton keeps no credentials, agents sign in themselves.
#[utoipa::path(
    get,
    path = "/api/integration/{integrationID}",
    operation_id = "api.integration.get",
    tag = "provider",
    params(("integrationID" = String, Path, description = "The integration."), Location),
    responses(
        (status = 200, description = "The integration.", body = V2IntegrationAt),
        TaggedInvalid,
    )
)]
pub async fn get(Path(id): Path<String>) -> Result<Json<V2IntegrationAt>, Problem> {
    let message = format!("There is no integration {id}: agents sign in themselves");
    Err(Problem::bad(BadKind::Params, message))
}
