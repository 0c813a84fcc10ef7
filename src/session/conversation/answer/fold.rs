//! Folding: one update of an agent at a time becomes a part of the answer, or its next state.

use std::path::Path;

use agent_client_protocol_schema::v1::ToolKind;
use serde_json::{Map, Value, json};

use super::super::media::{self, Content, Media, Room};
use super::super::tool::ToolCall;
use super::Answering;
use crate::opencode::event::{EventPayload, FileEdited, PartDelta, Todo};
use crate::opencode::message::{Part, PartTime, ReasoningPart, TextPart, ToolPart};
use crate::opencode::{PartId, now_ms};
use crate::session::sizes::beginning;

/// The longest id of an agent's own that is taken notice of, in bytes.
pub(super) const AGENTS_ID_MAX_BYTES: usize = 1024;

/// What a text may grow by until it is stored, in bytes: others wait while much is written at once.
const GROWTH_BYTES: usize = 32 * 1024;

/// What an update means beyond the answer's own parts.
#[derive(Debug, Default)]
pub(crate) struct Folded {
    /// What clients are to see.
    pub events: Vec<EventPayload>,
    /// The agent's new plan.
    pub todos: Option<Vec<Todo>>,
    /// The size of the model's context, in tokens.
    pub context_tokens: Option<u64>,
    /// A title that the agent has found for the session.
    pub title: Option<String>,
    /// A part is complete, or a tool call has begun: the store should have it now, since the next thing to
    /// happen may be an effect outside of Baton. Or there is much that it lacks.
    pub complete: bool,
}

impl Answering {
    /// Takes in one `session/update`.
    pub(crate) fn fold(&mut self, update: &Value, directory: &str) -> Folded {
        let kind = update
            .get("sessionUpdate")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let mut folded = Folded::default();
        match kind {
            "agent_message_chunk" => self.fold_chunk(update, false, &mut folded),
            "agent_thought_chunk" => self.fold_chunk(update, true, &mut folded),
            "tool_call" | "tool_call_update" => self.fold_told(update, directory, &mut folded),
            "plan" => self.fold_plan(update, &mut folded),
            "usage_update" => {
                let tokens = |key: &str| update.get(key).and_then(Value::as_u64);
                folded.context_tokens = tokens("size").filter(|size| *size > 0);
                self.context.size = folded.context_tokens.or(self.context.size);
                self.context.used = tokens("used").or(self.context.used);
                let cost = update
                    .get("cost")
                    .and_then(|c| c.get("amount"))
                    .and_then(Value::as_f64);
                if let Some(total) = cost {
                    self.meter.told(total);
                }
            }
            "session_info_update" => {
                folded.title = update
                    .get("title")
                    .and_then(Value::as_str)
                    .map(str::to_owned);
            }
            // Commands, modes and options are not part of an answer; kinds from the future are none
            // that we know.
            _ => {}
        }
        folded
    }

    fn fold_chunk(&mut self, update: &Value, reasoning: bool, folded: &mut Folded) {
        let Some(content) = update.get("content") else {
            return;
        };
        let text = match media::read(content, self.media_room(0)) {
            Some(Content::Text(text)) => text,
            Some(Content::File(media)) => return self.add_file(&media, folded),
            None => return,
        };
        let Some(text) = self.within_room(text) else {
            return;
        };
        self.bytes += text.len();
        self.has_content = true;
        let agents_id = update
            .get("messageId")
            .and_then(Value::as_str)
            .map(|id| beginning(id, AGENTS_ID_MAX_BYTES).to_owned());
        let fits = |part: &Part| {
            matches!(
                (part, reasoning),
                (Part::Text(_), false) | (Part::Reasoning(_), true)
            )
        };
        let continues = self
            .open
            .as_ref()
            .is_some_and(|(at, id)| fits(&self.parts[*at]) && *id == agents_id);
        if !continues {
            folded.complete = self.close_open(&mut folded.events);
            let part = self.new_text_part(reasoning);
            folded.events.push(self.add(part));
            self.open = Some((self.parts.len() - 1, agents_id));
        }
        let Some((at, _)) = self.open else { return };
        let (Part::Text(TextPart {
            id, text: whole, ..
        })
        | Part::Reasoning(ReasoningPart {
            id, text: whole, ..
        })) = &mut self.parts[at]
        else {
            return;
        };
        whole.push_str(&text);
        folded.events.push(EventPayload::PartDelta(PartDelta {
            session_id: self.message.session_id.clone(),
            message_id: self.message.id.clone(),
            part_id: id.clone(),
            field: "text".to_owned(),
            delta: text,
        }));
        match self.kept {
            Some(kept) if kept.at == at => {
                folded.complete |= self.text(at).len().saturating_sub(kept.bytes) >= GROWTH_BYTES;
            }
            _ => {
                self.unwritten.insert(at);
            }
        }
    }

