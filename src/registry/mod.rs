//! What there is to choose from: backends with their models, variants and modes.
//!
//! Readers get an immutable [`Snapshot`]. It is made from what [`probe`] found, which the store keeps
//! from one start to the next. [`resolve`](Snapshot::resolve) is the validation that the locked
//! operation runs; it needs no I/O and no lock.

mod defaults;
mod fixed;
pub mod probe;
mod resolve;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use crate::agent::Timeouts;
use crate::agent::client::AgentInfo;
use crate::agent::commands::AgentCommand;
use crate::agent::options::ChoiceValue;
use crate::agent::process::{Processes, Starter};
use crate::agent::spec::{AgentSpec, Origin};
use crate::process_group::Ledger;
use crate::store::{Change, Store};

pub use defaults::{Defaults, DefaultsError};
pub use resolve::{
    BUILD, ModelWish, PLAN, Resolved, SelectError, VariantWish, Wish, alike, did_you_mean,
};

/// A backend that could not run, or that lacks a wanted model, is probed again when it is asked for,
/// but not more often than this.
const PROBE_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// A model of a backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Its id, verbatim.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Its reasoning efforts; `None` when they are not known beforehand.
    pub variants: Option<Vec<String>>,
    /// The effort that stands for "no variant selected", where the agent has efforts.
    pub default_variant: Option<String>,
    /// Its context, in tokens, once an agent has told it.
    #[serde(default)]
    pub context_tokens: Option<u64>,
}

/// How a backend changes its model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SwitchMethod {
    /// `session/set_config_option`.
    ConfigOption,
    /// `session/set_model`.
    SetModel,
    /// Its process is started again with the model in its command or environment.
    Restart,
    /// It has one model only.
    Fixed,
}

/// What a probe has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalogue {
    /// What the agent says about itself.
    pub info: AgentInfo,
    /// Its models.
    pub models: Vec<ModelInfo>,
    /// The model that it starts with.
    pub default_model: String,
    /// Its modes.
    pub modes: Vec<ChoiceValue>,
    /// The mode that it starts with: `build`.
    pub default_mode: Option<String>,
    /// The mode that changes nothing: `plan`.
    pub plan_mode: Option<String>,
    /// How it changes its model.
    pub switch: SwitchMethod,
    /// Its slash commands, as it tells them in an empty directory.
    #[serde(default)]
    pub commands: Vec<AgentCommand>,
}

impl Catalogue {
    /// The model with this id.
    pub fn model(&self, id: &str) -> Option<&ModelInfo> {
        self.models.iter().find(|m| m.id == id)
    }
}

/// Whether a backend can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Its first probe is running.
    Probing,
    /// It runs.
    Connected,
    /// It cannot run: a sentence with the reason and what to do.
    Unavailable(String),
    /// It runs and wants the user to sign in: a sentence with what to do.
    SignedOut(String),
}

/// A backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// How it is started.
    pub spec: AgentSpec,
    /// Whether it can be used.
    pub status: Status,
    /// What it offers; from an earlier start while the first probe of this one runs.
    pub catalogue: Option<Catalogue>,
}

impl Backend {
    /// What it offers, when it can be used.
    pub fn connected(&self) -> Option<&Catalogue> {
        match self.status {
            Status::Connected => self.catalogue.as_ref(),
            _ => None,
        }
    }
}

/// All backends at one moment, in order of preference.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The backends.
    pub backends: Vec<Arc<Backend>>,
    /// What a session starts with when its client names nothing.
    pub defaults: Defaults,
}

impl Snapshot {
    /// The backend with this id.
    pub fn backend(&self, id: &str) -> Option<&Arc<Backend>> {
        self.backends.iter().find(|b| b.spec.id == id)
    }

    /// What the backend offers, also while it cannot be used.
    pub fn catalogue(&self, id: &str) -> Option<&Catalogue> {
        self.backend(id)?.catalogue.as_ref()
    }

    /// Whether every backend's first probe is over.
    pub fn settled(&self) -> bool {
        self.backends.iter().all(|b| b.status != Status::Probing)
    }
}

