//! What a request wishes to select.

use serde::{Deserialize, Deserializer, Serialize};

use super::Snapshot;
use crate::opencode::session::{DEFAULT_VARIANT, MessageModel};

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
    /// Nothing was said, beside a model that was named: its default, or the effort that the agent of the same request has
    /// for this model.
    Unsaid,
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
    /// `build`, `plan`, a profile, a backend's id, or a mode of the backend.
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

    /// The backend that it names, directly or as its agent. A profile's is in [`Snapshot::with_profile`].
    pub fn provider<'a>(&'a self, snapshot: &Snapshot) -> Option<&'a str> {
        let named = self.model.as_ref().map(|m| m.provider_id.as_str());
        named.or_else(|| {
            self.agent
                .as_deref()
                .filter(|a| snapshot.backend(a).is_some())
        })
    }
}
