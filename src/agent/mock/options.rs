//! What can be chosen: models, efforts and modes, in both shapes that agents announce them.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::Agent;
use super::faults::{Fault, Without};
use super::session::{Choice, Project, Session};
use super::wire::RpcError;

/// The modes, the first one being the default: id and name.
const MODES: [(&str, &str); 2] = [("build", "Build"), ("plan", "Plan")];

/// The providers, with the fault `provider-then-model`.
const PROVIDERS: [&str; 2] = ["east", "west"];

/// Models with this in their id have efforts.
const WITH_EFFORTS: &str = "strong";

impl Agent {
    /// The choice of a session that was just made or restored: as real agents do, a switch that
    /// was made before is forgotten.
    pub(super) fn default_choice(&self, cwd: Option<&Path>) -> Choice {
        let provider = self.has(Fault::ProviderThenModel).then_some(PROVIDERS[0]);
        let model = match provider {
            Some(provider) => models_of(provider).swap_remove(0),
            None => self.launch_model.clone(),
        };
        Choice {
            effort: self.default_effort(&model),
            model,
            mode: MODES[0].0.to_owned(),
            provider: provider.map(str::to_owned),
            project: self.project(cwd),
        }
    }

    /// What a working directory has of its own.
    pub(super) fn project(&self, cwd: Option<&Path>) -> Project {
        let file = self.args.project_file.as_ref();
        let file = cwd.and_then(|cwd| Some(cwd.join(file?)));
        file.map(|file| Project::read(&file)).unwrap_or_default()
    }

    /// The models that a session can choose from.
    fn models_for(&self, choice: &Choice) -> Vec<String> {
        match &choice.provider {
            Some(provider) => models_of(provider),
            None => [self.args.models.clone(), choice.project.models.clone()].concat(),
        }
    }

    /// The choice that a turn works with, which a faulty agent makes other than it says.
    pub(super) fn effective_choice(&self, session: &Session) -> Choice {
        let choice = &session.choice;
        if self.has(Fault::IgnoresModel) {
            return Choice {
                mode: choice.mode.clone(),
                ..self.default_choice(None)
            };
        }
        let first = session
            .first_model()
            .filter(|_| self.has(Fault::KeepsFirstModel));
        Choice {
            model: first.unwrap_or(&choice.model).to_owned(),
            ..choice.clone()
        }
    }

    /// Whether models, efforts and modes are config options.
    pub(super) fn has_config_options(&self) -> bool {
        !self.lacks(Without::SetConfigOption) && !self.lacks(Without::ModelChoice)
    }

    /// Whether models are in the older `models` field.
    pub(super) fn has_legacy_models(&self) -> bool {
        self.lacks(Without::SetConfigOption) && !self.lacks(Without::ModelChoice)
    }

    fn default_effort(&self, model: &str) -> Option<String> {
        // Without config options nothing could ever change the effort.
        let has = model.contains(WITH_EFFORTS)
            && self.has_config_options()
            && !self.lacks(Without::Variants);
        let efforts = &self.args.efforts;
        let middle = efforts.get(efforts.len().saturating_sub(1) / 2);
        middle.filter(|_| has).cloned()
    }

    /// The complete `configOptions` of a session.
    pub(super) fn config_options(&self, choice: &Choice) -> Value {
        let with_title = |id: String| (id.clone(), title(&id));
        let models = self.models_for(choice).into_iter().map(with_title);
        let model = select(("model", "Model", "model"), &choice.model, models.collect());
        let providers = choice.provider.as_ref().map(|provider| {
            let all = PROVIDERS.iter().map(|id| with_title((*id).to_owned()));
            select(("provider", "Provider", "model"), provider, all.collect())
        });
        let mut options: Vec<_> = providers.into_iter().chain([model]).collect();
        if !self.lacks(Without::Modes) {
            options.push(select(
                ("mode", "Mode", "mode"),
                &choice.mode,
                modes_for(choice),
            ));
        }
        if let Some(effort) = &choice.effort {
            let all = self.args.efforts.iter();
            options.push(select(
                ("effort", "Effort", "thought_level"),
                effort,
                all.map(|id| (id.clone(), title(id))).collect(),
            ));
        }
        Value::Array(options)
    }

    /// The fields that the replies of `session/new`, `load` and `resume` have in common.
    pub(super) fn session_fields(&self, choice: &Choice) -> Map<String, Value> {
        let mut fields = Map::new();
        if self.has_config_options() {
            fields.insert("configOptions".to_owned(), self.config_options(choice));
        }
        if self.has_legacy_models() {
            let models: Vec<Value> = self
                .models_for(choice)
                .iter()
                .map(|id| json!({"modelId": id, "name": title(id)}))
                .collect();
            fields.insert(
                "models".to_owned(),
                json!({"currentModelId": choice.model, "availableModels": models}),
            );
        }
        if !self.lacks(Without::Modes) {
            let modes: Vec<Value> = modes_for(choice)
                .iter()
                .map(|(id, name)| json!({"id": id, "name": name}))
                .collect();
            fields.insert(
                "modes".to_owned(),
                json!({"currentModeId": choice.mode, "availableModes": modes}),
            );
        }
        fields
    }

