//! The config file, `baton.toml`. A key that is not known is an error that names it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::environment::EnvironmentTable;
use super::explain::explain;
use super::limits::{LimitsTable, TimeoutsTable};
use super::mcp::McpTable;
use super::models::ModelsTable;
use super::nodes::NodesTable;
use super::profiles::ProfileTable;
use super::store::StoreTable;
use super::{ConfigError, LogFormat, LogLevel, meant};
use crate::agent::fence::{ANY_OTHER, COMMON};
use crate::agent::quirks::is_mock;
use crate::agent::quirks::keeps::{Arguments, Keeps};
use crate::agent::spec::AgentSpec;
use crate::command::Command;
use crate::environment::{Environment, Inherit};
use crate::opencode::handoff::HandoffMode;
use crate::opencode::session::{DEFAULT_VARIANT, MessageModel};
use crate::opencode::spending::SpendingLimit;
use crate::session::{
    AtAbort, CHAIN_MOST, DEFAULT_PAUSE, DEFAULT_SILENT, FallbackSettings, Returns, SpendingSettings,
};
use crate::store::Durability;

/// Ids that no backend may have: they name agent modes.
const RESERVED_IDS: [&str; 2] = ["build", "plan"];

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ConfigFile {
    /// `provider/model`.
    pub default_model: Option<String>,
    /// Whether snapshots of working directories are taken; true if left out.
    pub snapshot: Option<bool>,
    /// What a commit of the store outlives; the death of the process if left out.
    pub durability: Option<Durability>,
    /// Where sessions are kept.
    pub store: StoreTable,
    /// Other servers on the same store.
    pub nodes: NodesTable,
    /// How to listen.
    pub server: ServerTable,
    /// How sessions behave.
    pub sessions: SessionsTable,
    /// What goes on when a model cannot answer.
    pub fallback: FallbackTable,
    /// What programs get of the environment.
    environment: EnvironmentTable,
    /// Backends, changed or added.
    agents: BTreeMap<String, AgentTable>,
    /// What may be spent.
    pub spending: SpendingTable,
    /// MCP servers.
    pub mcp: BTreeMap<String, McpTable>,
    /// Slash commands.
    commands: BTreeMap<String, CommandTable>,
    /// Agents with a model of their own.
    pub profiles: BTreeMap<String, ProfileTable>,
    /// Bounds.
    pub limits: LimitsTable,
    /// How long to wait for agents.
    pub timeouts: TimeoutsTable,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ServerTable {
    pub host: Option<String>,
    pub port: Option<u16>,
    pub password: Option<String>,
    pub password_file: Option<PathBuf>,
    pub cors_origins: Vec<String>,
    pub log_format: Option<LogFormat>,
    pub log_level: Option<LogLevel>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SessionsTable {
    pub abort_queue: Option<AtAbort>,
    /// Whether a PATCH that selects something pins it where it does not say; it does not if left out.
    pub pin_patches: Option<bool>,
    /// How the conversation gets to a model that goes on with it; as a transcript if left out.
    pub handoff: Option<HandoffMode>,
    /// Whether agents are asked what they offer in a directory that a list is asked for; they are if left out.
    pub ask_in_directories: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SpendingTable {
    /// What a session may spend.
    session: LimitTable,
    /// What all sessions may spend in a day.
    day: LimitTable,
    /// Whether a turn that goes beyond a limit is stopped; it is finished if left out.
    hard: bool,
    /// Backends, and models as `provider/model`, that cost nothing.
    free: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LimitTable {
    /// US dollars.
    cost: Option<f64>,
    tokens: Option<u64>,
}

impl SpendingTable {
    /// The limits. `known` are the ids of the backends.
    pub(super) fn resolve(&self, known: &[&str]) -> Result<SpendingSettings, ConfigError> {
        let limit = |name: &str, table: &LimitTable| match table.cost {
            Some(cost) if !cost.is_finite() || cost < 0.0 => Err(ConfigError(format!(
                "[spending] {name}.cost: expected at least 0, got {cost}"
            ))),
            cost => Ok(SpendingLimit {
                cost,
                tokens: table.tokens,
                hard: self.hard,
            }),
        };
        for free in &self.free {
            let backend = free
                .split_once('/')
                .map_or(free.as_str(), |(backend, _)| backend);
            if !known.contains(&backend) {
                return Err(ConfigError(format!(
                    "[spending] free: there is no backend \"{backend}\".{} `baton agents` lists what there is",
                    meant(backend, known)
                )));
            }
        }
        Ok(SpendingSettings {
            session: limit("session", &self.session)?,
            day: limit("day", &self.day)?,
            free: self.free.clone(),
        })
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FallbackTable {
    chain: Vec<ChainEntry>,
    /// When a session goes back to its first choice; when that is no longer left out if left out here.
    r#return: Option<Returns>,
    /// How long a model may say nothing before the next one is asked, in seconds.
    silent_s: Option<u64>,
    /// How long a model is left out first that names no time, in seconds.
    pause_s: Option<u64>,
}

/// A model of the chain, in the words of PATCH.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChainEntry {
    #[serde(rename = "providerID")]
    provider_id: String,
    #[serde(rename = "modelID")]
    model_id: String,
    variant: Option<String>,
}

impl FallbackTable {
    /// The chain and how it is used. `known` are the ids of the backends.
    pub(super) fn resolve(&self, known: &[&str]) -> Result<FallbackSettings, ConfigError> {
        if self.chain.len() > CHAIN_MOST {
            return Err(ConfigError(format!(
                "[fallback] chain: at most {CHAIN_MOST} models, got {}",
                self.chain.len()
            )));
        }
        if let Some(entry) = self
            .chain
            .iter()
            .find(|e| !known.contains(&&*e.provider_id))
        {
            return Err(ConfigError(format!(
                "[fallback] chain: there is no backend \"{}\".{} `baton agents` lists what there is",
                entry.provider_id,
                meant(&entry.provider_id, known)
            )));
        }
        for (name, seconds) in [("silent_s", self.silent_s), ("pause_s", self.pause_s)] {
            if seconds == Some(0) {
                let message = format!("[fallback] {name}: expected at least 1, got 0");
                return Err(ConfigError(message));
            }
        }
        let model = |entry: &ChainEntry| MessageModel {
            provider_id: entry.provider_id.clone(),
            model_id: entry.model_id.clone(),
            variant: entry.variant.clone().filter(|v| v != DEFAULT_VARIANT),
        };
        Ok(FallbackSettings {
            chain: self.chain.iter().map(model).collect(),
            returns: self.r#return.unwrap_or_default(),
            silent: self.silent_s.map_or(DEFAULT_SILENT, Duration::from_secs),
            pause: self.pause_s.map_or(DEFAULT_PAUSE, Duration::from_secs),
        })
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct AgentTable {
    name: Option<String>,
    command: Option<Vec<String>>,
    inherit: Option<Inherit>,
    allow: Vec<String>,
    set: BTreeMap<String, String>,
    /// The same as `set`.
    env: BTreeMap<String, String>,
    enabled: Option<bool>,
    models: Option<ModelsTable>,
    plan_modes: Option<Vec<String>>,
    /// How its user signs in, as words that follow "To sign in: ".
    login: Option<String>,
    /// Arguments that take the tools of a permission away.
    denies: Option<BTreeMap<String, Vec<String>>>,
    /// Arguments with which it asks before each use of the tools of a permission.
    asks: Option<BTreeMap<String, Vec<String>>>,
    /// Whether sessions share a process; the built-in backends do where they can.
    shared_process: Option<bool>,
    /// What `shared_process` was called before, turned around.
    one_session_per_process: Option<bool>,
    /// Whether what it has put into sessions of their own outlives it.
    leave_children: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CommandTable {
    template: String,
    description: Option<String>,
    agent: Option<String>,
    model: Option<String>,
}

/// A backend, and whether it is used when `--agents` does not say which are.
#[derive(Debug, Clone)]
pub(super) struct ConfiguredAgent {
    pub spec: AgentSpec,
    pub enabled: bool,
}

impl ConfigFile {
    pub(super) fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| explain(text, &error, path))
    }

    /// The built-in backends with the file's changes, and the file's own ones. A backend of the file
    /// comes before the mock agents, which are the last of the built-in ones.
    pub(super) fn agents(
        &self,
        built_in: Vec<AgentSpec>,
    ) -> Result<Vec<ConfiguredAgent>, ConfigError> {
        let mut all: Vec<ConfiguredAgent> = built_in
            .into_iter()
            .map(|spec| ConfiguredAgent {
                spec,
                enabled: true,
            })
            .collect();
        for agent in &mut all {
            self.environment
                .apply("environment", &mut agent.spec.environment)?;
        }
        for (id, table) in &self.agents {
            check_id(id)?;
            let known = all.iter().position(|a| a.spec.id == *id);
            let place = match known {
                Some(place) => place,
                None => {
                    let mock = all.iter().position(|a| is_mock(&a.spec.id));
                    let place = mock.unwrap_or(all.len());
                    let ids: Vec<_> = all.iter().map(|a| a.spec.id.as_str()).collect();
                    let mut spec = AgentSpec::from_config(id, new_command(id, table, &ids)?);
                    self.environment
                        .apply("environment", &mut spec.environment)?;
                    let enabled = true;
                    all.insert(place, ConfiguredAgent { spec, enabled });
                    place
                }
            };
            if let Some(agent) = all.get_mut(place) {
                table.apply(id, agent)?;
            }
        }
        Ok(all)
    }
}

impl ConfigFile {
    /// What the user's own commands get of the environment.
    pub(super) fn shell_environment(&self) -> Result<Environment, ConfigError> {
        let mut environment = Environment::default();
        self.environment.apply("environment", &mut environment)?;
        Ok(environment)
    }

    /// The slash commands of the file.
    pub(super) fn commands(&self) -> Result<Vec<Command>, ConfigError> {
        let command = |(name, table): (&String, &CommandTable)| {
            if name.is_empty() || name.starts_with('/') || name.contains(char::is_whitespace) {
                return Err(ConfigError(format!(
                    "[commands.{name:?}]: the name of a command has no white space in it and no slash in front"
                )));
            }
            Ok(Command {
                name: name.clone(),
                description: table.description.clone(),
                agent: table.agent.clone(),
                model: table.model.clone(),
                subtask: None,
                template: table.template.trim().to_owned(),
            })
        };
        self.commands.iter().map(command).collect()
    }
}

fn check_id(id: &str) -> Result<(), ConfigError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fits = id.starts_with(plain) && id.chars().all(|c| plain(c) || "._-".contains(c));
    if !fits {
        return Err(ConfigError(format!(
            "[agents.{id}]: the id of a backend has lower-case letters, digits, \".\", \"_\" and \"-\", and begins with \
             a letter or a digit"
        )));
    }
    if RESERVED_IDS.contains(&id) {
        return Err(ConfigError(format!(
            "[agents.{id}]: \"{id}\" is the name of an agent mode; choose another id for the backend"
        )));
    }
    Ok(())
}

/// What is added to a command, by permission, if it is about permissions that agents have.
fn check_permissions(
    id: &str,
    field: &str,
    told: Option<&BTreeMap<String, Vec<String>>>,
) -> Result<BTreeMap<String, Vec<String>>, ConfigError> {
    let told = told.cloned().unwrap_or_default();
    let known = |name: &str| COMMON.contains(&name) || name == ANY_OTHER;
    match told.keys().find(|name| !known(name)) {
        None => Ok(told),
        Some(name) => Err(ConfigError(format!(
            "[agents.{id}] {field}: \"{name}\" is no permission of tools; there are {} and \"{ANY_OTHER}\" for all others",
            COMMON.join(", ")
        ))),
    }
}

fn new_command(id: &str, table: &AgentTable, known: &[&str]) -> Result<Vec<String>, ConfigError> {
    table.command.clone().ok_or_else(|| {
        ConfigError(format!(
            "[agents.{id}] is not a built-in backend and has no command.{} To define it, add: command = [\"program\", \
             \"argument\"]",
            meant(id, known)
        ))
    })
}

/// What a command runs, wherever it lies.
fn program(command: &[String]) -> Option<&OsStr> {
    Path::new(command.first()?).file_name()
}

impl AgentTable {
    fn apply(&self, id: &str, agent: &mut ConfiguredAgent) -> Result<(), ConfigError> {
        let spec = &mut agent.spec;
        let mut is_another = false;
        if let Some(command) = &self.command {
            // What is wrong with the user's own command is not mended by installing ours.
            spec.install = AgentSpec::from_config(id, Vec::new()).install;
            spec.installed_in = None;
            is_another = program(command) != program(&spec.command);
            spec.command.clone_from(command);
        }
        if let Some(name) = &self.name {
            spec.name.clone_from(name);
        }
        if let Some(models) = &self.models {
            models.apply(spec);
        }
        if let Some(login) = &self.login {
            spec.login.clone_from(login);
        }
        if let Some(plan_modes) = &self.plan_modes {
            spec.plan_modes.clone_from(plan_modes);
        }
        if self.denies.is_some() || self.asks.is_some() {
            let told = |field, those: &Option<_>| check_permissions(id, field, those.as_ref());
            spec.keeps = Keeps::Arguments(Arguments {
                deny: told("denies", &self.denies)?,
                ask: told("asks", &self.asks)?,
            });
        } else if is_another && matches!(spec.keeps, Keeps::Arguments(_)) {
            // Another program need not know the arguments.
            spec.keeps = Keeps::Nothing;
        }
        // Under both names, so that neither is silently without effect.
        let set = self.env.iter().chain(&self.set);
        let environment = EnvironmentTable {
            inherit: self.inherit,
            allow: self.allow.clone(),
            set: set.map(|(k, v)| (k.clone(), v.clone())).collect(),
        };
        environment.apply(&format!("agents.{id}"), &mut spec.environment)?;
        let alone = self.shared_process.map(|shared| !shared);
        let alone = alone.or(self.one_session_per_process);
        // A process that was started with its model has no other.
        let alone = alone.or(spec.per_model().then_some(false));
        spec.one_session_per_process = alone.unwrap_or(spec.one_session_per_process);
        spec.leaves_children = self.leave_children.unwrap_or(spec.leaves_children);
        agent.enabled = self.enabled.unwrap_or(agent.enabled);
        Ok(())
    }
}
