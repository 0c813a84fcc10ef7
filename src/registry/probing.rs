//! When backends are probed, and what becomes of what was found.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::efforts::keep_known;
use super::places::Places;
use super::{ProbeRun, Registry, Snapshot, Status, alike, did_you_mean, probe};
use crate::agent::spec::{AgentSpec, Origin};
use crate::opencode::now_ms;

/// A backend that could not run, or that lacks a wanted model, is probed again when it is asked for,
/// but not more often than this.
pub(super) const PROBE_AGAIN_AFTER: Duration = Duration::from_secs(5);

impl Registry {
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
        self.update_places(Places::clear);
        for backend in &self.snapshot().backends {
            // Whoever asks for this may have signed in.
            self.update(&backend.spec.id, |backend| backend.not_signed_in = None);
            let (registry, id) = (Arc::clone(self), backend.spec.id.clone());
            tokio::spawn(async move { registry.probe(id, Some(PROBE_AGAIN_AFTER)).await });
        }
    }

    /// Makes sure that what is known about a backend is good enough to judge this wish: waits for a
    /// first probe, and asks again when the backend could not run or lacks the model.
    ///
    /// It is asked in the directory, where it shows what it has there and what it has everywhere: agents start slowly, and
    /// one start is enough.
    pub async fn prepare(
        self: &Arc<Self>,
        directory: Option<&str>,
        provider: &str,
        model: Option<&str>,
        agent: Option<&str>,
    ) {
        let is_known = |snapshot: &Snapshot| {
            let catalogue = snapshot.backend(provider).and_then(|b| b.usable());
            catalogue.is_some_and(|catalogue| {
                let has_model = model.is_none_or(|m| catalogue.model(m).is_some());
                has_model && agent.is_none_or(|agent| snapshot.has_agent(catalogue, agent))
            })
        };
        let now = || directory.map_or_else(|| self.snapshot(), |directory| self.at(directory));
        let snapshot = self.snapshot();
        let Some(backend) = snapshot.backend(provider) else {
            return;
        };
        if is_known(&now()) {
            return;
        }
        if backend.usable().is_none() {
            self.probe(provider.to_owned(), Some(PROBE_AGAIN_AFTER))
                .await;
        }
        let has_looked = match directory.filter(|_| !is_known(&now())) {
            Some(directory) => self.look_again(provider, directory).await,
            None => false,
        };
        let (registry, provider) = (Arc::clone(self), provider.to_owned());
        let probe = async move { registry.probe(provider, Some(PROBE_AGAIN_AFTER)).await };
        match (has_looked, is_known(&now())) {
            // What is new may be so for everybody.
            (true, true) => drop(tokio::spawn(probe)),
            (true, false) => {}
            (false, _) => probe.await,
        }
    }

    /// Asks a backend what it offers in a directory, unless that was done just now. Whether it was asked.
    async fn look_again(self: &Arc<Self>, provider: &str, directory: &str) -> bool {
        let again_after = Some(PROBE_AGAIN_AFTER);
        self.look(provider.to_owned(), directory.to_owned(), again_after)
            .await;
        self.has_looked(directory, provider, again_after)
    }

    /// Probes one backend, unless that was done within `unless_within`. Runs to its end also when
    /// the caller goes away.
    pub(super) async fn probe(self: &Arc<Self>, id: String, unless_within: Option<Duration>) {
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

    async fn probe_now(self: &Arc<Self>, id: &str) {
        let Some(spec) = self.snapshot().backend(id).map(|b| b.spec.clone()) else {
            return;
        };
        let (started, at_ms) = (Instant::now(), now_ms());
        let scratch = self.scratch.join(id);
        let mut means = self.means();
        let with = self.sign_in_with(id);
        let with = with.as_deref();
        let found = probe::probe(&spec, with, &scratch, &mut means).await;
        let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tell(&spec, &found, took_ms);
        // Before anybody sees that the probe is over: a stop waits for what is being removed.
        self.remove_left(&spec, means);
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
            if !found.sign_in.is_empty() {
                backend.sign_in.clone_from(&found.sign_in);
            }
            // A session was opened; that is all that a probe shows.
            let opens = found.status == Status::Connected;
            if opens && backend.not_signed_in.as_ref().is_some_and(|n| !n.at_prompt) {
                backend.not_signed_in = None;
            }
            backend.catalogue = catalogue.clone().map(Arc::new);
            backend.probed = Some(started);
            backend.probe = Some(ProbeRun { at_ms, took_ms });
        });
        self.save(id).await;
        self.tell_unknown_default(id);
    }

    /// Says in the log that its backend does not have the model in the configuration, and which one may be meant.
    fn tell_unknown_default(&self, id: &str) {
        let Some(wish) = self
            .configured_model
            .as_ref()
            .filter(|wish| wish.provider_id == id)
        else {
            return;
        };
        let snapshot = self.snapshot();
        let Some(catalogue) = snapshot.backend(id).and_then(|backend| backend.usable()) else {
            return;
        };
        if catalogue.model(&wish.model_id).is_none() {
            let models = catalogue.models.iter().map(|model| model.id.as_str());
            tracing::warn!(
                "default_model is \"{id}/{}\", and backend \"{id}\" has no such model.{}",
                wish.model_id,
                did_you_mean(&alike(&wish.model_id, models))
            );
        }
    }
}

/// Says in the log what was found.
fn tell(spec: &AgentSpec, found: &probe::Found, ms: u64) {
    let (backend, found_in_words) = (&spec.id, found.status.in_words());
    let catalogue = found.catalogue.as_ref();
    let models = catalogue.map_or(0, |catalogue| catalogue.models.len());
    match &found.status {
        // No one has more than a few of the built-in ones.
        Status::NotInstalled(_) if spec.origin == Origin::Builtin => {
            tracing::debug!(backend, "the backend is not installed");
        }
        _ => tracing::info!(backend, models, ms, "the backend {found_in_words}"),
    }
}
