//! From a request's wish to a selection, or to an error that says what is available.

use serde::{Deserialize, Deserializer, Serialize};

use super::{Backend, Catalogue, Snapshot, Status};
use crate::opencode::Selection;
use crate::opencode::session::{DEFAULT_VARIANT, MessageModel};

/// Suggestions in an error, at most.
const SUGGESTIONS_MAX: usize = 3;
/// Names less alike than this are no suggestion (Jaro-Winkler, 0 to 1).
const ALIKE: f64 = 0.7;
/// The agent that works.
pub const BUILD: &str = "build";
/// The agent that only plans.
pub const PLAN: &str = "plan";

/// A wished model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelWish {
    /// The backend.
    pub provider_id: String,
    /// The model.
    pub model_id: String,
}

impl ModelWish {
    /// Reads `provider/model`; the model's id may have further slashes.
    pub fn parse(text: &str) -> Option<Self> {
        let (provider, model) = text.split_once('/')?;
        let is_whole = !provider.is_empty() && !model.is_empty();
        is_whole.then(|| Self {
            provider_id: provider.to_owned(),
            model_id: model.to_owned(),
        })
    }
}

/// A wished variant. As a field of a request it is absent (which `#[serde(default)]` reads), null, or a name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum VariantWish {
    /// Nothing was said: keep it where the model has it.
    #[default]
    Keep,
    /// No particular one.
    Default,
    /// This one.
    Set(String),
}

impl VariantWish {
    /// What a client means by a variant's name; `default` names none.
    pub fn named(name: &str) -> Self {
        if name.is_empty() || name == DEFAULT_VARIANT {
            Self::Default
        } else {
            Self::Set(name.to_owned())
        }
    }
}

impl<'de> Deserialize<'de> for VariantWish {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let named = Option::<String>::deserialize(deserializer)?;
        Ok(named.map_or(Self::Default, |name| Self::named(&name)))
    }
}

/// What a request wishes to select; what it leaves out stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wish {
    /// The model.
    pub model: Option<ModelWish>,
    /// The variant.
    pub variant: VariantWish,
    /// `build`, `plan`, a backend's id, or a mode of the backend.
    pub agent: Option<String>,
}

impl Wish {
    /// A model with its effort. The agent stays what it is, where the backend has it.
    pub fn of(model: &MessageModel) -> Self {
        let variant = model.variant.clone();
        Self {
            model: Some(ModelWish {
                provider_id: model.provider_id.clone(),
                model_id: model.model_id.clone(),
            }),
            variant: variant.map_or(VariantWish::Default, VariantWish::Set),
            agent: None,
        }
    }

    /// Whether the request says nothing about the selection.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The backend that it names, directly or as its agent.
    pub fn provider<'a>(&'a self, snapshot: &Snapshot) -> Option<&'a str> {
        let named = self.model.as_ref().map(|m| m.provider_id.as_str());
        named.or_else(|| {
            self.agent
                .as_deref()
                .filter(|a| snapshot.backend(a).is_some())
        })
    }
}

/// A selection that is available.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The selection.
    pub selection: Selection,
    /// The variant was dropped because the new model does not have it.
    pub variant_reset: bool,
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
        let by_agent = wish.agent.as_deref().and_then(|agent| self.backend(agent));
        let model = self.wished_model(current, wish, by_agent.map(AsRef::as_ref))?;
        let catalogue = self.usable(&model)?;
        let info = catalogue
            .model(&model.model_id)
            .ok_or_else(|| self.unknown_model(catalogue, &model))?;
        let agent = agent_of(
            catalogue,
            &model.provider_id,
            current.map_or(self.default_agent(), |c| &c.agent),
            wish,
            by_agent.is_some(),
        )?;
        let (variant, variant_reset) = match &wish.variant {
            VariantWish::Default => (None, false),
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
        let selection = Selection {
            provider_id: model.provider_id,
            model_id: model.model_id,
            variant,
            agent,
        };
        Ok(Resolved {
            selection,
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

impl Snapshot {
    /// Whether an agent can be selected with what a backend offers.
    pub(super) fn has_agent(&self, catalogue: &Catalogue, agent: &str) -> bool {
        let is_mode = || catalogue.modes.iter().any(|m| m.id == agent);
        matches!(agent, BUILD | PLAN) || self.backend(agent).is_some() || is_mode()
    }
}

/// The agents that can be selected with a backend.
pub(super) fn agents_of(catalogue: &Catalogue, provider: &str) -> Vec<String> {
    let mut agents = vec![BUILD.to_owned()];
    if catalogue.plan_mode.is_some() {
        agents.push(PLAN.to_owned());
    }
    agents.push(provider.to_owned());
    let modes = catalogue.modes.iter().map(|m| m.id.clone());
    agents.extend(modes.filter(|m| m != BUILD && m != PLAN));
    agents
}

fn agent_of(
    catalogue: &Catalogue,
    provider: &str,
    kept: &str,
    wish: &Wish,
    names_backend: bool,
) -> Result<String, SelectError> {
    let agent = match wish.agent.as_deref() {
        // The backend's own name selects no mode.
        Some(_) if names_backend => kept,
        Some(agent) => agent,
        None => kept,
    };
    let offered = match agent {
        BUILD => true,
        PLAN => catalogue.plan_mode.is_some(),
        mode => catalogue.modes.iter().any(|m| m.id == mode),
    };
    if offered {
        return Ok(agent.to_owned());
    }
    // Falling back to `build` here would let a session that may only plan write files.
    Err(SelectError::UnknownAgent {
        agent: agent.to_owned(),
        message: format!(
            "Agent \"{agent}\" is not available with provider \"{provider}\". Name an agent with the model."
        ),
        available: agents_of(catalogue, provider),
    })
}

#[cfg(test)]
mod tests;