/// The registry.
pub struct Registry {
    snapshot: watch::Sender<Arc<Snapshot>>,
    /// One probe of a backend at a time; with the time of the last one.
    probes: HashMap<String, Mutex<Option<Instant>>>,
    store: Arc<dyn Store>,
    ledger: Arc<dyn Ledger>,
    timeouts: Timeouts,
    scratch: PathBuf,
    /// The default model of the configuration.
    configured_model: Option<ModelWish>,
    setting_defaults: Mutex<()>,
    starter: Arc<dyn Starter>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry")
            .field("snapshot", &*self.snapshot.borrow())
            .finish_non_exhaustive()
    }
}

impl Registry {
    /// A registry of these backends, with what earlier probes have found. Probes run in `scratch`.
    pub async fn open(
        specs: Vec<AgentSpec>,
        default_model: Option<ModelWish>,
        store: Arc<dyn Store>,
        ledger: Arc<dyn Ledger>,
        timeouts: Timeouts,
        scratch: PathBuf,
    ) -> Arc<Self> {
        let starter = Arc::new(Processes);
        Self::with_starter(
            specs,
            default_model,
            store,
            ledger,
            timeouts,
            scratch,
            starter,
        )
        .await
    }

    /// The same, with another way of starting agents.
    pub async fn with_starter(
        specs: Vec<AgentSpec>,
        default_model: Option<ModelWish>,
        store: Arc<dyn Store>,
        ledger: Arc<dyn Ledger>,
        timeouts: Timeouts,
        scratch: PathBuf,
        starter: Arc<dyn Starter>,
    ) -> Arc<Self> {
        let stored = store.backends().await.unwrap_or_else(|error| {
            tracing::warn!("the stored catalogue cannot be read, starting without: {error}");
            Vec::new()
        });
        // A catalogue that an older Baton wrote in another shape is made anew.
        let stored: HashMap<String, Stored> = stored
            .into_iter()
            .filter_map(|(id, body)| Some((id, serde_json::from_str(&body).ok()?)))
            .collect();
        let probes: HashMap<_, _> = specs
            .iter()
            .map(|s| (s.id.clone(), Mutex::new(None)))
            .collect();
        let backends = specs
            .into_iter()
            .map(|spec| Arc::new(with_stored(spec, &stored, starter.as_ref())))
            .collect();
        let ids: Vec<_> = probes.keys().map(String::as_str).collect();
        let defaults = defaults::load(store.as_ref(), default_model.as_ref(), &ids).await;
        let snapshot = watch::Sender::new(Arc::new(Snapshot { backends, defaults }));
        Arc::new(Self {
            snapshot,
            probes,
            store,
            ledger,
            timeouts,
            scratch,
            configured_model: default_model,
            setting_defaults: Mutex::new(()),
            starter,
        })
    }

