//! What agents have said about answers that had ended: stored with them, and given to those models that have been handed
//! the answer without it.

use serde::{Deserialize, Serialize};

use super::Draft;
use crate::opencode::event::{EventPayload, Todo};
use crate::opencode::history::ContextUse;
use crate::opencode::spending::Spent;
use crate::opencode::{MessageId, PartId};
use crate::session::Error;
use crate::session::conversation::answer::Changed;

/// Parts that are remembered for those who have not seen them; of more, the oldest are left out.
const LATE_MAX: usize = 256;

/// A part that was said, or has changed, after its answer had ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LatePart {
    /// The answer.
    pub message: MessageId,
    /// The part.
    pub part: PartId,
    /// The turn of the answer.
    pub turn: u64,
    /// Who has said it.
    pub backend: String,
    /// The highest place of a message then: who has seen a later turn has seen this.
    pub at: u64,
}

impl LatePart {
    /// Whether a backend that has seen the conversation up to a turn may not have seen this, although it knows the
    /// answer.
    pub(crate) fn is_missed_by(&self, backend: &str, seen_turn: u64) -> bool {
        self.backend != backend && self.turn <= seen_turn && seen_turn <= self.at
    }
}

/// What an agent has added to an answer.
#[derive(Debug, Clone)]
pub(crate) struct Late {
    /// The answer.
    pub message: MessageId,
    /// Its turn.
    pub turn: u64,
    /// Whose it is, and which model has given it.
    pub backend: String,
    /// The model.
    pub model: String,
    /// What clients are to see first.
    pub events: Vec<EventPayload>,
    /// What has changed.
    pub changed: Changed,
    /// The agent's new plan.
    pub todos: Option<Vec<Todo>>,
    /// A title that the agent has found for the session.
    pub title: Option<String>,
}

impl Draft {
    /// Takes in what was said of an answer that had ended.
    ///
    /// # Errors
    /// When the session was deleted.
    pub(crate) fn amend(&mut self, late: &Late) -> Result<(), Error> {
        self.unless_deleted()?;
        let changes = late.changed.changes.iter();
        changes.for_each(|change| self.write(change.clone()));
        let events = late.events.iter().chain(&late.changed.events);
        events.for_each(|event| self.event(event.clone()));
        late.todos.iter().for_each(|todos| self.set_todos(todos));
        late.title
            .iter()
            .for_each(|title| self.suggest_title(title));
        let Changed { cost, context, .. } = late.changed;
        if cost > 0.0 || context != ContextUse::default() {
            self.state_mut()
                .count_more(&late.backend, &late.model, cost, context);
            self.spend(Spent { cost, tokens: 0 });
            self.event_of_session();
        }
        if !late.changed.changes.is_empty() {
            self.conversation_changes();
            self.touch();
            self.note_late(late);
        }
        Ok(())
    }

    fn note_late(&mut self, late: &Late) {
        let others = || self.runtime().bindings.iter();
        let mut others = others().filter(|(backend, _)| **backend != late.backend);
        let is_asked = self.runtime().turn().is_some_and(|turn| {
            let provider = &turn.queued.target.selection.provider_id;
            *provider != late.backend && turn.queued.turn > late.turn
        });
        if !is_asked && !others.any(|(_, binding)| binding.seen_turn >= late.turn) {
            return;
        }
        let at = self.runtime().last_seq;
        let bindings = std::sync::Arc::clone(&self.runtime().bindings);
        let known = &mut self.state_mut().kept.late;
        known.retain(|part| {
            !late.changed.parts.contains(&part.part)
                && (bindings.iter())
                    .any(|(backend, b)| *backend != part.backend && b.seen_turn <= part.at)
        });
        known.extend(late.changed.parts.iter().map(|part| LatePart {
            message: late.message.clone(),
            part: part.clone(),
            turn: late.turn,
            backend: late.backend.clone(),
            at,
        }));
        let surplus = known.len().saturating_sub(LATE_MAX);
        known.drain(..surplus);
    }
}
