//! Going on with another model of the session's chain: when that is right, and how the turn is handed on.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::outcome::{Ended, Outcome, Stop};
use super::{Worker, elapsed_ms};
use crate::agent::trouble::Trouble;
use crate::opencode::event::{FallbackCause, FallbackReason};
use crate::opencode::message::MessageError;
use crate::session::cell::{LiveAnswer, Queued};
use crate::session::fallback::Fallbacks;
use crate::session::spending::LimitReached;

/// What a model is told that goes on where another one has broken off.
pub(super) const GO_ON: &str = "\
Another model has begun to answer the message below and was broken off by an error on its side. What it said and did \
stands at the end of the conversation above. Go on from there: what its tools have done is done, do not run them again, and \
do not repeat what was said.";

/// A shorter text is a part of an error's by chance, in bytes.
const SAME_BYTES: usize = 16;

/// What has kept a model from answering.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    trouble: Trouble,
    /// What its agent says.
    message: String,
    /// It says nothing of the model's provider, so that other prompts and sessions may fare better: nobody is left out.
    passes: bool,
}

impl Failure {
    fn told(trouble: Trouble, message: String) -> Self {
        Self {
            trouble,
            message,
            passes: false,
        }
    }

    fn of(cause: FallbackCause, message: String) -> Self {
        Self::told(Trouble { cause, pause: None }, message)
    }

    fn passing(message: &str) -> Self {
        Self {
            passes: true,
            ..Self::of(FallbackCause::Outage, message.to_owned())
        }
    }

    /// What has kept the model of an exchange from answering; `None` when it did answer, was stopped, or when another one
    /// would fare no better. `said` is its agent's error in place of an answer.
    fn of_exchange(outcome: &Outcome, answer: &LiveAnswer, said: Option<&str>) -> Option<Self> {
        match (outcome.stop, &outcome.ended) {
            (Some(Stop::Passed(limit)), _) => {
                let message = format!("no word for {} s (fallback.silent_s)", limit.as_secs());
                Some(Self::of(FallbackCause::Silent, message))
            }
            (Some(_), _) => None,
            (None, Ended::Replied(Err(error))) => {
                Some(Self::told(Trouble::of(error)?, error.describe()))
            }
            (None, Ended::Replied(Ok(_))) => match said {
                Some(said) => Some(Self::told(Trouble::in_words(said)?, said.to_owned())),
                // Some agents say so of every error of their provider's.
                None if outcome.has_ended_well()
                    && !outcome.asked
                    && !answer.lock().has_content() =>
                {
                    Some(Self::passing("it has ended its turn without a word"))
                }
                None => None,
            },
            (None, Ended::AgentGone) => Some(Self::passing("its process has ended")),
            (None, Ended::CancelIgnored | Ended::Flooded) => None,
        }
    }

    /// What has kept a model from being given a prompt at all.
    fn of_error(error: &MessageError) -> Option<Self> {
        let message = error.message();
        match error {
            MessageError::ProviderAuthError { .. } => {
                Some(Self::of(FallbackCause::SignedOut, message.to_owned()))
            }
            // It may be about this model, this session's rules, or the room for agents.
            MessageError::APIError { .. } => Some(match Trouble::in_words(message) {
                Some(told) => Self::told(told, message.to_owned()),
                None => Self::passing(message),
            }),
            _ => None,
        }
    }
}

/// Whether a text is an error's own, or a part of it.
fn says_the_same(text: &str, error: &str) -> bool {
    text == error || text.len() >= SAME_BYTES && error.contains(text)
}

/// A prompt that goes on with another model.
pub(super) struct HandedOn {
    /// Why.
    pub reason: FallbackReason,
    /// What stands on the answer that ends here.
    pub error: MessageError,
}

impl Worker {
    fn fallbacks(&self) -> &Arc<Fallbacks> {
        &self.tools.office.fallbacks
    }

    /// Whether a prompt may go on with another model than its own.
    pub(super) fn has_another(&self, queued: &Queued) -> bool {
        let committed = self.cell.committed();
        committed.has_another(queued, self.fallbacks())
    }

    /// How long a prompt's model has said nothing, when that is too long and another one could answer.
    pub(super) fn is_out_of_patience(
        &self,
        queued: &Queued,
        outcome: &Outcome,
        answer: &LiveAnswer,
    ) -> Option<Duration> {
        let limit = self.fallbacks().settings.silent;
        let is_silent =
            queued.signs.silence() >= limit && !outcome.asked && !answer.lock().has_content();
        (is_silent && self.has_another(queued)).then_some(limit)
    }

