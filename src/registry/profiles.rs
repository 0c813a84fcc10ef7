//! Agents with a model of their own: which there are in a directory, and what selecting one means.

use std::collections::HashMap;
use std::sync::Arc;

use super::{BUILD, ModelWish, Registry, SelectError, Snapshot, VariantWish, Wish};
use crate::opencode::Selection;
use crate::profile::{Profile, Profiles};

/// Directories whose profiles are kept. Those of another are read again before they are needed.
const DIRECTORIES_MAX: usize = 64;

/// The profiles that are known.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// Those of the config file, where no others are known.
    configured: Arc<Profiles>,
    by_directory: HashMap<String, Arc<Profiles>>,
    /// Directories from the one that was read longest ago.
    order: Vec<String>,
}

impl Known {
    /// Those of a directory.
    pub(super) fn at(&self, directory: &str) -> &Arc<Profiles> {
        self.by_directory.get(directory).unwrap_or(&self.configured)
    }

    fn note(&mut self, directory: &str, profiles: Profiles) {
        self.order.retain(|known| known != directory);
        if self.order.len() >= DIRECTORIES_MAX {
            let oldest = self.order.remove(0);
            self.by_directory.remove(&oldest);
        }
        self.order.push(directory.to_owned());
        self.by_directory
            .insert(directory.to_owned(), Arc::new(profiles));
    }
}

impl Registry {
    /// Sets the profiles of every directory.
    pub fn configure_profiles(&self, profiles: Profiles) {
        self.change_profiles(|known| known.configured = Arc::new(profiles));
    }

    /// Notes which profiles there are in a directory.
    pub fn note_profiles(&self, directory: &str, profiles: Profiles) {
        let is_known = **self.snapshot.borrow().known_profiles.at(directory) == profiles;
        if !is_known {
            self.change_profiles(|known| known.note(directory, profiles));
            self.at(directory).tell_wrong_profiles();
        }
    }

    fn change_profiles(&self, change: impl FnOnce(&mut Known)) {
        self.snapshot.send_modify(|snapshot| {
            let mut next = Snapshot::clone(snapshot);
            change(Arc::make_mut(&mut next.known_profiles));
            next.profiles = Arc::clone(&next.known_profiles.configured);
            *snapshot = Arc::new(next);
        });
    }
}

impl Snapshot {
    /// Says in the log which profiles cannot be selected, and why.
    pub fn tell_wrong_profiles(&self) {
        for profile in self.profiles() {
            // What cannot run yet may be fine.
            if let Err(error @ SelectError::BadProfile { .. }) = self.model_of(profile) {
                tracing::warn!("{error}");
            }
        }
    }

    /// The profile of this name. A backend's id is the backend.
    pub fn profile(&self, name: &str) -> Option<&Profile> {
        let profile = self.profiles.get(name)?;
        self.backend(name).is_none().then_some(profile)
    }

    /// The profiles that can be selected here.
    pub fn profiles(&self) -> impl Iterator<Item = &Profile> {
        let names = self.profiles.keys();
        names.filter_map(|name| self.profile(name))
    }

    /// A model as people write it, `provider/model` or a model's id alone: OpenCode's own files name models without the
    /// backend that has them. `None` for a word that no backend has as a model.
    pub fn model_named(&self, text: &str) -> Option<ModelWish> {
        let wish = ModelWish::parse(text);
        let is_whole = wish
            .as_ref()
            .is_some_and(|m| self.backend(&m.provider_id).is_some());
        if is_whole {
            return wish;
        }
        let mut having = self.backends.iter().filter(|backend| {
            let catalogue = backend.catalogue.as_ref();
            catalogue.is_some_and(|c| c.model(text).is_some())
        });
        let of = |backend: &Arc<super::Backend>| ModelWish {
            provider_id: backend.spec.id.clone(),
            model_id: text.to_owned(),
        };
        having.next().map(of).or(wish)
    }

    /// The model and the effort that a profile selects, where they are there.
    ///
    /// # Errors
    /// What is wrong with them, where that is written, and what to do.
    pub fn model_of(
        &self,
        profile: &Profile,
    ) -> Result<Option<(ModelWish, Option<String>)>, SelectError> {
        let Some(text) = &profile.model else {
            return Ok(None);
        };
        let wrong = |field: &'static str, why: String| SelectError::BadProfile {
            agent: profile.name.clone(),
            source_of_it: profile.source.clone(),
            field,
            why,
        };
        let expected = || wrong("model", format!("Expected provider/model, got \"{text}\"."));
        let model = self.model_named(text).ok_or_else(expected)?;
        let wish = Wish {
            model: Some(model.clone()),
            variant: match &profile.variant {
                Some(variant) => VariantWish::named(variant),
                None => VariantWish::Default,
            },
            agent: Some(BUILD.to_owned()),
        };
        match self.resolve_model(None, &wish, None) {
            Ok(chosen) => Ok(Some((model, chosen.variant))),
            Err(error @ SelectError::UnknownVariant { .. }) => {
                Err(wrong("variant", error.to_string()))
            }
            Err(
                error @ (SelectError::UnknownProvider { .. } | SelectError::UnknownModel { .. }),
            ) => Err(wrong("model", error.to_string())),
            Err(error) => Err(error),
        }
    }

    /// What a wish amounts to when the agent that it names has a model of its own: that model and its effort, unless the
    /// wish names another model, which wins. The one place in which a profile's model becomes a wish.
    ///
    /// # Errors
    /// When the profile's model is not there.
    pub fn with_profile(
        &self,
        current: Option<&Selection>,
        wish: &Wish,
    ) -> Result<Wish, SelectError> {
        let default = || current.is_none().then(|| self.default_agent());
        let named = wish.agent.as_deref().or_else(default);
        let profile = named.and_then(|name| self.profile(name));
        let Some(profile) = profile.filter(|p| p.follow || current.is_none()) else {
            return Ok(wish.clone());
        };
        let own = match self.model_of(profile) {
            Ok(own) => own,
            // The model that the wish names is as good as any.
            Err(_) if wish.model.is_some() => None,
            Err(error) => return Err(error),
        };
        let mut wish = wish.clone();
        if let Some((model, variant)) = own
            && wish.model.as_ref().is_none_or(|named| *named == model)
        {
            wish.model = Some(model);
            if matches!(wish.variant, VariantWish::Keep | VariantWish::Unsaid) {
                wish.variant = variant.map_or(VariantWish::Default, VariantWish::Set);
            }
        }
        Ok(wish)
    }
}
