//! From a request's wish to a selection, or to an error that says what is available.

use super::modes::agents_of;
use super::{Backend, Catalogue, ModelWish, Snapshot, Status, VariantWish, Wish};
use crate::opencode::Selection;
use crate::opencode::session::PermissionRule;

/// Suggestions in an error, at most.
const SUGGESTIONS_MAX: usize = 3;
/// Names less alike than this are no suggestion (Jaro-Winkler, 0 to 1).
const ALIKE: f64 = 0.7;
/// The agent that works.
pub const BUILD: &str = "build";
/// The agent that only plans.
pub const PLAN: &str = "plan";

/// A selection that is available.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The selection.
    pub selection: Selection,
    /// The variant was dropped because the new model does not have it.
    pub variant_reset: bool,
    /// The permission rules of its agent; `None` for one that is no profile.
    pub rules: Option<Vec<PermissionRule>>,
}

/// A model that is available, with an effort of it.
#[derive(Debug)]
pub(super) struct Chosen<'a> {
    /// What its backend offers.
    pub(super) catalogue: &'a Catalogue,
    /// The model.
    pub(super) model: ModelWish,
    /// The effort.
    pub(super) variant: Option<String>,
    variant_reset: bool,
}

/// Why a wish cannot be fulfilled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// No such provider.
    #[error("Provider \"{provider_id}\" is not known.{}", did_you_mean(.suggestions))]
    UnknownProvider {
        /// What was wished for.
        provider_id: String,
        /// What was wished for.
        model_id: String,
        /// What is alike.
        suggestions: Vec<String>,
    },
    /// The provider has no such model.
    #[error("Model \"{model_id}\" is not known to provider \"{provider_id}\".{}", did_you_mean(.suggestions))]
    UnknownModel {
        /// The provider.
        provider_id: String,
        /// What was wished for.
        model_id: String,
        /// What is alike.
        suggestions: Vec<String>,
    },
    /// The model has no such variant.
    #[error("Model \"{provider_id}/{model_id}\" has no variant \"{variant}\". It has: {}.", listed(.suggestions))]
    UnknownVariant {
        /// The provider.
        provider_id: String,
        /// The model.
        model_id: String,
        /// What was wished for.
        variant: String,
        /// What is available.
        suggestions: Vec<String>,
    },
    /// The provider is known, but it cannot run.
    #[error("{reason}")]
    NotConnected {
        /// The provider.
        provider_id: String,
        /// Why, and what to do.
        reason: String,
    },
    /// No such agent, or not with this provider.
    #[error("{message} Available here: {}.", listed(.available))]
    UnknownAgent {
        /// What was wished for.
        agent: String,
        /// What is wrong with it.
        message: String,
        /// What is available.
        available: Vec<String>,
    },
    /// The model or the effort of a profile is not there.
    #[error(
        "Agent \"{agent}\" cannot be selected: {field} in {source_of_it}: {why} Correct it there, or name a model with the \
         request, which wins."
    )]
    BadProfile {
        /// The profile.
        agent: String,
        /// Where it is written.
        source_of_it: String,
        /// Which part of it is wrong.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The session has no model and there is none to start with.
    #[error(
        "No model is selected and no backend can run. Install a coding agent, or name one with providerID and modelID; `baton agents` lists what there is."
    )]
    NothingToSelect,
}

/// A question to add to an error; empty when nothing is similar.
pub fn did_you_mean(suggestions: &[String]) -> String {
    if suggestions.is_empty() {
        String::new()
    } else {
        format!(" Did you mean {}?", suggestions.join(", "))
    }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

/// The names most like the wished one, best first.
pub fn alike<'a>(wished: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let wished = wished.to_lowercase();
    let mut scored: Vec<(f64, &str)> = names
        .map(|name| {
            let lower = name.to_lowercase();
            let within = !wished.is_empty() && (lower.contains(&wished) || wished.contains(&lower));
            let score = strsim::jaro_winkler(&wished, &lower);
            (if within { score.max(0.9) } else { score }, name)
        })
        .filter(|(score, _)| *score >= ALIKE)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.dedup_by(|a, b| a.1 == b.1);
    scored
        .into_iter()
        .take(SUGGESTIONS_MAX)
        .map(|(_, name)| name.to_owned())
        .collect()
}

