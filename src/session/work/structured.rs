//! Answers that shall be JSON of a given form.

use std::sync::LazyLock;
use std::time::Duration;

use super::Worker;
use super::live::Live;
use super::outcome::Outcome;
use crate::lanes::{LaneError, Lanes};
use crate::opencode::message::MessageError;
use crate::session::cell::{LiveAnswer, Queued};
use crate::session::conversation::structured::{Form, correction};
use crate::session::conversation::transcript;

/// Schemas that are looked at at the same time, and threads for it: a schema that refers to itself can take very long.
const PLACES: usize = 2;
/// How long one may wait for a place, and how long it may take.
const PATIENCE: Duration = Duration::from_secs(5);

static LANES: LazyLock<Lanes<()>> = LazyLock::new(|| Lanes::new(PLACES, PLACES, PLACES));

/// Looks at a schema, or at an answer, without blocking others.
///
/// # Errors
/// When it takes too long.
pub(crate) async fn aside<T: Send + 'static>(
    look: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    LANES
        .block(&(), PATIENCE, PATIENCE, look)
        .await
        .map_err(|error| {
            let what = match error {
                LaneError::TimedOut => "it takes too long to check against the schema",
                LaneError::Busy | LaneError::Panicked => {
                    "it could not be checked against the schema"
                }
            };
            what.to_owned()
        })
}

impl Worker {
    /// Reads the answer as the form that was asked for, and has the model correct it. `None` when none was asked for, or when
    /// the turn has not ended well: then it learns why.
    pub(super) async fn in_form(
        &mut self,
        form: Option<Form>,
        queued: &Queued,
        live: &mut Live,
        outcome: &mut Outcome,
        answer: &LiveAnswer,
    ) -> Option<Result<serde_json::Value, MessageError>> {
        let form = form?;
        let mut retries = 0;
        loop {
            if !outcome.has_ended_well() || !answer.lock().has_content() {
                return None;
            }
            let (form_of, text) = (form.clone(), answer.lock().last_text());
            let read = aside(move || form_of.read(&text))
                .await
                .and_then(|read| read);
            let why = match read {
                Ok(value) => return Some(Ok(value)),
                Err(why) if retries == form.retries => {
                    let message = format!("The answer does not fit the JSON Schema: {why}");
                    return Some(Err(MessageError::StructuredOutputError {
                        message,
                        retries,
                    }));
                }
                Err(why) => why,
            };
            retries += 1;
            let events = answer.lock().begins_anew();
            self.cell.tell_growth(&events);
            let blocks = vec![transcript::text_block(&correction(&why))];
            let spent = outcome.tokens();
            *outcome = self.give(queued, live, blocks, answer).await;
            outcome.spent_before = spent;
            self.meter(live, outcome, answer);
        }
    }
}
