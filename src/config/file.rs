//! The config file, `baton.toml`. A key that is not known is an error that names it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::environment::EnvironmentTable;
use super::explain::explain;
use super::{
    ConfigError, DEFAULT_EVENT_STREAMS, DEFAULT_LOADED_SESSIONS, DEFAULT_QUEUE_PROMPTS, Limits,
};
use crate::agent::Timeouts;
use crate::agent::pool::PoolLimits;
use crate::agent::spec::AgentSpec;
use crate::command::Command;
use crate::environment::{Environment, Inherit};
use crate::event::RingLimits;
use crate::http::body::BodyLimits;
use crate::http::serve::ConnectionLimits;
use crate::session::handoff::Budget;
use crate::shell::ShellLimits;
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
    /// How to listen.
    pub server: ServerTable,
    /// What programs get of the environment.
    environment: EnvironmentTable,
    /// Backends, changed or added.
    agents: BTreeMap<String, AgentTable>,
    /// Slash commands.
    commands: BTreeMap<String, CommandTable>,
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
    models: Option<Vec<String>>,
    plan_modes: Option<Vec<String>>,
    one_session_per_process: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CommandTable {
    template: String,
    description: Option<String>,
    agent: Option<String>,
    model: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LimitsTable {
    body_bytes: Option<usize>,
    all_body_bytes: Option<usize>,
    body_values: Option<usize>,
    connections: Option<usize>,
    connections_per_address: Option<usize>,
    event_streams: Option<usize>,
    queue_prompts: Option<usize>,
    loaded_sessions: Option<usize>,
    ring_events: Option<usize>,
    ring_bytes: Option<usize>,
    live_agents: Option<usize>,
    agent_idle_s: Option<u64>,
    transcript_bytes: Option<usize>,
    tool_output_bytes: Option<usize>,
    shell_output_bytes: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TimeoutsTable {
    start_s: Option<u64>,
    session_s: Option<u64>,
    switch_s: Option<u64>,
    cancel_s: Option<u64>,
    end_ms: Option<u64>,
    shell_s: Option<u64>,
    body_s: Option<u64>,
    header_s: Option<u64>,
    unread_s: Option<u64>,
}

/// A backend, and whether it is used when `--agents` does not say which are.
#[derive(Debug, Clone)]
pub(super) struct ConfiguredAgent {
    pub spec: AgentSpec,
    pub enabled: bool,
}

impl ConfigFile {
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| explain(text, &error, path))
    }

    /// The built-in backends with the file's changes, and the file's own ones. A backend of the file
    /// stands before the last built-in one, which is the mock agent.
    pub fn agents(&self, built_in: Vec<AgentSpec>) -> Result<Vec<ConfiguredAgent>, ConfigError> {
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
                    let place = all.len().saturating_sub(1);
                    let mut spec = AgentSpec::from_config(id, new_command(id, table)?);
                    self.environment
                        .apply("environment", &mut spec.environment)?;
                    let enabled = true;
                    all.insert(place, ConfiguredAgent { spec, enabled });
                    place
                }
            };
            table.apply(id, &mut all[place])?;
        }
        Ok(all)
    }
}

impl ConfigFile {
    /// What the user's own commands get of the environment.
    pub fn shell_environment(&self) -> Result<Environment, ConfigError> {
        let mut environment = Environment::default();
        self.environment.apply("environment", &mut environment)?;
        Ok(environment)
    }

