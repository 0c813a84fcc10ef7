//! The answer that is being written: folds an agent's updates into a message and its parts.
//!
//! Pure: updates go in, events come out, and [`Answering::take_unwritten`] says what the store lacks.

mod fold;
mod late;
mod meter;
mod plan;
mod words;

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value};

use super::tool::{INTERRUPTED, ToolCall, UNTOLD};
use super::{message_event, part_event, put_message, put_part};
use crate::json;
use crate::opencode::event::EventPayload;
use crate::opencode::history::ContextUse;
use crate::opencode::message::{
    AssistantMessage, AssistantTime, Message, MessageError, MessagePath, MessageWithParts, Part,
    PartTime, PatchPart, ReasoningPart, StepFinishPart, StepStartPart, TextPart, ToolState,
};
use crate::opencode::session::Tokens;
use crate::opencode::{MessageId, PartId, Selection, SessionId, now_ms};
use crate::session::sizes::Sizes;
use crate::store::{Change, MessageKey};
use meter::Meter;

pub(crate) use fold::Folded;
pub(crate) use late::Changed;

/// A text that has ended is written once more in one piece up to this many bytes, so that it can be read as it is. More would
/// hold up others.
const WHOLE_BYTES: usize = 256 * 1024;
/// The agent that OpenCode names for a summary.
const COMPACTION: &str = "compaction";
/// The tool under which a plan is shown, as OpenCode does it.
pub(crate) const PLAN_TOOL: &str = "todowrite";

/// The part of an answer that the store does not have yet.
#[derive(Debug)]
pub(crate) struct Unwritten {
    /// What writes it.
    pub changes: Vec<Change>,
    message: bool,
    parts: BTreeSet<usize>,
}

/// A text of which the store has the beginning.
#[derive(Debug, Clone, Copy)]
struct Kept {
    /// Which part it is of.
    at: usize,
    /// How many bytes of it were written with the part.
    with_part: usize,
    /// How many bytes of it the store has.
    bytes: usize,
}

/// The working directory before and after a turn.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// The state before.
    pub before: String,
    /// The state after.
    pub after: String,
    /// The files that differ, as absolute paths.
    pub files: Vec<String>,
}

/// An answer that is being written.
#[derive(Debug, Clone)]
pub(crate) struct Answering {
    /// The message.
    pub message: AssistantMessage,
    /// Its parts.
    pub parts: Vec<Part>,
    key: MessageKey,
    /// The text or reasoning part that grows, and the agent's own id of the message it belongs to.
    open: Option<(usize, Option<String>)>,
    /// The part that grows, if the store has it already.
    kept: Option<Kept>,
    /// A part that grows is written anew each time.
    always_whole: bool,
    tools: HashMap<String, (usize, ToolCall)>,
    /// The plan: its bytes, and the part that shows it.
    plan: Option<(usize, usize)>,
    sizes: Sizes,
    is_cut_off: bool,
    unwritten: BTreeSet<usize>,
    message_unwritten: bool,
    bytes: usize,
    /// The files among its parts and those of its tool calls.
    media_bytes: usize,
    meter: Meter,
    /// The model's context, as the agent reported it last.
    pub context: ContextUse,
    has_content: bool,
    told_model: Option<String>,
}

