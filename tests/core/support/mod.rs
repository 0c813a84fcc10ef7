//! Sessions in one process: on a store in memory that can be told to fail, with scripted agents, and in
//! paused time, so that a test decides what happens when.

mod events;
pub(crate) mod shared;

pub(crate) use events::{is_about, revision};

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use baton::agent::Timeouts;
use baton::agent::client::AgentInfo;
use baton::agent::options::ChoiceValue;
use baton::agent::pool::{Pool, PoolLimits};
use baton::agent::scripted::{Script, ScriptedAgents};
use baton::agent::spec::AgentSpec;
use baton::command::Sources;
use baton::environment::Environment;
use baton::event::{Bus, RingLimits};
use baton::mcp::McpServers;
use baton::nodes::{DEFAULT_DRAIN, DEFAULT_LEASE, NodeSettings, Nodes, Placement};
use baton::opencode::event::Source;
use baton::opencode::handoff::HandoffMode;
use baton::opencode::history::ModelSwitch;
use baton::opencode::message::{Message, MessageWithParts, Part};
use baton::opencode::prompt::PartInput;
use baton::opencode::session::PendingReason;
use baton::opencode::{Session, SessionId};
use baton::process::NoLedger;
use baton::profile;
use baton::project::Projects;
use baton::registry::{
    Backend, Catalogue, Defaults, ModelInfo, ModelWish, Registry, Snapshot, Status, SwitchMethod,
    VariantWish, Wish,
};
use baton::session::Sizes;
use baton::session::{
    Admitted, Answer, AtAbort, Caller, Deps, Error, FallbackSettings, ListFilter, NewSession,
    Prompt, Sessions, Settings, SpendingSettings, Update, handoff,
};
use baton::shell::{Shell, ShellLimits};
use baton::snapshot::Snapshots;
use baton::store::flaky::FlakyStore;
use baton::store::memory::MemoryStore;
use baton::store::{Store, StoreError};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Whatever takes longer than this will never happen. It costs no time where time is paused.
pub(crate) const NEVER: Duration = Duration::from_secs(600);

/// Where sessions are. It does not exist, so that nothing on this machine has a part in a test.
pub(crate) const DIRECTORY: &str = "/nowhere/core-tests";

/// What differs between worlds.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    /// Other servers use the store, too, as far as this one knows.
    pub shared: bool,
    pub sizes: Sizes,
    pub loaded_sessions: usize,
    pub queue_prompts: usize,
    pub live_agents: usize,
    pub idle: Duration,
    /// After how long without a word a turn is ended.
    pub silent_end: Option<Duration>,
    /// The server's own chain of models.
    pub fallback: FallbackSettings,
    pub spending: SpendingSettings,
    /// Agents with a model of their own.
    pub profiles: profile::Sources,
    /// Where the agents of `one` keep their native sessions.
    pub state: Option<PathBuf>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            shared: false,
            sizes: Sizes::default(),
            loaded_sessions: 64,
            queue_prompts: 16,
            live_agents: 16,
            idle: Duration::from_secs(24 * 3600),
            silent_end: None,
            fallback: FallbackSettings::default(),
            spending: SpendingSettings::default(),
            profiles: profile::Sources::default(),
            state: None,
        }
    }
}

