//! Which answer of a native session something belongs to that its agent says, and what it has said of answers that had
//! ended until that is stored.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::opencode::{MessageId, PartId, Selection};

/// What comes outside of turns is stored together for this long.
const TOGETHER: Duration = Duration::from_millis(100);
/// … but at most this much of it, as JSON in bytes.
const TOGETHER_MAX_BYTES: usize = 1024 * 1024;
/// What the store does not take is kept up to this size; then the oldest is given up.
const KEPT_MAX_BYTES: usize = 16 * 1024 * 1024;
/// A text without an id that comes so soon after what was said last goes on with it: it is a late piece.
const SOON: Duration = Duration::from_secs(2);
/// Answers of a native session that are known by the ids of their texts and calls.
const ANSWERS_MAX: usize = 32;
/// Ids that are known of one of them.
const IDS_MAX: usize = 1_000;

/// An answer of a native session.
#[derive(Debug)]
struct Known {
    message: MessageId,
    selection: Selection,
    /// By the agent's ids of its own messages: the part with the text.
    texts: HashMap<u64, PartId>,
    /// By the agent's ids of tool calls: whether the call has ended.
    calls: HashMap<u64, bool>,
}

/// Something that was said of an answer that had ended.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) message: MessageId,
    pub(super) update: Value,
    /// It has come shortly after what was said before.
    pub(super) is_soon: bool,
    bytes: usize,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Heard {
    answers: VecDeque<Known>,
    waiting: Vec<Said>,
    bytes: usize,
    due: Option<Instant>,
    /// When something was said last.
    said_at: Option<Instant>,
    /// The agent uses the ids of its messages more than once: they say nothing.
    reuses_ids: bool,
}

/// Ids are as long as an agent likes.
fn short(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

fn text<'a>(update: &'a Value, key: &str) -> Option<&'a str> {
    update.get(key)?.as_str()
}

/// The agent's id of the message that a piece of text is of.
pub(super) fn id_of_text(update: &Value) -> Option<&str> {
    let kind = text(update, "sessionUpdate")?;
    let is_text = matches!(kind, "agent_message_chunk" | "agent_thought_chunk");
    text(update, "messageId").filter(|_| is_text)
}

fn id_of_call(update: &Value) -> Option<&str> {
    text(update, "toolCallId")
}

/// Whether an update is about an answer, or what belongs to it.
pub(super) fn is_of_answer(update: &Value) -> bool {
    const KINDS: [&str; 7] = [
        "agent_message_chunk",
        "agent_thought_chunk",
        "tool_call",
        "tool_call_update",
        "plan",
        "usage_update",
        "session_info_update",
    ];
    text(update, "sessionUpdate").is_some_and(|kind| KINDS.contains(&kind))
}

impl Heard {
    /// From now on an answer is given to a prompt.
    pub(super) fn begins(&mut self, message: &MessageId, selection: &Selection) {
        if self.last().is_some_and(|known| known.message == *message) {
            return;
        }
        if self.answers.len() == ANSWERS_MAX {
            self.answers.pop_front();
        }
        self.answers.push_back(Known {
            message: message.clone(),
            selection: selection.clone(),
            texts: HashMap::new(),
            calls: HashMap::new(),
        });
    }

    fn last(&self) -> Option<&Known> {
        self.answers.back()
    }

    /// Notes what an answer was given, and which part has its text.
    pub(super) fn note(&mut self, message: &MessageId, update: &Value, part: Option<&PartId>) {
        self.said_at = Some(Instant::now());
        let known = self.answers.iter_mut().rev();
        let Some(known) = known.into_iter().find(|known| known.message == *message) else {
            return;
        };
        if let (Some(id), Some(part)) = (id_of_text(update), part)
            && known.texts.len() < IDS_MAX
        {
            known.texts.insert(short(id), part.clone());
        }
        if let Some(id) = id_of_call(update).map(short) {
            let status = text(update, "status");
            let ends = status.is_some_and(|status| matches!(status, "completed" | "failed"));
            if known.calls.len() < IDS_MAX || known.calls.contains_key(&id) {
                *known.calls.entry(id).or_default() |= ends;
            }
        }
    }