impl Snapshot {
    /// Validates a wish against what is available, and fills in what it leaves out.
    ///
    /// # Errors
    /// See [`SelectError`].
    pub fn resolve(
        &self,
        current: Option<&Selection>,
        wish: &Wish,
    ) -> Result<Resolved, SelectError> {
        let wish = &self.with_profile(current, wish)?;
        let by_agent = wish.agent.as_deref().and_then(|agent| self.backend(agent));
        let by_agent = by_agent.map(AsRef::as_ref);
        let chosen = self.resolve_model(current, wish, by_agent)?;
        let named = wish.agent.as_deref().filter(|_| by_agent.is_none());
        let (agent, mode) = self.agent_of(&chosen, current, named)?;
        let rules = self.profile(&agent).map(|p| p.permission.clone());
        let selection = Selection {
            provider_id: chosen.model.provider_id,
            model_id: chosen.model.model_id,
            variant: chosen.variant,
            agent,
            mode,
        };
        Ok(Resolved {
            selection,
            variant_reset: chosen.variant_reset,
            rules,
        })
    }

    /// The model of a wish, and its effort.
    pub(super) fn resolve_model(
        &self,
        current: Option<&Selection>,
        wish: &Wish,
        by_agent: Option<&Backend>,
    ) -> Result<Chosen<'_>, SelectError> {
        let model = self.wished_model(current, wish, by_agent)?;
        let catalogue = self.usable(&model)?;
        let info = catalogue
            .model(&model.model_id)
            .ok_or_else(|| self.unknown_model(catalogue, &model))?;
        let (variant, variant_reset) = match &wish.variant {
            VariantWish::Default | VariantWish::Unsaid => (None, false),
            VariantWish::Set(variant) => {
                let known = info
                    .variants
                    .as_ref()
                    .is_none_or(|all| all.contains(variant));
                if !known {
                    return Err(SelectError::UnknownVariant {
                        provider_id: model.provider_id,
                        model_id: model.model_id,
                        variant: variant.clone(),
                        suggestions: info.variants.clone().unwrap_or_default(),
                    });
                }
                (Some(variant.clone()), false)
            }
            VariantWish::Keep => {
                let kept = current.and_then(|c| c.variant.clone());
                let same_model = current.is_some_and(|c| {
                    c.provider_id == model.provider_id && c.model_id == model.model_id
                });
                let has = |v: &String| {
                    same_model || info.variants.as_ref().is_some_and(|all| all.contains(v))
                };
                let lost = kept.as_ref().is_some_and(|v| !has(v));
                (kept.filter(has), lost)
            }
        };
        Ok(Chosen {
            catalogue,
            model,
            variant,
            variant_reset,
        })
    }

    fn wished_model(
        &self,
        current: Option<&Selection>,
        wish: &Wish,
        by_agent: Option<&Backend>,
    ) -> Result<ModelWish, SelectError> {
        match (&wish.model, by_agent) {
            (Some(model), Some(backend)) if model.provider_id != backend.spec.id => {
                Err(SelectError::UnknownAgent {
                    agent: backend.spec.id.clone(),
                    message: format!(
                        "Agent \"{}\" does not agree with providerID \"{}\".",
                        backend.spec.id, model.provider_id
                    ),
                    available: self
                        .catalogue(&model.provider_id)
                        .map(|c| agents_of(c, &model.provider_id))
                        .unwrap_or_default(),
                })
            }
            (Some(model), _) => Ok(model.clone()),
            // Naming the backend that is selected already changes nothing about its model.
            (None, Some(backend)) => match current.filter(|c| c.provider_id == backend.spec.id) {
                Some(current) => Ok(ModelWish {
                    provider_id: current.provider_id.clone(),
                    model_id: current.model_id.clone(),
                }),
                None => self.default_of(backend),
            },
            (None, None) => match current {
                Some(current) => Ok(ModelWish {
                    provider_id: current.provider_id.clone(),
                    model_id: current.model_id.clone(),
                }),
                None => self.default_selection(),
            },
        }
    }

    fn default_of(&self, backend: &Backend) -> Result<ModelWish, SelectError> {
        let provider_id = backend.spec.id.clone();
        let model_id = usable(backend)?.default_model.clone();
        Ok(ModelWish {
            provider_id,
            model_id,
        })
    }

    /// The model of a session that names none: the configured one, or the first backend that runs. A backend whose user
    /// is not signed in does not count, unless there is no other: it may be tried again.
    ///
    /// # Errors
    /// When no backend runs.
    pub fn default_selection(&self) -> Result<ModelWish, SelectError> {
        let configured = self.defaults.model.as_ref();
        let is_signed_in = |model: &&ModelWish| {
            let backend = self.backend(&model.provider_id);
            backend.is_none_or(|b| !b.is_signed_out())
        };
        if let Some(model) = configured.filter(is_signed_in) {
            return Ok(model.clone());
        }
        let mut backends = self.backends.iter();
        if let Some(first) = backends.find(|b| b.connected().is_some()) {
            return self.default_of(first);
        }
        if let Some(model) = configured {
            return Ok(model.clone());
        }
        let usable = self.backends.iter().find(|b| b.usable().is_some());
        self.default_of(usable.ok_or(SelectError::NothingToSelect)?)
    }

    fn usable(&self, model: &ModelWish) -> Result<&Catalogue, SelectError> {
        let Some(backend) = self.backend(&model.provider_id) else {
            let ids = self.backends.iter().map(|b| b.spec.id.as_str());
            let mut suggestions = alike(&model.provider_id, ids);
            // A user who names the vendor may find the same model in another backend.
            let owners = self.backends.iter().filter(|b| {
                b.catalogue
                    .as_ref()
                    .is_some_and(|c| c.model(&model.model_id).is_some())
            });
            for owner in owners.map(|b| &b.spec.id) {
                if suggestions.len() < SUGGESTIONS_MAX && !suggestions.contains(owner) {
                    suggestions.push(owner.clone());
                }
            }
            let (provider_id, model_id) = (model.provider_id.clone(), model.model_id.clone());
            return Err(SelectError::UnknownProvider {
                provider_id,
                model_id,
                suggestions,
            });
        };
        usable(backend)
    }

    fn unknown_model(&self, catalogue: &Catalogue, model: &ModelWish) -> SelectError {
        let mut suggestions = alike(
            &model.model_id,
            catalogue.models.iter().map(|m| m.id.as_str()),
        );
        if suggestions.is_empty() {
            suggestions = catalogue
                .models
                .iter()
                .take(SUGGESTIONS_MAX)
                .map(|m| m.id.clone())
                .collect();
        }
        SelectError::UnknownModel {
            provider_id: model.provider_id.clone(),
            model_id: model.model_id.clone(),
            suggestions,
        }
    }
}

fn usable(backend: &Backend) -> Result<&Catalogue, SelectError> {
    let reason = match (&backend.status, &backend.catalogue) {
        (Status::Connected, Some(catalogue)) => return Ok(catalogue),
        (
            Status::NotInstalled(reason) | Status::Unavailable(reason) | Status::SignedOut(reason),
            _,
        ) => reason.clone(),
        _ => format!(
            "Backend \"{}\" is still being started. Try again in a moment.",
            backend.spec.id
        ),
    };
    Err(SelectError::NotConnected {
        provider_id: backend.spec.id.clone(),
        reason,
    })
}

#[cfg(test)]
mod tests;
