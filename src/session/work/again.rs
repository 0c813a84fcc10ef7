//! What the end of an exchange shows about the native session: whether it has taken in what it was given, whether it is
//! still the one that it was, and how much fits into its model.

use serde_json::Value;

use super::Worker;
use super::live::{Live, Origin};
use super::outcome::{Ended, Outcome};
use crate::agent::connection::CallError;
use crate::agent::refusal::Refusal;
use crate::agent::spec::TokenCount;
use crate::opencode::Selection;
use crate::session::cell::LiveAnswer;

/// What to do with a prompt that was not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// It is given to the next process: this one had ended before.
    NextProcess,
    /// The native session is opened again, or a new one takes its place, and is given the prompt.
    Reopened,
    /// The same after a turn without a word, which may be the model's: once.
    ReopenedAfterSilence,
    /// A new native session is given the whole conversation and the prompt.
    New,
}

impl Again {
    /// What is done now, for the log.
    pub(super) fn in_words(self) -> &'static str {
        match self {
            Self::NextProcess => "to the next process",
            Self::Reopened => "after its native session was opened again",
            Self::ReopenedAfterSilence => "after a turn without a word, once",
            Self::New => "to a new native session, with the whole conversation",
        }
    }
}

/// How much an agent was given, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Size {
    /// What it had missed.
    pub handover: usize,
    /// The prompt.
    pub prompt: usize,
}

impl Size {
    /// A prompt that is longer than what was before it is what does not fit, and handing over less would help nothing.
    fn can_be_less(self) -> bool {
        self.handover > self.prompt
    }
}

/// Whether the agent has shown that it was given the prompt: by saying or doing something, or by asking. The end of a
/// call alone proves nothing: it may have been refused, or stopped, before anything was kept, and a model that has failed
/// ends like one that had nothing to say.
pub(super) fn has_begun(outcome: &Outcome, answer: &LiveAnswer) -> bool {
    matches!(outcome.ended, Ended::Replied(_)) && (outcome.asked || answer.lock().has_content())
}

/// Whether the native session has, from now on, what it was given: it has begun to answer, and has not taken it back as
/// an agent does that forgets what it has not finished.
pub(super) fn has_taken_in(outcome: &Outcome, answer: &LiveAnswer, forgets: bool) -> bool {
    let is_taken_back = outcome.is_refused() || (forgets && !outcome.is_finished());
    has_begun(outcome, answer) && !is_taken_back
}

/// Whether the prompt was refused because it does not fit into the model's context.
pub(super) fn was_too_long(outcome: &Outcome) -> bool {
    matches!(&outcome.ended, Ended::Replied(Err(error)) if matches!(Refusal::of(error), Refusal::TooLong(_)))
}

/// What is tried before a prompt that was not taken in counts as refused.
pub(super) fn again(
    outcome: &Outcome,
    live: &Live,
    answer: &LiveAnswer,
    tried: &[Again],
) -> Option<Again> {
    tried_next(outcome, live, answer, tried).filter(|again| !tried.contains(again))
}