    /// The part with a text of the agent, by the agent's id of it.
    pub(super) fn part_of(&self, message: &MessageId, update: &Value) -> Option<&PartId> {
        let known = self
            .answers
            .iter()
            .find(|known| known.message == *message)?;
        known.texts.get(&short(id_of_text(update)?))
    }

    /// The answer that something belongs to which is said outside of a turn: the one that its ids name, or the last one.
    pub(super) fn belongs_to(&self, update: &Value) -> Option<&MessageId> {
        let text = id_of_text(update).map(short);
        let call = id_of_call(update).map(short);
        let named = self.answers.iter().rev().find(|known| {
            text.is_some_and(|id| known.texts.contains_key(&id))
                || call.is_some_and(|id| known.calls.contains_key(&id))
        });
        Some(&named.or(self.last())?.message)
    }

    /// The selection by which an answer was given.
    pub(super) fn selection_of(&self, message: &MessageId) -> Option<&Selection> {
        let known = self
            .answers
            .iter()
            .find(|known| known.message == *message)?;
        Some(&known.selection)
    }

    /// The earlier answer that something belongs to although it is said in a turn. A call that is announced is a new one,
    /// and one that has ended is over: agents begin their numbers anew.
    pub(super) fn belongs_to_earlier(&self, update: &Value) -> Option<&MessageId> {
        let mut newest_first = self.answers.iter().rev();
        let current = newest_first.next()?;
        if let Some(id) = id_of_text(update).map(short) {
            if self.reuses_ids || current.texts.contains_key(&id) {
                return None;
            }
            let earlier = newest_first.find(|known| known.texts.contains_key(&id))?;
            return Some(&earlier.message);
        }
        let is_announced = text(update, "sessionUpdate") == Some("tool_call");
        let id = short(id_of_call(update).filter(|_| !is_announced)?);
        if current.calls.contains_key(&id) {
            return None;
        }
        let earlier = newest_first.find(|known| known.calls.contains_key(&id))?;
        (!earlier.calls[&id]).then_some(&earlier.message)
    }

    /// Keeps something that was said of an answer that had ended, until it is stored.
    pub(super) fn keep(&mut self, message: MessageId, update: Value) {
        let (bytes, now) = (update.to_string().len(), Instant::now());
        let is_soon = self.said_at.is_some_and(|at| now < at + SOON);
        self.said_at = Some(now);
        self.bytes += bytes;
        self.waiting.push(Said {
            message,
            update,
            is_soon,
            bytes,
        });
        let due = match self.bytes > TOGETHER_MAX_BYTES {
            true => now,
            false => now + TOGETHER,
        };
        self.due = Some(self.due.map_or(due, |before| before.min(due)));
    }

    /// When to store what waits.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether there is more than is stored together.
    pub(super) fn is_much(&self) -> bool {
        self.bytes > TOGETHER_MAX_BYTES
    }

    /// Takes what waits.
    pub(super) fn take(&mut self) -> Vec<Said> {
        self.due = None;
        self.bytes = 0;
        std::mem::take(&mut self.waiting)
    }

    /// Takes it back: the store does not take it now. How many were given up to make room.
    pub(super) fn put_back(&mut self, said: Vec<Said>) -> usize {
        let later = self.take();
        self.waiting = said;
        self.waiting.extend(later);
        self.bytes = self.waiting.iter().map(|said| said.bytes).sum();
        let mut given_up = 0;
        while self.bytes > KEPT_MAX_BYTES && given_up < self.waiting.len() {
            self.bytes -= self.waiting[given_up].bytes;
            given_up += 1;
        }
        self.waiting.drain(..given_up);
        self.due = Some(Instant::now() + TOGETHER);
        given_up
    }

