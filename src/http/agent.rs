//! `GET /agent`.

use axum::Json;
use axum::extract::State;
use serde_json::Map;

use super::provider::settled;
use super::state::Shared;
use crate::opencode::provider::{Agent, AgentMode};
use crate::registry::Snapshot;

/// List agents
///
/// What can be selected as `agent`: `build`, `plan`, and the backends that can run, which stand for
/// their default model. The backends are hidden, so that the Tab key of OpenCode's terminal UI goes
/// through the modes only.
#[utoipa::path(
    get,
    path = "/agent",
    operation_id = "app.agents",
    tag = "agent",
    responses((status = 200, description = "The agents.", body = Vec<Agent>))
)]
pub async fn list(State(state): State<Shared>) -> Json<Vec<Agent>> {
    Json(agents(&*settled(&state).await))
}

/// The agents that can be selected.
pub(super) fn agents(snapshot: &Snapshot) -> Vec<Agent> {
    let modes = [
        (
            "build",
            "Works: reads, writes and runs, as the backend's own settings allow.",
        ),
        ("plan", "Plans: reads and thinks, and changes nothing."),
    ];
    let mut modes = modes.map(|(name, description)| agent(name, description.to_owned(), None));
    // OpenCode's clients start with the first one.
    modes.sort_by_key(|mode| mode.name != snapshot.default_agent());
    let connected = snapshot.backends.iter().filter(|b| b.connected().is_some());
    let backends = connected.map(|backend| {
        let spec = &backend.spec;
        let description = format!("{}, with its default model", spec.name);
        agent(&spec.id, description, Some(true))
    });
    modes.into_iter().chain(backends).collect()
}

fn agent(name: &str, description: String, hidden: Option<bool>) -> Agent {
    Agent {
        name: name.to_owned(),
        description,
        mode: AgentMode::Primary,
        native: true,
        hidden,
        permission: Vec::new(),
        options: Map::new(),
    }
}
