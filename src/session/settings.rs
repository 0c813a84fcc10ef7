//! What can be set about sessions.

use std::time::Duration;

use super::handoff;
use super::sizes::Sizes;
use crate::agent::Timeouts;

/// What can be set.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How large what others send may be.
    pub sizes: Sizes,
    /// Prompts that may wait for one session.
    pub queue_prompts: usize,
    /// Sessions that are kept in memory although they are not at work.
    pub loaded_sessions: usize,
    /// A session that has had nothing to do for this long lets go of its agents.
    pub idle: Duration,
    /// How much of a conversation is handed over at once, where the model's context is not known.
    pub budget: handoff::Budget,
    /// How long to wait for agents.
    pub timeouts: Timeouts,
}
