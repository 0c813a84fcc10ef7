//! What a session starts with when its client names nothing: set in the configuration, or by a client.

use serde::{Deserialize, Serialize};

use super::{BUILD, ModelWish, Registry, SelectError, Snapshot, Wish};
use crate::json;
use crate::store::{Change, Store, StoreError};

/// The name under which the store has what clients have set.
const SETTING: &str = "defaults";

/// What a session starts with when its client names nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Defaults {
    /// The model; none means the first backend that runs.
    pub model: Option<ModelWish>,
    /// The agent; none means `build`.
    pub agent: Option<String>,
}

/// What the store keeps. A client's choice holds until the configuration names another model than it did when the
/// choice was made: of the two, the later one wins.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    configured: Option<ModelWish>,
    chosen: Defaults,
}

/// Why defaults were not changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DefaultsError {
    /// They are not available.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The defaults to start with: what was configured, or what a client has set since.
pub(super) async fn load(
    store: &dyn Store,
    configured: Option<&ModelWish>,
    backends: &[&str],
) -> Defaults {
    let stored = store.setting(SETTING).await.unwrap_or_else(|error| {
        tracing::warn!("the stored defaults cannot be read, taking the configured ones: {error}");
        None
    });
    let stored = stored.and_then(|body| serde_json::from_str::<Stored>(&body).ok());
    let stored = stored.filter(|s| s.configured.as_ref() == configured);
    // With a backend that is no longer configured, every prompt without a model would be refused.
    let usable = |chosen: &Defaults| {
        let model = chosen.model.as_ref();
        model.is_none_or(|m| backends.contains(&m.provider_id.as_str()))
    };
    match stored.map(|s| s.chosen).filter(usable) {
        Some(chosen) => chosen,
        None => Defaults {
            model: configured.cloned(),
            agent: None,
        },
    }
}

impl Registry {
    /// Changes what sessions start with; what is left out stays. Sessions that have a selection keep it. Answered
    /// once it is stored.
    ///
    /// # Errors
    /// When it is not available, with what is; when the store fails. Nothing is changed then.
    pub async fn set_defaults(
        self: &std::sync::Arc<Self>,
        change: Defaults,
    ) -> Result<(), DefaultsError> {
        if let Some(model) = &change.model {
            let (provider, model) = (&model.provider_id, &model.model_id);
            self.prepare(None, provider, Some(model), None).await;
        }
        // A task of its own: a client that hangs up in the middle must not part the store from the snapshot.
        let this = std::sync::Arc::clone(self);
        match tokio::spawn(async move { this.set_now(change).await }).await {
            Ok(result) => result,
            Err(panic) => Err(StoreError::Database(panic.to_string()).into()),
        }
    }

    async fn set_now(&self, change: Defaults) -> Result<(), DefaultsError> {
        // One at a time, so that the store and the snapshot end with the same one.
        let _one_at_a_time = self.setting_defaults.lock().await;
        let next = self.snapshot().with_defaults(change)?;
        if next == self.snapshot().defaults {
            return Ok(());
        }
        let stored = Stored {
            configured: self.configured_model.clone(),
            chosen: next.clone(),
        };
        let put = Change::PutSetting {
            name: SETTING.to_owned(),
            body: json::text(&stored),
        };
        self.store.commit(vec![put]).await?;
        self.snapshot.send_modify(|snapshot| {
            let mut changed = Snapshot::clone(snapshot);
            changed.defaults = next;
            *snapshot = std::sync::Arc::new(changed);
        });
        Ok(())
    }
}

impl Snapshot {
    /// The agent of a session that names none.
    pub fn default_agent(&self) -> &str {
        self.defaults.agent.as_deref().unwrap_or(BUILD)
    }

    /// The defaults after a change, when a session could start with them.
    fn with_defaults(&self, change: Defaults) -> Result<Defaults, SelectError> {
        let next = Defaults {
            model: change.model.or(self.defaults.model.clone()),
            agent: change.agent.or(self.defaults.agent.clone()),
        };
        let agent = next.agent.as_deref().unwrap_or(BUILD);
        if self.backend(agent).is_some() {
            return Err(SelectError::UnknownAgent {
                agent: agent.to_owned(),
                message: format!(
                    "Agent \"{agent}\" is a backend. To start with it, make one of its models the default model."
                ),
                available: vec![BUILD.to_owned(), super::PLAN.to_owned()],
            });
        }
        let wish = Wish {
            model: Some(match &next.model {
                Some(model) => model.clone(),
                None => self.default_selection()?,
            }),
            agent: Some(agent.to_owned()),
            ..Wish::default()
        };
        self.resolve(None, &wish)?;
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::snapshot;
    use super::*;

    fn model(provider: &str, model: &str) -> Option<ModelWish> {
        Some(ModelWish {
            provider_id: provider.into(),
            model_id: model.into(),
        })
    }

    #[test]
    fn only_what_a_session_could_start_with_can_be_a_default() {
        let registry = snapshot();
        let with = |model, agent: Option<&str>| {
            registry.with_defaults(Defaults {
                model,
                agent: agent.map(Into::into),
            })
        };
        let set = with(model("claude", "opus"), Some("plan")).expect("can be had");
        assert_eq!(set.model, model("claude", "opus"));
        assert_eq!(set.agent.as_deref(), Some("plan"));
        assert!(with(model("claude", "nope"), None).is_err());
        assert!(with(model("nope", "opus"), None).is_err());
        assert!(with(model("claude", "opus"), Some("nope")).is_err());
        assert!(with(None, Some("claude")).is_err(), "a backend is no mode");
    }

    #[test]
    fn a_session_starts_with_the_defaults() {
        let mut registry = snapshot();
        registry.defaults = registry
            .with_defaults(Defaults {
                model: model("claude", "opus"),
                agent: Some("plan".to_owned()),
            })
            .expect("can be had");
        let resolved = registry.resolve(None, &Wish::default()).expect("resolves");
        assert_eq!(resolved.selection.provider_id, "claude");
        assert_eq!(resolved.selection.agent, "plan");
    }
}