    /// An error of its provider's that an agent has said as if it were its answer, or the end of it, and whether there is
    /// an answer before it.
    pub(super) fn error_said(
        &self,
        provider: &str,
        outcome: &Outcome,
        answer: &LiveAnswer,
    ) -> Option<(String, bool)> {
        let Ended::Replied(reply) = &outcome.ended else {
            return None;
        };
        let answer = answer.lock();
        let (text, has_more) = answer.last_words()?;
        let text = text.trim();
        let is_error = match reply {
            Err(error) => says_the_same(text, &error.describe()),
            Ok(_) => false,
        };
        let snapshot = self.tools.office.registry.snapshot();
        let known = || {
            let backend = snapshot.backend(provider);
            let texts = backend.map_or(&[][..], |backend| backend.spec.error_texts);
            Trouble::in_answer(text, texts).is_some()
        };
        (is_error || known()).then(|| (text.to_owned(), has_more || outcome.asked))
    }

    /// Notes that a model cannot answer now, and says why for those who are told.
    pub(super) fn leave_out(&self, queued: &Queued, failure: &Failure) -> FallbackReason {
        let selection = &queued.target.selection;
        let (provider, model) = (&selection.provider_id, &selection.model_id);
        if failure.passes {
            return FallbackReason {
                cause: failure.trouble.cause,
                message: failure.message.clone(),
                until: None,
            };
        }
        let fallbacks = self.fallbacks();
        fallbacks.leave_out(provider, model, &failure.trouble, &failure.message)
    }

    /// Whether and why a prompt goes on with another model, now that an exchange is over.
    pub(super) fn handed_on(
        &self,
        queued: &Queued,
        outcome: &Outcome,
        answer: &LiveAnswer,
        said: Option<&str>,
    ) -> Option<HandedOn> {
        let failure = Failure::of_exchange(outcome, answer, said)?;
        let reason = self.leave_out(queued, &failure);
        let error = MessageError::APIError {
            message: format!("{}.", failure.message.trim_end_matches('.')),
            is_retryable: true,
        };
        self.has_another(queued)
            .then_some(HandedOn { reason, error })
    }

    /// Notes that a model has answered.
    pub(super) fn take_in(&self, queued: &Queued) {
        let selection = &queued.target.selection;
        self.fallbacks()
            .take_in(&selection.provider_id, &selection.model_id);
    }

    /// A prompt whose model is left out at the moment goes to the next one at once; true when it does.
    pub(super) async fn passes_over(&self, queued: &Queued) -> bool {
        let selection = &queued.target.selection;
        let (provider, model) = (&selection.provider_id, &selection.model_id);
        let left_out = self.fallbacks().left_out(provider, model);
        let Some(reason) = left_out.filter(|_| self.has_another(queued)) else {
            return false;
        };
        let passed = self.persist(move |draft| {
            draft.unless_deleted()?;
            Ok(draft.pass_on(&reason))
        });
        passed.await.unwrap_or(false)
    }

    /// A prompt that could not be given to its model goes to the next one; true when it does. `began` tells since when that
    /// was tried, where it is news that it failed.
    pub(super) async fn goes_on_without(
        &self,
        queued: &Queued,
        error: &MessageError,
        began: Option<Instant>,
    ) -> bool {
        let Some(failure) = Failure::of_error(error).filter(|_| self.has_another(queued)) else {
            return false;
        };
        let reason = self.leave_out(queued, &failure);
        let (target, error) = (queued.target.clone(), error.clone());
        let entry = self.open_entry(target.revision).await;
        let passed = self.persist(move |draft| {
            draft.unless_deleted()?;
            Ok(match began {
                Some(began) => {
                    draft.fail_over(&target, &error, elapsed_ms(began), entry.as_ref(), &reason)
                }
                None => draft.pass_on(&reason),
            })
        });
        passed.await.unwrap_or(false)
    }

    /// Hands a prompt that may spend no more on to a model of the chain that costs nothing; false when there is none.
    pub(super) async fn goes_on_for_nothing(&self, reached: &LimitReached) -> bool {
        let reason = reached.reason();
        let passed = self.persist(move |draft| {
            draft.unless_deleted()?;
            Ok(draft.pass_on(&reason))
        });
        passed.await.unwrap_or(false)
    }
}
