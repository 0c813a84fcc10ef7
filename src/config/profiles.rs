//! `[profiles.NAME]`: agents with a model of their own.

use serde::Deserialize;
use serde_json::Value;

use super::file::ConfigFile;
use super::{ConfigError, meant};
use crate::opencode::provider::AgentMode;
use crate::opencode::session::DEFAULT_VARIANT;
use crate::profile::{Profile, Profiles, rules_of};
use crate::registry::ModelWish;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ProfileTable {
    /// `provider/model`.
    model: Option<String>,
    /// The reasoning effort of that model.
    variant: Option<String>,
    /// The mode of the backend.
    agent: Option<String>,
    description: Option<String>,
    /// Rules in OpenCode's words.
    permission: Option<Value>,
    /// Whether a session that has a model goes to the profile's; it does if left out.
    follow: Option<bool>,
}

impl ConfigFile {
    /// The profiles of the file. `known` are the ids of the backends.
    pub(super) fn profiles(&self, known: &[&str]) -> Result<Profiles, ConfigError> {
        let profile = |(name, table): (&String, &ProfileTable)| {
            let profile = table.profile(name, known);
            let profile = profile.map_err(|why| ConfigError(format!("[profiles.{name}] {why}")))?;
            Ok((name.clone(), profile))
        };
        self.profiles.iter().map(profile).collect()
    }
}

impl ProfileTable {
    fn profile(&self, name: &str, known: &[&str]) -> Result<Profile, String> {
        if name.is_empty() || known.contains(&name) {
            return Err(format!(
                "is not possible: \"{name}\" is {}; choose another name",
                if name.is_empty() {
                    "no name"
                } else {
                    "the id of a backend"
                }
            ));
        }
        if let Some(text) = &self.model {
            let model = ModelWish::parse(text);
            let model =
                model.ok_or_else(|| format!("model: expected provider/model, got \"{text}\""))?;
            let provider = &*model.provider_id;
            if !known.contains(&provider) {
                return Err(format!(
                    "model: there is no backend \"{provider}\".{} `baton agents` lists what there is",
                    meant(provider, known)
                ));
            }
        } else if self.variant.is_some() {
            return Err("variant: it is the effort of a model; name that with it".to_owned());
        }
        let permission = self.permission.as_ref().map(rules_of);
        Ok(Profile {
            name: name.to_owned(),
            model: self.model.clone(),
            variant: self.variant.clone().filter(|v| v != DEFAULT_VARIANT),
            mode: self.agent.clone(),
            description: self.description.clone(),
            permission: permission.transpose()?.unwrap_or_default(),
            follow: self.follow.unwrap_or(true),
            kind: AgentMode::Primary,
            hidden: false,
            source: format!("[profiles.{name}] of the config file"),
        })
    }
}