    /// `session/set_config_option` on a session's choice.
    pub(super) fn set_option(
        &self,
        choice: &mut Choice,
        option: &str,
        value: &str,
    ) -> Result<(), RpcError> {
        match option {
            "provider" if choice.provider.is_some() => {
                check("provider", value, PROVIDERS.into_iter())?;
                let stays = self.has(Fault::OneProvider);
                if !stays && choice.provider.as_deref() != Some(value) {
                    choice.provider = Some(value.to_owned());
                    choice.model = models_of(value).swap_remove(0);
                }
                Ok(())
            }
            "model" => self.set_model(choice, value),
            "mode" if !self.lacks(Without::Modes) => set_mode(choice, value),
            "effort" if choice.effort.is_some() => {
                check(
                    "effort",
                    value,
                    self.args.efforts.iter().map(String::as_str),
                )?;
                choice.effort = Some(value.to_owned());
                Ok(())
            }
            _ => Err(RpcError::invalid_params(format!(
                "unknown config option: {option:?}"
            ))),
        }
    }

    /// Changes the model of a session's choice, or fails to, with the faults that ask for it.
    pub(super) fn set_model(&self, choice: &mut Choice, model: &str) -> Result<(), RpcError> {
        if self.has(Fault::SetModelError) {
            return Err(RpcError::internal("mock failure: cannot switch the model"));
        }
        if !self.has(Fault::AcceptsAnyModel) {
            let known = self.models_for(choice);
            check("model", model, known.iter().map(String::as_str))?;
        }
        if !self.has(Fault::ReportsOtherModel) && choice.model != model {
            choice.effort = self.default_effort(model);
            choice.model = model.to_owned();
        }
        Ok(())
    }

    /// The model after this one, round and round.
    pub(super) fn next_model(&self, model: &str) -> &str {
        let models = &self.args.models;
        let next = models
            .iter()
            .position(|id| id == model)
            .map_or(0, |at| at + 1);
        models
            .get(next)
            .or(models.first())
            .map_or("mock", String::as_str)
    }
}

/// Changes the model as if the agent itself had decided so. Returns the update that announces it,
/// if this agent has a way to announce it.
pub(super) fn switch(
    agent: &Agent,
    choice: &mut Choice,
    model: &str,
) -> Result<Option<Value>, RpcError> {
    agent.set_model(choice, model)?;
    Ok(agent.has_config_options().then(|| {
        json!({
            "sessionUpdate": "config_option_update",
            "configOptions": agent.config_options(choice),
        })
    }))
}

/// Changes the mode of a session's choice.
pub(super) fn set_mode(choice: &mut Choice, mode: &str) -> Result<(), RpcError> {
    let known = modes_for(choice);
    check("mode", mode, known.iter().map(|(id, _)| id.as_str()))?;
    choice.mode = mode.to_owned();
    Ok(())
}

/// The modes that a session can choose from: id and name.
fn modes_for(choice: &Choice) -> Vec<(String, String)> {
    let own = choice.project.modes.iter();
    let own = own.map(|id| (id.clone(), title(id)));
    owned(&MODES).into_iter().chain(own).collect()
}

/// The models of a provider, with the fault `provider-then-model`: one that only it has, and one that all have.
fn models_of(provider: &str) -> Vec<String> {
    vec![format!("{provider}-only"), "common".to_owned()]
}

fn check<'a>(
    what: &str,
    value: &str,
    known: impl Iterator<Item = &'a str>,
) -> Result<(), RpcError> {
    let known: Vec<&str> = known.collect();
    if known.contains(&value) {
        return Ok(());
    }
    Err(RpcError::invalid_params(format!(
        "unknown {what}: {value:?}; known: {}",
        known.join(", ")
    )))
}

fn owned(choices: &[(&str, &str)]) -> Vec<(String, String)> {
    choices
        .iter()
        .map(|(id, name)| ((*id).to_owned(), (*name).to_owned()))
        .collect()
}

fn select(
    (id, name, category): (&str, &str, &str),
    current: &str,
    choices: Vec<(String, String)>,
) -> Value {
    let options: Vec<Value> = choices
        .iter()
        .map(|(value, name)| json!({"value": value, "name": name}))
        .collect();
    json!({
        "id": id,
        "name": name,
        "category": category,
        "type": "select",
        "currentValue": current,
        "options": options,
    })
}

/// The name of a model: `mock-fast` is called "Mock Fast".
fn title(id: &str) -> String {
    let words = id.split('-').map(|word| {
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| {
            first.to_uppercase().chain(letters).collect()
        })
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::title;

    #[test]
    fn a_name_is_made_of_the_id() {
        assert_eq!(title("mock"), "Mock");
        assert_eq!(title("mock-fast"), "Mock Fast");
        assert_eq!(title("vendor/m-"), "Vendor/m ");
    }
}
