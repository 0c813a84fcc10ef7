//! Builds the parts of a server, binds, runs, and stops in order.

mod news;
mod open;
mod record;
mod start;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use crate::agent::pool::Pool;
use crate::config::Settings;
use crate::event::Bus;
use crate::files;
use crate::front::running::{self, RunFile, Running};
use crate::http;
use crate::http::auth::Password;
use crate::http::auth::guesses::Guesses;
use crate::http::body::Bodies;
use crate::http::nodes::peers::Peers;
use crate::http::provider::Rendered;
use crate::http::router::router;
use crate::http::serve::{self, ConnectionLimits};
use crate::http::state::{AppState, HttpSettings};
use crate::http::tui::queue::TuiQueue;
use crate::mcp::McpServers;
use crate::nodes::Nodes;
use crate::opencode::now_ms;
use crate::project::Projects;
use crate::registry::Registry;
use crate::regular;
use crate::secret;
use crate::session::{self, Beating, Sessions};
use crate::shell::Shell;
use crate::snapshot::Snapshots;
use crate::store::data_dir::{DataDir, DataDirError};
use crate::store::{Store, StoreError};
use crate::vcs;

use record::{StoreLedger, end_recorded, until_gone};
use start::{About, reachable, survive_file_limits};

/// How the names of Baton's own files in the data directory begin.
const OWN_PREFIXES: [&str; 2] = ["baton.", "baton-"];
/// Baton's own folders there.
const OWN_FOLDERS: [&str; 3] = ["snapshot", "view", SCRATCH_DIR];
/// Where backends are probed, in the data directory.
const SCRATCH_DIR: &str = "scratch";
/// How often a server that drains looks whether something is still at work.
const LOOK_FOR_WORK: Duration = Duration::from_millis(100);
/// Time that open requests get to end when the server stops.
const DRAIN_AT_MOST: Duration = Duration::from_secs(1);

/// Why a server did not start, as a sentence for the user.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be used, or not as it is.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The database cannot be used: which one, without its password, and why.
    #[error("the store {0} cannot be used: {1}")]
    Store(String, StoreError),
    /// The store is the target of a copy that was interrupted: of what.
    #[error(
        "the store is an unfinished copy of {0}: run `baton copy` again, it goes on where it was"
    )]
    Unfinished(String),
    /// The port cannot be listened on.
    #[error("{0} cannot be listened on: {1}")]
    Bind(String, io::Error),
    /// The signals that stop it cannot be waited for.
    #[error("signals cannot be waited for: {0}")]
    Signals(io::Error),
}

/// A server that listens.
#[derive(Debug)]
pub struct App {
    listener: TcpListener,
    address: SocketAddr,
    host: String,
    parts: Parts,
    stop: watch::Sender<bool>,
    state: Arc<AppState>,
    connections: ConnectionLimits,
    signals: Signals,
    /// Tells fronts of this server.
    run_file: RunFile,
    about: About,
}

/// What has to be brought to an end in order.
struct Parts {
    store: Arc<dyn Store>,
    nodes: Arc<Nodes>,
    pool: Arc<Pool>,
    registry: Arc<Registry>,
    projects: Arc<Projects>,
    sessions: Arc<Sessions>,
    snapshots: Arc<Snapshots>,
    /// Held while the server lives, and given back last.
    data: DataDir,
}

/// Stops a server from elsewhere.
#[derive(Debug, Clone)]
pub struct Stopper(watch::Sender<bool>);

impl Stopper {
    /// Stops the server.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl App {
    /// Builds everything and binds the port.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn build(settings: Settings) -> Result<Self, StartError> {
        let data_dir = settings.data_dir.display().to_string();
        survive_file_limits();
        serve::raise_file_limit();
        let open::Opened {
            data,
            store,
            shared,
        } = open::open(&settings).await?;
        let failed = |error| open::failed(&settings, error);
        vcs::clear(&settings.data_dir);
        end_recorded(store.as_ref()).await.map_err(failed)?;

        let place = url_host(&settings.host, settings.port);
        let refused = |error| StartError::Bind(place.clone(), error);
        let listener = TcpListener::bind((settings.host.as_str(), settings.port))
            .await
            .map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let own_url = format!("http://{}", reachable(address));
        let nodes = match (shared, &settings.nodes) {
            (Some((store, id)), Some(nodes)) => {
                let url = nodes.url.clone().unwrap_or(own_url);
                Nodes::shared(store, id, url, nodes.clone())
            }
            _ => Nodes::alone(),
        };
        let peers = settings.nodes.as_ref().map(Peers::new).transpose();
        let peers = peers.map_err(|error| failed(StoreError::Database(error)))?;

