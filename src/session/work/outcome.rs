//! How an exchange with an agent has ended, and what that means for the answer.

use std::time::Duration;

use serde_json::Value;

use super::bind::{call_error, failed};
use crate::agent::connection::{CallError, RpcError};
use crate::agent::pool::{Agent, log_stderr};
use crate::agent::quirks::told;
use crate::opencode::message::{MessageError, Part};
use crate::opencode::session::{CacheTokens, Tokens};
use crate::session::cell::LiveAnswer;

/// At most this much of a text that was broken off is in the error, in characters.
const LAST_TEXT_CHARS: usize = 500;

/// What somebody can do whose prompt was not answered.
const WHAT_TO_DO: &str = "Your prompt is kept: send it again, or switch to another model.";

/// How the exchange with the agent ended.
pub(super) enum Ended {
    Replied(Result<Value, RpcError>),
    AgentGone,
    CancelIgnored,
    /// It has sent more than could be kept until it was read.
    Flooded,
}

/// Why a turn is being stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    User,
    ShutDown,
    /// The agent has said nothing for this long.
    Silent(Duration),
    /// The same, and another model is to answer.
    Passed(Duration),
    /// It has spent what may be spent.
    Spent,
}

impl Stop {
    pub(super) fn error(self) -> MessageError {
        let message = match self {
            // The word that clients of OpenCode look for.
            Self::User => "Aborted",
            Self::ShutDown => "Baton was stopped while this answer was being written.",
            Self::Spent => {
                return failed(
                    "The spending limit is reached and hard, so Baton has stopped this turn. What it wrote is kept. Raise \
                     the limit to go on."
                        .to_owned(),
                );
            }
            Self::Passed(limit) => {
                return failed(format!(
                    "The model has said nothing for {} s (fallback.silent_s).",
                    limit.as_secs()
                ));
            }
            Self::Silent(limit) => {
                return failed(format!(
                    "The agent has said nothing for {} s, so Baton has ended its turn (timeouts.silent_end_s). What it \
                     wrote is kept. {WHAT_TO_DO}",
                    limit.as_secs()
                ));
            }
        };
        MessageError::MessageAbortedError {
            message: message.to_owned(),
        }
    }
}

/// What is known at the end of an exchange.
pub(super) struct Outcome {
    pub(super) ended: Ended,
    pub(super) stop: Option<Stop>,
    /// The user was asked something; an answer without content may be all that a "no" leaves.
    pub(super) asked: bool,
    /// The agent had ended before it could take in the prompt, as far as is known.
    pub(super) dead_on_arrival: bool,
    /// What the agent had counted before, where it counts the tokens of all turns.
    pub(super) counted_before: Tokens,
    /// The tokens of what the agent was asked before in the same turn.
    pub(super) spent_before: Tokens,
}

impl Outcome {
    pub(super) fn new(ended: Ended) -> Self {
        Self {
            ended,
            stop: None,
            asked: false,
            dead_on_arrival: false,
            counted_before: Tokens::default(),
            spent_before: Tokens::default(),
        }
    }

    /// Whether the model has said what it had to say.
    pub(super) fn has_ended_well(&self) -> bool {
        let Ended::Replied(Ok(reply)) = &self.ended else {
            return false;
        };
        self.stop.is_none() && stop_reason(reply) == END_TURN
    }

    /// Whether the turn has come to its end, be it one of the limits that the protocol has.
    pub(super) fn is_finished(&self) -> bool {
        let Ended::Replied(Ok(reply)) = &self.ended else {
            return false;
        };
        self.stop.is_none() && !matches!(stop_reason(reply), CANCELLED | REFUSAL)
    }

    /// Whether the model refuses to answer. The protocol takes the prompt out of the native session then, with all that
    /// came after it.
    pub(super) fn is_refused(&self) -> bool {
        matches!(&self.ended, Ended::Replied(Ok(reply)) if stop_reason(reply) == REFUSAL)
    }

    /// The tokens as the agent has reported them.
    pub(super) fn told_tokens(&self) -> Option<Tokens> {
        let Ended::Replied(Ok(reply)) = &self.ended else {
            return None;
        };
        Some(tokens_of(reply)).filter(|tokens| *tokens != Tokens::default())
    }

    /// The tokens of the turn so far.
    pub(super) fn tokens(&self) -> Tokens {
        let before = self.spent_before;
        let Ended::Replied(Ok(reply)) = &self.ended else {
            return before;
        };
        let mut tokens = tokens_of(reply).since(&self.counted_before);
        if before != Tokens::default() {
            tokens.add(&before);
            tokens.total = tokens.total.zip(before.total).map(|(a, b)| a + b);
        }
        tokens
    }
}

/// How a turn ends that has neither failed nor been broken off.
const END_TURN: &str = "end_turn";
/// How one ends that was stopped.
const CANCELLED: &str = "cancelled";
/// How one ends that the model refuses to go on with.
const REFUSAL: &str = "refusal";

/// Why a turn has ended, as its reply says.
fn stop_reason(reply: &Value) -> &str {
    let reason = reply.get("stopReason").and_then(Value::as_str);
    reason.unwrap_or(END_TURN)
}

/// What the end of an exchange means for the answer.
pub(super) struct Verdict {
    pub(super) reason: &'static str,
    pub(super) tokens: Tokens,
    pub(super) error: Option<MessageError>,
}

