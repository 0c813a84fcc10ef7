//! What can be set about sessions.

use std::time::Duration;

use serde::Deserialize;
use utoipa::ToSchema;

use super::handoff;
use super::sizes::Sizes;
use crate::agent::Timeouts;
use crate::opencode::handoff::HandoffMode;

/// What an abort does with the prompts that wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = AbortQueue)]
pub enum AtAbort {
    /// They are aborted as well.
    #[default]
    Drop,
    /// The next one goes on.
    Keep,
}

/// What can be set.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How large what others send may be.
    pub sizes: Sizes,
    /// Prompts that may wait for one session.
    pub queue_prompts: usize,
    /// What an abort does with the prompts that wait, where it does not say so itself.
    pub at_abort: AtAbort,
    /// Whether a PATCH that selects something and does not say whether it pins does.
    pub pin_patches: bool,
    /// Sessions that are kept in memory although they are not at work.
    pub loaded_sessions: usize,
    /// A session that has had nothing to do for this long lets go of its agents.
    pub idle: Duration,
    /// How much of a conversation is handed over at once, where the model's context is not known.
    pub budget: handoff::Budget,
    /// How the conversation gets to a model that goes on with it, where nobody says.
    pub handoff: HandoffMode,
    /// How long to wait for agents.
    pub timeouts: Timeouts,
}
