//! From what an agent replays of a native session to messages: each prompt, and one answer to it, as they would have
//! become in a session of Baton's.

use serde_json::Value;

use super::Placed;
use super::answer::Answering;
use super::media::{self, Content, Room};
use super::prompt::user_message;
use crate::agent::quirks::told;
use crate::opencode::event::Todo;
use crate::opencode::message::{Message, MessageWithParts, Part, TextPart};
use crate::opencode::session::Tokens;
use crate::opencode::{MessageId, PartId, Selection, SessionId};
use crate::registry::BUILD;
use crate::session::sizes::Sizes;
use crate::store::MessageKey;

/// Stands for the model of an answer whose agent does not tell which it was. What is selected in the native session now
/// says nothing about who has answered then.
pub(crate) const UNKNOWN_MODEL: &str = "unknown";
/// Stands for a prompt where a replay begins with an answer.
const NO_PROMPT: &str =
    "Baton: the agent replays what follows without a message of the user before it.";

/// A prompt and what was said to it.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    prompt: Vec<Value>,
    said: Vec<Value>,
}

/// What was said in a native session.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// In its order.
    pub exchanges: Vec<Exchange>,
    /// The title that the agent gives it.
    pub title: Option<String>,
    /// What it has cost, in US dollars as the agent counts them.
    pub cost: Option<f64>,
}

impl Told {
    /// The last exchange, also where a replay begins with an answer.
    fn last(&mut self) -> &mut Exchange {
        if self.exchanges.is_empty() {
            self.exchanges.push(Exchange::default());
        }
        let at = self.exchanges.len() - 1;
        &mut self.exchanges[at]
    }
}

/// Reads a replay.
pub(crate) fn read(updates: Vec<Value>) -> Told {
    let mut told = Told::default();
    // Which message the prompt is that is being read.
    let mut open = None;
    for update in updates {
        let kind = update.get("sessionUpdate").and_then(Value::as_str);
        match kind.unwrap_or_default() {
            "user_message_chunk" => {
                let message = Some(message_of(&update));
                if open != message {
                    told.exchanges.push(Exchange::default());
                    open = message;
                }
                told.last().prompt.push(update);
            }
            "agent_message_chunk"
            | "agent_thought_chunk"
            | "tool_call"
            | "tool_call_update"
            | "plan" => {
                if is_empty_chunk(&update) {
                    continue;
                }
                open = None;
                told.last().said.push(update);
            }
            "session_info_update" => {
                let title = update.get("title").and_then(Value::as_str);
                told.title = title.map(str::to_owned).or(told.title);
            }
            "usage_update" => {
                let cost = update.pointer("/cost/amount").and_then(Value::as_f64);
                told.cost = cost.or(told.cost);
            }
            // Commands, modes and options are of now, and not of then.
            _ => {}
        }
    }
    told
}

/// Some agents send what an answer has cost as a piece of it without a text.
fn is_empty_chunk(update: &Value) -> bool {
    let text = update.pointer("/content/text").and_then(Value::as_str);
    text == Some("")
}

/// When something was said, in milliseconds since the Unix epoch, where the agent tells.
fn time_of(update: &Value) -> Option<u64> {
    update.pointer("/_meta/timestamp").and_then(Value::as_u64)
}

/// What tells a message of the user from the next one, where no answer is between them: its id, or else its time.
fn message_of(update: &Value) -> (Option<String>, Option<u64>) {
    match update.get("messageId").and_then(Value::as_str) {
        Some(id) => (Some(id.to_owned()), None),
        None => (None, time_of(update)),
    }
}

/// What is around the messages.
pub(crate) struct Frame<'a> {
    /// The session.
    pub session: &'a SessionId,
    /// Its directory.
    pub directory: &'a str,
    /// The backend.
    pub backend: &'a str,
    /// How large it may be.
    pub sizes: Sizes,
}

/// What has become of an exchange.
pub(crate) struct Became {
    /// The prompt, and its answer where there is one.
    pub messages: Vec<Placed>,
    /// The plan in it.
    pub todos: Option<Vec<Todo>>,
}

impl Exchange {
    /// The texts of the prompt, as the agent has them.
    pub(crate) fn prompt_text(&self) -> String {
        let texts = self.prompt.iter();
        let texts = texts.filter_map(|update| update.pointer("/content/text")?.as_str());
        texts.collect()
    }

    /// The messages, the first one at a place.
    pub(crate) fn become_messages(&self, to: &Frame<'_>, seq: u64) -> Became {
        let prompt = self.prompt_message(to);
        let id = prompt.info.id().clone();
        let key = |seq_of, id: &MessageId| MessageKey {
            seq: seq_of,
            turn: seq,
            id: id.clone(),
        };
        let mut messages = vec![Placed {
            key: key(seq, &id),
            message: prompt,
        }];
        let (answer, todos) = self.answer(to, &id, seq);
        messages.extend(answer.map(|message| Placed {
            key: key(seq + 1, message.info.id()),
            message,
        }));
        Became { messages, todos }
    }

