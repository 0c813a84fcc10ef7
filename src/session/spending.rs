//! Spending limits: what may be spent, who costs nothing, and what all sessions have spent today.
//!
//! *Absent here:* sessions. What a session has spent stands in its state.

use parking_lot::Mutex;

use crate::opencode::Selection;
use crate::opencode::event::{FallbackCause, FallbackReason};
use crate::opencode::history::ModelUsage;
use crate::opencode::spending::{SpendingLimit, SpendingScope, Spent};

/// What can be set about spending.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SpendingSettings {
    /// What a session may spend that has no limit of its own.
    pub session: SpendingLimit,
    /// What all sessions may spend in a day.
    pub day: SpendingLimit,
    /// Backends, and models as `provider/model`, that cost nothing.
    pub free: Vec<String>,
}

/// The settings, and what was spent today.
#[derive(Debug, Default)]
pub(crate) struct Spending {
    /// What can be set.
    pub settings: SpendingSettings,
    today: Mutex<(String, Spent)>,
}

/// The name under which the store has what was spent on a day.
pub(crate) fn key(day: &str) -> String {
    format!("spent {day}")
}

/// The day that it is, by the server's clock.
pub(crate) fn today() -> String {
    jiff::Zoned::now().date().to_string()
}

impl Spending {
    /// With these settings, and what the store has of today.
    pub(crate) fn new(settings: SpendingSettings, day: String, spent: Spent) -> Self {
        let today = Mutex::new((day, spent));
        Self { settings, today }
    }

    /// What all sessions have spent today.
    pub(crate) fn today(&self) -> Spent {
        let today = self.today.lock();
        match today.0 == self::today() {
            true => today.1,
            false => Spent::default(),
        }
    }

    /// Adds what was spent on a day.
    pub(crate) fn add(&self, day: &str, spent: Spent) {
        let mut today = self.today.lock();
        if today.0 != day {
            *today = (day.to_owned(), Spent::default());
        }
        today.1 = today.1.and(spent);
    }

    /// All have spent at least this on a day, as the store has it.
    pub(crate) fn has_spent(&self, day: &str, spent: Spent) {
        let mut today = self.today.lock();
        if today.0 != day {
            *today = (day.to_owned(), Spent::default());
        }
        // What was spent here just now may not be stored yet.
        today.1.cost = today.1.cost.max(spent.cost);
        today.1.tokens = today.1.tokens.max(spent.tokens);
    }

    /// Whether a model is said to cost nothing.
    pub(crate) fn is_free(&self, selection: &Selection) -> bool {
        let model = format!("{}/{}", selection.provider_id, selection.model_id);
        let mut free = self.settings.free.iter();
        free.any(|free| *free == selection.provider_id || *free == model)
    }
}

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
    /// What was spent of what.
    fn in_words(&self) -> String {
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
                "Raise it with PATCH {\"limit\": {\"cost\": …}} or `baton limit`, or select a model that costs nothing ([spending] free)."
            }
            SpendingScope::Day => {
                "Raise it in the config file, wait for tomorrow, or select a model that costs nothing ([spending] free)."
            }
        }
    }
}

impl LimitReached {
    /// Why another model goes on.
    pub(crate) fn reason(&self) -> FallbackReason {
        FallbackReason {
            cause: FallbackCause::SpendingLimit,
            message: self.in_words(),
            until: None,
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
pub(crate) fn uncounted(usage: &[ModelUsage], limit: &SpendingLimit) -> Vec<String> {
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

#[cfg(test)]
mod tests;
