//! What backends offer in one directory or another: a project may have models, modes and commands of its own. It is learnt
//! from the native sessions there, and by asking when somebody wants to know.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::efforts::keep_known;
use super::{Backend, Catalogue, ModelInfo, Registry, Snapshot, look, probe};
use crate::agent::options::Options;
use crate::looks;

/// Directories that are remembered. What is dropped is asked anew.
const PLACES_MAX: usize = 64;
/// Directories that are looked at, or wait for it, at the same time. Of further ones is shown what is known.
pub(super) const LOOKS_MAX: usize = 16;
/// After this time a list waits again for a backend that could not answer.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Backends that are asked about a directory at the same time.
const LOOKS_AT_ONCE: usize = 4;

/// Whether a backend was asked what it offers in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// It was not: a native session shows no commands and no efforts.
    Never,
    /// It was, and could not answer.
    InVain,
    /// It has answered.
    Answered,
}

/// What is known of a backend in a directory.
#[derive(Debug, Clone)]
struct Seen {
    /// What was there then is known.
    at: Instant,
    /// When the answer came: an agent may take long to start.
    until: Instant,
    asked: Asked,
    /// What it offers there; `None` for what it offers everywhere.
    catalogue: Option<Arc<Catalogue>>,
}

/// What backends offer, by directory and backend.
#[derive(Debug, Clone, Default)]
pub(super) struct Places(HashMap<String, BTreeMap<String, Seen>>);

impl Places {
    /// When a backend was asked last, in any directory.
    pub(super) fn probed(&self, id: &str) -> Option<Instant> {
        let seen = self.0.values().filter_map(|place| place.get(id));
        let answered = seen.filter(|seen| seen.asked == Asked::Answered);
        answered.map(|seen| seen.at).max()
    }

    /// What a backend offers where that differs from elsewhere.
    pub(super) fn catalogues<'a>(&'a self, id: &str) -> impl Iterator<Item = &'a Arc<Catalogue>> {
        let seen = self.0.values().filter_map(move |place| place.get(id));
        seen.filter_map(|seen| seen.catalogue.as_ref())
    }

    /// The same, to be changed.
    pub(super) fn of_backend(&mut self, id: &str) -> impl Iterator<Item = &mut Arc<Catalogue>> {
        let seen = self
            .0
            .values_mut()
            .filter_map(move |place| place.get_mut(id));
        seen.filter_map(|seen| seen.catalogue.as_mut())
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    fn seen(&self, directory: &str, id: &str) -> Option<&Seen> {
        self.0.get(directory)?.get(id)
    }

    fn note(&mut self, directory: &str, id: &str, seen: Seen) {
        if self.0.len() >= PLACES_MAX && !self.0.contains_key(directory) {
            let last_seen = |place: &BTreeMap<String, Seen>| place.values().map(|s| s.at).max();
            let oldest = self.0.iter().min_by_key(|(_, place)| last_seen(place));
            let oldest = oldest.map(|(name, _)| name.clone());
            oldest.map(|oldest| self.0.remove(&oldest));
        }
        let place = self.0.entry(directory.to_owned()).or_default();
        place.insert(id.to_owned(), seen);
    }
}

impl Snapshot {
    /// The same backends with what they offer in a directory.
    pub fn at(self: &Arc<Self>, directory: &str) -> Arc<Self> {
        let profiles = self.known_profiles.at(directory);
        let place = self.places.0.get(directory);
        let place = place.filter(|place| place.values().any(|seen| seen.catalogue.is_some()));
        if place.is_none() && Arc::ptr_eq(profiles, &self.profiles) {
            return Arc::clone(self);
        }
        let here = |backend: &Arc<Backend>| {
            let seen = place.and_then(|place| place.get(&backend.spec.id));
            match seen.and_then(|seen| seen.catalogue.as_ref()) {
                Some(catalogue) => Arc::new(Backend {
                    catalogue: Some(Arc::clone(catalogue)),
                    ..Backend::clone(backend)
                }),
                None => Arc::clone(backend),
            }
        };
        Arc::new(Self {
            backends: self.backends.iter().map(here).collect(),
            defaults: self.defaults.clone(),
            profiles: Arc::clone(profiles),
            known_profiles: Arc::clone(&self.known_profiles),
            places: Arc::clone(&self.places),
        })
    }
}

impl Snapshot {
    /// Whether the other one has the same in every directory that it knows.
    pub fn has_same_places(&self, other: &Self) -> bool {
        let known = |snapshot: &Self| -> BTreeMap<(String, String), Arc<Catalogue>> {
            let places = snapshot.places.0.iter();
            let all = places.flat_map(|(directory, place)| {
                place.iter().filter_map(move |(id, seen)| {
                    let key = (directory.clone(), id.clone());
                    Some((key, Arc::clone(seen.catalogue.as_ref()?)))
                })
            });
            all.collect()
        };
        Arc::ptr_eq(&self.places, &other.places) || known(self) == known(other)
    }
}