        files::limit(settings.limits.files);
        let bus = Arc::new(Bus::new(settings.limits.ring));
        let kept = settings.limits.ring.events;
        nodes.catch_up(&bus, kept).await.map_err(failed)?;
        let parts = Parts::open(&settings, (store, nodes), Arc::clone(&bus), data)
            .await
            .map_err(failed)?;
        withhold(&settings);
        // Whoever reads that it listens may stop it at once: in order, too.
        let signals = Signals::new().map_err(StartError::Signals)?;
        let stop = watch::Sender::new(false);
        let token = running::new_token();
        secret::learn([token.clone()]);
        let running = Running {
            address: reachable(address),
            token: token.clone(),
            pid: Some(std::process::id()),
            config_file: settings.config_file.clone(),
            started: Some(now_ms()),
        };
        let run_file = RunFile::write(&settings.data_dir, &running)
            .map_err(|error| DataDirError::Unusable(data_dir.clone(), error))?;
        let state = Arc::new(AppState {
            bodies: Bodies::new(settings.limits.bodies),
            streams: Arc::new(Semaphore::new(settings.limits.event_streams)),
            guesses: Guesses::default(),
            providers: Rendered::default(),
            tui: TuiQueue::default(),
            sessions: Arc::clone(&parts.sessions),
            peers,
            registry: Arc::clone(&parts.registry),
            projects: Arc::clone(&parts.projects),
            bus,
            settings: http_settings(&settings, &token),
            front_token: Password::new(&token),
            stopping: stop.subscribe(),
        });
        Ok(Self {
            listener,
            address,
            host: settings.host,
            parts,
            stop,
            state,
            connections: settings.limits.connections,
            signals,
            run_file,
            about: About {
                data_dir: settings.data_dir,
                config_file: settings.config_file,
            },
        })
    }

    /// The port that is listened on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// `http://HOST:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", url_host(&self.host, self.port()))
    }

    /// Stops this server from elsewhere.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.stop.clone())
    }

    /// Serves until SIGINT, SIGTERM or [`Stopper::stop`], then stops in order: no further request, no
    /// further event, turns aborted, agents ended, store closed.
    ///
    /// # Errors
    /// When signals cannot be waited for.
    pub async fn run_until_stopped(self) -> io::Result<()> {
        self.about.tell(&self.url());
        let mut signals = self.signals;
        let mut background = self.parts.background(Arc::clone(&self.state.bus));
        let growth = http::nodes::growth::follow(Arc::clone(&self.state));
        background.push(tokio::spawn(growth));
        let serving = serve::serve(
            self.listener,
            router(self.state),
            self.connections,
            self.stop.subscribe(),
        );
        let mut server = tokio::spawn(serving);
        let mut stopped = self.stop.subscribe();
        tokio::select! {
            () = signals.next() => {}
            _ = stopped.wait_for(|stop| *stop) => {}
        }
        // Where others go on with the sessions, it still answers and sends on meanwhile.
        self.parts.drain(&mut signals).await;
        tracing::info!("stopping");
        drop(self.run_file);
        self.stop.send_replace(true);
        for task in background {
            task.abort();
        }
        let parts = self.parts;
        let orderly = async {
            // They need no time while others end their turns.
            parts.pool.close();
            parts.sessions.shut_down().await;
            let removals = parts.registry.end_removals();
            let drained = tokio::time::timeout(DRAIN_AT_MOST, &mut server);
            let (drained, (), ()) = tokio::join!(drained, parts.pool.shut_down(), removals);
            if drained.is_err() {
                tracing::warn!("requests that are still open are cut off");
                server.abort();
            }
            parts.close().await;
        };
        tokio::select! {
            () = orderly => {}
            // What is left then is ended by its supervisor.
            () = signals.next() => tracing::warn!("stopping at once"),
        }
        Ok(())
    }
}

/// The part of all settings that matters to HTTP.
fn http_settings(settings: &Settings, front_token: &str) -> HttpSettings {
    let config_file = settings.config_file.as_deref().and_then(Path::parent);
    // A server for fronts only lets in nobody else.
    let closed = settings.for_fronts.then(|| Password::new(front_token));
    HttpSettings {
        host: settings.host.clone(),
        password: settings.password.clone().or(closed),
        sizes: settings.limits.sizes,
        cors_origins: settings.cors_origins.clone(),
        directory: settings.directory.to_string_lossy().into_owned(),
        ask_in_directories: settings.ask_in_directories,
        home: settings.home.clone(),
        data_dir: settings.data_dir.clone(),
        config_dir: config_file.map(Path::to_owned).unwrap_or_default(),
        started_at_ms: now_ms(),
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("data", &self.data)
            .finish_non_exhaustive()
    }
}

