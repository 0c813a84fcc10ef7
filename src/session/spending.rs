//! Spending limits: what may be spent, who costs nothing, and what all sessions have spent today.
//!
//! *Absent here:* sessions. What a session has spent stands in its state.

use parking_lot::Mutex;

use crate::opencode::Selection;
use crate::opencode::spending::{SpendingLimit, Spent};

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

    /// Whether a model is said to cost nothing.
    pub(crate) fn is_free(&self, selection: &Selection) -> bool {
        let model = format!("{}/{}", selection.provider_id, selection.model_id);
        let mut free = self.settings.free.iter();
        free.any(|free| *free == selection.provider_id || *free == model)
    }
}
