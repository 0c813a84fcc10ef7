//! `GET /api/agent`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::location::Location;
use crate::http::agent::agents;
use crate::http::provider::settled;
use crate::http::responses::TaggedInvalid;
use crate::http::state::Shared;
use crate::opencode::project::LocationInfo;
use crate::opencode::provider::Agent;
use crate::opencode::v2::info::{V2Agent, V2Request};

/// The agents at a location.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct V2Agents {
    /// The location.
    pub location: LocationInfo,
    /// The agents.
    pub data: Vec<V2Agent>,
}

/// List agents
///
/// The same agents as `app.agents`.
#[utoipa::path(
    get,
    path = "/api/agent",
    operation_id = "api.agent.list",
    tag = "agent",
    params(Location),
    responses(
        (status = 200, description = "The agents.", body = V2Agents),
        TaggedInvalid,
    )
)]
pub async fn list(State(state): State<Shared>, Location(location): Location) -> Json<V2Agents> {
    let agents = agents(&settled(&state).await.at(&location.directory));
    let data = agents.into_iter().map(agent).collect();
    Json(V2Agents { location, data })
}

fn agent(agent: Agent) -> V2Agent {
    V2Agent {
        id: agent.name,
        request: V2Request::default(),
        description: agent.description,
        mode: "primary".to_owned(),
        hidden: agent.hidden == Some(true),
        permissions: Vec::new(),
    }
}
