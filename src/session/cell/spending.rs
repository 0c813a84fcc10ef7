//! Whether a session may spend more, and who goes on where it may not.

use super::{Draft, SessionState};
use crate::opencode::Selection;
use crate::opencode::event::{FallbackCause, FallbackReason, ToastVariant};
use crate::opencode::history::ModelUsage;
use crate::opencode::session::MessageModel;
use crate::opencode::spending::{SpendingLimit, SpendingScope, Spent};
use crate::registry::Wish;
use crate::session::Error;
use crate::session::spending::{Spending, today};
use crate::store::Change;

/// A limit that is reached.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitReached {
    /// Of what it is one.
    pub scope: SpendingScope,
    /// What may be spent.
    pub limit: SpendingLimit,
    /// What was.
    pub spent: Spent,
    /// On which models, in this session.
    pub usage: Vec<ModelUsage>,
    /// Backends of this session that have reported nothing of what the limit counts.
    pub uncounted: Vec<String>,
}

impl LimitReached {
    /// The limit that a session has reached with what it has spent more; the day's only if the session's is not.
    pub(crate) fn of(state: &SessionState, spending: &Spending, more: Spent) -> Option<Self> {
        let own = state.limit.unwrap_or(spending.settings.session);
        let spent = Spent::of(state.cost, &state.tokens).and(more);
        let (scope, limit, spent) = match spent.reaches(&own) {
            true => (SpendingScope::Session, own, spent),
            false => {
                let (day, spent) = (spending.settings.day, spending.today().and(more));
                spent
                    .reaches(&day)
                    .then_some((SpendingScope::Day, day, spent))?
            }
        };
        Some(Self {
            scope,
            limit,
            spent,
            usage: state.usage.clone(),
            uncounted: uncounted(&state.usage, &limit),
        })
    }

    /// What was spent of what.
    pub(crate) fn in_words(&self) -> String {
        let (whose, setting) = match self.scope {
            SpendingScope::Session => ("This session has", "limit"),
            SpendingScope::Day => ("All sessions together have today", "[spending] day"),
        };
        let cost = self
            .limit
            .cost
            .map(|most| format!("${:.2} of ${most:.2}", self.spent.cost));
        let tokens = self
            .limit
            .tokens
            .map(|most| format!("{} of {most} tokens", self.spent.tokens));
        let both: Vec<_> = cost.into_iter().chain(tokens).collect();
        format!("{whose} spent {} ({setting})", both.join(" and "))
    }

    /// On whom, and who does not count.
    fn details(&self) -> String {
        let used = self
            .usage
            .iter()
            .filter(|used| used.cost > 0.0 || used.tokens.spent() > 0);
        let used = used.map(|used| {
            let (provider, model) = (&used.provider_id, &used.model_id);
            format!(
                "{provider}/{model} ${:.2}, {} tokens",
                used.cost,
                used.tokens.spent()
            )
        });
        let used: Vec<_> = used.collect();
        let mut details = match used.is_empty() {
            true => String::new(),
            false => format!(": {}", used.join("; ")),
        };
        if !self.uncounted.is_empty() {
            details.push_str(&format!(
                ". What {} used is not known and does not count",
                self.uncounted.join(", ")
            ));
        }
        details
    }

    /// How to go on.
    fn remedy(&self) -> &'static str {
        match self.scope {
            SpendingScope::Session => {
                "Raise it with PATCH {\"limit\": {\"cost\": …}}, or select a model that costs nothing ([spending] free)."
            }
            SpendingScope::Day => {
                "Raise it in the config file, wait for tomorrow, or select a model that costs nothing ([spending] free)."
            }
        }
    }
}

impl std::fmt::Display for LimitReached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}{}. {}",
            self.in_words(),
            self.details(),
            self.remedy()
        )
    }
}