/// Everything that sessions are built on, and the sessions.
#[derive(Clone)]
pub(crate) struct World {
    pub sessions: Arc<Sessions>,
    pub store: Arc<FlakyStore>,
    pub agents: Arc<ScriptedAgents>,
    pub bus: Arc<Bus>,
    /// The number of the last event from before this world.
    began: u64,
    pub memory: Arc<MemoryStore>,
    pool: Arc<Pool>,
    /// What this server shares with others, where it does.
    pub others: Arc<shared::Unshared>,
    setup: Setup,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Setup::default()).await
    }

    pub(crate) async fn with(setup: Setup) -> Self {
        Self::on(Arc::new(MemoryStore::new()), setup).await
    }

    async fn on(memory: Arc<MemoryStore>, setup: Setup) -> Self {
        let store = Arc::new(FlakyStore::new(memory.clone()));
        let bus = Arc::new(Bus::new(RingLimits {
            events: 1 << 20,
            bytes: 1 << 30,
        }));
        let began = bus.subscribe(None).cursor();
        let agents = ScriptedAgents::new();
        let ledger = Arc::new(NoLedger);
        let timeouts = Timeouts {
            silent_end: setup.silent_end,
            ..Timeouts::default()
        };
        let limits = PoolLimits {
            live: setup.live_agents,
            ..PoolLimits::default()
        };
        let pool = Pool::with_starter(limits, timeouts, "/".into(), ledger.clone(), agents.clone());
        // What registry and projects write belongs to no session: it must not count among the commits.
        let beside: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let scratch = std::env::temp_dir().join("baton-core-tests");
        let registry = Registry::fixed_with(
            snapshot(setup.state.as_deref()),
            Arc::clone(&beside),
            scratch,
            agents.clone(),
        );
        let others = Arc::<shared::Unshared>::default();
        let sessions = Sessions::open(Deps {
            store: store.clone(),
            nodes: match setup.shared {
                true => nodes_on(Arc::clone(&others)),
                false => Nodes::alone(),
            },
            bus: Arc::clone(&bus),
            registry,
            pool: Arc::clone(&pool),
            snapshots: Arc::new(Snapshots::new(Path::new("/nowhere"), false)),
            spending: setup.spending.clone(),
            mcp: McpServers::new(Default::default(), Arc::new(NoLedger)),
            shell: Shell::new(
                ShellLimits::default(),
                timeouts.end,
                Environment::default(),
                ledger,
            ),
            commands: Sources::default(),
            profiles: setup.profiles.clone(),
            projects: Projects::open(beside).await.expect("projects"),
            settings: Settings {
                sizes: setup.sizes,
                queue_prompts: setup.queue_prompts,
                at_abort: AtAbort::Drop,
                pin_patches: false,
                handoff: HandoffMode::Transcript,
                loaded_sessions: setup.loaded_sessions,
                idle: setup.idle,
                budget: handoff::Budget::default(),
                timeouts,
            },
            fallback: setup.fallback.clone(),
        });
        Self {
            sessions: sessions.await.expect("sessions"),
            store,
            agents,
            bus,
            began,
            memory,
            pool,
            others,
            setup,
        }
    }

    /// The next server on the same store, after this one was killed: nothing of it is written any more.
    pub(crate) async fn killed(self) -> Self {
        self.store.heal();
        self.store.fail_all(StoreError::Closed);
        self.sessions.shut_down().await;
        self.pool.shut_down().await;
        Self::on(self.memory, self.setup).await
    }

    /// The next server on the same store, after this one was stopped in order.
    pub(crate) async fn stopped(self) -> Self {
        let profiles = self.setup.profiles.clone();
        self.stopped_with(profiles).await
    }

    /// The same with other agents with a model of their own.
    pub(crate) async fn stopped_with(mut self, profiles: profile::Sources) -> Self {
        self.sessions.shut_down().await;
        self.pool.shut_down().await;
        self.setup.profiles = profiles;
        Self::on(self.memory, self.setup).await
    }

    /// The agents of a backend.
    pub(crate) fn agent(&self, backend: &str) -> Arc<Script> {
        self.agents.script(backend)
    }

    /// The revision of a session that the store has.
    pub(crate) async fn stored_revision(&self, id: &SessionId) -> Option<u64> {
        let row = self.memory.session(id).await.expect("reads");
        Some(row?.revision)
    }

    /// From now on every commit fails as on a full disk.
    pub(crate) fn fill_disk(&self) {
        let full = StoreError::Unavailable("the disk is full".to_owned());
        self.store.fail_all(full);
    }
}

/// What clients do.
impl World {
    pub(crate) async fn try_create(&self, model: &str) -> Result<Session, Error> {
        let new = NewSession {
            directory: DIRECTORY.to_owned(),
            wish: wish(model),
            ..NewSession::default()
        };
        self.sessions.create(new, by(Source::Create)).await
    }

    /// A new session; an empty model makes it one without a selection.
    pub(crate) async fn create(&self, model: &str) -> SessionId {
        self.try_create(model).await.expect("created").id
    }

    /// A new session whose agent is ready.
    pub(crate) async fn ready(&self, model: &str) -> SessionId {
        let id = self.create(model).await;
        self.applied(&id, 1).await;
        id
    }

