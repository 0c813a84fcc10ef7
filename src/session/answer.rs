//! The answer that is being written: folds an agent's updates into a message and its parts.
//!
//! Pure: updates go in, events come out, and [`Answering::take_changes`] says what the store lacks.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::state::to_json;
use super::tool::ToolCall;
use super::traces::Step;
use crate::opencode::event::{
    EventPayload, FileEdited, MessageEvent, PartDelta, PartUpdated, Todo, TodoUpdated,
};
use crate::opencode::message::{
    AssistantMessage, AssistantTime, Message, MessageError, MessagePath, MessageWithParts, Part,
    PartTime, PatchPart, ReasoningPart, StepFinishPart, StepStartPart, TextPart, ToolPart,
    ToolState,
};
use crate::opencode::session::Tokens;
use crate::opencode::{MessageId, PartId, Selection, SessionId, now_ms};
use crate::store::{Change, MessageKey};

/// Text of one answer that is kept, in bytes; an agent that floods is cut off there.
pub const ANSWER_MAX_BYTES: usize = 64 * 1024 * 1024;
/// Parts of one answer.
pub const PARTS_MAX: usize = 20_000;
/// The agent that OpenCode names for a summary.
const COMPACTION: &str = "compaction";
/// The tool under which a plan is shown, as OpenCode does it.
pub const PLAN_TOOL: &str = "todowrite";

/// What an update means beyond the answer's own parts.
#[derive(Debug, Default)]
pub struct Folded {
    /// What clients are to see.
    pub events: Vec<EventPayload>,
    /// The agent's new plan.
    pub todos: Option<Vec<Todo>>,
    /// The size of the model's context, in tokens.
    pub context_tokens: Option<u64>,
    /// A title that the agent has found for the session.
    pub title: Option<String>,
    /// A complete part was written, so that the store should have it now.
    pub complete: bool,
}

/// An answer that is being written.
#[derive(Debug)]
pub struct Answering {
    /// The message.
    pub message: AssistantMessage,
    /// Its parts.
    pub parts: Vec<Part>,
    key: MessageKey,
    /// The text or reasoning part that grows, and the agent's own id of the message it belongs to.
    open: Option<(usize, Option<String>)>,
    tools: HashMap<String, (usize, ToolCall)>,
    plans: u64,
    unwritten: BTreeSet<usize>,
    message_unwritten: bool,
    bytes: usize,
    /// What the agent's session had cost before this answer, where it says so.
    cost_before: f64,
    cost_now: Option<f64>,
    has_content: bool,
}

impl Answering {
    /// An empty answer to a prompt.
    pub fn new(
        session: &SessionId,
        parent: &MessageId,
        turn: u64,
        seq: u64,
        selection: &Selection,
        directory: &str,
    ) -> Self {
        let id = MessageId::after(parent);
        let message = AssistantMessage {
            id: id.clone(),
            session_id: session.clone(),
            time: AssistantTime {
                created: now_ms(),
                completed: None,
            },
            error: None,
            parent_id: parent.clone(),
            model_id: selection.model_id.clone(),
            provider_id: selection.provider_id.clone(),
            mode: selection.agent.clone(),
            agent: selection.agent.clone(),
            path: MessagePath {
                cwd: directory.to_owned(),
                root: directory.to_owned(),
            },
            summary: None,
            cost: 0.0,
            tokens: Tokens::default(),
            variant: selection.variant.clone(),
            finish: None,
        };
        Self {
            message,
            parts: Vec::new(),
            key: MessageKey { seq, turn, id },
            open: None,
            tools: HashMap::new(),
            plans: 0,
            unwritten: BTreeSet::new(),
            message_unwritten: true,
            bytes: 0,
            cost_before: 0.0,
            cost_now: None,
            has_content: false,
        }
    }

    /// Makes it the summary of a conversation, as OpenCode marks one.
    pub fn becomes_summary(&mut self) {
        self.message.summary = Some(true);
        self.message.mode = COMPACTION.to_owned();
        self.message.agent = COMPACTION.to_owned();
    }

    /// The events of its beginning.
    pub fn begin(&mut self, cost_before: f64, snapshot: Option<String>) -> Vec<EventPayload> {
        self.cost_before = cost_before;
        let step = Part::StepStart(StepStartPart {
            id: PartId::new(),
            session_id: self.message.session_id.clone(),
            message_id: self.message.id.clone(),
            snapshot,
        });
        vec![self.message_event(), self.add(step)]
    }

    /// Puts in a part that was made elsewhere, or its next state.
    pub fn show(&mut self, part: Part) -> EventPayload {
        match self.parts.iter().position(|p| p.id() == part.id()) {
            Some(at) => {
                self.parts[at] = part;
                self.changed(at)
            }
            None => self.add(part),
        }
    }

    /// Ends an answer that no model has given.
    pub fn complete(&mut self, error: Option<MessageError>) -> EventPayload {
        self.message.time.completed = Some(now_ms());
        self.message.error = error;
        self.message_unwritten = true;
        self.message_event()
    }

