//! What agents ask the user, while it waits for an answer.
//!
//! *Absent here:* who waits. That is part of each session's runtime, and committed like the rest of it.

mod permission;
mod question;
mod rules;
mod subject;

use std::sync::Arc;

pub(super) use permission::{Always, Asking, TurnRules, WaitingPermission};
pub(super) use question::WaitingQuestion;
pub(super) use rules::fence;

/// A request of an agent that waits for the user.
#[derive(Debug)]
pub(super) enum Ask {
    /// Whether it may do something.
    Permission(Arc<WaitingPermission>),
    /// A form to fill in.
    Question(Arc<WaitingQuestion>),
}

impl Ask {
    /// Whether it was asked outside of a turn, and so does not end with one.
    pub(super) fn is_late(&self) -> bool {
        match self {
            Self::Permission(waiting) => waiting.is_late,
            Self::Question(waiting) => waiting.is_late,
        }
    }

    /// Whether the agent that asks is gone.
    pub(super) fn is_gone(&self) -> bool {
        match self {
            Self::Permission(waiting) => waiting.is_gone(),
            Self::Question(waiting) => waiting.is_gone(),
        }
    }

    /// Tells the agent that no answer will come.
    pub(super) async fn cancel(&self) {
        match self {
            Self::Permission(waiting) => waiting.cancel().await,
            Self::Question(waiting) => waiting.refuse("cancel").await,
        }
    }
}