fn tried_next(
    outcome: &Outcome,
    live: &Live,
    answer: &LiveAnswer,
    tried: &[Again],
) -> Option<Again> {
    if outcome.dead_on_arrival {
        return Some(Again::NextProcess);
    }
    if outcome.stop.is_some() || outcome.asked || answer.lock().has_content() {
        return None;
    }
    match &outcome.ended {
        Ended::Replied(Err(error)) => match (Refusal::of(error), live.origin) {
            (Refusal::SignedOut | Refusal::Provider, _) => None,
            // It is full of what was said in it, tools' results included; a transcript is shorter.
            (Refusal::TooLong(_), _) if live.seen_turn > 0 => Some(Again::New),
            // The next prompt is given less of what was before.
            (Refusal::TooLong(_), _) => None,
            (_, Origin::New) => None,
            (_, Origin::Used) => Some(Again::Reopened),
            (Refusal::SessionGone, _) => Some(Again::New),
            // A load has shown that the native session is there: the error is about something else.
            (Refusal::Other, Origin::Loaded) => None,
            (Refusal::Other, Origin::Resumed) => Some(Again::New),
        },
        Ended::Replied(Ok(reply)) => {
            let reason = reply.get("stopReason").and_then(Value::as_str);
            match live.origin {
                // Silent twice, it is its model that has failed.
                _ if tried.contains(&Again::ReopenedAfterSilence) => None,
                // What was opened again refuses its first prompt, or has nothing to say to it.
                Origin::Resumed | Origin::Loaded => {
                    (reason != Some("cancelled")).then_some(Again::New)
                }
                // Some agents end so when they have lost it.
                Origin::Used => (reason == Some("end_turn")).then_some(Again::ReopenedAfterSilence),
                Origin::New => None,
            }
        }
        Ended::AgentGone | Ended::CancelIgnored | Ended::Flooded => None,
    }
}

impl Worker {
    /// Whether native sessions of this backend forget what was stopped or has failed in its middle.
    pub(super) fn forgets_unfinished(&self, provider: &str) -> bool {
        let snapshot = self.tools.office.registry.snapshot();
        let backend = snapshot.backend(provider);
        backend.is_some_and(|backend| backend.spec.forgets_unfinished)
    }

    /// Notes what the native session has cost now, in money and tokens.
    pub(super) fn meter(&self, live: &mut Live, outcome: &mut Outcome, answer: &LiveAnswer) {
        live.cost = answer.lock().cost_total();
        let backend = &live.agent.launch.backend;
        let snapshot = self.tools.office.registry.snapshot();
        let count = snapshot.backend(backend).map(|b| b.spec.token_count);
        let Some(told) = outcome.told_tokens() else {
            return;
        };
        let counted_anew = std::mem::take(&mut live.is_chosen_anew);
        match count.unwrap_or_default() {
            TokenCount::Answer => {}
            TokenCount::SinceChoice if counted_anew => live.tokens = Some(told),
            // The first count of a native session that is older says nothing about this answer.
            TokenCount::NativeSession | TokenCount::SinceChoice => {
                outcome.counted_before = live.tokens.replace(told).unwrap_or(told);
            }
        }
    }

    /// What the end of an exchange shows about the backend: whether its user is signed in, and how much fits.
    pub(super) async fn learn(
        &mut self,
        outcome: &Outcome,
        selection: &Selection,
        (live, given): (&Live, Size),
        answer: &LiveAnswer,
    ) {
        let provider = &selection.provider_id;
        match &outcome.ended {
            Ended::Replied(Err(error)) => {
                let error = CallError::Rpc(error.clone());
                self.note_signed_out(provider, &error, true).await;
            }
            Ended::Replied(Ok(_)) if has_begun(outcome, answer) => {
                self.tools.office.registry.note_signed_in(provider).await;
            }
            _ => {}
        }
        // What a native session has besides what it was just given is not known.
        let handover = (live.seen_turn == 0 && given.can_be_less()).then_some(given.handover);
        self.learn_size(outcome, selection, handover).await;
    }

    /// A prompt that does not fit: less of what was before is handed over next, where that was the most of it. What the
    /// error says of the model's context is kept with the model.
    async fn learn_size(
        &mut self,
        outcome: &Outcome,
        selection: &Selection,
        handover: Option<usize>,
    ) {
        let Ended::Replied(Err(error)) = &outcome.ended else {
            return;
        };
        let Refusal::TooLong(tokens) = Refusal::of(error) else {
            return;
        };
        if let Some(tokens) = tokens {
            let registry = &self.tools.office.registry;
            let (provider, model) = (&selection.provider_id, &selection.model_id);
            registry.note_context(provider, model, tokens).await;
        }
        if let Some(bytes) = handover {
            self.fits.insert(selection.label(), bytes / 2);
        }
    }
}
