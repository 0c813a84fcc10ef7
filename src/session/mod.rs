//! Sessions: what clients see, what is running, and how the two are kept together.
//!
//! [`Sessions`] is what callers use. Below it, with imports one way only:
//!
//! - [`api`]: what a caller can ask, one file for each thing;
//! - [`work`]: the worker of a session, which talks to agents;
//! - [`cell`]: one session in memory, and the one function that commits;
//! - [`ask`]: what waits for the user;
//! - [`conversation`]: what was said. Pure.
//!
//! *Absent here:* HTTP and SQL.

mod api;
mod ask;
mod cell;
mod conversation;
mod error;
mod fallback;
mod request;
mod settings;
mod sizes;
mod spending;
mod work;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::agent::pool::Pool;
use crate::command::Sources;
use crate::event::Bus;
use crate::mcp::McpServers;
use crate::nodes::Nodes;
use crate::opencode::Selection;
use crate::profile;
use crate::project::Projects;
use crate::registry::{Registry, VariantWish, Wish};
use crate::shell::Shell;
use crate::snapshot::Snapshots;
use crate::store::{Store, StoreError};

use cell::Cell;
use cell::commit::Office;
use cell::interrupted::interrupt_open_messages;
use cell::loaded::Loaded;
use work::{Told, Tools};

pub use api::check::check_body;
pub use api::command::CommandCall;
pub use api::delete::Aborted;
pub use api::import::Importable;
pub use api::load::Load;
pub use api::prompt::Admitted;
pub use api::read::StoredMessage;
pub use api::shared::{Beating, Place, is_directory};
pub use api::shell::ShellLine;
pub use cell::Answer;
pub use conversation::handoff;
pub use error::Error;
pub use fallback::{CHAIN_MOST, DEFAULT_PAUSE, DEFAULT_SILENT, FallbackSettings, Returns};
pub use request::{Caller, ChainWish, ImportWish, ListFilter, NewSession, Page, Prompt, Update};
pub use settings::{AtAbort, Settings};
pub use sizes::{Sizes, fits};
pub(crate) use spending::uncounted;
pub use spending::{LimitReached, SpendingSettings};

/// How long a request that names no model waits for the first probes to end.
const FIRST_PROBES: Duration = Duration::from_secs(10);
/// How long the workers have to end their turns at shutdown.
const WORKERS_END: Duration = Duration::from_secs(15);

/// What sessions are built on.
pub struct Deps {
    /// Where they are kept.
    pub store: Arc<dyn Store>,
    /// The servers that use it.
    pub nodes: Arc<Nodes>,
    /// Where their events go.
    pub bus: Arc<Bus>,
    /// What can be selected.
    pub registry: Arc<Registry>,
    /// The agents.
    pub pool: Arc<Pool>,
    /// What working directories were like.
    pub snapshots: Arc<Snapshots>,
    /// The MCP servers that agents are given.
    pub mcp: Arc<McpServers>,
    /// Runs the user's own commands.
    pub shell: Shell,
    /// Where the templates of slash commands come from.
    pub commands: Sources,
    /// Where agents with a model of their own come from.
    pub profiles: profile::Sources,
    /// What directories belong to.
    pub projects: Arc<Projects>,
    /// What can be set.
    pub settings: Settings,
    /// What goes on when a model cannot answer.
    pub fallback: FallbackSettings,
    /// What may be spent.
    pub spending: SpendingSettings,
}

/// All sessions.
pub struct Sessions {
    office: Arc<Office>,
    tools: Arc<Tools>,
    loaded: Arc<Loaded>,
    /// How many there are, in memory and in the store.
    count: AtomicUsize,
    /// Held while a native session becomes a session.
    importing: tokio::sync::Mutex<()>,
    commands: Arc<Sources>,
    projects: Arc<Projects>,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions")
            .field("settings", &self.tools.settings)
            .finish_non_exhaustive()
    }
}

