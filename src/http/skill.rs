//! `GET /skill`.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

/// A skill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Skill {
    /// Its name.
    pub name: String,
    /// When to use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub description: Option<String>,
    /// The file that it stands in.
    pub location: String,
    /// Its text.
    pub content: String,
}

/// List skills
///
/// Empty, as OpenCode answers when there is none.
///
/// Stub: agents find their skills by themselves. Those that an agent announces over ACP are slash commands.
#[utoipa::path(
    get,
    path = "/skill",
    operation_id = "app.skills",
    tag = "config",
    responses((status = 200, description = "The skills.", body = Vec<Skill>))
)]
pub async fn list() -> Json<Vec<Skill>> {
    Json(Vec::new())
}