/// The backends that have answered and reported nothing of what a limit counts.
fn uncounted(usage: &[ModelUsage], limit: &SpendingLimit) -> Vec<String> {
    let mut backends: Vec<&str> = usage.iter().map(|used| used.provider_id.as_str()).collect();
    backends.sort_unstable();
    backends.dedup();
    let is_silent = |backend: &&str| {
        let of = usage.iter().filter(|used| used.provider_id == *backend);
        let spent = of.fold(Spent::default(), |sum, used| {
            sum.and(Spent::of(used.cost, &used.tokens))
        });
        (limit.cost.is_some() && spent.cost == 0.0) || (limit.tokens.is_some() && spent.tokens == 0)
    };
    backends
        .into_iter()
        .filter(is_silent)
        .map(str::to_owned)
        .collect()
}

impl Draft {
    /// Refuses what would spend more than is allowed.
    ///
    /// # Errors
    /// [`Error::SpendingLimit`].
    pub(crate) fn check_spending(&self, selection: &Selection) -> Result<(), Error> {
        if self.spending.is_free(selection) {
            return Ok(());
        }
        match LimitReached::of(self.state(), &self.spending, Spent::default()) {
            None => Ok(()),
            Some(reached) => Err(Error::SpendingLimit(Box::new(reached))),
        }
    }

    /// Where a prompt's model may spend no more, selects the first of the session's chain that costs nothing; true when it
    /// has.
    ///
    /// # Errors
    /// [`Error::SpendingLimit`] where there is none, or a wish that is not available.
    pub(super) fn go_on_for_nothing(&mut self, wish: &Wish) -> Result<bool, Error> {
        let current = self.state().selection.clone();
        let selection = self.registry.resolve(current.as_ref(), wish)?.selection;
        let Err(refused) = self.check_spending(&selection) else {
            return Ok(false);
        };
        let Error::SpendingLimit(reached) = &refused else {
            return Err(refused);
        };
        let reason = FallbackReason {
            cause: FallbackCause::SpendingLimit,
            message: reached.in_words(),
            until: None,
        };
        let free: Vec<MessageModel> = self
            .chain()
            .iter()
            .filter(|m| self.is_free(m))
            .cloned()
            .collect();
        for model in free {
            if self
                .select_by_itself(&model, &reason, Some(&selection))
                .is_some()
            {
                let text = format!(
                    "{} is not asked: {}. Going on with {}, which costs nothing.",
                    self.name_of(&selection),
                    reason.message,
                    self.state()
                        .selection
                        .as_ref()
                        .map_or_else(String::new, |s| self.name_of(s)),
                );
                self.toast(ToastVariant::Warning, &text);
                return Ok(true);
            }
        }
        Err(refused)
    }

    fn is_free(&self, model: &MessageModel) -> bool {
        let selection = Selection {
            provider_id: model.provider_id.clone(),
            model_id: model.model_id.clone(),
            variant: None,
            agent: String::new(),
            mode: None,
        };
        self.spending.is_free(&selection)
    }

    /// Counts what was spent among what all sessions have spent today.
    pub(super) fn spend(&mut self, spent: Spent) {
        if spent == Spent::default() {
            return;
        }
        let day = today();
        self.write(Change::AddSpending {
            day: day.clone(),
            cost: spent.cost,
            tokens: spent.tokens,
        });
        let spending = std::sync::Arc::clone(&self.spending);
        self.then(move || spending.add(&day, spent));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::opencode::history::ContextUse;
    use crate::opencode::session::Tokens;

    #[test]
    fn who_has_reported_nothing_of_what_is_limited_is_named() {
        let used = |provider: &str, cost: f64, output: u64| ModelUsage {
            provider_id: provider.to_owned(),
            model_id: "m".to_owned(),
            answers: 1,
            tokens: Tokens {
                output,
                ..Tokens::default()
            },
            cost,
            context: ContextUse::default(),
        };
        let usage = [used("b", 1.0, 0), used("a", 0.0, 7), used("b", 0.0, 0)];
        let limit = |cost: Option<f64>, tokens: Option<u64>| SpendingLimit {
            cost,
            tokens,
            hard: false,
        };
        assert_eq!(uncounted(&usage, &limit(Some(1.0), None)), ["a"]);
        assert_eq!(uncounted(&usage, &limit(None, Some(1))), ["b"]);
        assert_eq!(uncounted(&usage, &limit(Some(1.0), Some(1))), ["a", "b"]);
    }
}