impl Sessions {
    /// Sessions as the store has them; none is read yet. Answers that were being written when the last
    /// server ended are marked as interrupted.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open(deps: Deps) -> Result<Arc<Self>, StoreError> {
        // Where there are others, what is open is theirs; what nobody has is taken over one by one.
        if !deps.nodes.is_shared() {
            interrupt_open_messages(deps.store.as_ref()).await?;
        }
        let sizes = deps.settings.sizes;
        let count = deps.store.count_sessions().await?;
        deps.registry
            .configure_profiles(deps.profiles.configured.clone());
        let day = spending::today();
        let spent = deps.store.setting(&spending::key(&day)).await?;
        let spent = spent.and_then(|text| serde_json::from_str(&text).ok());
        let spending = spending::Spending::new(deps.spending, day, spent.unwrap_or_default());
        let limits = (deps.fallback, spending);
        let stored = (deps.store, deps.nodes);
        let office = Office::new(stored, deps.bus, deps.registry, sizes, limits);
        let keeps = deps.settings.loaded_sessions;
        let loaded = Arc::new(Loaded::new(Arc::clone(&office), keeps));
        let tools = Arc::new(Tools {
            office: Arc::clone(&office),
            loaded: Arc::clone(&loaded),
            pool: deps.pool,
            snapshots: deps.snapshots,
            shell: deps.shell,
            told: Told::default(),
            removals: Semaphore::new(1),
            mcp: deps.mcp,
            profiles: Arc::new(deps.profiles),
            asks: Arc::new(Semaphore::new(sizes.asks.min(Semaphore::MAX_PERMITS))),
            settings: deps.settings,
        });
        let hired = Arc::clone(&tools);
        office.hire_with(move |cell| work::hire(&hired, cell));
        Ok(Arc::new(Self {
            office,
            tools,
            loaded,
            count: AtomicUsize::new(usize::try_from(count).unwrap_or(usize::MAX)),
            importing: tokio::sync::Mutex::default(),
            commands: Arc::new(deps.commands),
            projects: deps.projects,
        }))
    }

    /// The MCP servers that agents are given.
    pub fn mcp(&self) -> &McpServers {
        &self.tools.mcp
    }

    /// Makes sure, before anything is changed, that the registry knows enough to judge a wish in a directory.
    async fn prepare(&self, directory: &str, cell: Option<&Arc<Cell>>, wish: &Wish) {
        let committed = cell.map(|cell| cell.committed());
        let current = committed
            .as_ref()
            .and_then(|c| c.state().selection.as_ref());
        if wish.agent.is_some() || current.is_none() {
            self.read_place(directory).await;
        }
        let wish = &self.prepare_profile(directory, current, wish).await;
        self.prepare_model(directory, cell, wish).await;
        let names_effort = match &wish.variant {
            VariantWish::Set(_) => true,
            VariantWish::Keep => current.is_some_and(|c| c.variant.is_some()),
            VariantWish::Default | VariantWish::Unsaid => false,
        };
        let registry = &self.office.registry;
        // A wish that is refused already needs no agent to judge it.
        if names_effort && let Ok(resolved) = registry.at(directory).resolve(current, wish) {
            let selection = resolved.selection;
            let (provider, model) = (&selection.provider_id, &selection.model_id);
            registry.learn_efforts(directory, provider, model).await;
        }
    }

    /// Reads what OpenCode's own configuration adds in a directory: agents with a model of their own, and MCP servers.
    pub async fn read_place(&self, directory: &str) {
        self.tools.read_place(directory).await;
    }

    /// What a wish amounts to with the profile that it names, whose model may not be known yet.
    async fn prepare_profile(
        &self,
        directory: &str,
        current: Option<&Selection>,
        wish: &Wish,
    ) -> Wish {
        let registry = &self.office.registry;
        let meant = |wish| registry.at(directory).with_profile(current, wish);
        if let Ok(wish) = meant(wish) {
            return wish;
        }
        let snapshot = registry.settled(FIRST_PROBES).await.at(directory);
        let profile = wish
            .agent
            .as_deref()
            .and_then(|name| snapshot.profile(name));
        let model = profile.and_then(|p| snapshot.model_named(p.model.as_deref()?));
        if let Some(model) = model {
            let (provider, model) = (&model.provider_id, &model.model_id);
            registry
                .prepare(Some(directory), provider, Some(model), None)
                .await;
        }
        meant(wish).unwrap_or_else(|_| wish.clone())
    }

    async fn prepare_model(&self, directory: &str, cell: Option<&Arc<Cell>>, wish: &Wish) {
        let registry = &self.office.registry;
        let snapshot = registry.snapshot();
        let (place, agent) = (Some(directory), wish.agent.as_deref());
        let model = wish.model.as_ref().map(|m| m.model_id.as_str());
        if let Some(provider) = wish.provider(&snapshot) {
            return registry.prepare(place, provider, model, agent).await;
        }
        let committed = cell.map(|cell| cell.committed());
        let current = committed
            .as_ref()
            .and_then(|c| c.state().selection.as_ref());
        let default = snapshot.defaults.model.as_ref();
        let default = default.map(|m| (&m.provider_id, &m.model_id));
        match current.map(|c| (&c.provider_id, &c.model_id)).or(default) {
            Some((provider, model)) => {
                registry.prepare(place, provider, Some(model), agent).await;
            }
            None => drop(registry.settled(FIRST_PROBES).await),
        }
    }

    /// Ends the agents that are not at work and probes the backends anew, so that they see a changed
    /// configuration. Sessions start them again with their next prompt.
    pub fn refresh_agents(&self) {
        self.tools.pool.end_idle();
        self.office.registry.refresh();
    }

    /// Ends the agents that are not at work, so that they see a changed sign-in.
    pub fn end_idle_agents(&self) {
        self.tools.pool.end_idle();
    }

    /// Ends all turns as interrupted and lets go of all agents.
    pub async fn shut_down(&self) {
        self.office.stopping.cancel();
        self.office.tasks.close();
        let ended = self.office.tasks.wait();
        if tokio::time::timeout(WORKERS_END, ended).await.is_err() {
            tracing::warn!("some turns did not end within {WORKERS_END:?}");
        }
        // Prompts whose turn has not come stay in the conversation; callers that wait for an answer are told that
        // there will be none.
        for cell in self.office.at_work() {
            let forgotten = cell.change(|draft| {
                draft.forget_queue();
                Ok(())
            });
            let _nothing_to_store = forgotten.await;
        }
    }
}