impl Verdict {
    /// An answer that never came, or broke off.
    pub(super) fn failed(error: MessageError) -> Self {
        let reason = match error {
            MessageError::MessageAbortedError { .. } => "aborted",
            _ => "error",
        };
        Self {
            reason,
            tokens: Tokens::default(),
            error: Some(error),
        }
    }
}

impl Verdict {
    /// The answer came, and is not what was asked for.
    pub(super) fn fails_with(&mut self, error: MessageError) {
        self.reason = "error";
        self.error = Some(error);
    }
}

/// What the end of an exchange means: reason, tokens and error of the answer.
///
/// `said` is an error that the agent has told in place of an answer.
pub(super) async fn judge(
    outcome: &Outcome,
    agent: &Agent,
    provider: &str,
    answer: &LiveAnswer,
    said: Option<&str>,
) -> Verdict {
    if let Some(stop) = outcome.stop {
        return Verdict::failed(stop.error());
    }
    let reply = match &outcome.ended {
        Ended::Replied(Ok(reply)) => reply,
        Ended::Replied(Err(error)) => {
            let error = CallError::Rpc(error.clone());
            return Verdict::failed(and_now(call_error(provider, agent, error).await));
        }
        Ended::Flooded => {
            return Verdict::failed(failed(format!(
                "Backend \"{provider}\" has sent more than Baton keeps before it could be read; its answer breaks off here. \
                 {WHAT_TO_DO}"
            )));
        }
        Ended::AgentGone | Ended::CancelIgnored => {
            return Verdict::failed(call_error(provider, agent, CallError::Closed).await);
        }
    };
    let verdict = |reason, error| Verdict {
        reason,
        tokens: outcome.tokens(),
        error,
    };
    if let Some(said) = said {
        let said = said.trim_end_matches('.');
        let message = format!("Backend \"{provider}\" has reported an error: {said}.");
        return verdict("error", Some(and_now(failed(message))));
    }
    match stop_reason(reply) {
        // It was not asked to.
        CANCELLED => {
            let said = last_text(answer);
            let why = if said.is_empty() {
                said
            } else {
                format!(": {said}")
            };
            let message =
                format!("Backend \"{provider}\" has broken off its answer by itself{why}");
            verdict("error", Some(failed(message)))
        }
        REFUSAL => {
            let message =
                "The model refuses to answer. Say it in another way, or switch to another model."
                    .to_owned();
            let error = MessageError::ContentFilterError { message };
            verdict("content-filter", Some(error))
        }
        "max_tokens" => verdict("length", Some(MessageError::MessageOutputLengthError {})),
        _ if !answer.lock().has_content() && !outcome.asked => {
            log_stderr(&agent.process);
            let error = failed(format!(
                "Backend \"{provider}\" ended its turn without an answer; its model has probably failed. {WHAT_TO_DO}"
            ));
            verdict("error", Some(error))
        }
        "max_turn_requests" => verdict("length", None),
        _ => verdict("stop", None),
    }
}

/// What the model's provider has reported, with what to do now.
fn and_now(error: MessageError) -> MessageError {
    match error {
        MessageError::APIError {
            message,
            is_retryable,
        } => MessageError::APIError {
            message: format!("{message} {WHAT_TO_DO}"),
            is_retryable,
        },
        other => other,
    }
}

/// The end of what was said last, for an error message.
fn last_text(answer: &LiveAnswer) -> String {
    let answer = answer.lock();
    let texts = answer.parts.iter().rev().find_map(|part| match part {
        Part::Text(text) => Some(text.text.trim()),
        _ => None,
    });
    let text = texts.unwrap_or_default();
    let skip = text.chars().count().saturating_sub(LAST_TEXT_CHARS);
    text.chars().skip(skip).collect()
}

/// The tokens of a prompt's reply. They are not in the stable schema, so they are read from the JSON.
fn tokens_of(reply: &Value) -> Tokens {
    let count = |key: &str| reply.pointer(key).and_then(Value::as_u64);
    let first = |places: &[&str]| places.iter().find_map(|place| count(place)).unwrap_or(0);
    Tokens {
        total: count("/usage/totalTokens"),
        input: first(told::INPUT_TOKENS),
        output: first(told::OUTPUT_TOKENS),
        reasoning: count("/usage/thoughtTokens").unwrap_or(0),
        cache: CacheTokens {
            read: count("/usage/cachedReadTokens").unwrap_or(0),
            write: count("/usage/cachedWriteTokens").unwrap_or(0),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tokens_are_read_from_either_place() {
        let usage = json!({"usage": {"inputTokens": 7, "outputTokens": 3, "thoughtTokens": 1, "totalTokens": 11}});
        let told = tokens_of(&usage);
        assert_eq!(
            (told.input, told.output, told.reasoning, told.total),
            (7, 3, 1, Some(11))
        );

        let quota =
            json!({"_meta": {"quota": {"token_count": {"input_tokens": 5, "output_tokens": 2}}}});
        let told = tokens_of(&quota);
        assert_eq!((told.input, told.output, told.total), (5, 2, None));
    }

    #[test]
    fn a_reply_without_tokens_counts_none() {
        for reply in [
            json!({}),
            json!(null),
            json!({"usage": {"inputTokens": -1}}),
        ] {
            assert_eq!(tokens_of(&reply), Tokens::default());
        }
    }
}
