//! `models` of a backend: a list of ids, or a table for each model.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU64;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use super::{ConfigError, meant};
use crate::agent::spec::AgentSpec;
use crate::registry::ModelWish;

/// The models of a backend, in the order of the file's list, or of their ids.
#[derive(Debug, Default)]
pub(super) struct ModelsTable(Vec<(String, ModelTable)>);

/// What is said about one model.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelTable {
    /// What its context holds, in tokens.
    context: Option<NonZeroU64>,
}

impl ModelsTable {
    pub(super) fn apply(&self, spec: &mut AgentSpec) {
        spec.models = self.0.iter().map(|(id, _)| id.clone()).collect();
        let sizes = self.0.iter().filter_map(|(id, model)| {
            let context = model.context?;
            Some((id.clone(), context.get()))
        });
        spec.contexts = sizes.collect();
    }
}

impl<'de> Deserialize<'de> for ModelsTable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Either)
    }
}

struct Either;

impl<'de> Visitor<'de> for Either {
    type Value = ModelsTable;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of model ids, or a table for each model as in [agents.x.models.\"id\"] context = 32768")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<ModelsTable, A::Error> {
        let mut models = Vec::new();
        while let Some(id) = list.next_element::<String>()? {
            models.push((id, ModelTable::default()));
        }
        Ok(ModelsTable(models))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut tables: A) -> Result<ModelsTable, A::Error> {
        let mut models = BTreeMap::new();
        while let Some((id, table)) = tables.next_entry::<String, ModelTable>()? {
            models.insert(id, table);
        }
        Ok(ModelsTable(models.into_iter().collect()))
    }
}

/// The model `provider/model`, if there is such a provider.
///
/// # Errors
/// When there is none, or it is of another form.
pub(super) fn parse_default_model(
    text: &str,
    agents: &[AgentSpec],
) -> Result<ModelWish, ConfigError> {
    let parts = text
        .split_once('/')
        .filter(|(p, m)| !p.is_empty() && !m.is_empty());
    let Some((provider, model)) = parts else {
        return Err(ConfigError(format!(
            "the default model \"{text}\" is not of the form provider/model"
        )));
    };
    if agents.iter().all(|a| a.id != provider) {
        let ids: Vec<_> = agents.iter().map(|a| a.id.as_str()).collect();
        return Err(ConfigError(format!(
            "the default model \"{text}\" names the provider \"{provider}\", which is not known.{} Known: {}",
            meant(provider, &ids),
            ids.join(", ")
        )));
    }
    Ok(ModelWish {
        provider_id: provider.to_owned(),
        model_id: model.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use crate::config::tests::loaded;

    #[test]
    fn models_are_a_list_or_a_table_each() {
        let of = |text: &str| {
            let file = format!("[agents.x]\ncommand = [\"x\"]\n{text}\n");
            let settings = loaded(&file)?;
            let all = settings.backends.agents;
            let spec = all.into_iter().find(|spec| spec.id == "x");
            let spec = spec.ok_or("no such agent".to_owned())?;
            Ok::<_, String>((spec.models, spec.contexts))
        };
        let (models, contexts) = of("models = [\"b\", \"a\"]").expect("a list");
        assert_eq!((models, contexts.len()), (vec!["b".into(), "a".into()], 0));
        let table = "[agents.x.models.\"v/y\"]\ncontext = 32768\n[agents.x.models.z]";
        let (models, contexts) = of(table).expect("tables");
        assert_eq!(models, ["v/y", "z"]);
        assert_eq!(contexts.get("v/y"), Some(&32_768));
        for (text, word) in [
            ("models = 5", "a list of model ids"),
            ("models = [5]", "string"),
            ("[agents.x.models.y]\ncontext = 0", "context"),
            ("[agents.x.models.y]\ncontext = \"large\"", "context"),
            ("[agents.x.models.y]\nsize = 1", "size"),
        ] {
            let refused = of(text).expect_err("refused");
            assert!(refused.contains(word), "{text}: {refused}");
        }
    }
}