    /// The slash commands of the file.
    pub fn commands(&self) -> Result<Vec<Command>, ConfigError> {
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

fn new_command(id: &str, table: &AgentTable) -> Result<Vec<String>, ConfigError> {
    table.command.clone().ok_or_else(|| {
        ConfigError(format!(
            "[agents.{id}] is not a built-in backend and has no command. Add: command = [\"program\", \"argument\"]"
        ))
    })
}

impl AgentTable {
    fn apply(&self, id: &str, agent: &mut ConfiguredAgent) -> Result<(), ConfigError> {
        let spec = &mut agent.spec;
        if let Some(command) = &self.command {
            // What is wrong with the user's own command is not mended by installing ours.
            spec.install = AgentSpec::from_config(id, Vec::new()).install;
            spec.command.clone_from(command);
        }
        if let Some(name) = &self.name {
            spec.name.clone_from(name);
        }
        if let Some(models) = &self.models {
            spec.models.clone_from(models);
        }
        if let Some(plan_modes) = &self.plan_modes {
            spec.plan_modes.clone_from(plan_modes);
        }
        if let Some(alone) = self.one_session_per_process {
            spec.one_session_per_process = alone;
        }
        // Under both names, so that neither is silently without effect.
        let set = self.env.iter().chain(&self.set);
        let environment = EnvironmentTable {
            inherit: self.inherit,
            allow: self.allow.clone(),
            set: set.map(|(k, v)| (k.clone(), v.clone())).collect(),
        };
        environment.apply(&format!("agents.{id}"), &mut spec.environment)?;
        agent.enabled = self.enabled.unwrap_or(agent.enabled);
        Ok(())
    }
}

/// A limit of zero would stop everything, and is more likely meant as "none".
fn at_least_one<T: PartialEq + From<u8>>(
    key: &str,
    given: Option<T>,
    default: T,
) -> Result<T, ConfigError> {
    match given {
        Some(value) if value == T::from(0) => Err(ConfigError(format!(
            "{key} = 0 in the config file: it has to be at least 1"
        ))),
        Some(value) => Ok(value),
        None => Ok(default),
    }
}

impl LimitsTable {
    pub fn resolve(&self, timeouts: &TimeoutsTable) -> Result<Limits, ConfigError> {
        let bodies = BodyLimits::default();
        let connections = ConnectionLimits::default();
        let ring = RingLimits::default();
        let pool = PoolLimits::default();
        let handoff = Budget::default();
        let shell = ShellLimits::default();
        let limit =
            |key: &str, given, default| at_least_one(&format!("limits.{key}"), given, default);
        let idle_s = at_least_one(
            "limits.agent_idle_s",
            self.agent_idle_s,
            pool.idle.as_secs(),
        )?;
        Ok(Limits {
            bodies: BodyLimits {
                bytes: limit("body_bytes", self.body_bytes, bodies.bytes)?,
                all_bytes: limit("all_body_bytes", self.all_body_bytes, bodies.all_bytes)?,
                values: limit("body_values", self.body_values, bodies.values)?,
                time: timeouts.seconds("body_s", timeouts.body_s, bodies.time)?,
            },
            connections: ConnectionLimits {
                connections: limit("connections", self.connections, connections.connections)?,
                per_address: limit(
                    "connections_per_address",
                    self.connections_per_address,
                    connections.per_address,
                )?,
                header: timeouts.seconds("header_s", timeouts.header_s, connections.header)?,
                stalled: timeouts.seconds("unread_s", timeouts.unread_s, connections.stalled)?,
            },
            event_streams: limit("event_streams", self.event_streams, DEFAULT_EVENT_STREAMS)?,
            queue_prompts: limit("queue_prompts", self.queue_prompts, DEFAULT_QUEUE_PROMPTS)?,
            loaded_sessions: limit(
                "loaded_sessions",
                self.loaded_sessions,
                DEFAULT_LOADED_SESSIONS,
            )?,
            ring: RingLimits {
                events: limit("ring_events", self.ring_events, ring.events)?,
                bytes: limit("ring_bytes", self.ring_bytes, ring.bytes)?,
            },
            pool: PoolLimits {
                live: limit("live_agents", self.live_agents, pool.live)?,
                idle: Duration::from_secs(idle_s),
            },
            handoff: Budget {
                total_bytes: limit(
                    "transcript_bytes",
                    self.transcript_bytes,
                    handoff.total_bytes,
                )?,
                tool_output_bytes: limit(
                    "tool_output_bytes",
                    self.tool_output_bytes,
                    handoff.tool_output_bytes,
                )?,
            },
            shell: ShellLimits {
                timeout: timeouts.seconds("shell_s", timeouts.shell_s, shell.timeout)?,
                output_bytes: limit(
                    "shell_output_bytes",
                    self.shell_output_bytes,
                    shell.output_bytes,
                )?,
            },
        })
    }
}

impl TimeoutsTable {
    fn seconds(
        &self,
        key: &str,
        given: Option<u64>,
        default: Duration,
    ) -> Result<Duration, ConfigError> {
        let key = format!("timeouts.{key}");
        at_least_one(&key, given, default.as_secs()).map(Duration::from_secs)
    }

    pub fn resolve(&self) -> Result<Timeouts, ConfigError> {
        let default = Timeouts::default();
        let seconds = |key: &str, given, default| self.seconds(key, given, default);
        let end_ms = u64::try_from(default.end.as_millis()).unwrap_or(u64::MAX);
        Ok(Timeouts {
            start: seconds("start_s", self.start_s, default.start)?,
            session: seconds("session_s", self.session_s, default.session)?,
            switch: seconds("switch_s", self.switch_s, default.switch)?,
            cancel: seconds("cancel_s", self.cancel_s, default.cancel)?,
            end: Duration::from_millis(at_least_one("timeouts.end_ms", self.end_ms, end_ms)?),
        })
    }
}
