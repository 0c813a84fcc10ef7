//! The life of a turn: taken from the queue, begun, ended.

use std::sync::Arc;

use super::runtime::{Answer, LiveAnswer, Phase, Queued, Turn};
use super::{Draft, Target, notice, unsettled};
use crate::opencode::event::{
    EventPayload, SessionDiff, SessionErrorEvent, SessionIdleEvent, SessionStatus,
};
use crate::opencode::event::{Todo, TodoUpdated};
use crate::opencode::history::ContextUse;
use crate::opencode::message::{AssistantMessage, MessageError};
use crate::opencode::session::FileDiff;
use crate::opencode::session::SessionSummary;
use crate::opencode::spending::Spent;
use crate::opencode::{SessionId, now_ms};
use crate::session::Error;
use crate::session::conversation::answer::Answering;
use crate::session::conversation::cut::Past;
use crate::session::sizes::beginning;

/// What the worker does next.
#[derive(Debug, Clone)]
pub(crate) enum Task {
    /// A turn.
    Turn(Arc<Queued>),
    /// Bringing the agent after the selection, so that it is warm.
    Switch(Target),
}

impl Task {
    /// The selection that it is about.
    pub(crate) fn target(&self) -> &Target {
        match self {
            Self::Turn(queued) => &queued.target,
            Self::Switch(target) => target,
        }
    }
}

impl Draft {
    /// Takes what the worker does next; `None` when there is nothing to do, or nothing may be begun.
    pub(crate) fn next_task(&mut self) -> Option<Task> {
        if !matches!(self.runtime.phase, Phase::Idle) || self.unless_ending().is_err() {
            return None;
        }
        if let Some(queued) = self.runtime.queue.pop_front() {
            queued.signs.begin();
            self.runtime.phase = Phase::Working(Turn {
                queued: Arc::clone(&queued),
                compacting: None,
                answer: None,
            });
            return Some(Task::Turn(queued));
        }
        let target = self.state().target();
        let target = target.filter(|_| unsettled(self.state(), &self.runtime))?;
        self.runtime.phase = Phase::Switching;
        Some(Task::Switch(target))
    }

    /// A switch outside of a turn is over, or was given up.
    pub(super) fn end_switching(&mut self) {
        match &mut self.runtime.phase {
            phase @ Phase::Switching => *phase = Phase::Idle,
            Phase::Restoring { switches } => *switches = false,
            _ => {}
        }
    }

    fn turn_mut(&mut self) -> Result<&mut Turn, Error> {
        self.unless_deleted()?;
        match &mut self.runtime.phase {
            Phase::Working(turn) => Ok(turn),
            _ => Err(Error::Internal(format!(
                "{} has no turn in flight",
                self.id
            ))),
        }
    }

    /// Clients see that the session is being compacted, and since when.
    ///
    /// # Errors
    /// When the session was deleted.
    pub(crate) fn show_compacting(&mut self) -> Result<(), Error> {
        self.turn_mut()?.compacting = Some(now_ms());
        self.event_of_session();
        Ok(())
    }

    /// Begins the answer of the turn in flight.
    ///
    /// # Errors
    /// When the session was deleted.
    pub(crate) fn begin_answer(
        &mut self,
        make: impl FnOnce(&Queued, u64) -> (Answering, Vec<EventPayload>),
    ) -> Result<LiveAnswer, Error> {
        let queued = Arc::clone(&self.turn_mut()?.queued);
        let seq = self.next_seq();
        let (mut answering, events) = make(&queued, seq);
        for change in answering.take_unwritten().changes {
            self.write(change);
        }
        let live = LiveAnswer::new(answering);
        self.turn_mut()?.answer = Some(live.clone());
        for event in events {
            self.event(event);
        }
        Ok(live)
    }

    /// Adds what an answer has cost to the session and to its model.
    pub(crate) fn count(&mut self, answer: &AssistantMessage, context: ContextUse) {
        self.state_mut().count(answer, context);
        self.spend(Spent::of(answer.cost, &answer.tokens));
    }

