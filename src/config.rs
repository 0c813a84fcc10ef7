//! Settings: flags, then `BATON_*` environment variables, then the config file, then defaults.
//!
//! [`Settings::load`] does all of it and touches nothing but the config file, so that `baton serve`
//! can say what is wrong before it starts anything.

mod environment;
mod explain;
mod file;
#[cfg(test)]
mod fuzz;
mod limits;
mod log;
mod mcp;
mod models;
mod nodes;
mod password;
mod places;
mod profiles;
mod store;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::agent::Timeouts;
use crate::agent::pool::PoolLimits;
use crate::agent::quirks::builtins;
use crate::agent::spec::AgentSpec;
use crate::command::Sources;
use crate::environment::Environment;
use crate::event::RingLimits;
use crate::files::FileLimits;
use crate::http::auth::Password;
use crate::http::body::BodyLimits;
use crate::http::guard::is_loopback;
use crate::http::serve::ConnectionLimits;
use crate::mcp::Server;
use crate::nodes::NodeSettings;
use crate::opencode::handoff::HandoffMode;
use crate::profile;
use crate::registry::{ModelWish, alike, did_you_mean};
use crate::secret;
use crate::session::handoff::Budget;
use crate::session::{AtAbort, FallbackSettings, Sizes, SpendingSettings};
use crate::shell::ShellLimits;
use crate::store::Durability;

use file::{ConfigFile, ConfiguredAgent};
pub use log::{LogFormat, LogLevel};
use models::parse_default_model;
pub use password::read_password_file;
pub use places::Places;
pub use store::StoreSettings;

/// The host that is listened on unless another is given.
const DEFAULT_HOST: &str = "127.0.0.1";
/// The port that is listened on unless another is given.
const DEFAULT_PORT: u16 = 2468;
/// Event streams at once, unless configured; each may keep two hundred kilobytes for a reader that is slow.
const DEFAULT_EVENT_STREAMS: usize = 512;
/// Prompts that may wait for one session.
const DEFAULT_QUEUE_PROMPTS: usize = 32;
/// Sessions kept in memory although they are not at work, unless configured; a few kilobytes each.
const DEFAULT_LOADED_SESSIONS: usize = 1_000;

/// What both `baton serve` and `baton agents` take.
#[derive(Debug, Clone, Default, Args)]
pub struct BackendArgs {
    /// The config file [default: ~/.config/baton/baton.toml if it exists]
    #[arg(long, env = "BATON_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Only these backends, in this order of preference [default: all]
    #[arg(
        long,
        env = "BATON_AGENTS",
        value_name = "A,B,C",
        value_delimiter = ','
    )]
    pub agents: Option<Vec<String>>,

    /// The model of a session that names none
    #[arg(long, env = "BATON_DEFAULT_MODEL", value_name = "PROVIDER/MODEL")]
    pub default_model: Option<String>,
}

/// What `baton serve` takes.
#[derive(Debug, Clone, Default, Args)]
pub struct ServeArgs {
    /// Listen on this host [default: 127.0.0.1]; any other than a loopback one needs a password
    #[arg(long, env = "BATON_HOST")]
    pub host: Option<String>,

    /// Listen on this port; 0 takes a free one [default: 2468]
    #[arg(long, env = "BATON_PORT")]
    pub port: Option<u16>,

    /// Keep everything in this directory [default: ~/.local/share/baton]
    #[arg(long, env = "BATON_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// Keep sessions in this PostgreSQL instead of the data directory: postgres://USER:PASSWORD@HOST/DATABASE. As with a
    /// password, the config file or the variable are better places for one
    #[arg(
        long,
        env = "BATON_STORE_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub store: Option<String>,

    /// Where other nodes that share the store reach this one, as http://HOST:PORT [default: the address that is listened on]
    #[arg(long, env = "BATON_NODE_URL", value_name = "URL")]
    pub node_url: Option<String>,

    /// Ask clients for this password (HTTP Basic with any user name, or Bearer). It ends up in the shell's history
    /// and, while Baton starts, in `ps`: better use --password-file, or the variable BATON_PASSWORD
    #[arg(long)]
    pub password: Option<String>,

