//! Whether a session may spend more, and who goes on where it may not.

use super::{Draft, SessionState};
use crate::opencode::Selection;
use crate::opencode::event::ToastVariant;
use crate::opencode::session::MessageModel;
use crate::opencode::spending::{SpendingScope, Spent};
use crate::registry::Wish;
use crate::session::Error;
use crate::session::spending::{LimitReached, Spending, today, uncounted};
use crate::store::Change;

/// The limit that a session has reached with what it has spent more; the day's only if the session's is not.
pub(crate) fn limit_reached(
    state: &SessionState,
    spending: &Spending,
    more: Spent,
) -> Option<LimitReached> {
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
    Some(LimitReached {
        scope,
        limit,
        spent,
        usage: state.usage.clone(),
        uncounted: uncounted(&state.usage, &limit),
    })
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
        match limit_reached(self.state(), &self.spending, Spent::default()) {
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
        let Some(reached) = limit_reached(self.state(), &self.spending, Spent::default()) else {
            return Ok(false);
        };
        let current = self.state().selection.as_ref();
        let selection = self.registry.resolve(current, wish)?.selection;
        if self.spending.is_free(&selection) {
            return Ok(false);
        }
        let reason = reached.reason();
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
        Err(Error::SpendingLimit(Box::new(reached)))
    }

    pub(super) fn is_free(&self, model: &MessageModel) -> bool {
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
