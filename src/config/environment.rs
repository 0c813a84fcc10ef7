//! `[environment]`, and the same keys in `[agents.NAME]`: what the programs that Baton starts get of its environment.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::ConfigError;
use crate::environment::{Environment, Inherit, check_allowed};

/// `[environment]`: for agents and for the user's own commands.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct EnvironmentTable {
    pub inherit: Option<Inherit>,
    pub allow: Vec<String>,
    pub set: BTreeMap<String, String>,
}

impl EnvironmentTable {
    /// Changes an environment. `key` is the table's place, for errors.
    pub(super) fn apply(
        &self,
        key: &str,
        environment: &mut Environment,
    ) -> Result<(), ConfigError> {
        if let Some(inherit) = self.inherit {
            environment.inherit = inherit;
        }
        for name in &self.allow {
            check_allowed(name).map_err(|why| ConfigError(format!("{key}.allow: {why}")))?;
            environment.allow.push(name.clone());
        }
        for (name, value) in &self.set {
            // The name only: what it is set to may be a key.
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return Err(ConfigError(format!(
                    "{key}.set: {name:?} cannot be set; the name of a variable has no \"=\" in it, and neither name nor \
                     value a NUL"
                )));
            }
            environment.set.insert(name.clone(), value.clone());
        }
        Ok(())
    }
}
