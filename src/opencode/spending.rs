//! What may be spent, and what was (Baton's addition).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::session::Tokens;

/// What may be spent before the next prompt is refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SpendingLimit {
    /// US dollars, as agents report them; absent for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 0, example = 5.0)]
    pub cost: Option<f64>,
    /// Tokens, as agents report them; absent for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = 2_000_000)]
    pub tokens: Option<u64>,
    /// Whether a turn that goes beyond it is stopped; it is finished otherwise. Agents report tokens, and some the cost, only
    /// with the end of a turn.
    #[serde(default)]
    pub hard: bool,
}

/// What was spent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Spent {
    /// US dollars.
    pub cost: f64,
    /// Tokens.
    pub tokens: u64,
}

impl Spent {
    /// Of a cost and a count of tokens.
    pub fn of(cost: f64, tokens: &Tokens) -> Self {
        let tokens = tokens.spent();
        Self { cost, tokens }
    }

    /// Both together.
    #[must_use]
    pub fn and(self, more: Self) -> Self {
        Self {
            cost: self.cost + more.cost,
            tokens: self.tokens.saturating_add(more.tokens),
        }
    }

    /// Whether a limit is reached.
    pub fn reaches(&self, limit: &SpendingLimit) -> bool {
        limit.cost.is_some_and(|most| self.cost >= most)
            || limit.tokens.is_some_and(|most| self.tokens >= most)
    }
}

/// Of what a limit is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SpendingScope {
    /// This session.
    Session,
    /// All sessions of the day, by the server's clock.
    Day,
}
