//! Chains of models: what goes on when the selected model cannot answer for now, and who is left out meanwhile.
//!
//! *Absent here:* sessions. What a model has failed with counts for all of them.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::agent::trouble::Trouble;
use crate::opencode::event::{FallbackCause, FallbackReason};
use crate::opencode::now_ms;
use crate::opencode::session::MessageModel;

/// Models of a chain, at most. It bounds how often one prompt goes on to another model.
pub const CHAIN_MOST: usize = 16;
/// No pause is longer than this, unless the model has named it.
const PAUSE_MOST: Duration = Duration::from_secs(30 * 60);
/// Failures are no longer "in a row" when the model was left alone for so long after its pause.
const FORGIVEN_AFTER: Duration = Duration::from_secs(60 * 60);

/// When a session goes back to the model that it was on before its chain was needed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Returns {
    /// It stays where it is until somebody selects another model.
    Never,
    /// With the next prompt, unless that model has named a time which is not over.
    NextTurn,
    /// With the first prompt after that model is no longer left out.
    #[default]
    WhenReset,
}

/// What can be set about chains.
#[derive(Debug, Clone)]
pub struct FallbackSettings {
    /// The models that a session without a chain of its own goes on with, in order; empty for none.
    pub chain: Vec<MessageModel>,
    /// When it goes back.
    pub returns: Returns,
    /// A model that has not said a word for so long after it was given a prompt is left for the next of the chain: some
    /// agents try again for minutes by themselves, and tell nobody.
    pub silent: Duration,
    /// Who has named no time is left out for so long after the first failure, and twice as long after each further one in a
    /// row, up to half an hour.
    pub pause: Duration,
}

/// How long a model may say nothing before the next of the chain is asked, unless configured.
pub const DEFAULT_SILENT: Duration = Duration::from_secs(90);
/// How long a model is left out first that has named no time, unless configured.
pub const DEFAULT_PAUSE: Duration = Duration::from_secs(30);

impl Default for FallbackSettings {
    fn default() -> Self {
        Self {
            chain: Vec::new(),
            returns: Returns::default(),
            silent: DEFAULT_SILENT,
            pause: DEFAULT_PAUSE,
        }
    }
}

/// The settings, and which models are left out now.
#[derive(Debug, Default)]
pub(crate) struct Fallbacks {
    /// What can be set.
    pub settings: FallbackSettings,
    left_out: Mutex<HashMap<String, LeftOut>>,
}

#[derive(Debug)]
struct LeftOut {
    reason: FallbackReason,
    until: Instant,
    /// The agent has named the time.
    is_named: bool,
    failures: u32,
}

impl Fallbacks {
    /// With these settings, and nobody left out.
    pub(crate) fn new(settings: FallbackSettings) -> Self {
        Self {
            settings,
            left_out: Mutex::default(),
        }
    }

    /// Notes that a model cannot answer for now, and says until when it is left out.
    pub(crate) fn leave_out(
        &self,
        provider_id: &str,
        model_id: &str,
        trouble: &Trouble,
        message: &str,
    ) -> FallbackReason {
        let now = Instant::now();
        let mut all = self.left_out.lock();
        all.retain(|_, left_out| left_out.until + FORGIVEN_AFTER > now);
        let scope = scope(trouble.cause, provider_id, model_id);
        let failures = all.get(&scope).map_or(0, |before| before.failures) + 1;
        let doubled = (self.settings.pause).saturating_mul(1 << (failures - 1).min(16));
        let pause = trouble.pause.unwrap_or(doubled.min(PAUSE_MOST));
        let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        let reason = FallbackReason {
            cause: trouble.cause,
            message: message.to_owned(),
            until: Some(now_ms().saturating_add(pause_ms)),
        };
        let left_out = LeftOut {
            reason: reason.clone(),
            until: now + pause,
            is_named: trouble.pause.is_some(),
            failures,
        };
        all.insert(scope, left_out);
        reason
    }

    /// Why a model is left out now.
    pub(crate) fn left_out(&self, provider_id: &str, model_id: &str) -> Option<FallbackReason> {
        let all = self.left_out.lock();
        let now = Instant::now();
        let mut scopes = scopes(provider_id, model_id).into_iter();
        let found = scopes.find_map(|scope| all.get(&scope).filter(|it| it.until > now));
        found.map(|it| it.reason.clone())
    }

    /// Whether a session may go back to a model with its next prompt.
    pub(crate) fn may_return(&self, provider_id: &str, model_id: &str) -> bool {
        let all = self.left_out.lock();
        let now = Instant::now();
        let is_out = |only_named: bool| {
            let scopes = scopes(provider_id, model_id);
            let mut found = scopes.iter().filter_map(|scope| all.get(scope));
            found.any(|it| it.until > now && (it.is_named || !only_named))
        };
        match self.settings.returns {
            Returns::Never => false,
            Returns::NextTurn => !is_out(true),
            Returns::WhenReset => !is_out(false),
        }
    }

    /// A model has answered, or is to be asked again whatever has been.
    pub(crate) fn take_in(&self, provider_id: &str, model_id: &str) {
        let mut all = self.left_out.lock();
        if !all.is_empty() {
            for scope in scopes(provider_id, model_id) {
                all.remove(&scope);
            }
        }
    }
}

/// Whom a failure is about: limits of requests and load belong to a model, an account and an outage to all models of the
/// vendor. Agents of several vendors name models below them, as `vendor/model`.
fn scope(cause: FallbackCause, provider_id: &str, model_id: &str) -> String {
    let [model, vendor] = scopes(provider_id, model_id);
    match cause {
        FallbackCause::RateLimit
        | FallbackCause::Overloaded
        | FallbackCause::Silent
        | FallbackCause::SpendingLimit => model,
        FallbackCause::Quota
        | FallbackCause::Outage
        | FallbackCause::SignedOut
        | FallbackCause::Recovered => vendor,
    }
}

/// A model, and its vendor.
fn scopes(provider_id: &str, model_id: &str) -> [String; 2] {
    let vendor = model_id.split_once('/').map_or("", |(vendor, _)| vendor);
    [
        format!("{provider_id}\n{vendor}\n{model_id}"),
        format!("{provider_id}\n{vendor}"),
    ]
}

#[cfg(test)]
mod tests;