    /// Ask clients for the password in this file
    #[arg(long, env = "BATON_PASSWORD_FILE", value_name = "FILE")]
    pub password_file: Option<PathBuf>,

    /// Write the log as text, or as JSON with an object a line [default: text]
    #[arg(long, env = "BATON_LOG_FORMAT", value_enum)]
    pub log_format: Option<LogFormat>,

    /// How much is logged [default: info]. The variable BATON_LOG takes a whole filter, such as baton::http=debug, and
    /// takes precedence over this
    #[arg(long, env = "BATON_LOG_LEVEL", value_enum)]
    pub log_level: Option<LogLevel>,

    /// Serve the fronts of `baton opencode` only, and end when the last one has gone.
    #[arg(long, hide = true)]
    pub for_fronts: bool,

    /// What the variable BATON_PASSWORD held when Baton was started (see [`crate::private`]).
    #[arg(skip)]
    pub environment_password: Option<String>,

    /// The backends.
    #[command(flatten)]
    pub backends: BackendArgs,
}

/// What is wrong with the settings, as a sentence for the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

/// Bounds, each with its unit in the name.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The bodies of requests.
    pub bodies: BodyLimits,
    /// Connections.
    pub connections: ConnectionLimits,
    /// What others send.
    pub sizes: Sizes,
    /// What is read of files.
    pub files: FileLimits,
    /// Event streams at once.
    pub event_streams: usize,
    /// Prompts that may wait for one session.
    pub queue_prompts: usize,
    /// Sessions that are kept in memory although they are not at work; the others are read when they are asked for.
    pub loaded_sessions: usize,
    /// What the event bus keeps for subscribers that come back.
    pub ring: RingLimits,
    /// What the pool of agent processes may hold.
    pub pool: PoolLimits,
    /// How much of a conversation is handed over.
    pub handoff: Budget,
    /// How long the user's own commands may run, and what is kept of their output.
    pub shell: ShellLimits,
}

/// The backends and how to deal with them.
#[derive(Debug, Clone)]
pub struct BackendSettings {
    /// The backends, in order of preference.
    pub agents: Vec<AgentSpec>,
    /// The model of a session that names none.
    pub default_model: Option<ModelWish>,
    /// How long to wait for agents.
    pub timeouts: Timeouts,
    /// What goes on when a model cannot answer.
    pub fallback: FallbackSettings,
    /// What may be spent.
    pub spending: SpendingSettings,
    /// Where agents with a model of their own come from.
    pub profiles: profile::Sources,
}

impl BackendSettings {
    /// Reads the config file for them. Below `data_dir` is what Baton has installed; the mock agent keeps its sessions
    /// in `mock_state`.
    ///
    /// # Errors
    /// When the config file cannot be read, or when a setting cannot be used.
    pub fn load(
        args: &BackendArgs,
        places: &Places,
        data_dir: &Path,
        mock_state: &Path,
    ) -> Result<Self, ConfigError> {
        let (_, file) = read_file(args.config.as_deref(), places)?;
        Self::of(args, &file, places, data_dir, mock_state)
    }

    fn of(
        args: &BackendArgs,
        file: &ConfigFile,
        places: &Places,
        data_dir: &Path,
        mock_state: &Path,
    ) -> Result<Self, ConfigError> {
        let built_in = builtins(&places.program.to_string_lossy(), mock_state, data_dir);
        let all = file.agents(built_in)?;
        let ids: Vec<_> = all.iter().map(|a| a.spec.id.as_str()).collect();
        let fallback = file.fallback.resolve(&ids)?;
        let spending = file.spending.resolve(&ids)?;
        let profiles = profile::Sources {
            configured: file.profiles(&ids)?,
            opencode_config: places.opencode_config(),
        };
        let mut agents = chosen(args, all)?;
        if !fallback.chain.is_empty() {
            agents.iter_mut().for_each(AgentSpec::retries_little);
        }
        let default_model = non_empty(args.default_model.clone()).or(file.default_model.clone());
        let default_model = default_model
            .map(|text| parse_default_model(&text, &agents))
            .transpose()?;
        Ok(Self {
            agents,
            default_model,
            timeouts: file.timeouts.resolve()?,
            fallback,
            spending,
            profiles,
        })
    }
}