impl Answering {
    /// An empty answer to a prompt.
    pub(crate) fn new(
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
            structured: None,
            variant: selection.variant.clone(),
            finish: None,
            overrides: None,
            pinned_over: None,
            revision: None,
        };
        Self {
            message,
            parts: Vec::new(),
            key: MessageKey { seq, turn, id },
            open: None,
            kept: None,
            always_whole: false,
            tools: HashMap::new(),
            plan: None,
            sizes: Sizes::default(),
            is_cut_off: false,
            unwritten: BTreeSet::new(),
            message_unwritten: true,
            bytes: 0,
            media_bytes: 0,
            meter: Meter::default(),
            context: ContextUse::default(),
            has_content: false,
            told_model: None,
        }
    }

    /// The same answer, which may be so large.
    pub(crate) fn within(self, sizes: Sizes) -> Self {
        Self { sizes, ..self }
    }

    /// The same answer, of which a part is written whole each time that it grows, where others read the store that know no
    /// [`Change::GrowPart`]: servers of the version before, while one after the other is upgraded.
    pub(crate) fn always_whole(self, always_whole: bool) -> Self {
        Self {
            always_whole,
            ..self
        }
    }

    /// Makes it the summary of a conversation, as OpenCode marks one.
    pub(crate) fn becomes_summary(&mut self) {
        self.message.summary = Some(true);
        self.message.mode = COMPACTION.to_owned();
        self.message.agent = COMPACTION.to_owned();
    }

    /// The events of its beginning.
    pub(crate) fn begin(&mut self, snapshot: Option<String>) -> Vec<EventPayload> {
        let step = Part::StepStart(StepStartPart {
            id: PartId::new(),
            session_id: self.message.session_id.clone(),
            message_id: self.message.id.clone(),
            snapshot,
        });
        vec![self.message_event(), self.add(step)]
    }

    /// Puts in a part that was made elsewhere, or its next state.
    pub(crate) fn show(&mut self, part: Part) -> EventPayload {
        match self.parts.iter().position(|p| p.id() == part.id()) {
            Some(at) => {
                self.parts[at] = part;
                self.kept = self.kept.filter(|kept| kept.at != at);
                self.changed(at)
            }
            None => self.add(part),
        }
    }

    /// Ends an answer that no model has given.
    pub(crate) fn complete(&mut self, error: Option<MessageError>) -> EventPayload {
        self.message.time.completed = Some(now_ms());
        self.message.error = error;
        self.message_unwritten = true;
        self.message_event()
    }

    /// From now on its agent reports the cost of this native session, which was this much at its last report.
    pub(crate) fn is_metered_from(&mut self, cost: Option<f64>) {
        self.meter.moves_to(cost);
    }

    /// What the answer has cost so far, where the agent says so.
    pub(crate) fn cost_so_far(&self) -> f64 {
        self.meter.spent()
    }

    /// What the agent's session has cost by now, where the agent says so.
    pub(crate) fn cost_total(&self) -> Option<f64> {
        self.meter.last()
    }

    /// The agent reports that this model answers; the last report counts.
    pub(crate) fn note_told_model(&mut self, model: &str) {
        self.told_model = Some(model.to_owned());
    }

    /// The model that answers, as far as the agent has reported it.
    pub(crate) fn told_model(&self) -> Option<&str> {
        self.told_model.as_deref()
    }

    /// It was another model of the backend that has answered; its effort is not known.
    pub(crate) fn was_given_by(&mut self, model: String) {
        self.message.model_id = model;
        self.message.variant = None;
        self.message_unwritten = true;
    }

    /// The turn that it belongs to.
    pub(crate) fn turn(&self) -> u64 {
        self.key.turn
    }

    /// The text that grows at the moment.
    pub(crate) fn growing(&self) -> Option<&PartId> {
        self.open.as_ref().map(|(at, _)| self.parts[*at].id())
    }

    /// What comes next is another text, whatever the agent calls it.
    pub(crate) fn begins_anew(&mut self) -> Vec<EventPayload> {
        let mut events = Vec::new();
        self.close_open(&mut events);
        events
    }

    /// What is known of a tool call, when it was announced.
    pub(crate) fn call(&self, call_id: &str) -> Option<&ToolCall> {
        self.tools.get(call_id).map(|(_, call)| call)
    }

    /// Whether the agent has said or done anything.
    pub(crate) fn has_content(&self) -> bool {
        self.has_content
    }

    /// What the tool call does that has begun last and has not ended.
    pub(crate) fn tool_at_work(&self) -> Option<String> {
        self.parts.iter().rev().find_map(|part| match part {
            Part::Tool(call) => match &call.state {
                ToolState::Pending { .. } => Some(call.tool.clone()),
                ToolState::Running { title, .. } => {
                    let title = title.clone().filter(|title| !title.is_empty());
                    Some(title.unwrap_or_else(|| call.tool.clone()))
                }
                ToolState::Completed { .. } | ToolState::Error { .. } => None,
            },
            _ => None,
        })
    }

    /// The message as it is now.
    pub(crate) fn snapshot(&self) -> MessageWithParts {
        MessageWithParts {
            info: Message::Assistant(self.message.clone()),
            parts: self.parts.clone(),
        }
    }

    /// Ends the answer. Tool calls that are still running did not finish if it was broken off; in one that ended well,
    /// their agent has only not reported it.
    pub(crate) fn finish(
        &mut self,
        reason: &str,
        tokens: Tokens,
        error: Option<MessageError>,
        step: Option<&Step>,
    ) -> Vec<EventPayload> {
        let mut events = Vec::new();
        self.close_open(&mut events);
        let told: HashMap<usize, &ToolCall> =
            self.tools.values().map(|(at, call)| (*at, call)).collect();
        let parts = self.parts.iter_mut().enumerate();
        let unfinished: Vec<usize> = parts
            .filter_map(|(at, part)| {
                let ended = match &error {
                    Some(_) => interrupt(part, now_ms()),
                    None => leave_untold(part, told.get(&at).copied(), now_ms()),
                };
                ended.then_some(at)
            })
            .collect();
        events.extend(unfinished.into_iter().map(|at| self.changed(at)));
        let cost = self.meter.spent();
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

    /// Takes what the store does not have yet.
    pub(crate) fn take_unwritten(&mut self) -> Unwritten {
        let message = std::mem::take(&mut self.message_unwritten);
        let mut parts = std::mem::take(&mut self.unwritten);
        let session = &self.message.session_id;
        let mut changes = Vec::with_capacity(parts.len() + 2);
        if message {
            let info = Message::Assistant(self.message.clone());
            changes.push(put_message(&info, session, &self.key));
        }
        let mut whole = parts.clone();
        if let Some(kept) = self.kept {
            let has_ended = parts.contains(&kept.at);
            let grows_on = !has_ended || self.text(kept.at).len() > WHOLE_BYTES;
            if grows_on && self.grown().is_some() {
                parts.insert(kept.at);
                changes.push(self.growth(kept));
            }
            if grows_on && has_ended {
                whole.remove(&kept.at);
                changes.push(self.end_of(kept));
            }
        }
        changes.extend(
            whole
                .iter()
                .map(|at| put_part(&self.parts[*at], session, *at)),
        );
        let grows = self.open.as_ref().filter(|_| !self.always_whole);
        self.kept = grows.map(|(at, _)| {
            let bytes = self.text(*at).len();
            let before = self
                .kept
                .filter(|kept| kept.at == *at && !whole.contains(at));
            let with_part = before.map_or(bytes, |kept| kept.with_part);
            Kept {
                at: *at,
                with_part,
                bytes,
            }
        });
        Unwritten {
            changes,
            message,
            parts,
        }
    }

    /// Writes what a text has grown by.
    fn growth(&self, kept: Kept) -> Change {
        let more = self.text(kept.at).get(kept.bytes..).unwrap_or_default();
        Change::GrowPart {
            session: self.message.session_id.clone(),
            message: self.message.id.clone(),
            place: kept.at as u64,
            at: kept.bytes as u64,
            text: more.to_owned(),
        }
    }

    /// Writes a part whose text the store has.
    fn end_of(&self, kept: Kept) -> Change {
        let mut part = self.parts[kept.at].clone();
        if let Part::Text(TextPart { text, .. }) | Part::Reasoning(ReasoningPart { text, .. }) =
            &mut part
        {
            text.truncate(kept.with_part);
        }
        Change::EndPart {
            session: self.message.session_id.clone(),
            message: self.message.id.clone(),
            place: kept.at as u64,
            body: json::text(&part),
        }
    }

    /// Takes back what could not be written.
    pub(crate) fn put_back(&mut self, unwritten: Unwritten) {
        self.message_unwritten |= unwritten.message;
        self.unwritten.extend(unwritten.parts);
        self.kept = None;
    }

    /// Whether the store lacks something.
    pub(crate) fn is_unwritten(&self) -> bool {
        self.message_unwritten || !self.unwritten.is_empty() || self.grown().is_some()
    }

    /// The text of which the store has the beginning, if it has grown since.
    fn grown(&self) -> Option<Kept> {
        self.kept
            .filter(|kept| self.text(kept.at).len() > kept.bytes)
    }

    /// The text of a part that grows.
    fn text(&self, at: usize) -> &str {
        match self.parts.get(at) {
            Some(Part::Text(part)) => &part.text,
            Some(Part::Reasoning(part)) => &part.text,
            _ => "",
        }
    }

    fn add(&mut self, part: Part) -> EventPayload {
        self.parts.push(part);
        self.changed(self.parts.len() - 1)
    }

    fn changed(&mut self, at: usize) -> EventPayload {
        self.unwritten.insert(at);
        part_event(&self.message.session_id, self.parts[at].clone())
    }

    /// The event of the message as it is now.
    pub(crate) fn message_event(&self) -> EventPayload {
        let info = Message::Assistant(self.message.clone());
        message_event(&self.message.session_id, info)
    }
}