    /// How large files may be, where some of them have their place already.
    fn media_room(&self, has: usize) -> Room {
        let taken = self.media_bytes.saturating_sub(has);
        Room {
            one: self.sizes.media_bytes,
            all: self.sizes.answer_media_bytes.saturating_sub(taken),
        }
    }

    fn add_file(&mut self, media: &Media, folded: &mut Folded) {
        if self.is_cut_off || self.is_full(0) {
            return;
        }
        self.media_bytes += media.bytes();
        self.has_content = true;
        self.close_open(&mut folded.events);
        let file = media.part(&self.message.session_id, &self.message.id);
        folded.events.push(self.add(Part::File(file)));
        folded.complete = true;
    }

    fn new_text_part(&self, reasoning: bool) -> Part {
        let (id, session_id, message_id) = (
            PartId::new(),
            self.message.session_id.clone(),
            self.message.id.clone(),
        );
        let time = PartTime {
            start: now_ms(),
            end: None,
        };
        if reasoning {
            return Part::Reasoning(ReasoningPart {
                id,
                session_id,
                message_id,
                text: String::new(),
                time,
            });
        }
        let text = String::new();
        let (synthetic, ignored, metadata) = (None, None, None);
        Part::Text(TextPart {
            id,
            session_id,
            message_id,
            text,
            synthetic,
            ignored,
            time: Some(time),
            metadata,
        })
    }

    pub(super) fn is_full(&self, more: usize) -> bool {
        self.bytes + more > self.sizes.answer_bytes || self.parts.len() >= self.sizes.answer_parts
    }

    /// What of a text there is room for. The first one that is cut off says so.
    fn within_room(&mut self, mut text: String) -> Option<String> {
        if self.is_cut_off || text.is_empty() {
            return None;
        }
        if self.is_full(text.len()) {
            self.is_cut_off = true;
            let room = self.sizes.answer_bytes.saturating_sub(self.bytes);
            text = format!(
                "{}\n[the answer is cut off here: it has more than {} bytes (limits.answer_bytes) or {} parts \
                 (limits.answer_parts)]",
                beginning(&text, room),
                self.sizes.answer_bytes,
                self.sizes.answer_parts
            );
        }
        Some(text)
    }

    /// Ends the text part that grows; true when there was one.
    pub(super) fn close_open(&mut self, events: &mut Vec<EventPayload>) -> bool {
        let Some((at, _)) = self.open.take() else {
            return false;
        };
        let end = Some(now_ms());
        match &mut self.parts[at] {
            Part::Text(part) => part.time = part.time.map(|t| PartTime { end, ..t }),
            Part::Reasoning(part) => part.time.end = end,
            _ => {}
        }
        events.push(self.changed(at));
        true
    }

    /// The announced call that a request for a permission is about although it names another one: some agents give their
    /// requests ids of their own. Of those that have not ended it is the only one with the same arguments; or, where one of
    /// the two has none, the only one that may be it.
    pub(crate) fn meant_by(&self, tool_call: &Value) -> Option<&str> {
        let id = tool_call.get("toolCallId").and_then(Value::as_str)?;
        if self.tools.contains_key(id) {
            return None;
        }
        let mut asked = ToolCall::new(0);
        asked.merge(tool_call, 0, self.sizes.tool_call_bytes);
        let is_open = |call: &ToolCall| !call.has_ended();
        let same = self.same_call(&asked, is_open);
        same.or_else(|| match asked.told_input() {
            None => self.only_call(is_open),
            Some(_) => None,
        })
    }

    /// The only one of some calls that one with another id may be.
    fn same_call(&self, other: &ToolCall, is_one: impl Fn(&ToolCall) -> bool) -> Option<&str> {
        let may_be = |call: &ToolCall| is_one(call) && call.may_be(other);
        match other.told_input() {
            None => self.only_call(may_be),
            told => (self.only_call(|call| is_one(call) && call.told_input() == told))
                .or_else(|| self.only_call(|call| may_be(call) && call.has_input_of(other)))
                .or_else(|| self.only_call(|call| may_be(call) && call.told_input().is_none())),
        }
    }

    fn only_call(&self, is_one: impl Fn(&ToolCall) -> bool) -> Option<&str> {
        let mut those = self.tools.iter().filter(|(_, (_, call))| is_one(call));
        let (id, _) = those.next()?;
        those.next().is_none().then_some(id.as_str())
    }