    /// The backends as they are known now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.borrow())
    }

    /// Waits until every backend's first probe is over, or the time is up.
    pub async fn settled(&self, at_most: Duration) -> Arc<Snapshot> {
        let mut snapshots = self.snapshot.subscribe();
        let settled = async {
            // The sender lives as long as this registry.
            let _sender_lives = snapshots.wait_for(|s| s.settled()).await;
        };
        let _or_not = tokio::time::timeout(at_most, settled).await;
        self.snapshot()
    }

    /// Probes every backend, all at the same time.
    pub async fn probe_all(self: &Arc<Self>) {
        let snapshot = self.snapshot();
        let probes = snapshot
            .backends
            .iter()
            .map(|b| self.probe(b.spec.id.clone(), None));
        futures_util::future::join_all(probes).await;
    }

    /// Probes every backend that was not probed just now, in the background.
    pub fn refresh(self: &Arc<Self>) {
        for backend in &self.snapshot().backends {
            let (registry, id) = (Arc::clone(self), backend.spec.id.clone());
            tokio::spawn(async move { registry.probe(id, Some(PROBE_AGAIN_AFTER)).await });
        }
    }

    /// Makes sure that what is known about a backend is good enough to judge this wish: waits for a
    /// first probe, and probes again when the backend could not run or lacks the model.
    pub async fn prepare(self: &Arc<Self>, provider: &str, model: Option<&str>) {
        let snapshot = self.snapshot();
        let Some(backend) = snapshot.backend(provider) else {
            return;
        };
        let known = backend
            .connected()
            .is_some_and(|c| model.is_none_or(|m| c.model(m).is_some()));
        if !known {
            self.probe(provider.to_owned(), Some(PROBE_AGAIN_AFTER))
                .await;
        }
    }

    /// Makes sure that the efforts of a model are known, where its agent has to be asked for them. Runs to its
    /// end also when the caller goes away.
    pub async fn learn_efforts(self: &Arc<Self>, provider: &str, model: &str) {
        if self.lacks_efforts(provider, model).is_none() {
            return;
        }
        let (registry, id, model) = (Arc::clone(self), provider.to_owned(), model.to_owned());
        let task = tokio::spawn(async move {
            let Some(gate) = registry.probes.get(&id) else {
                return;
            };
            let _one_at_a_time = gate.lock().await;
            // Another request may have asked meanwhile.
            if let Some(spec) = registry.lacks_efforts(&id, &model) {
                registry.ask_efforts(&spec, &model).await;
            }
        });
        if task.await.is_err() {
            tracing::error!("asking for the efforts of a model has panicked");
        }
    }

    /// The backend to ask, when the efforts of its model are not known and can be asked for.
    fn lacks_efforts(&self, provider: &str, model: &str) -> Option<AgentSpec> {
        let snapshot = self.snapshot.borrow();
        let backend = snapshot.backend(provider)?;
        let catalogue = backend.connected()?;
        // Models that are named at launch cannot be selected in a running agent.
        let by_agent = matches!(
            catalogue.switch,
            SwitchMethod::ConfigOption | SwitchMethod::SetModel
        );
        let unknown = catalogue.model(model)?.variants.is_none();
        (by_agent && unknown).then(|| backend.spec.clone())
    }

    async fn ask_efforts(&self, spec: &AgentSpec, model: &str) {
        let scratch = self.scratch.join(&spec.id);
        let (ledger, starter) = (self.ledger.as_ref(), self.starter.as_ref());
        let asked = probe::efforts_of(spec, model, &scratch, &self.timeouts, ledger, starter).await;
        let Some((variants, default)) = asked else {
            return;
        };
        self.update(&spec.id, |backend| {
            let models = backend.catalogue.iter_mut().flat_map(|c| &mut c.models);
            for info in models.filter(|m| m.id == model) {
                info.variants = Some(variants.clone());
                info.default_variant.clone_from(&default);
            }
        });
        self.save(&spec.id).await;
    }

    /// Probes one backend, unless that was done within `unless_within`. Runs to its end also when
    /// the caller goes away.
    async fn probe(self: &Arc<Self>, id: String, unless_within: Option<Duration>) {
        let registry = Arc::clone(self);
        let task = tokio::spawn(async move {
            let Some(gate) = registry.probes.get(&id) else {
                return;
            };
            let mut last = gate.lock().await;
            let recent = |at: Instant| unless_within.is_some_and(|within| at.elapsed() < within);
            if last.is_some_and(recent) {
                return;
            }
            registry.probe_now(&id).await;
            *last = Some(Instant::now());
        });
        if task.await.is_err() {
            tracing::error!("a probe has panicked");
        }
    }

    async fn probe_now(&self, id: &str) {
        let Some(spec) = self.snapshot().backend(id).map(|b| b.spec.clone()) else {
            return;
        };
        let scratch = self.scratch.join(id);
        let (ledger, starter) = (self.ledger.as_ref(), self.starter.as_ref());
        let found = probe::probe(&spec, &scratch, &self.timeouts, ledger, starter).await;
        match spec.origin == Origin::Builtin && starter.find(&spec).is_err() {
            // Nobody has more than a few of the built-in ones.
            true => tracing::debug!(backend = id, "not installed"),
            false => tracing::info!(backend = id, status = ?found.status, "probed"),
        }
        let catalogue = self.snapshot.borrow().catalogue(id).cloned();
        // A failed probe does not take the models away: they are still the right names for what
        // cannot run at the moment.
        let catalogue = match (found.catalogue, catalogue) {
            (Some(mut new), Some(old)) => {
                keep_known(&mut new, &old);
                Some(new)
            }
            (new, old) => new.or(old),
        };
        self.update(id, |backend| {
            backend.status = found.status.clone();
            backend.catalogue.clone_from(&catalogue);
        });
        self.save(id).await;
    }

    /// Notes the size of a model's context, as its agent has told it.
    pub async fn note_context(&self, id: &str, model: &str, tokens: u64) {
        let known = self
            .snapshot
            .borrow()
            .catalogue(id)
            .and_then(|c| c.model(model)?.context_tokens);
        if known == Some(tokens) {
            return;
        }
        self.update(id, |backend| {
            let models = backend.catalogue.iter_mut().flat_map(|c| &mut c.models);
            for model in models.filter(|m| m.id == model) {
                model.context_tokens = Some(tokens);
            }
        });
        self.save(id).await;
    }

    /// Notes the slash commands of a backend whose probe has not been told any.
    pub async fn note_commands(&self, id: &str, commands: &[AgentCommand]) {
        let catalogue = self.snapshot.borrow().catalogue(id).cloned();
        let lacks = catalogue.is_some_and(|c| c.commands.is_empty());
        if !lacks || commands.is_empty() {
            return;
        }
        self.update(id, |backend| {
            if let Some(catalogue) = &mut backend.catalogue {
                catalogue.commands = commands.to_vec();
            }
        });
        self.save(id).await;
    }

    fn update(&self, id: &str, change: impl Fn(&mut Backend)) {
        self.snapshot.send_modify(|snapshot| {
            let mut next = Snapshot::clone(snapshot);
            for backend in next.backends.iter_mut().filter(|b| b.spec.id == id) {
                change(Arc::make_mut(backend));
            }
            *snapshot = Arc::new(next);
        });
    }

    async fn save(&self, id: &str) {
        let stored = {
            let snapshot = self.snapshot.borrow();
            let Some(backend) = snapshot.backend(id) else {
                return;
            };
            let Some(catalogue) = backend.catalogue.clone() else {
                return;
            };
            Stored {
                command: backend.spec.command.clone(),
                catalogue,
            }
        };
        let body = serde_json::to_string(&stored).unwrap_or_default();
        let change = Change::PutBackend {
            id: id.to_owned(),
            body,
        };
        if let Err(error) = self.store.commit(vec![change]).await {
            tracing::warn!(
                "the catalogue of {id} was not stored, the next start probes it anew: {error}"
            );
        }
    }
}

