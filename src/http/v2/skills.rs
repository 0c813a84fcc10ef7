//! `GET /api/skill`.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::location::Location;
use crate::http::responses::TaggedInvalid;
use crate::http::skill::Skill;
use crate::opencode::project::LocationInfo;

/// The skills at a location.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct V2Skills {
    /// The location.
    pub location: LocationInfo,
    /// The skills.
    pub data: Vec<Skill>,
}

/// List skills
///
/// Empty, as OpenCode answers when there is none.
///
/// Stub: agents find their skills by themselves. Those that an agent announces over ACP are slash commands.
#[utoipa::path(
    get,
    path = "/api/skill",
    operation_id = "api.skill.list",
    tag = "config",
    params(Location),
    responses(
        (status = 200, description = "The skills.", body = V2Skills),
        TaggedInvalid,
    )
)]
pub async fn list(Location(location): Location) -> Json<V2Skills> {
    let data = Vec::new();
    Json(V2Skills { location, data })
}
