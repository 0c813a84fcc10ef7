//! One `agent` entry of OpenCode's, and the rules in its words.

use serde_json::{Map, Value};

use super::Profile;
use crate::opencode::provider::AgentMode;
use crate::opencode::session::{PermissionAction, PermissionRule};

/// Tools that OpenCode's `edit` stands for.
const EDITORS: [&str; 3] = ["write", "patch", "multiedit"];

/// The rules of `permission` in a configuration: an action for everything, or by kind of tool an action, or by pattern.
///
/// # Errors
/// What was expected, and where. Rules that were skipped would allow what their user has forbidden.
pub fn rules_of(permission: &Value) -> Result<Vec<PermissionRule>, String> {
    let rule = |permission: &str, pattern: &str, action: &Value, at: &str| {
        let named = action.as_str().and_then(action_of);
        let action = named.ok_or_else(|| {
            format!("permission{at}: expected \"allow\", \"ask\" or \"deny\", got {action}")
        })?;
        Ok::<_, String>(PermissionRule {
            permission: permission.to_owned(),
            pattern: pattern.to_owned(),
            action,
        })
    };
    let Value::Object(kinds) = permission else {
        return Ok(vec![rule("*", "*", permission, "")?]);
    };
    let mut rules = Vec::new();
    for (kind, said) in kinds {
        match said {
            Value::Object(patterns) => {
                for (pattern, action) in patterns {
                    let at = format!(".{kind}.{pattern:?}");
                    rules.push(rule(kind, pattern, action, &at)?);
                }
            }
            action => rules.push(rule(kind, "*", action, &format!(".{kind}"))?),
        }
    }
    Ok(rules)
}

fn action_of(word: &str) -> Option<PermissionAction> {
    Some(match word {
        "allow" => PermissionAction::Allow,
        "ask" => PermissionAction::Ask,
        "deny" => PermissionAction::Deny,
        _ => return None,
    })
}

/// What `tools` says, OpenCode's older form: switches by name.
fn rules_of_tools(tools: &Value) -> Result<Vec<PermissionRule>, String> {
    let expected = || format!("tools: expected switches by name, got {tools}");
    let switches = tools.as_object().ok_or_else(expected)?;
    let rule = |(tool, on): (&String, &Value)| {
        let is_editor = EDITORS.contains(&tool.as_str());
        Ok(PermissionRule {
            permission: if is_editor { "edit" } else { tool }.to_owned(),
            pattern: "*".to_owned(),
            action: match on.as_bool().ok_or_else(expected)? {
                true => PermissionAction::Allow,
                false => PermissionAction::Deny,
            },
        })
    };
    switches.iter().map(rule).collect()
}

/// Rules that a project brings along may forbid and have the user asked, and allow nothing: a clone does not decide
/// what is done without a question. What would have been an exception is asked about.
fn without_allowing(rules: Vec<PermissionRule>) -> Vec<PermissionRule> {
    let mut kept: Vec<PermissionRule> = Vec::new();
    for mut rule in rules {
        if rule.action == PermissionAction::Allow {
            if kept.is_empty() {
                continue;
            }
            rule.action = PermissionAction::Ask;
        }
        kept.push(rule);
    }
    kept
}

/// What is known of an entry: each file adds to it, the nearest last.
#[derive(Debug, Default)]
pub(super) struct Entry {
    fields: Map<String, Value>,
    /// Those of the user's own files; they come last, and so win over those of a project.
    own: Vec<PermissionRule>,
    /// Those of a project.
    brought: Vec<PermissionRule>,
    source: String,
}

