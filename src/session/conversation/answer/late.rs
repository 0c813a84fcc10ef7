//! What an agent says of an answer after it has ended: the stored answer is opened again, folds it, and says what has
//! changed. Pure, like the rest.

use std::collections::{BTreeSet, HashMap};

use super::super::media::{base64_of, decoded_bytes};
use super::super::tool::ToolCall;
use super::super::transcript::Stored;
use super::fold::AGENTS_ID_MAX_BYTES;
use super::meter::Meter;
use super::plan::{CALL_ID as PLAN_CALL, bytes_of_plan};
use super::{Answering, interrupt};
use crate::json;
use crate::opencode::event::EventPayload;
use crate::opencode::history::ContextUse;
use crate::opencode::message::{Message, Part, ToolState};
use crate::opencode::{PartId, now_ms};
use crate::session::sizes::{Sizes, beginning};
use crate::store::{Change, MessageKey};

/// What has changed about an answer that had ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changed {
    /// What writes it.
    pub changes: Vec<Change>,
    /// What tells it, behind what the folding has told.
    pub events: Vec<EventPayload>,
    /// What has come to its cost.
    pub cost: f64,
    /// How full its model's context is, as far as that was told.
    pub context: ContextUse,
    /// The parts that models are told of.
    pub parts: Vec<PartId>,
}

impl Answering {
    /// A stored answer, which goes on; `None` for a prompt.
    pub(crate) fn reopened(stored: &Stored, sizes: Sizes) -> Option<Self> {
        let Message::Assistant(message) = &stored.message.info else {
            return None;
        };
        let mut answering = Self {
            message: message.clone(),
            parts: stored.message.parts.clone(),
            key: MessageKey {
                seq: stored.seq,
                turn: stored.turn,
                id: message.id.clone(),
            },
            open: None,
            kept: None,
            always_whole: false,
            tools: HashMap::new(),
            plan: None,
            sizes,
            is_cut_off: false,
            unwritten: BTreeSet::new(),
            message_unwritten: false,
            bytes: 0,
            media_bytes: 0,
            meter: Meter::default(),
            has_content: true,
            told_model: None,
            context: ContextUse::default(),
        };
        for at in 0..answering.parts.len() {
            answering.bytes += answering.restore(at);
        }
        let parts = answering.parts.len();
        answering.is_cut_off = answering.bytes > sizes.answer_bytes || parts >= sizes.answer_parts;
        Some(answering)
    }

    fn restore(&mut self, at: usize) -> usize {
        match &self.parts[at] {
            Part::Text(text) => text.text.len(),
            Part::Reasoning(reasoning) => reasoning.text.len(),
            Part::Tool(tool) if tool.call_id == PLAN_CALL => {
                let bytes = bytes_of_plan(&tool.state);
                self.plan = Some((bytes, at));
                bytes
            }
            Part::Tool(tool) => {
                let call = ToolCall::restored(tool);
                let bytes = call.bytes();
                self.media_bytes += call.media_bytes();
                self.tools.insert(tool.call_id.clone(), (at, call));
                bytes
            }
            Part::File(file) => {
                self.media_bytes += base64_of(&file.url).map_or(0, decoded_bytes);
                0
            }
            _ => 0,
        }
    }

    /// A text that comes now goes on with the last one, if it is the same of its agent: `known` is the part that its id
    /// has stood for. One without an id goes on with what was said shortly before.
    pub(crate) fn go_on(&mut self, agents_id: Option<&str>, known: Option<&PartId>, is_soon: bool) {
        let last = self.parts.iter().rposition(|part| {
            !matches!(
                part,
                Part::StepStart(_) | Part::StepFinish(_) | Part::Patch(_)
            )
        });
        let Some(at) = last.filter(|_| self.open.is_none()) else {
            return;
        };
        let goes_on = match agents_id {
            Some(_) => known == Some(self.parts[at].id()),
            None => is_soon,
        };
        if goes_on {
            let id = agents_id.map(|id| beginning(id, AGENTS_ID_MAX_BYTES).to_owned());
            self.open = Some((at, id));
        }
    }

    /// Whether the answer has a tool call that has not ended.
    pub(crate) fn has_open_calls(&self) -> bool {
        let is_open = |part: &Part| match part {
            Part::Tool(tool) => matches!(
                tool.state,
                ToolState::Pending { .. } | ToolState::Running { .. }
            ),
            _ => false,
        };
        self.parts.iter().any(is_open)
    }

    /// Ends tool calls of which nothing more can be told.
    pub(crate) fn interrupt_calls(&mut self) -> Vec<EventPayload> {
        let open: Vec<usize> = (0..self.parts.len())
            .filter(|&at| interrupt(&mut self.parts[at], now_ms()))
            .collect();
        open.into_iter().map(|at| self.changed(at)).collect()
    }

    /// What has changed since it was opened again; `was_open` says whether the store takes it for one with something that
    /// goes on, which the next start ends after a kill.
    pub(crate) fn take_changed(&mut self, was_open: bool) -> Changed {
        let mut changed = Changed::default();
        self.close_open(&mut changed.events);
        changed.cost = self.meter.spent();
        changed.context = self.context;
        let is_open = self.has_open_calls();
        if changed.cost > 0.0 {
            self.message.cost += changed.cost;
            changed.events.push(self.message_event());
        }
        let session = &self.message.session_id;
        if changed.cost > 0.0 || is_open != was_open {
            changed.changes.push(Change::PutMessage {
                session: session.clone(),
                key: self.key.clone(),
                open: is_open,
                body: json::text(&Message::Assistant(self.message.clone())),
            });
        }
        for at in std::mem::take(&mut self.unwritten) {
            let part = &self.parts[at];
            // By its id: parts may have been deleted since, so that its place is another one.
            changed.changes.push(Change::SavePart {
                session: session.clone(),
                message: self.message.id.clone(),
                id: part.id().clone(),
                body: json::text(part),
            });
            if matches!(part, Part::Text(_) | Part::Tool(_) | Part::File(_)) {
                changed.parts.push(part.id().clone());
            }
        }
        changed
    }
}
