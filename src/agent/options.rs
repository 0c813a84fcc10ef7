//! What a native session offers to choose from: models, modes, efforts; and how each is chosen.
//!
//! ACP's config options come first. The older `models` and `modes` fields, which the schema crate no
//! longer has but several agents still send, are read from the raw JSON.

mod read;

use agent_client_protocol_schema::v1::{
    SessionConfigKind, SessionConfigOption, SessionConfigOptionCategory, SessionConfigSelectOptions,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Most values of one option that are kept, far above what any agent was seen to list. The end of a longer list
/// is left out, and the log says so.
pub const VALUES_MAX: usize = 100_000;
/// Options of one native session that are looked at.
const OPTIONS_MAX: usize = 200;
/// The longest id of a value, in bytes. No request could name a longer one.
const ID_MAX_BYTES: usize = 256;
/// The longest name of a value that is kept, in characters.
const NAME_MAX_CHARS: usize = 200;
/// The value that several agents offer for "no particular effort".
pub const DEFAULT_EFFORT: &str = "default";

/// One value that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChoiceValue {
    /// What is sent.
    pub id: String,
    /// What is shown.
    pub name: String,
}

impl ChoiceValue {
    /// How much of a value is kept; a value that no request could name is dropped.
    fn kept(id: &str, name: &str) -> Option<Self> {
        (id.len() <= ID_MAX_BYTES).then(|| Self {
            id: id.to_owned(),
            name: name.chars().take(NAME_MAX_CHARS).collect(),
        })
    }
}

/// How a value is chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// `session/set_config_option` on this option.
    ConfigOption(String),
    /// `session/set_model`.
    SetModel,
    /// `session/set_mode`.
    SetMode,
}

/// Something that can be chosen, and what is chosen now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// How.
    pub via: Via,
    /// What is chosen now.
    pub current: String,
    /// What is available.
    pub values: Vec<ChoiceValue>,
}

impl Choice {
    /// Whether the value is on offer.
    pub fn offers(&self, value: &str) -> bool {
        self.values.iter().any(|v| v.id == value)
    }

    /// What is chosen now is there, also where the agent does not list it.
    fn with_current(mut self) -> Self {
        if !self.current.is_empty() && !self.offers(&self.current) {
            let current = ChoiceValue::kept(&self.current, &self.current);
            self.values.extend(current);
        }
        self
    }

    /// The same models, each with its provider in front.
    fn below(mut self, provider: &str) -> Self {
        let with_provider = |id: &str| format!("{provider}/{id}");
        if !self.current.is_empty() {
            self.current = with_provider(&self.current);
        }
        for value in &mut self.values {
            value.id = with_provider(&value.id);
        }
        self
    }

    /// The ids on offer.
    pub fn ids(&self) -> Vec<String> {
        self.values.iter().map(|v| v.id.clone()).collect()
    }
}

/// What can be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The session mode.
    Mode,
    /// The model.
    Model,
    /// The reasoning effort.
    Variant,
    /// The provider of the model.
    Provider,
}

impl Kind {
    /// The word for it in an error message.
    pub fn word(self) -> &'static str {
        match self {
            Self::Mode => "mode",
            Self::Model => "model",
            Self::Variant => "variant",
            Self::Provider => "provider",
        }
    }
}

/// What a native session offers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Models.
    pub model: Option<Choice>,
    /// Modes.
    pub mode: Option<Choice>,
    /// Reasoning efforts of the current model.
    pub variant: Option<Choice>,
    /// Providers, where an agent has its models below them, each with a choice of its own. A model is `provider/model`
    /// then, and the models of the current one are shown.
    pub providers: Option<Choice>,
    /// Models that the user says the agent has although it does not list them.
    pub unlisted: Vec<String>,
    /// Only one provider is available: the models go without it.
    one_provider: bool,
}

impl Options {
    /// Reads the reply to `session/new`, `session/load` or `session/resume`.
    pub fn from_session_reply(reply: &Value) -> Self {
        let mut options = Self::default();
        options.read_config_options(reply);
        options.read_legacy(reply);
        options
    }

