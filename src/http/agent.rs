//! `/agent`, and its twin below `/api`.

use serde_json::Map;

use crate::http::directory::Asked;
use crate::http::handler::*;
use crate::http::provider::{settled, settled_at};
use crate::http::v2::location::Location;
use crate::opencode::provider::{Agent, AgentMode};
use crate::opencode::v2::answer::V2Agents;
use crate::opencode::v2::info::V2Agent;
use crate::registry::Snapshot;

/// List agents
///
/// What can be selected as `agent`: `build`, `plan`, and the backends that can run, which stand for
/// their default model. The backends are hidden, so that the Tab key of OpenCode's terminal UI goes
/// through the modes only. Modes that a backend has in this directory only are there, too.
#[utoipa::path(
    get,
    path = "/agent",
    operation_id = "app.agents",
    tag = "agent",
    params(Directory),
    responses(
        (status = 200, description = "The agents.", body = Vec<Agent>),
        Invalid,
    )
)]
pub async fn list(State(state): State<Shared>, asked: Asked) -> Json<Vec<Agent>> {
    let here = settled_at(&state, &asked).await;
    let mut listed = agents(&here);
    listed.extend(of_project(&here, &state.registry.snapshot()));
    Json(listed)
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

/// Modes that backends have in this directory only.
fn of_project(here: &Snapshot, everywhere: &Snapshot) -> Vec<Agent> {
    let connected = here
        .backends
        .iter()
        .filter_map(|b| Some((&b.spec, b.connected()?)));
    let own = connected.flat_map(|(spec, catalogue)| {
        let general = everywhere.catalogue(&spec.id);
        let is_general =
            move |id: &String| general.is_some_and(|c| c.modes.iter().any(|mode| mode.id == *id));
        let own = catalogue.modes.iter().filter(move |m| !is_general(&m.id));
        own.map(|mode| {
            let description = format!("{}: a mode of this directory, of {}", mode.name, spec.name);
            agent(&mode.id, description, None)
        })
    });
    own.collect()
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
pub async fn list_at(State(state): State<Shared>, Location(location): Location) -> Json<V2Agents> {
    let agents = agents(&settled(&state).await.at(&location.directory));
    let data = agents.into_iter().map(V2Agent::from).collect();
    Json(V2Agents { location, data })
}