impl Registry {
    pub(super) fn update_places(&self, change: impl FnOnce(&mut Places)) {
        self.snapshot.send_modify(|snapshot| {
            let mut next = Snapshot::clone(snapshot);
            change(Arc::make_mut(&mut next.places));
            *snapshot = Arc::new(next);
        });
    }

    /// Asks every backend that runs what it offers in a directory, unless it was asked. Waits for the answers, but not
    /// longer than this; what comes later is known then.
    pub async fn look_around(self: &Arc<Self>, directory: &str, at_most: Duration) {
        let snapshot = self.snapshot();
        let open: Vec<String> = snapshot
            .backends
            .iter()
            .filter(|backend| backend.connected().is_some())
            .map(|backend| backend.spec.id.clone())
            .filter(|id| !self.has_looked(directory, id, None))
            .collect();
        if open.is_empty() || !is_folder(directory).await {
            return;
        }
        let Ok(place) = Arc::clone(&self.looks).try_acquire_owned() else {
            return;
        };
        let (registry, directory) = (Arc::clone(self), directory.to_owned());
        let looks = tokio::spawn(async move {
            use futures_util::stream::{self, StreamExt};
            let looks = open
                .into_iter()
                .map(|id| registry.look(id, directory.clone(), None));
            stream::iter(looks)
                .buffer_unordered(LOOKS_AT_ONCE)
                .collect::<Vec<()>>()
                .await;
            drop(place);
        });
        let _later = tokio::time::timeout(at_most, looks).await;
    }

    /// Whether a backend was asked about a directory, within a time if one is given. Where it could not answer, lists
    /// do not wait for it again at once; callers that need to know do.
    pub(super) fn has_looked(&self, directory: &str, id: &str, within: Option<Duration>) -> bool {
        let snapshot = self.snapshot.borrow();
        let seen = snapshot.places.seen(directory, id);
        seen.is_some_and(|seen| match seen.asked {
            Asked::Never => false,
            Asked::InVain => within.is_none() && seen.until.elapsed() < LOOK_AGAIN_AFTER,
            Asked::Answered => within.is_none_or(|within| seen.until.elapsed() < within),
        })
    }

    /// Whether a backend was asked about a directory, and that has ended since then.
    fn has_looked_since(&self, directory: &str, id: &str, then: Instant) -> bool {
        let snapshot = self.snapshot.borrow();
        let seen = snapshot.places.seen(directory, id);
        seen.is_some_and(|seen| seen.asked != Asked::Never && seen.until > then)
    }

    /// Asks a backend what it offers in a directory, unless that was done, or was done within `again_after`. Runs to its
    /// end also when the caller goes away.
    pub(super) async fn look(
        self: &Arc<Self>,
        id: String,
        directory: String,
        again_after: Option<Duration>,
    ) {
        let (registry, came) = (Arc::clone(self), Instant::now());
        let task = tokio::spawn(async move {
            let Some(gate) = registry.probes.get(&id) else {
                return;
            };
            // Callers that ask for the same at the same time find the answer after the gate, or that there is none.
            let _one_at_a_time = gate.lock().await;
            let is_told = registry.has_looked(&directory, &id, again_after)
                || registry.has_looked_since(&directory, &id, came);
            if !is_told && is_folder(&directory).await {
                registry.look_now(&id, &directory).await;
            }
        });
        if task.await.is_err() {
            tracing::error!("looking at a directory has panicked");
        }
    }

    async fn look_now(self: &Arc<Self>, id: &str, directory: &str) {
        let snapshot = self.snapshot();
        let Some(backend) = snapshot.backend(id).filter(|b| b.usable().is_some()) else {
            return;
        };
        let at = Instant::now();
        let scratch = self.scratch.join(id);
        let with = backend.sign_in_with.as_deref();
        let mut means = self.means();
        let paths = (scratch.as_path(), Path::new(directory));
        let found = look::look(&backend.spec, with, paths, &mut means).await;
        self.remove_left(&backend.spec, means);
        tracing::info!(backend = id, directory, "asked what it offers there");
        let asked = match found {
            Some(_) => Asked::Answered,
            None => Asked::InVain,
        };
        // Known as it was, where it cannot be asked.
        let known = self.at(directory).catalogue(id).cloned();
        let here = match (found, known) {
            (Some(mut found), Some(known)) => {
                keep_known(&mut found, &known);
                Some(found)
            }
            (found, known) => found.or(known),
        };
        self.note_here(id, directory, here, at, asked);
    }

