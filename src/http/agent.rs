//! `/agent`, and its twin below `/api`.

use serde_json::Map;

use crate::http::directory::Asked;
use crate::http::handler::*;
use crate::http::provider::{settled, settled_at};
use crate::http::v2::location::Location;
use crate::opencode::provider::{Agent, AgentMode, AgentModel};
use crate::opencode::v2::answer::V2Agents;
use crate::opencode::v2::info::V2Agent;
use crate::profile::Profile;
use crate::registry::{BUILD, PLAN, Snapshot};

/// List agents
///
/// What can be selected as `agent`: `build`, `plan`, profiles (agents with a model of their own, of the config file and
/// of OpenCode's own files), and the backends that can run, which stand for their default model. The backends are hidden,
/// so that the Tab key of OpenCode's terminal UI goes through the others only. Modes that a backend has in this directory
/// only are there, too.
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
    state.sessions.read_place(&asked.directory).await;
    let here = settled_at(&state, &asked).await;
    let mut listed = agents(&here);
    let own = of_project(&here, &state.registry.snapshot());
    listed.extend(
        own.into_iter()
            .filter(|mode| here.profile(&mode.name).is_none()),
    );
    Json(listed)
}

/// The agents that can be selected.
pub(super) fn agents(snapshot: &Snapshot) -> Vec<Agent> {
    let built_in = [
        (
            BUILD,
            "Works: reads, writes and runs, as the backend's own settings allow.",
        ),
        (PLAN, "Plans: reads and thinks, and changes nothing."),
    ];
    let built_in = built_in.map(|(name, description)| {
        let plain = agent(name, description.to_owned(), None);
        match snapshot.profile(name) {
            Some(profile) => Agent {
                native: true,
                mode: AgentMode::Primary,
                ..of_profile(snapshot, profile, plain.description)
            },
            None => plain,
        }
    });
    let profiles = snapshot.profiles();
    let profiles = profiles.filter(|profile| ![BUILD, PLAN].contains(&&*profile.name));
    let profiles = profiles.map(|profile| of_profile(snapshot, profile, String::new()));
    let mut modes: Vec<_> = built_in.into_iter().chain(profiles).collect();
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

/// A profile. A model that is not there is not shown: clients complain about one that they do not know.
fn of_profile(snapshot: &Snapshot, profile: &Profile, description: String) -> Agent {
    let own = snapshot.model_of(profile).ok().flatten();
    let own = own.filter(|_| profile.follow);
    let (model, variant) = own.unzip();
    let model = model.map(|model| AgentModel {
        provider_id: model.provider_id,
        model_id: model.model_id,
    });
    let described = || match &model {
        Some(model) => format!("With {}/{}.", model.provider_id, model.model_id),
        None => "With the session's model.".to_owned(),
    };
    let own = profile.description.clone();
    let description = own.unwrap_or_else(|| match description.is_empty() {
        true => described(),
        false => description,
    });
    Agent {
        native: false,
        mode: profile.kind,
        permission: profile.permission.clone(),
        model,
        variant: variant.flatten(),
        ..agent(&profile.name, description, profile.hidden.then_some(true))
    }
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
        model: None,
        variant: None,
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
    state.sessions.read_place(&location.directory).await;
    let agents = agents(&settled(&state).await.at(&location.directory));
    let data = agents.into_iter().map(V2Agent::from).collect();
    Json(V2Agents { location, data })
}
