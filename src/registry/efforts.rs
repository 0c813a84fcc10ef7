//! The reasoning efforts of models. An agent shows only those of the selected model, so they are asked for one model at a
//! time: by a probe for the first ones, and for any other when somebody needs to know.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::{Catalogue, ModelInfo, Registry, SwitchMethod, probe};
use crate::agent::spec::AgentSpec;

impl Registry {
    /// Makes sure that the efforts of a model are known, where its agent has to be asked for them. Runs to its
    /// end also when the caller goes away.
    pub async fn learn_efforts(self: &Arc<Self>, directory: &str, provider: &str, model: &str) {
        if self.lacks_efforts(directory, provider, model).is_none() {
            return;
        }
        let (registry, id, model) = (Arc::clone(self), provider.to_owned(), model.to_owned());
        let directory = directory.to_owned();
        let task = tokio::spawn(async move {
            let Some(gate) = registry.probes.get(&id) else {
                return;
            };
            let _one_at_a_time = gate.lock().await;
            // Another request may have asked meanwhile.
            if let Some(spec) = registry.lacks_efforts(&directory, &id, &model) {
                registry.ask_efforts(&directory, &spec, &model).await;
            }
        });
        if task.await.is_err() {
            tracing::error!("asking for the efforts of a model has panicked");
        }
    }

    /// The backend to ask, when the efforts of its model are not known and can be asked for.
    fn lacks_efforts(&self, directory: &str, provider: &str, model: &str) -> Option<AgentSpec> {
        let snapshot = self.at(directory);
        let backend = snapshot.backend(provider)?;
        let catalogue = backend.usable()?;
        // Models that are named at launch cannot be selected in a running agent.
        let by_agent = matches!(
            catalogue.switch,
            SwitchMethod::ConfigOption | SwitchMethod::SetModel
        );
        let unknown = catalogue.model(model)?.variants.is_none();
        (by_agent && unknown).then(|| backend.spec.clone())
    }

    async fn ask_efforts(self: &Arc<Self>, directory: &str, spec: &AgentSpec, model: &str) {
        let scratch = self.scratch.join(&spec.id);
        // A model that only a project has is asked for there.
        let is_general = self
            .snapshot()
            .catalogue(&spec.id)
            .is_some_and(|c| c.model(model).is_some());
        let cwd = if is_general {
            scratch.as_path()
        } else {
            Path::new(directory)
        };
        let mut means = self.means();
        let with = self.sign_in_with(&spec.id);
        let asked =
            probe::efforts_of(spec, with.as_deref(), model, (&scratch, cwd), &mut means).await;
        self.remove_left(spec, means);
        let Some((variants, default)) = asked else {
            return;
        };
        self.update_model(&spec.id, model, |info| {
            info.variants = Some(variants.clone());
            info.default_variant.clone_from(&default);
        });
        self.save(&spec.id).await;
    }
}

/// A probe does not look everything up: what was learnt before about a model stays, unless it says otherwise.
pub(super) fn keep_known(new: &mut Catalogue, old: &Catalogue) {
    let known: HashMap<&str, &ModelInfo> = old.models.iter().map(|m| (m.id.as_str(), m)).collect();
    for model in &mut new.models {
        let Some(known) = known.get(model.id.as_str()) else {
            continue;
        };
        model.context_tokens = model.context_tokens.or(known.context_tokens);
        if model.variants.is_none() {
            model.variants.clone_from(&known.variants);
            model.default_variant.clone_from(&known.default_variant);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::snapshot;
    use super::*;

    #[test]
    fn what_was_learnt_about_a_model_outlives_a_probe_that_did_not_look() {
        let mut old = snapshot().catalogue("claude").expect("known").clone();
        old.models[0].context_tokens = Some(1_000);
        old.models[0].default_variant = Some("high".into());
        let mut new = old.clone();
        for model in &mut new.models {
            (model.variants, model.default_variant) = (None, None);
            model.context_tokens = None;
        }
        new.models[1].variants = Some(vec!["other".into()]);
        new.models[1].context_tokens = Some(2_000);
        new.models.push(ModelInfo {
            id: "new".into(),
            variants: None,
            ..old.models[0].clone()
        });
        keep_known(&mut new, &old);
        assert_eq!(new.models[0], old.models[0]);
        assert_eq!(new.models[1].variants, Some(vec!["other".into()]));
        assert_eq!(new.models[1].context_tokens, Some(2_000));
        assert_eq!(new.models[2].variants, None, "nothing is known of it");
    }
}