    /// A call that was known from a request with an id of its own goes on under the agent's id of it.
    fn rename_asked(&mut self, update: &Value, call_id: &str) {
        let mut told = ToolCall::new(0);
        told.merge(update, 0, self.sizes.tool_call_bytes);
        let is_alike = |call: &ToolCall| {
            call.has_input_of(&told)
                || (call.kind() == told.kind() && call.kind() != ToolKind::Other)
        };
        let asked = self.same_call(&told, |call| {
            call.is_only_asked() && !call.has_ended() && is_alike(call)
        });
        if let Some(asked) = asked.map(str::to_owned)
            && let Some(call) = self.tools.remove(&asked)
        {
            self.tools.insert(call_id.to_owned(), call);
        }
    }

    /// Takes in the tool call of a request for a permission. Some agents announce a call with nothing else
    /// before it has ended, and some give its arguments nowhere else.
    pub(crate) fn announce(&mut self, tool_call: &Value, directory: &str) -> Folded {
        let mut folded = Folded::default();
        let Some(id) = tool_call.get("toolCallId").and_then(Value::as_str) else {
            return folded;
        };
        let found = self.tools.get(id).map(|(_, call)| call);
        let arguments_are_known = found.is_some_and(|call| call.told_input().is_some());
        let mut call = match tool_call.as_object() {
            Some(call) if !arguments_are_known => call.clone(),
            _ => Map::from_iter([("toolCallId".to_owned(), json!(id))]),
        };
        // What is shown beside the question is not what the tool has returned.
        call.remove("content");
        call.remove("status");
        // As in OpenCode, whose terminal UI shows the arguments of a pending call to nobody: not even to the user
        // who is asked whether it may run.
        if found.is_none_or(ToolCall::is_pending) {
            call.insert("status".to_owned(), json!("in_progress"));
        } else if arguments_are_known {
            return folded;
        }
        let is_new = found.is_none();
        self.fold_tool(&Value::Object(call), directory, &mut folded);
        if is_new && let Some((_, call)) = self.tools.get_mut(id) {
            call.is_now_only_asked(true);
        }
        folded
    }

    fn fold_told(&mut self, update: &Value, directory: &str, folded: &mut Folded) {
        let Some(call_id) = update.get("toolCallId").and_then(Value::as_str) else {
            return;
        };
        if !self.tools.contains_key(call_id) {
            self.rename_asked(update, call_id);
        }
        self.fold_tool(update, directory, folded);
        if let Some((_, call)) = self.tools.get_mut(call_id) {
            call.is_now_only_asked(false);
        }
    }

    fn fold_tool(&mut self, update: &Value, directory: &str, folded: &mut Folded) {
        let Some(call_id) = update.get("toolCallId").and_then(Value::as_str) else {
            return;
        };
        if call_id.len() > AGENTS_ID_MAX_BYTES {
            return;
        }
        let known = self.tools.contains_key(call_id);
        if !known && self.is_full(0) {
            return;
        }
        self.has_content = true;
        folded.complete = self.close_open(&mut folded.events);
        let (at, mut call) = match self.tools.remove(call_id) {
            Some(found) => found,
            None => (self.parts.len(), ToolCall::new(now_ms())),
        };
        let (before, was_pending) = (call.bytes(), call.is_pending());
        let room = self.sizes.answer_bytes.saturating_sub(self.bytes);
        let most = self.sizes.tool_call_bytes.min(before + room);
        let media_before = call.media_bytes();
        call.allow_media(self.media_room(media_before));
        let finished = call.merge(update, now_ms(), most);
        folded.complete |= was_pending && !call.is_pending();
        self.bytes = (self.bytes + call.bytes()).saturating_sub(before);
        self.media_bytes = (self.media_bytes + call.media_bytes()).saturating_sub(media_before);
        let part = Part::Tool(ToolPart {
            id: self
                .parts
                .get(at)
                .map_or_else(PartId::new, |p| p.id().clone()),
            session_id: self.message.session_id.clone(),
            message_id: self.message.id.clone(),
            call_id: call_id.to_owned(),
            tool: call.tool().to_owned(),
            state: call.state_in(&self.message.session_id, &self.message.id),
        });
        if at == self.parts.len() {
            folded.events.push(self.add(part));
            folded.complete = true;
        } else if self.parts[at] != part {
            // Agents repeat themselves; what has not changed is no news.
            self.parts[at] = part;
            folded.events.push(self.changed(at));
        }
        if finished {
            folded.complete = true;
            let files = call
                .edited_files()
                .into_iter()
                .map(|file| absolute(directory, &file));
            folded
                .events
                .extend(files.map(|file| EventPayload::FileEdited(FileEdited { file })));
        }
        self.tools.insert(call_id.to_owned(), (at, call));
    }
}

fn absolute(directory: &str, file: &str) -> String {
    Path::new(directory)
        .join(file)
        .to_string_lossy()
        .into_owned()
}