    /// Forgets what is chosen now, so that the next choice is made whatever it was.
    pub fn forget_current(&mut self) {
        let choices = [
            &mut self.model,
            &mut self.mode,
            &mut self.variant,
            &mut self.providers,
        ];
        for choice in choices.into_iter().flatten() {
            choice.current.clear();
        }
    }

    /// The choice of this kind.
    pub fn get(&self, kind: Kind) -> Option<&Choice> {
        match kind {
            Kind::Mode => self.mode.as_ref(),
            Kind::Model => self.model.as_ref(),
            Kind::Variant => self.variant.as_ref(),
            Kind::Provider => self.providers.as_ref(),
        }
    }

    /// Leaves the provider out of the models, since there is no choice of one.
    pub fn leave_out_provider(&mut self) {
        self.one_provider = true;
        let Some(providers) = self.providers.take() else {
            return;
        };
        let Some(models) = &mut self.model else {
            return;
        };
        let prefix = format!("{}/", providers.current);
        let ids = models.values.iter_mut().map(|value| &mut value.id);
        for id in ids.chain([&mut models.current]) {
            if let Some(rest) = id.strip_prefix(&prefix) {
                *id = rest.to_owned();
            }
        }
    }

    /// The provider of a model, where there are providers: the longest one that fits.
    pub fn provider_of<'a>(&'a self, model: &str) -> Option<&'a str> {
        let ids = self
            .providers
            .iter()
            .flat_map(|p| &p.values)
            .map(|v| &*v.id);
        let fits = |id: &&str| {
            model
                .strip_prefix(id)
                .is_some_and(|rest| rest.starts_with('/'))
        };
        ids.filter(fits).max_by_key(|id| id.len())
    }

    /// What an agent is sent for a value.
    pub fn sent<'a>(&self, kind: Kind, value: &'a str) -> &'a str {
        match (kind, self.provider_of(value)) {
            (Kind::Model, Some(provider)) => &value[provider.len() + 1..],
            _ => value,
        }
    }

    /// Takes over the complete list in a reply or a `config_option_update`; false when it has none.
    pub fn read_config_options(&mut self, carrier: &Value) -> bool {
        let Some(list) = carrier.get("configOptions").and_then(Value::as_array) else {
            return false;
        };
        // An option of a future kind is skipped, not an error.
        let options: Vec<SessionConfigOption> = list
            .iter()
            .take(OPTIONS_MAX)
            .filter_map(read::option)
            .collect();
        let pick = |category: SessionConfigOptionCategory| {
            options
                .iter()
                .find(|o| o.category.as_ref() == Some(&category))
                .and_then(choice_of)
        };
        let by_id = |id: &str| {
            options
                .iter()
                .find(|o| &*o.id.0 == id && o.category.is_none())
                .and_then(choice_of)
        };
        // Categories are a hint that an agent may leave out; the plain names are the common fallback.
        let replace = |slot: &mut Option<Choice>, found: Option<Choice>| {
            let from_config = slot
                .as_ref()
                .is_none_or(|c| matches!(c.via, Via::ConfigOption(_)));
            if found.is_some() || from_config {
                *slot = found;
            }
        };
        let model = model_option(&options);
        let providers = model.and_then(|model| provider_option(&options, model));
        let providers = providers.filter(|_| !self.one_provider);
        self.providers = providers.and_then(choice_of).map(Choice::with_current);
        let model = model.and_then(choice_of).or_else(|| by_id("model"));
        let model = match &self.providers {
            Some(providers) => model.map(|model| model.below(&providers.current)),
            None => model,
        };
        replace(&mut self.model, model.map(Choice::with_current));
        replace(
            &mut self.mode,
            pick(SessionConfigOptionCategory::Mode).or_else(|| by_id("mode")),
        );
        replace(
            &mut self.variant,
            pick(SessionConfigOptionCategory::ThoughtLevel),
        );
        true
    }

    fn read_legacy(&mut self, reply: &Value) {
        if self.model.is_none() {
            self.model = legacy(
                reply,
                "models",
                "currentModelId",
                "availableModels",
                "modelId",
                Via::SetModel,
            )
            .map(Choice::with_current);
        }
        if self.mode.is_none() {
            self.mode = legacy(
                reply,
                "modes",
                "currentModeId",
                "availableModes",
                "id",
                Via::SetMode,
            );
        }
    }

    /// Notes that a value was chosen, where the reply does not carry the list.
    pub fn note_current(&mut self, kind: Kind, value: &str) {
        let slot = match kind {
            Kind::Mode => &mut self.mode,
            Kind::Model => &mut self.model,
            Kind::Variant => &mut self.variant,
            Kind::Provider => &mut self.providers,
        };
        if let Some(choice) = slot {
            value.clone_into(&mut choice.current);
        }
    }
}