/// What the store keeps of a backend. Another command is another backend.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stored {
    command: Vec<String>,
    catalogue: Catalogue,
}

fn with_stored(
    spec: AgentSpec,
    stored: &HashMap<String, Stored>,
    starter: &dyn Starter,
) -> Backend {
    let catalogue = stored
        .get(&spec.id)
        .filter(|s| s.command == spec.command)
        .map(|s| s.catalogue.clone());
    let status = match (starter.find(&spec), &catalogue) {
        (Err(reason), _) => Status::Unavailable(reason),
        (Ok(_), Some(_)) => Status::Connected,
        (Ok(_), None) => Status::Probing,
    };
    Backend {
        spec,
        status,
        catalogue,
    }
}

/// A probe does not look everything up: what was learnt before about a model stays, unless it says otherwise.
fn keep_known(new: &mut Catalogue, old: &Catalogue) {
    let known: HashMap<&str, &ModelInfo> = old.models.iter().map(|m| (m.id.as_str(), m)).collect();
    for model in &mut new.models {
        let Some(known) = known.get(model.id.as_str()) else {
            continue;
        };
        model.context_tokens = model.context_tokens.or(known.context_tokens);
        if model.variants.is_none() {
            model.variants.clone_from(&known.variants);
            model.default_variant.clone_from(&known.default_variant);
        }
    }
}

#[cfg(test)]
pub mod fixture;