    pub(crate) async fn select(&self, id: &SessionId, model: &str) -> Result<Session, Error> {
        let update = Update {
            wish: wish(model),
            ..Update::default()
        };
        self.update(id, update).await
    }

    pub(crate) async fn rename(&self, id: &SessionId, title: &str) -> Result<Session, Error> {
        let update = Update {
            title: Some(title.to_owned()),
            ..Update::default()
        };
        self.update(id, update).await
    }

    pub(crate) async fn update(&self, id: &SessionId, update: Update) -> Result<Session, Error> {
        let told = self.sessions.update(id, update, by(Source::Patch)).await?;
        Ok(Session::clone(&told))
    }

    pub(crate) async fn prompt(&self, id: &SessionId, text: &str) -> Result<Admitted, Error> {
        let prompt = text_prompt(text);
        self.sessions.prompt(id, prompt, by(Source::Message)).await
    }

    /// Sends a prompt and waits for its answer.
    pub(crate) async fn ask(&self, id: &SessionId, text: &str) -> Answer {
        let admitted = self.prompt(id, text).await.expect("admitted");
        answer(admitted.answer.expect("an answer is wanted")).await
    }

    pub(crate) async fn fork(&self, id: &SessionId) -> Result<Session, Error> {
        self.sessions.fork(id, None, by(Source::Fork)).await
    }

    /// A session as it is.
    pub(crate) async fn info(&self, id: &SessionId) -> Session {
        self.sessions.info(id).await.expect("a session")
    }

    /// What the selection waits for.
    pub(crate) async fn pending(&self, id: &SessionId) -> Option<PendingReason> {
        let pending = self.info(id).await.runtime.pending;
        pending.map(|pending| pending.reason)
    }

    /// The selected model.
    pub(crate) async fn selected(&self, id: &SessionId) -> Option<String> {
        let model = self.info(id).await.model?;
        Some(format!("{}/{}", model.provider_id, model.id))
    }

    pub(crate) async fn messages(&self, id: &SessionId) -> Vec<MessageWithParts> {
        let messages = self.sessions.messages(id, None, None);
        let messages = messages.await.expect("messages");
        let read = messages
            .iter()
            .map(|message| message.read().expect("readable"));
        read.collect()
    }

    pub(crate) async fn switches(&self, id: &SessionId) -> Vec<ModelSwitch> {
        let history = self.sessions.model_history(id);
        history.await.expect("a history").switches
    }

    /// Waits until the selection of a revision is applied.
    pub(crate) async fn applied(&self, id: &SessionId, revision: u64) -> Session {
        let applied = self.sessions.wait_applied(id, revision);
        Session::clone(&within(applied).await.expect("applied"))
    }

    /// Everything that clients can see of all sessions.
    pub(crate) async fn view(&self, ids: &[SessionId]) -> Value {
        let mut all = Vec::new();
        for id in ids {
            let history = self.sessions.model_history(id).await.expect("a history");
            all.push(json!([
                self.info(id).await,
                history,
                self.messages(id).await
            ]));
        }
        let list = self.sessions.list(ListFilter::default()).await;
        json!({
            "sessions": all,
            "list": list.expect("a list"),
            "busy": self.sessions.statuses(None),
            "permissions": self.sessions.permissions(None),
            "events": self.events(),
        })
    }

    /// Waits until nothing is at work any more.
    pub(crate) async fn quiet(&self) {
        until(async || self.sessions.statuses(None).is_empty()).await;
    }
}

pub(crate) fn by(source: Source) -> Caller {
    Caller::nobody(source)
}

/// `provider/model`; empty for no wish.
pub(crate) fn wish(model: &str) -> Wish {
    let Some((provider, model)) = model.split_once('/') else {
        return Wish::default();
    };
    Wish {
        model: Some(ModelWish {
            provider_id: provider.to_owned(),
            model_id: model.to_owned(),
        }),
        variant: VariantWish::Keep,
        agent: None,
    }
}

pub(crate) fn text_prompt(text: &str) -> Prompt {
    let part = PartInput::text(text);
    Prompt {
        parts: vec![part],
        ..Prompt::default()
    }
}

/// What has to happen.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(NEVER, future).await {
        Ok(done) => done,
        Err(_) => panic!("this never happens"),
    }
}