    /// Notes what a new native session offers in its directory. The model and the mode that it starts with are not
    /// that: agents take another session's choice for their user's default.
    pub fn note_options(&self, id: &str, directory: &str, options: &Options) {
        let snapshot = self.at(directory);
        let Some(backend) = snapshot.backend(id) else {
            return;
        };
        let Some(known) = backend.catalogue.as_ref() else {
            return;
        };
        let mut here = Catalogue {
            one_provider: known.one_provider,
            ..probe::read(&backend.spec, known.info.clone(), options)
        };
        if options.model.is_none() {
            here.models.clone_from(&known.models);
        }
        if options.providers.is_some() {
            let shown: Vec<_> = here.models.iter().map(|m| m.id.clone()).collect();
            let others = known.models.iter().filter(|m| !shown.contains(&m.id));
            here.models.extend(others.cloned());
        }
        let same = |a: &[ModelInfo], b: &[ModelInfo]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.id == b.id)
        };
        let is_same = options.providers.is_some() && here.models.len() == known.models.len()
            || same(&here.models, &known.models);
        if is_same && here.modes == known.modes {
            return;
        }
        keep_known(&mut here, known);
        here.commands.clone_from(&known.commands);
        here.switch = known.switch;
        if here.model(&known.default_model).is_some() {
            here.default_model.clone_from(&known.default_model);
        }
        let is_offered = |mode: &String| here.modes.iter().any(|m| m.id == *mode);
        if known.default_mode.as_ref().is_some_and(is_offered) {
            here.default_mode.clone_from(&known.default_mode);
        }
        let asked = {
            let snapshot = self.snapshot.borrow();
            let seen = snapshot.places.seen(directory, id);
            seen.map_or(Asked::Never, |seen| seen.asked)
        };
        self.note_here(id, directory, Some(here), Instant::now(), asked);
    }

    fn note_here(
        &self,
        id: &str,
        directory: &str,
        here: Option<Catalogue>,
        at: Instant,
        asked: Asked,
    ) {
        let general = self
            .snapshot()
            .backend(id)
            .and_then(|b| b.catalogue.clone());
        let offers = |c: &Catalogue| {
            let models: Vec<_> = c.models.iter().map(|m| m.id.clone()).collect();
            let commands: Vec<_> = c.commands.iter().map(|c| c.name.clone()).collect();
            let modes = (c.modes.clone(), c.default_mode.clone());
            (models, c.default_model.clone(), modes, commands)
        };
        let differs = |here: &Catalogue| general.as_deref().map(offers) != Some(offers(here));
        let catalogue = here.filter(differs).map(Arc::new);
        let seen = Seen {
            at,
            until: Instant::now(),
            asked,
            catalogue,
        };
        self.update_places(|places| places.note(directory, id, seen));
    }
}

async fn is_folder(directory: &str) -> bool {
    looks::is_directory(directory).await.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::snapshot;
    use super::*;

    fn seen(catalogue: Option<Catalogue>) -> Seen {
        Seen {
            at: Instant::now(),
            until: Instant::now(),
            asked: Asked::Answered,
            catalogue: catalogue.map(Arc::new),
        }
    }

    #[test]
    fn what_a_directory_has_is_there_only() {
        let mut registry = snapshot();
        let mut own = registry.catalogue("claude").expect("known").clone();
        own.models.truncate(1);
        own.models[0].id = "own".into();
        let mut places = Places::default();
        places.note("/project", "claude", seen(Some(own)));
        places.note("/other", "claude", seen(None));
        registry.places = Arc::new(places);
        let registry = Arc::new(registry);
        let has = |snapshot: &Snapshot| {
            let catalogue = snapshot.catalogue("claude");
            catalogue.is_some_and(|c| c.model("own").is_some())
        };
        assert!(has(&registry.at("/project")));
        assert!(!has(&registry) && !has(&registry.at("/other")) && !has(&registry.at("/third")));
        let project = registry.at("/project");
        assert_eq!(project.backends.len(), registry.backends.len());
        assert!(project.catalogue("codex").is_some());
    }

    #[test]
    fn the_directory_that_was_seen_longest_ago_is_forgotten() {
        let mut places = Places::default();
        for n in 0..=PLACES_MAX {
            places.note(&format!("/{n}"), "claude", seen(None));
        }
        assert_eq!(places.0.len(), PLACES_MAX);
        assert!(places.seen("/0", "claude").is_none());
        assert!(places.seen("/1", "claude").is_some());
    }
}