/// The option that chooses the model. Some agents have a second one of this category, for the provider.
fn model_option(options: &[SessionConfigOption]) -> Option<&SessionConfigOption> {
    let is_model =
        |o: &&SessionConfigOption| o.category == Some(SessionConfigOptionCategory::Model);
    let of_models = || options.iter().filter(is_model);
    of_models()
        .find(|o| &*o.id.0 == "model")
        .or_else(|| of_models().find(|o| o.id.0.to_lowercase().contains("model")))
        .or_else(|| of_models().next())
}

/// The option that chooses the provider whose models `model` chooses from.
fn provider_option<'a>(
    options: &'a [SessionConfigOption],
    model: &SessionConfigOption,
) -> Option<&'a SessionConfigOption> {
    let is_select = |o: &SessionConfigOption| matches!(o.kind, SessionConfigKind::Select(_));
    let of_models: Vec<_> = options
        .iter()
        .filter(|o| o.category == Some(SessionConfigOptionCategory::Model) && is_select(o))
        .collect();
    let others = of_models.iter().copied().filter(|o| o.id != model.id);
    let called = |o: &SessionConfigOption, word: &str| {
        o.id.0.to_lowercase().contains(word) || o.name.to_lowercase().contains(word)
    };
    let by_name = others
        .clone()
        .find(|o| called(o, "provider") || called(o, "vendor"));
    // Without such a name, the one before the models.
    let before = || {
        let [first, second] = of_models.as_slice() else {
            return None;
        };
        (second.id == model.id && !called(first, "model")).then_some(*first)
    };
    by_name.or_else(before)
}

fn choice_of(option: &SessionConfigOption) -> Option<Choice> {
    let SessionConfigKind::Select(select) = &option.kind else {
        return None;
    };
    let flat: Vec<_> = match &select.options {
        SessionConfigSelectOptions::Ungrouped(options) => options.iter().collect(),
        SessionConfigSelectOptions::Grouped(groups) => {
            groups.iter().flat_map(|g| &g.options).collect()
        }
        _ => Vec::new(),
    };
    tell_cut(&option.id.0, flat.len());
    let values = flat
        .into_iter()
        .take(VALUES_MAX)
        .filter_map(|o| ChoiceValue::kept(&o.value.0, &o.name))
        .collect();
    let via = Via::ConfigOption(option.id.0.to_string());
    Some(Choice {
        via,
        current: select.current_value.0.to_string(),
        values,
    })
}

/// A list that was cut is marked as such.
fn tell_cut(option: &str, offered: usize) {
    if offered > VALUES_MAX {
        tracing::warn!(
            "an agent offers {offered} values of \"{option}\"; the first {VALUES_MAX} can be selected"
        );
    }
}

fn legacy(
    reply: &Value,
    field: &str,
    current: &str,
    list: &str,
    id: &str,
    via: Via,
) -> Option<Choice> {
    let state = reply.get(field)?;
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let entries = state.get(list)?.as_array()?;
    tell_cut(field, entries.len());
    let values = entries
        .iter()
        .take(VALUES_MAX)
        .filter_map(|entry| {
            let id = text(entry, id)?;
            let name = text(entry, "name");
            ChoiceValue::kept(&id, name.as_deref().unwrap_or(&id))
        })
        .collect();
    Some(Choice {
        via,
        current: text(state, current).unwrap_or_default(),
        values,
    })
}

#[cfg(test)]
mod tests;