/// A tool call that has not ended: what is known of it.
struct Open {
    input: Map<String, Value>,
    title: Option<String>,
    start: u64,
    metadata: Option<Map<String, Value>>,
}

fn open_call(part: &mut Part, now: u64) -> Option<(&mut ToolState, Open)> {
    let Part::Tool(tool) = part else { return None };
    let open = match &tool.state {
        ToolState::Pending { input, .. } => Open {
            input: input.clone(),
            title: None,
            start: now,
            metadata: None,
        },
        ToolState::Running {
            input,
            title,
            time,
            metadata,
        } => Open {
            input: input.clone(),
            title: title.clone(),
            start: time.start,
            metadata: metadata.clone(),
        },
        ToolState::Completed { .. } | ToolState::Error { .. } => return None,
    };
    Some((&mut tool.state, open))
}

/// Turns a tool call that has not ended into one that failed; true when it was one.
pub(crate) fn interrupt(part: &mut Part, now: u64) -> bool {
    let Some((state, open)) = open_call(part, now) else {
        return false;
    };
    *state = ToolState::Error {
        input: open.input,
        error: INTERRUPTED.to_owned(),
        metadata: open.metadata,
        time: PartTime {
            start: open.start,
            end: Some(now),
        },
    };
    true
}

/// Turns a tool call whose end was not reported, in a turn that ended well, into one that says so; true when it was one. A
/// failed one would be run again by the next model. What it is reported to have returned stays, and so does its title.
fn leave_untold(part: &mut Part, told: Option<&ToolCall>, now: u64) -> bool {
    let Some((state, open)) = open_call(part, now) else {
        return false;
    };
    let title = told.and_then(ToolCall::title).map(str::to_owned);
    let output = told.and_then(ToolCall::result);
    *state = ToolState::Completed {
        input: open.input,
        output: output.unwrap_or(UNTOLD).to_owned(),
        title: open.title.or(title).unwrap_or_default(),
        metadata: open.metadata.unwrap_or_default(),
        time: PartTime {
            start: open.start,
            end: Some(now),
        },
        attachments: Vec::new(),
    };
    true
}

#[cfg(test)]
mod tests;
