//! What sessions notice about backends while they work with them.

use std::sync::Arc;

use super::Registry;
use crate::agent::commands::AgentCommand;

impl Registry {
    /// Notes the size of a model's context, as its agent has reported it.
    pub async fn note_context(&self, id: &str, model: &str, tokens: u64) {
        let is_news = {
            let snapshot = self.snapshot.borrow();
            let Some(backend) = snapshot.backend(id) else {
                return;
            };
            // What the user has configured is not the agent's to say.
            let is_open = !backend.spec.contexts.contains_key(model);
            let general = backend.catalogue.iter();
            let all = general.chain(snapshot.places.catalogues(id));
            let mut known = all.filter_map(|c| c.model(model));
            is_open && known.any(|m| m.context_tokens != Some(tokens))
        };
        if !is_news {
            return;
        }
        self.update_model(id, model, |model| model.context_tokens = Some(tokens));
        self.save(id).await;
    }

    /// Notes the slash commands of a backend whose probe has seen none.
    pub async fn note_commands(&self, id: &str, commands: &[AgentCommand]) {
        let catalogue = self.snapshot.borrow().catalogue(id).cloned();
        let lacks = catalogue.is_some_and(|c| c.commands.is_empty());
        if !lacks || commands.is_empty() {
            return;
        }
        self.update(id, |backend| {
            if let Some(catalogue) = &mut backend.catalogue {
                Arc::make_mut(catalogue).commands = commands.to_vec();
            }
        });
        self.save(id).await;
    }
}