    fn prompt_message(&self, to: &Frame<'_>) -> MessageWithParts {
        let id = MessageId::new();
        let mut info = user_message(id.clone(), to.session, &self.selection(to));
        if let Some(told) = self.prompt.iter().find_map(time_of) {
            info.time.created = told;
        }
        let mut parts = Parts {
            to,
            id: &id,
            parts: Vec::new(),
            bytes: 0,
        };
        self.prompt.iter().for_each(|update| parts.add(update));
        let mut parts = parts.parts;
        if parts.is_empty() {
            let nothing = text_part(to.session, &id, NO_PROMPT.to_owned(), true);
            parts.push(nothing);
        }
        MessageWithParts {
            info: Message::User(info),
            parts,
        }
    }

    /// What has answered. Nobody tells in which mode that was.
    fn selection(&self, to: &Frame<'_>) -> Selection {
        Selection {
            provider_id: to.backend.to_owned(),
            model_id: self.model().to_owned(),
            variant: None,
            agent: BUILD.to_owned(),
            mode: None,
        }
    }

    /// The model that has answered, as far as the agent tells.
    fn model(&self) -> &str {
        let chunks = self.said.iter();
        let mut named = chunks.rev().filter_map(told::model);
        named.next().unwrap_or(UNKNOWN_MODEL)
    }

    fn answer(
        &self,
        to: &Frame<'_>,
        prompt: &MessageId,
        turn: u64,
    ) -> (Option<MessageWithParts>, Option<Vec<Todo>>) {
        let selection = self.selection(to);
        let answer = Answering::new(to.session, prompt, turn, turn + 1, &selection, to.directory);
        let mut answer = answer.within(to.sizes);
        let mut todos = None;
        answer.begin(None);
        for update in &self.said {
            let folded = answer.fold(update, to.directory);
            todos = folded.todos.or(todos);
        }
        if !answer.has_content() {
            return (None, None);
        }
        answer.finish("stop", Tokens::default(), None, None);
        let times = || self.said.iter().filter_map(time_of);
        if let (Some(first), Some(last)) = (times().min(), times().max()) {
            answer.message.time.created = first;
            answer.message.time.completed = Some(last);
        }
        (Some(answer.snapshot()), todos)
    }
}

/// The parts of a prompt, as many and as large as a prompt of Baton's may have.
struct Parts<'a> {
    to: &'a Frame<'a>,
    id: &'a MessageId,
    parts: Vec<Part>,
    bytes: usize,
}

impl Parts<'_> {
    fn add(&mut self, update: &Value) {
        let Some(content) = update.get("content") else {
            return;
        };
        let sizes = &self.to.sizes;
        let room = Room {
            one: sizes.media_bytes,
            all: sizes.attachment_bytes.saturating_sub(self.bytes),
        };
        let is_full = self.parts.len() >= sizes.prompt_parts;
        match media::read(content, room) {
            Some(Content::Text(text)) => match self.parts.last_mut() {
                Some(Part::Text(last)) if is_full => last.text.push_str(&text),
                _ if text.is_empty() => {}
                _ => {
                    let part = text_part(self.to.session, self.id, text, false);
                    self.parts.push(part);
                }
            },
            Some(Content::File(file)) if !is_full => {
                self.bytes += file.bytes();
                let part = file.part(self.to.session, self.id);
                self.parts.push(Part::File(part));
            }
            Some(Content::File(_)) | None => {}
        }
    }
}

fn text_part(session: &SessionId, message: &MessageId, text: String, ignored: bool) -> Part {
    Part::Text(TextPart {
        id: PartId::new(),
        session_id: session.clone(),
        message_id: message.clone(),
        text,
        synthetic: None,
        ignored: ignored.then_some(true),
        time: None,
        metadata: None,
    })
}

/// From which exchange on a replay has what is not known yet; `None` when that cannot be told. So many prompts were known,
/// and this was the last one.
pub(crate) fn news_from(exchanges: &[Exchange], known: usize, last_prompt: &str) -> Option<usize> {
    let last_prompt = last_prompt.trim_end();
    let is_last = |exchange: &Exchange| exchange.prompt_text().trim_end().ends_with(last_prompt);
    let counted = known.checked_sub(1).and_then(|at| exchanges.get(at));
    if counted.is_some_and(is_last) {
        return Some(known);
    }
    // Some agents forget a prompt that was stopped, and some keep what Baton has not counted.
    (!last_prompt.is_empty())
        .then(|| exchanges.iter().rposition(is_last))
        .flatten()
        .map(|at| at + 1)
}

#[cfg(test)]
mod tests;