impl Parts {
    async fn open(
        settings: &Settings,
        (store, nodes): (Arc<dyn Store>, Arc<Nodes>),
        bus: Arc<Bus>,
        data: DataDir,
    ) -> Result<Self, StoreError> {
        let backends = &settings.backends;
        let shared_store = Arc::clone(&store);
        let ledger = Arc::new(StoreLedger::new(Arc::clone(&shared_store)));
        let pool = Pool::new(
            settings.limits.pool,
            backends.timeouts,
            settings.directory.clone(),
            ledger.clone(),
        );
        let shell = Shell::new(
            settings.limits.shell,
            backends.timeouts.end,
            settings.shell_environment.clone(),
            ledger.clone(),
        );
        let mcp = McpServers::new(settings.mcp.clone(), ledger.clone());
        let registry = Registry::open(
            backends.agents.clone(),
            backends.default_model.clone(),
            Arc::clone(&shared_store),
            ledger,
            backends.timeouts,
            settings.data_dir.join(SCRATCH_DIR),
        )
        .await;
        let snapshots = Arc::new(Snapshots::new(&settings.data_dir, settings.snapshot));
        let projects = Projects::open(Arc::clone(&shared_store)).await?;
        let sessions = Sessions::open(session::Deps {
            store: shared_store,
            nodes: Arc::clone(&nodes),
            bus,
            registry: Arc::clone(&registry),
            pool: Arc::clone(&pool),
            snapshots: Arc::clone(&snapshots),
            mcp,
            shell,
            commands: settings.commands.clone(),
            profiles: backends.profiles.clone(),
            projects: Arc::clone(&projects),
            settings: session::Settings {
                sizes: settings.limits.sizes,
                queue_prompts: settings.limits.queue_prompts,
                at_abort: settings.at_abort,
                pin_patches: settings.pin_patches,
                loaded_sessions: settings.limits.loaded_sessions,
                idle: settings.limits.pool.idle,
                budget: settings.limits.handoff,
                handoff: settings.handoff,
                timeouts: backends.timeouts,
            },
            fallback: backends.fallback.clone(),
            spending: backends.spending.clone(),
        })
        .await?;
        // Now it can take sessions.
        nodes.join().await?;
        Ok(Self {
            store,
            nodes,
            pool,
            registry,
            projects,
            sessions,
            snapshots,
            data,
        })
    }

    fn background(&self, bus: Arc<Bus>) -> Vec<JoinHandle<()>> {
        let registry = Arc::clone(&self.registry);
        let probes = tokio::spawn(async move {
            registry.probe_all().await;
            registry.snapshot().tell_wrong_profiles();
        });
        let evictions = tokio::spawn(Arc::clone(&self.pool).evict_idle());
        let sessions = Arc::clone(&self.sessions);
        let restoring = tokio::spawn(async move { sessions.bring_in_order().await });
        let old_snapshots = tokio::spawn(Arc::clone(&self.snapshots).throw_away_old());
        let (store, unclean) = (Arc::clone(&self.store), self.data.was_left_unclean());
        let damage = tokio::spawn(async move {
            if unclean {
                open::look_for_damage(store.as_ref()).await;
            }
        });
        let (nodes, pulse) = (Arc::clone(&self.nodes), Beating(Arc::clone(&self.sessions)));
        let beats = tokio::spawn(async move { nodes.beat(Arc::new(pulse)).await });
        let (nodes, followed) = (Arc::clone(&self.nodes), Arc::clone(&bus));
        let events = tokio::spawn(async move { nodes.follow(followed).await });
        let (nodes, told) = (Arc::clone(&self.nodes), Arc::clone(&bus));
        let growth = tokio::spawn(async move { nodes.tell_growth(told).await });
        let news = tokio::spawn(news::tell_changes(Arc::clone(&self.registry), bus));
        vec![
            probes,
            evictions,
            restoring,
            old_snapshots,
            damage,
            beats,
            events,
            growth,
            news,
        ]
    }

    /// Lets turns end, and gives all sessions back, where others go on with them.
    async fn drain(&self, signals: &mut Signals) {
        let Some(settings) = self.nodes.settings() else {
            return;
        };
        let drained = async {
            while self.sessions.drain().await > 0 {
                tokio::time::sleep(LOOK_FOR_WORK).await;
            }
        };
        tracing::info!("draining for at most {:?}", settings.drain);
        tokio::select! {
            () = drained => {}
            () = tokio::time::sleep(settings.drain) => {
                tracing::warn!("some turns did not end in time (nodes.drain_s)");
            }
            () = signals.next() => {}
        }
    }

    async fn close(self) {
        self.nodes.leave().await;
        // Backends that are being probed right now are in no pool.
        match end_recorded(self.store.as_ref()).await {
            Ok(ended) => until_gone(&ended).await,
            Err(error) => {
                tracing::warn!("agents that are being probed may be left behind: {error}");
            }
        }
        self.store.close().await;
    }
}

/// `HOST:PORT` of a URL.
fn url_host(host: &str, port: u16) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// Keeps Baton's own data from being served as files. Where its user works inside of the data directory, the files in
/// there are theirs, but for those with the names that Baton uses.
fn withhold(settings: &Settings) {
    let data_dir = &settings.data_dir;
    let works_in = Path::new(&settings.directory).canonicalize();
    let inside = data_dir
        .canonicalize()
        .is_ok_and(|data_dir| works_in.is_ok_and(|works_in| works_in.starts_with(data_dir)));
    if !inside {
        return regular::withhold(data_dir);
    }
    tracing::warn!("the data directory is around the working directory; give Baton one of its own");
    for entry in data_dir.read_dir().into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_own_file = OWN_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        if is_own_file || OWN_FOLDERS.contains(&name.as_str()) {
            regular::withhold(&entry.path());
        }
    }
}

/// The signals that stop a server.
#[derive(Debug)]
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
