//! What every handler can reach.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

use super::auth::Password;
use super::auth::guesses::Guesses;
use super::body::Bodies;
use super::nodes::peers::Peers;
use super::provider::Rendered;
use super::tui::queue::TuiQueue;
use crate::event::Bus;
use crate::project::Projects;
use crate::registry::Registry;
use crate::session::{Sessions, Sizes};

/// The state of the router.
pub type Shared = Arc<AppState>;

/// What every handler can reach.
#[derive(Debug)]
pub struct AppState {
    /// The sessions.
    pub sessions: Arc<Sessions>,
    /// The other servers, where several share a store.
    pub peers: Option<Peers>,
    /// The backends.
    pub registry: Arc<Registry>,
    /// What directories belong to.
    pub projects: Arc<Projects>,
    /// The events.
    pub bus: Arc<Bus>,
    /// Room for the bodies of requests.
    pub bodies: Bodies,
    /// Event streams that may still be opened.
    pub streams: Arc<Semaphore>,
    /// Failed sign-ins.
    pub guesses: Guesses,
    /// The lists of providers that were sent last.
    pub providers: Rendered,
    /// Commands for terminal UIs that poll.
    pub tui: TuiQueue,
    /// By which requests of fronts are known.
    pub front_token: Password,
    /// What was configured.
    pub settings: HttpSettings,
    /// Becomes true when the server stops: streams that have no end of their own end then.
    pub stopping: watch::Receiver<bool>,
}

/// The settings that matter to HTTP.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// The host that is listened on.
    pub host: String,
    /// The password that clients have to send.
    pub password: Option<Password>,
    /// How large what clients send may be.
    pub sizes: Sizes,
    /// Web origins that may use the server, in addition to those on this machine.
    pub cors_origins: Vec<String>,
    /// The working directory of requests that name none.
    pub directory: String,
    /// Whether agents are asked what they offer in a directory that a list is asked for.
    pub ask_in_directories: bool,
    /// The user's home directory.
    pub home: PathBuf,
    /// Baton's data directory.
    pub data_dir: PathBuf,
    /// The folder of the config file.
    pub config_dir: PathBuf,
    /// When the server was started, in milliseconds since the Unix epoch.
    pub started_at_ms: u64,
}
