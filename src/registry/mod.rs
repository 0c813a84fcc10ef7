//! What can be selected: backends with their models, variants and modes.
//!
//! Readers get an immutable [`Snapshot`]. It is made from what [`probe`] found, which the store keeps
//! from one start to the next. [`resolve`](Snapshot::resolve) is the validation that the locked
//! operation runs; it needs no I/O and no lock.

mod backend;
mod defaults;
mod efforts;
mod fixed;
mod left;
mod look;
pub mod means;
mod modes;
mod native;
mod notes;
mod places;
pub mod probe;
mod probing;
mod profiles;
mod removing;
mod resolve;
mod sign_in;
mod wish;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::time::Instant;

use crate::agent::Timeouts;
use crate::agent::client::AgentInfo;
use crate::agent::commands::AgentCommand;
use crate::agent::options::ChoiceValue;
use crate::agent::process::{Processes, Starter};
use crate::agent::spec::AgentSpec;
use crate::json;
use crate::process::Ledger;
use crate::profile::Profiles;
use crate::store::{Change, Store};
use left::Left;
use places::Places;
use removing::Removing;

pub use backend::{Backend, ProbeRun, Status};
pub use defaults::{Defaults, DefaultsError};
pub use native::{NativeError, NativeReplay};
pub use resolve::{BUILD, PLAN, Resolved, SelectError, alike, did_you_mean};
pub use sign_in::{NotSignedIn, SignInError};
pub use wish::{ModelWish, VariantWish, Wish};

/// A model of a backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Its id, verbatim.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Its reasoning efforts; `None` when they are not known beforehand.
    pub variants: Option<Vec<String>>,
    /// The effort that means "no variant selected", where the agent has efforts.
    pub default_variant: Option<String>,
    /// Its context, in tokens: what is configured, or what an agent has reported; `None` while neither is known.
    #[serde(default)]
    pub context_tokens: Option<u64>,
    /// The user's configuration names it and its agent does not, which may have it all the same.
    #[serde(default)]
    pub is_configured: bool,
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
    /// It has a choice of providers of which only one is available: its models go without it.
    #[serde(default)]
    pub one_provider: bool,
    /// Its slash commands, as advertised in an empty directory.
    #[serde(default)]
    pub commands: Vec<AgentCommand>,
}

impl Catalogue {
    /// Puts the user's own word about models in.
    fn configure(&mut self, spec: &AgentSpec) {
        if spec.contexts.is_empty() {
            return;
        }
        for model in &mut self.models {
            let known = spec.contexts.get(&model.id).copied();
            model.context_tokens = known.or(model.context_tokens);
        }
    }

    /// The agent that a mode is selected by.
    pub fn agent_of(&self, mode: String) -> String {
        match () {
            () if self.default_mode.as_ref() == Some(&mode) => BUILD.to_owned(),
            () if self.plan_mode.as_ref() == Some(&mode) => PLAN.to_owned(),
            () => mode,
        }
    }

    /// The model with this id.
    pub fn model(&self, id: &str) -> Option<&ModelInfo> {
        self.models.iter().find(|m| m.id == id)
    }
}

/// All backends at one moment, in order of preference.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The backends.
    pub backends: Vec<Arc<Backend>>,
    /// What a session starts with when its client names nothing.
    pub defaults: Defaults,
    /// Agents with a model of their own.
    profiles: Arc<Profiles>,
    /// Those of one directory or another.
    known_profiles: Arc<profiles::Known>,
    /// What they offer in one directory or another.
    places: Arc<Places>,
}

impl Snapshot {
    /// These backends, with nothing known of any directory.
    pub fn new(backends: Vec<Arc<Backend>>, defaults: Defaults) -> Self {
        Self {
            backends,
            defaults,
            ..Self::default()
        }
    }

    /// The backend with this id.
    pub fn backend(&self, id: &str) -> Option<&Arc<Backend>> {
        self.backends.iter().find(|b| b.spec.id == id)
    }

    /// What the backend offers, also while it cannot be used.
    pub fn catalogue(&self, id: &str) -> Option<&Catalogue> {
        self.backend(id)?.catalogue.as_deref()
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
    /// Directories that are being looked at.
    looks: Arc<Semaphore>,
    /// Processes that are asked about native sessions.
    asking: Arc<Semaphore>,
    starter: Arc<dyn Starter>,
    removing: Removing,
    left: Left,
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
        let snapshot = watch::Sender::new(Arc::new(Snapshot::new(backends, defaults)));
        let left = Left::load(Arc::clone(&store)).await;
        Arc::new(Self {
            snapshot,
            probes,
            store,
            ledger,
            timeouts,
            scratch,
            configured_model: default_model,
            setting_defaults: Mutex::new(()),
            looks: Arc::new(Semaphore::new(places::LOOKS_MAX)),
            asking: Arc::new(Semaphore::new(native::ASKED_AT_ONCE)),
            starter,
            removing: Removing::default(),
            left,
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

    /// The backends as they are known now, with what they offer in a directory.
    pub fn at(&self, directory: &str) -> Arc<Snapshot> {
        self.snapshot().at(directory)
    }

    /// Follows what is known.
    pub fn watch(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshot.subscribe()
    }

    /// When a backend was probed last, in this run of the server.
    pub fn probed(&self, id: &str) -> Option<Instant> {
        let snapshot = self.snapshot.borrow();
        let general = snapshot.backend(id)?.probed;
        general.max(snapshot.places.probed(id))
    }

    /// The way in which somebody has signed in to a backend over ACP.
    pub fn sign_in_with(&self, id: &str) -> Option<String> {
        self.snapshot.borrow().backend(id)?.sign_in_with.clone()
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

    /// Changes what is known of a model, wherever it is offered.
    fn update_model(&self, id: &str, model: &str, change: impl Fn(&mut ModelInfo)) {
        let in_catalogue = |catalogue: &mut Arc<Catalogue>| {
            if catalogue.model(model).is_some() {
                let models = &mut Arc::make_mut(catalogue).models;
                models
                    .iter_mut()
                    .filter(|m| m.id == model)
                    .for_each(&change);
            }
        };
        self.update(id, |backend| {
            backend.catalogue.iter_mut().for_each(&in_catalogue);
        });
        self.update_places(|places| places.of_backend(id).for_each(&in_catalogue));
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
                not_signed_in: backend.not_signed_in.clone(),
                sign_in_with: backend.sign_in_with.clone(),
            }
        };
        let body = json::text(&stored);
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
    catalogue: Arc<Catalogue>,
    #[serde(default)]
    not_signed_in: Option<NotSignedIn>,
    #[serde(default)]
    sign_in_with: Option<String>,
}

fn with_stored(
    spec: AgentSpec,
    stored: &HashMap<String, Stored>,
    starter: &dyn Starter,
) -> Backend {
    let stored = stored.get(&spec.id).filter(|s| s.command == spec.command);
    let catalogue = stored.map(|s| {
        let mut catalogue = Catalogue::clone(&s.catalogue);
        catalogue.configure(&spec);
        catalogue
    });
    let status = match (starter.find(&spec), &catalogue) {
        (Err(reason), _) => Status::NotInstalled(reason),
        (Ok(_), Some(_)) => Status::Connected,
        (Ok(_), None) => Status::Probing,
    };
    Backend {
        not_signed_in: stored.and_then(|s| s.not_signed_in.clone()),
        sign_in_with: stored.and_then(|s| s.sign_in_with.clone()),
        ..Backend::new(spec, status, catalogue)
    }
}

#[cfg(test)]
pub mod fixture;