impl Entry {
    /// Adds what a file says.
    ///
    /// # Errors
    /// When its rules cannot be read.
    pub(super) fn add(
        &mut self,
        said: &Map<String, Value>,
        source: &str,
        is_own: bool,
    ) -> Result<(), String> {
        let tools = said.get("tools").map(rules_of_tools).transpose()?;
        let permission = said.get("permission").map(rules_of).transpose()?;
        let rules = tools.into_iter().chain(permission).flatten();
        match is_own {
            true => self.own.extend(rules),
            false => self.brought.extend(without_allowing(rules.collect())),
        }
        let fields = said.iter().map(|(key, value)| (key.clone(), value.clone()));
        self.fields.extend(fields);
        if said.contains_key("model") || self.source.is_empty() {
            source.clone_into(&mut self.source);
        }
        Ok(())
    }

    /// What it comes to. `None` for one that is switched off or is for other agents only: Baton has no sub-agents.
    pub(super) fn profile(self, name: &str) -> Option<Profile> {
        let text = |key: &str| Some(self.fields.get(key)?.as_str()?.to_owned());
        let is = |key: &str| {
            let value = self.fields.get(key);
            value.is_some_and(|value| *value == Value::Bool(true) || *value == "true")
        };
        let kind = match text("mode").as_deref() {
            Some("subagent") => return None,
            Some("primary") => AgentMode::Primary,
            // As OpenCode has it where nothing is said.
            _ => AgentMode::All,
        };
        if is("disable") {
            return None;
        }
        Some(Profile {
            name: name.to_owned(),
            model: text("model").filter(|model| !model.is_empty()),
            variant: text("variant").filter(|variant| !variant.is_empty()),
            mode: None,
            description: text("description"),
            permission: self.brought.into_iter().chain(self.own).collect(),
            follow: true,
            kind,
            hidden: is("hidden"),
            source: self.source,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(rules: &[PermissionRule]) -> Vec<String> {
        let one = |r: &PermissionRule| format!("{} {} {:?}", r.permission, r.pattern, r.action);
        rules.iter().map(one).collect()
    }

    #[test]
    fn rules_are_read_in_opencodes_words_or_not_at_all() {
        let rules = |value| rules_of(&value).map(|rules| told(&rules));
        assert_eq!(rules(json!("ask")), Ok(vec!["* * Ask".to_owned()]));
        let given = json!({"edit": "deny", "bash": {"*": "ask", "git *": "allow"}});
        let expected = ["edit * Deny", "bash * Ask", "bash git * Allow"];
        assert_eq!(rules(given), Ok(expected.map(str::to_owned).to_vec()));
        for wrong in [
            json!("no"),
            json!({"edit": 5}),
            json!({"bash": {"x": "y"}}),
            json!(null),
        ] {
            assert!(rules_of(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_nearest_says_what_it_is_and_the_user_what_it_may() {
        let mut entry = Entry::default();
        let own = json!({"model": "a/b", "permission": {"edit": "deny"}, "description": "mine"});
        let brought = json!({"model": "c/d", "mode": "all", "tools": {"bash": true},
            "permission": {"webfetch": "allow", "read": "ask", "edit": "allow"}});
        let add = |entry: &mut Entry, said: &Value, is_own| {
            let said = said.as_object().expect("an object");
            entry.add(said, "file", is_own).expect("reads");
        };
        add(&mut entry, &own, true);
        add(&mut entry, &brought, false);
        let profile = entry.profile("x").expect("selectable");
        assert_eq!(profile.model.as_deref(), Some("c/d"));
        assert_eq!(profile.description.as_deref(), Some("mine"));
        assert_eq!(profile.kind, AgentMode::All);
        // A project allows nothing, and its user's word comes last.
        assert_eq!(
            told(&profile.permission),
            ["read * Ask", "edit * Ask", "edit * Deny"]
        );
    }

    #[test]
    fn what_is_off_or_for_other_agents_is_none() {
        for said in [json!({"disable": true}), json!({"mode": "subagent"})] {
            let mut entry = Entry::default();
            let said = said.as_object().expect("an object");
            entry.add(said, "file", true).expect("reads");
            assert_eq!(entry.profile("x"), None);
        }
    }
}