    /// What the agent's session has cost by now.
    pub fn cost_total(&self) -> f64 {
        self.cost_now.unwrap_or(self.cost_before)
    }

    /// The tool of a call, when it was announced.
    pub fn tool_of(&self, call_id: &str) -> Option<&str> {
        self.tools.get(call_id).map(|(_, call)| call.tool())
    }

    /// Whether the agent has said or done anything.
    pub fn has_content(&self) -> bool {
        self.has_content
    }

    /// The message as it stands.
    pub fn snapshot(&self) -> MessageWithParts {
        MessageWithParts {
            info: Message::Assistant(self.message.clone()),
            parts: self.parts.clone(),
        }
    }

    /// Takes in one `session/update`.
    pub fn fold(&mut self, update: &Value, directory: &str) -> Folded {
        let kind = update
            .get("sessionUpdate")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let mut folded = Folded::default();
        match kind {
            "agent_message_chunk" => self.fold_chunk(update, false, &mut folded),
            "agent_thought_chunk" => self.fold_chunk(update, true, &mut folded),
            "tool_call" | "tool_call_update" => self.fold_tool(update, directory, &mut folded),
            "plan" => self.fold_plan(update, &mut folded),
            "usage_update" => {
                folded.context_tokens = update
                    .get("size")
                    .and_then(Value::as_u64)
                    .filter(|size| *size > 0);
                let cost = update
                    .get("cost")
                    .and_then(|c| c.get("amount"))
                    .and_then(Value::as_f64);
                self.cost_now = cost.filter(|c| c.is_finite()).or(self.cost_now);
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
        let text = match content.get("type").and_then(Value::as_str) {
            Some("text") => content
                .get("text")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            Some(other) => format!("[{other}]"),
            None => return,
        };
        if text.is_empty() || self.is_full(text.len()) {
            return;
        }
        self.bytes += text.len();
        self.has_content = true;
        let agents_id = update
            .get("messageId")
            .and_then(Value::as_str)
            .map(str::to_owned);
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
        self.unwritten.insert(at);
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

    fn is_full(&self, more: usize) -> bool {
        self.bytes + more > ANSWER_MAX_BYTES || self.parts.len() >= PARTS_MAX
    }

    /// Ends the text part that grows; true when there was one.
    fn close_open(&mut self, events: &mut Vec<EventPayload>) -> bool {
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

    /// Takes in the tool call of a request for a permission. Some agents announce a call with nothing else
    /// before it has ended, and some give its arguments nowhere else.
    pub fn announce(&mut self, tool_call: &Value, directory: &str) -> Folded {
        let mut folded = Folded::default();
        let Some(id) = tool_call.get("toolCallId").and_then(Value::as_str) else {
            return folded;
        };
        let found = self.tools.get(id).map(|(_, call)| call);
        let arguments_are_known = found.is_some_and(|call| !call.input().is_empty());
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
        self.fold_tool(&Value::Object(call), directory, &mut folded);
        folded
    }

    fn fold_tool(&mut self, update: &Value, directory: &str, folded: &mut Folded) {
        let Some(call_id) = update.get("toolCallId").and_then(Value::as_str) else {
            return;
        };
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
        let room = ANSWER_MAX_BYTES.saturating_sub(self.bytes);
        let before = call.output_len();
        let finished = call.merge(update, now_ms(), room);
        self.bytes += call.output_len().saturating_sub(before);
        let part = Part::Tool(ToolPart {
            id: self
                .parts
                .get(at)
                .map_or_else(PartId::new, |p| p.id().clone()),
            session_id: self.message.session_id.clone(),
            message_id: self.message.id.clone(),
            call_id: call_id.to_owned(),
            tool: call.tool().to_owned(),
            state: call.state(),
        });
        if at == self.parts.len() {
            folded.events.push(self.add(part));
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

    fn fold_plan(&mut self, update: &Value, folded: &mut Folded) {
        let Some(entries) = update.get("entries").and_then(Value::as_array) else {
            return;
        };
        if self.is_full(0) {
            return;
        }
        let text = |entry: &Value, key: &str, default: &str| {
            entry
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or(default)
                .to_owned()
        };
        let todos: Vec<Todo> = entries
            .iter()
            .map(|entry| Todo {
                content: text(entry, "content", ""),
                status: text(entry, "status", "pending"),
                priority: text(entry, "priority", "medium"),
            })
            .collect();
        self.has_content = true;
        self.close_open(&mut folded.events);
        self.plans += 1;
        let now = now_ms();
        let list = json!(todos);
        let object = |value: Value| Map::from_iter([("todos".to_owned(), value)]);
        let part = Part::Tool(ToolPart {
            id: PartId::new(),
            session_id: self.message.session_id.clone(),
            message_id: self.message.id.clone(),
            call_id: format!("plan-{}", self.plans),
            tool: PLAN_TOOL.to_owned(),
            state: ToolState::Completed {
                input: object(list.clone()),
                output: serde_json::to_string_pretty(&list).unwrap_or_default(),
                title: format!(
                    "{} todos",
                    todos.iter().filter(|t| t.status != "completed").count()
                ),
                metadata: object(list),
                time: PartTime {
                    start: now,
                    end: Some(now),
                },
            },
        });
        folded.events.push(self.add(part));
        folded.events.push(EventPayload::TodoUpdated(TodoUpdated {
            session_id: self.message.session_id.clone(),
            todos: todos.clone(),
        }));
        folded.todos = Some(todos);
        folded.complete = true;
    }

    /// Ends the answer. Tool calls that are still running did not finish.
    pub fn finish(
        &mut self,
        reason: &str,
        tokens: Tokens,
        error: Option<MessageError>,
        step: Option<&Step>,
    ) -> Vec<EventPayload> {
        let mut events = Vec::new();
        self.close_open(&mut events);
        let unfinished: Vec<usize> = (0..self.parts.len())
            .filter(|&at| interrupt(&mut self.parts[at], now_ms()))
            .collect();
        events.extend(unfinished.into_iter().map(|at| self.changed(at)));
        let cost = self
            .cost_now
            .map_or(0.0, |now| (now - self.cost_before).max(0.0));
        events.push(self.add(Part::StepFinish(StepFinishPart {
            id: PartId::new(),
            session_id: self.message.session_id.clone(),
            message_id: self.message.id.clone(),
            reason: reason.to_owned(),
            snapshot: step.map(|step| step.after.clone()),
            cost,
            tokens,
        })));
        if let Some(step) = step.filter(|step| !step.files.is_empty()) {
            events.push(self.add(Part::Patch(PatchPart {
                id: PartId::new(),
                session_id: self.message.session_id.clone(),
                message_id: self.message.id.clone(),
                hash: step.before.clone(),
                files: step.files.clone(),
            })));
        }
        self.message.time.completed = Some(now_ms());
        self.message.finish = Some(reason.to_owned());
        self.message.tokens = tokens;
        self.message.cost = cost;
        self.message.error = error;
        self.message_unwritten = true;
        events.push(self.message_event());
        events
    }

    /// What the store does not have yet.
    pub fn take_changes(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        if std::mem::take(&mut self.message_unwritten) {
            changes.push(put_message(
                &Message::Assistant(self.message.clone()),
                &self.message.session_id,
                &self.key,
            ));
        }
        for at in std::mem::take(&mut self.unwritten) {
            changes.push(put_part(&self.parts[at], &self.message.session_id, at));
        }
        changes
    }

    /// Whether the store lacks something.
    pub fn is_unwritten(&self) -> bool {
        self.message_unwritten || !self.unwritten.is_empty()
    }

    fn add(&mut self, part: Part) -> EventPayload {
        self.parts.push(part);
        self.changed(self.parts.len() - 1)
    }

    fn changed(&mut self, at: usize) -> EventPayload {
        self.unwritten.insert(at);
        part_event(&self.message.session_id, self.parts[at].clone())
    }

    /// The event of the message as it stands.
    pub fn message_event(&self) -> EventPayload {
        let info = Message::Assistant(self.message.clone());
        EventPayload::MessageUpdated(MessageEvent {
            session_id: self.message.session_id.clone(),
            info,
        })
    }
}

/// Turns a tool call that has not ended into one that failed; true when it was one.
pub fn interrupt(part: &mut Part, now: u64) -> bool {
    let Part::Tool(tool) = part else { return false };
    let (input, start, metadata) = match &tool.state {
        ToolState::Pending { input, .. } => (input.clone(), now, None),
        ToolState::Running {
            input,
            time,
            metadata,
            ..
        } => (input.clone(), time.start, metadata.clone()),
        ToolState::Completed { .. } | ToolState::Error { .. } => return false,
    };
    let error = "The tool call was interrupted before it ended.".to_owned();
    tool.state = ToolState::Error {
        input,
        error,
        metadata,
        time: PartTime {
            start,
            end: Some(now),
        },
    };
    true
}

/// The event of a part that was made or has changed.
pub fn part_event(session: &SessionId, part: Part) -> EventPayload {
    EventPayload::PartUpdated(PartUpdated {
        session_id: session.clone(),
        part,
        time: now_ms(),
    })
}

/// Writes a message without its parts.
pub fn put_message(message: &Message, session: &SessionId, key: &MessageKey) -> Change {
    let open = matches!(message, Message::Assistant(m) if m.time.completed.is_none());
    Change::PutMessage {
        session: session.clone(),
        key: key.clone(),
        open,
        body: to_json(message),
    }
}

/// Writes a part.
pub fn put_part(part: &Part, session: &SessionId, place: usize) -> Change {
    Change::PutPart {
        session: session.clone(),
        message: part.message_id().clone(),
        place: place as u64,
        id: part.id().clone(),
        body: to_json(part),
    }
}

fn absolute(directory: &str, file: &str) -> String {
    Path::new(directory)
        .join(file)
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests;