/// The settings of a server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The host to listen on.
    pub host: String,
    /// The port to listen on; 0 takes a free one.
    pub port: u16,
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// The config file, or where one would be looked for.
    pub config_file: Option<PathBuf>,
    /// The password that clients have to send.
    pub password: Option<Password>,
    /// Whether the server is there for fronts only, and ends with the last one.
    pub for_fronts: bool,
    /// Web origins that may use the server, besides those on this machine.
    pub cors_origins: Vec<String>,
    /// How the log is written.
    pub log_format: LogFormat,
    /// How much is logged.
    pub log_level: LogLevel,
    /// The working directory of sessions that name none.
    pub directory: PathBuf,
    /// The user's home directory.
    pub home: PathBuf,
    /// The database that sessions are kept in; the one of the data directory if there is none.
    pub store: Option<StoreSettings>,
    /// Other servers on that database, where it is shared.
    pub nodes: Option<NodeSettings>,
    /// What a commit of the store outlives.
    pub durability: Durability,
    /// Whether snapshots of working directories are taken.
    pub snapshot: bool,
    /// What an abort does with the prompts that wait.
    pub at_abort: AtAbort,
    /// Whether a PATCH that selects something and does not say whether it pins does.
    pub pin_patches: bool,
    /// How the conversation gets to a model that goes on with it, where nobody says.
    pub handoff: HandoffMode,
    /// Whether agents are asked what they offer in a directory that a list is asked for.
    pub ask_in_directories: bool,
    /// The backends.
    pub backends: BackendSettings,
    /// The MCP servers that agents are given.
    pub mcp: BTreeMap<String, Server>,
    /// What the user's own commands get of the environment.
    pub shell_environment: Environment,
    /// What the user should know about these settings.
    pub warnings: Vec<String>,
    /// Where the templates of slash commands come from.
    pub commands: Sources,
    /// Bounds.
    pub limits: Limits,
}

impl Settings {
    /// Reads the config file and puts everything together.
    ///
    /// # Errors
    /// When the config file cannot be read, or when a setting cannot be used.
    pub fn load(args: &ServeArgs, places: &Places) -> Result<Self, ConfigError> {
        let (config_file, file) = read_file(args.backends.config.as_deref(), places)?;
        let data_dir = places.data_dir(args.data_dir.as_deref())?;
        let host = non_empty(args.host.clone())
            .or(file.server.host.clone())
            .unwrap_or_else(|| DEFAULT_HOST.to_owned());
        let mut warnings = Vec::new();
        let password = password::of(args, &file, config_file.as_deref(), places, &mut warnings)?;
        if password.is_none() && !is_loopback(&host) {
            return Err(ConfigError(format!(
                "--host {host} can be reached from other machines, and no password is set. Set BATON_PASSWORD (or \
                 --password-file, or password in [server] of the config file), or listen on 127.0.0.1."
            )));
        }
        let mock_state = data_dir.join("mock");
        let backends = BackendSettings::of(&args.backends, &file, places, &data_dir, &mock_state)?;
        let given = args.store.as_deref();
        let store = store::of(
            given,
            &file.store,
            config_file.as_deref(),
            places,
            &mut warnings,
        )?;
        let nodes = nodes::of(args.node_url.clone(), &file.nodes, store.is_some())?;
        Ok(Self {
            store,
            nodes,
            host,
            port: args.port.or(file.server.port).unwrap_or(DEFAULT_PORT),
            data_dir,
            config_file,
            password,
            for_fronts: args.for_fronts,
            cors_origins: file.server.cors_origins.clone(),
            log_format: args
                .log_format
                .or(file.server.log_format)
                .unwrap_or_default(),
            log_level: args.log_level.or(file.server.log_level).unwrap_or_default(),
            directory: places.directory.clone(),
            home: places
                .home
                .clone()
                .unwrap_or_else(|| places.directory.clone()),
            durability: file.durability.unwrap_or_default(),
            snapshot: file.snapshot.unwrap_or(true),
            at_abort: file.sessions.abort_queue.unwrap_or_default(),
            pin_patches: file.sessions.pin_patches.unwrap_or(false),
            handoff: file.sessions.handoff.unwrap_or_default(),
            ask_in_directories: file.sessions.ask_in_directories.unwrap_or(true),
            backends,
            mcp: mcp::servers(&file.mcp, |name| std::env::var(name).ok())?,
            shell_environment: file.shell_environment()?,
            warnings,
            commands: Sources {
                configured: file.commands()?,
                opencode_config: places.opencode_config(),
            },
            limits: file.limits.resolve(&file.timeouts)?,
        })
    }
}