/// What has to happen without any waiting.
pub(crate) async fn at_once<T>(future: impl Future<Output = T>) -> T {
    let before = Instant::now();
    let value = future.await;
    assert_eq!(before.elapsed(), Duration::ZERO, "it has waited");
    value
}

pub(crate) async fn answer(receiver: oneshot::Receiver<Answer>) -> Answer {
    within(receiver).await.expect("answered")
}

/// Waits until something holds. Most of it has no event, so it is looked at every millisecond, which
/// costs nothing where time is paused.
pub(crate) async fn until(holds: impl AsyncFn() -> bool) {
    let looked = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    within(looked).await;
}

/// Lets everything happen that happens by itself.
pub(crate) async fn settle() {
    tokio::time::sleep(Duration::from_secs(20)).await;
}

/// The text of an answer or of a prompt.
pub(crate) fn text(parts: &[Part]) -> String {
    let texts = parts.iter().filter_map(|part| match part {
        Part::Text(text) => Some(text.text.as_str()),
        _ => None,
    });
    texts.collect()
}

/// The answers among messages that are still being written.
pub(crate) fn unfinished(messages: &[MessageWithParts]) -> usize {
    let open = |m: &&MessageWithParts| matches!(&m.info, Message::Assistant(a) if a.time.completed.is_none());
    messages.iter().filter(open).count()
}

/// The backend that takes out of its native sessions what was not finished.
const FORGETFUL: &str = "forgetful";

/// Two backends, and some with a fault. `one` has a model with efforts.
/// One of several servers on this.
pub(crate) fn nodes_on(store: Arc<shared::Unshared>) -> Arc<Nodes> {
    let settings = NodeSettings {
        secret: String::new(),
        url: None,
        home: None,
        lease: DEFAULT_LEASE,
        drain: DEFAULT_DRAIN,
        placement: Placement::Local,
    };
    Nodes::shared(store, "own".to_owned(), "http://own".to_owned(), settings)
}

fn snapshot(state: Option<&Path>) -> Snapshot {
    let state = state.map(|at| at.to_str().expect("a path"));
    let state: Vec<_> = state
        .into_iter()
        .flat_map(|at| ["--state-dir", at])
        .collect();
    let backends = vec![
        backend("one", &["x", "y", "z", "strong"], &state),
        backend("two", &["a", "b"], &[]),
        // It accepts a switch, continues with its first model, and reports that with each answer.
        backend(
            "wishful",
            &["p", "q"],
            &["--fault", "ignores-model,tells-model"],
        ),
        backend(FORGETFUL, &["f"], &[]),
    ];
    Snapshot::new(backends, Defaults::default())
}

fn backend(id: &str, models: &[&str], more: &[&str]) -> Arc<Backend> {
    let efforts = ["low", "medium", "high"].map(str::to_owned);
    let model = |id: &&str| {
        let strong = *id == "strong";
        ModelInfo {
            id: (*id).to_owned(),
            name: id.to_uppercase(),
            variants: Some(if strong { efforts.to_vec() } else { Vec::new() }),
            default_variant: strong.then(|| "medium".to_owned()),
            context_tokens: None,
            is_configured: false,
        }
    };
    let mode = |id: &str| ChoiceValue {
        id: id.into(),
        name: id.into(),
    };
    let catalogue = Catalogue {
        info: AgentInfo::default(),
        models: models.iter().map(model).collect(),
        default_model: models[0].to_owned(),
        modes: vec![mode("build"), mode("plan")],
        default_mode: Some("build".to_owned()),
        plan_mode: Some("plan".to_owned()),
        switch: SwitchMethod::ConfigOption,
        one_provider: false,
        commands: Vec::new(),
    };
    // A worker looks for the program before it asks for its agent, so it is one that exists.
    let models = models.join(",");
    let flags = [&["true", "--models", &models], more].concat();
    let flags = flags.into_iter().map(str::to_owned).collect();
    let spec = AgentSpec {
        one_session_per_process: false,
        forgets_unfinished: id == FORGETFUL,
        keeps: ScriptedAgents::spec(id, &[]).keeps,
        ..AgentSpec::from_config(id, flags)
    };
    Arc::new(Backend::new(spec, Status::Connected, Some(catalogue)))
}