    /// Notes what the working directory was like, and what the session has changed in it.
    pub(crate) fn note_past(&mut self, note: impl FnOnce(&mut Past) -> SessionSummary) {
        let state = self.state_mut();
        state.summary = note(&mut state.kept.past);
    }

    /// Takes in the agent's plan.
    pub(crate) fn set_todos(&mut self, todos: &[Todo]) {
        self.state_mut().todos = todos.to_vec();
        self.event(EventPayload::TodoUpdated(TodoUpdated {
            session_id: self.id.clone(),
            todos: todos.to_vec(),
        }));
    }

    /// Takes in a title that the agent has found, unless the user has given one.
    pub(crate) fn suggest_title(&mut self, title: &str) {
        if self.state().kept.title_is_default && !title.is_empty() {
            let title = beginning(title, self.sizes.title_bytes);
            title.clone_into(&mut self.state_mut().title);
        }
    }

    /// The end of the turn also announces what the session has changed by now.
    pub(crate) fn tell_diff(&mut self, diff: Vec<FileDiff>) {
        self.diff = Some(diff);
    }

    /// Ends the turn in flight: publishes its events, and answers its callers.
    ///
    /// # Errors
    /// When the session was deleted.
    pub(crate) fn end_turn(&mut self, answer: &Arc<Answer>) -> Result<(), Error> {
        let queued = Arc::clone(&self.turn_mut()?.queued);
        self.cancel_asks();
        self.touch();
        self.conversation_changes();
        self.runtime.phase = Phase::Idle;
        self.runtime.store_fails = false;
        // It goes on with another model: nobody is told that it has failed.
        let next = self.runtime.queue.front();
        let is_handed_on = next.is_some_and(|next| next.message_id == queued.message_id);
        if let Some(error) = answer.message.error.clone().filter(|_| !is_handed_on) {
            self.event(error_event(&self.id, error));
        }
        // The agent may have changed its model during the turn.
        notice::tell(self);
        self.event_of_session();
        if let Some(diff) = self.diff.take() {
            let session_id = self.id.clone();
            self.event(EventPayload::SessionDiff(SessionDiff { session_id, diff }));
        }
        self.event_of_idle();
        if !is_handed_on {
            let answer = Arc::clone(answer);
            self.then(move || queued.waiters.answer(&answer));
        }
        Ok(())
    }

    /// Tells of an error that belongs to the session and to no answer.
    pub(crate) fn tell_error(&mut self, error: MessageError) {
        self.event(error_event(&self.id, error));
    }

    /// Gives up a turn whose end the store does not take. Its caller is told that there is no
    /// answer.
    pub(crate) fn drop_turn(&mut self) {
        if self.runtime.turn().is_some() {
            self.cancel_asks();
            self.runtime.phase = Phase::Idle;
            self.event_of_idle();
        }
    }

    /// Gives up the prompts that wait. Their callers are told that there is no answer.
    pub(crate) fn forget_queue(&mut self) {
        self.runtime.queue.clear();
    }

    /// Tells that the session is idle, if it is.
    pub(super) fn event_of_idle(&mut self) {
        if !self.runtime.is_busy() {
            let session_id = self.id.clone();
            self.event_of_status(SessionStatus::Idle);
            self.event(EventPayload::SessionIdle(SessionIdleEvent { session_id }));
        }
    }

    /// The worker cannot continue until the store takes what it has, or can again.
    pub(crate) fn note_store(&mut self, fails: bool) {
        self.runtime.store_fails = fails;
    }
}

/// Tells of an error that belongs to the session, for those who wait for no answer.
fn error_event(session: &SessionId, error: MessageError) -> EventPayload {
    EventPayload::SessionError(SessionErrorEvent {
        session_id: session.clone(),
        error,
    })
}
