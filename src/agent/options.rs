//! What a native session offers to choose from: models, modes, efforts; and how each is chosen.
//!
//! ACP's config options come first. The older `models` and `modes` fields, which the schema crate no
//! longer has but several agents still send, are read from the raw JSON.

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
    /// What is kept of a value; nothing of one that no request could name.
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
    /// What there is.
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
            .filter_map(|o| serde_json::from_value(o.clone()).ok())
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

/// The option that chooses the model. Some agents have another one of this category beside it, for the provider.
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
    // Without such a name, the one that stands before the models.
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

/// A list that is cut is no list that ends there.
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
        current: text(state, current)?,
        values,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn select(id: &str, category: &str, current: &str, values: &[&str]) -> Value {
        let options: Vec<_> = values
            .iter()
            .map(|v| json!({"value": v, "name": v}))
            .collect();
        json!({"id": id, "name": id, "category": category, "type": "select", "currentValue": current, "options": options})
    }

    #[test]
    fn config_options_win_over_legacy_fields() {
        let reply = json!({
            "configOptions": [select("m", "model", "a", &["a", "b"]), select("e", "thought_level", "low", &["low"]),
                {"id": "x", "type": "from-the-future"}],
            "models": {"currentModelId": "old", "availableModels": [{"modelId": "old"}]},
            "modes": {"currentModeId": "build", "availableModes": [{"id": "build", "name": "Build"}, {"id": "plan"}]},
        });
        let options = Options::from_session_reply(&reply);
        let model = options.model.expect("model");
        assert_eq!(
            (model.current.as_str(), model.ids()),
            ("a", vec!["a".to_owned(), "b".to_owned()])
        );
        assert_eq!(model.via, Via::ConfigOption("m".into()));
        assert_eq!(options.mode.expect("mode").via, Via::SetMode);
        assert_eq!(options.variant.expect("variant").current, "low");
    }

    #[test]
    fn the_model_is_chosen_by_the_option_for_models_and_the_current_one_is_one() {
        for provider in ["provider", "modelProvider", "from"] {
            let two = json!({"configOptions": [
                select(provider, "model", "p1", &["p1", "p1/x"]), select("model", "model", "m3", &["m1", "m2"])]});
            let options = Options::from_session_reply(&two);
            let providers = options.providers.clone().expect("providers");
            assert_eq!(providers.via, Via::ConfigOption(provider.into()));
            let model = options.model.as_ref().expect("model");
            assert_eq!(model.via, Via::ConfigOption("model".into()));
            assert_eq!(
                (model.current.as_str(), model.ids()),
                (
                    "p1/m3",
                    vec!["p1/m1".into(), "p1/m2".into(), "p1/m3".into()]
                )
            );
            assert_eq!(options.provider_of("p1/x/m"), Some("p1/x"));
            assert_eq!(options.sent(Kind::Model, "p1/m1"), "m1");
            assert_eq!(options.provider_of("p2/m1"), None);
        }
        let no_provider = json!({"configOptions": [
            select("small_model", "model", "a", &["a"]), select("model", "model", "b", &["b"])]});
        assert_eq!(Options::from_session_reply(&no_provider).providers, None);
        let older =
            json!({"models": {"currentModelId": "gone", "availableModels": [{"modelId": "m1"}]}});
        let model = Options::from_session_reply(&older).model.expect("model");
        assert!(model.offers("gone") && model.offers("m1"));
    }

    #[test]
    fn an_effort_goes_away_with_the_model_that_had_it_and_a_legacy_mode_stays() {
        let mut options = Options::from_session_reply(&json!({
            "configOptions": [select("m", "model", "a", &["a", "b"]), select("e", "thought_level", "low", &["low"])],
            "modes": {"currentModeId": "build", "availableModes": [{"id": "build"}]},
        }));
        assert!(options.read_config_options(
            &json!({"configOptions": [select("m", "model", "b", &["a", "b"])]})
        ));
        assert_eq!(
            options.model.as_ref().map(|m| m.current.as_str()),
            Some("b")
        );
        assert!(options.variant.is_none());
        assert!(options.mode.is_some());
        assert!(!options.read_config_options(&json!({})));
    }

    #[test]
    fn five_thousand_models_are_known_and_floods_are_cut() {
        let models = |count: usize| -> Vec<Value> {
            let model = |n| json!({"value": format!("m{n}"), "name": "x".repeat(1_000)});
            (0..count).map(model).collect()
        };
        let read = |models: Vec<Value>| {
            let option = json!({"id": "model", "name": "Model", "category": "model", "type": "select",
                "currentValue": "m0", "options": models});
            let noise = vec![json!({"id": "x", "type": "boolean"}); 100];
            let list = [vec![option], noise].concat();
            let options = Options::from_session_reply(&json!({ "configOptions": list }));
            options.model.expect("models").values
        };
        let known = read(models(5_000));
        assert_eq!(known.len(), 5_000);
        assert!(known.iter().all(|m| m.name.len() == NAME_MAX_CHARS));
        assert_eq!(read(models(VALUES_MAX + 1)).len(), VALUES_MAX);
        let nameless = json!({"value": "y".repeat(ID_MAX_BYTES + 1), "name": "Y"});
        // The one that is chosen is there all the same.
        let left: Vec<_> = read(vec![nameless]).into_iter().map(|m| m.id).collect();
        assert_eq!(left, ["m0"]);
    }

    #[test]
    fn grouped_options_are_flattened_and_nonsense_is_ignored() {
        let grouped = json!({"configOptions": [{"id": "model", "name": "Model", "category": "model", "type": "select", "currentValue": "a",
            "options": [{"group": "g", "name": "G", "options": [{"value": "a", "name": "A"}]}]}]});
        assert_eq!(
            Options::from_session_reply(&grouped)
                .model
                .expect("model")
                .ids(),
            ["a"]
        );
        for nonsense in [
            json!(null),
            json!({"configOptions": 5}),
            json!({"models": []}),
            json!({"modes": {"currentModeId": 1}}),
        ] {
            assert_eq!(Options::from_session_reply(&nonsense), Options::default());
        }
    }
}