impl Settings {
    /// Has the secrets in these settings masked in errors and logs: the password, and keys that are set for programs.
    pub fn learn_secrets(&self) {
        if let Some(password) = &self.password {
            password.learn();
        }
        if let Some(store) = &self.store {
            store.url.learn_secrets();
        }
        secret::learn(self.nodes.iter().map(|nodes| nodes.secret.clone()));
        self.backends.learn_secrets();
        learn_set(&self.shell_environment);
    }
}

impl BackendSettings {
    /// Has the keys that are set for backends masked in errors and logs.
    pub fn learn_secrets(&self) {
        self.agents.iter().for_each(|a| learn_set(&a.environment));
    }
}

fn learn_set(environment: &Environment) {
    let set = environment.set.iter();
    let telling = set.filter(|(name, _)| secret::is_secret_name(name.as_ref()));
    secret::learn(telling.map(|(_, value)| value.clone()));
}

/// A question to add to an error about a name; empty when no name is similar.
fn meant(name: &str, known: &[&str]) -> String {
    did_you_mean(&alike(name, known.iter().copied()))
}

fn non_empty(text: Option<String>) -> Option<String> {
    text.filter(|t| !t.is_empty())
}

fn read_file(
    given: Option<&Path>,
    places: &Places,
) -> Result<(Option<PathBuf>, ConfigFile), ConfigError> {
    let Some(path) = places.config_file(given) else {
        return Ok((None, ConfigFile::default()));
    };
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok((Some(path.clone()), ConfigFile::parse(&text, &path)?)),
        Err(error) if given.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            Ok((Some(path), ConfigFile::default()))
        }
        Err(error) => Err(ConfigError(format!(
            "the config file {} cannot be read: {error}",
            path.display()
        ))),
    }
}

/// Those that `--agents` names, or all that are enabled.
fn chosen(args: &BackendArgs, all: Vec<ConfiguredAgent>) -> Result<Vec<AgentSpec>, ConfigError> {
    let wanted: Vec<&str> = args.agents.iter().flatten().map(|a| a.trim()).collect();
    let wanted: Vec<&str> = wanted.into_iter().filter(|a| !a.is_empty()).collect();
    if wanted.is_empty() {
        let enabled: Vec<_> = all.into_iter().filter(|a| a.enabled).collect();
        if enabled.is_empty() {
            return Err(ConfigError(
                "every backend is disabled in the config file; enable one, or name it with --agents".to_owned(),
            ));
        }
        return Ok(enabled.into_iter().map(|a| a.spec).collect());
    }
    let mut named: Vec<AgentSpec> = Vec::new();
    for id in wanted {
        let known = all.iter().find(|a| a.spec.id == id);
        let Some(known) = known else {
            let ids: Vec<_> = all.iter().map(|a| a.spec.id.as_str()).collect();
            return Err(ConfigError(format!(
                "--agents names \"{id}\", which is not known.{} Known: {}. Others are defined as [agents.{id}] in the \
                 config file.",
                meant(id, &ids),
                ids.join(", ")
            )));
        };
        if named.iter().all(|c| c.id != id) {
            named.push(known.spec.clone());
        }
    }
    Ok(named)
}

#[cfg(test)]
mod tests;