    /// A turn had no text but such with the ids of earlier ones: the agent uses ids more than once, and it is this
    /// turn's.
    pub(super) fn take_texts(&mut self) -> Vec<Value> {
        let (texts, others) = self
            .take()
            .into_iter()
            .partition::<Vec<_>, _>(|said| id_of_text(&said.update).is_some());
        if !others.is_empty() {
            self.put_back(others);
        }
        self.reuses_ids |= !texts.is_empty();
        texts.into_iter().map(|said| said.update).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn selection() -> Selection {
        Selection {
            provider_id: "one".into(),
            model_id: "x".into(),
            variant: None,
            agent: "build".into(),
            mode: None,
        }
    }

    fn said(id: &str) -> Value {
        json!({"sessionUpdate": "agent_message_chunk", "messageId": id, "content": {"type": "text", "text": "t"}})
    }

    fn call(kind: &str, id: &str, status: &str) -> Value {
        json!({"sessionUpdate": kind, "toolCallId": id, "status": status})
    }

    #[test]
    fn what_is_said_belongs_to_the_answer_that_its_ids_name_or_to_the_last() {
        let (first, second) = (MessageId::new(), MessageId::new());
        let mut heard = Heard::default();
        assert_eq!(heard.belongs_to(&said("a")), None);
        heard.begins(&first, &selection());
        heard.note(&first, &said("a"), Some(&PartId::new()));
        heard.note(&first, &call("tool_call", "t", "pending"), None);
        heard.note(&first, &call("tool_call", "over", "completed"), None);
        heard.begins(&second, &selection());
        assert_eq!(heard.belongs_to(&said("a")), Some(&first));
        assert_eq!(heard.belongs_to(&said("b")), Some(&second));
        assert_eq!(
            heard.belongs_to(&json!({"sessionUpdate": "plan"})),
            Some(&second)
        );
        let ends = call("tool_call_update", "t", "completed");
        assert_eq!(heard.belongs_to(&ends), Some(&first));
        // In a turn the last one is the one that is being given.
        assert_eq!(heard.belongs_to_earlier(&said("a")), Some(&first));
        assert_eq!(heard.belongs_to_earlier(&said("b")), None);
        assert_eq!(heard.belongs_to_earlier(&ends), Some(&first));
        for other in [
            call("tool_call", "t", "pending"),
            call("tool_call_update", "over", "in_progress"),
            call("tool_call_update", "new", "completed"),
        ] {
            assert_eq!(heard.belongs_to_earlier(&other), None, "{other}");
        }
        heard.note(&second, &ends, None);
        assert_eq!(heard.belongs_to_earlier(&ends), None);
    }

    #[test]
    fn ids_that_are_used_again_say_nothing_any_more() {
        let (first, second) = (MessageId::new(), MessageId::new());
        let mut heard = Heard::default();
        heard.begins(&first, &selection());
        heard.note(&first, &said("a"), Some(&PartId::new()));
        heard.begins(&second, &selection());
        heard.keep(first.clone(), said("a"));
        heard.keep(first.clone(), call("tool_call_update", "t", "completed"));
        assert_eq!(heard.take_texts().len(), 1);
        assert_eq!(heard.belongs_to_earlier(&said("a")), None);
        assert_eq!(heard.take().len(), 1);
    }

    #[test]
    fn what_the_store_does_not_take_is_kept_within_bounds() {
        let mut heard = Heard::default();
        let message = MessageId::new();
        for n in 0..40 {
            heard.keep(
                message.clone(),
                json!({"n": n, "text": "x".repeat(TOGETHER_MAX_BYTES)}),
            );
        }
        assert!(heard.is_much());
        let all = heard.take();
        assert_eq!(heard.put_back(all), 25);
        assert_eq!(heard.take()[0].update["n"], 25);
    }
}
