//! A draft: a copy of what is committed, and what will be committed next.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use tokio_util::task::TaskTracker;

use super::runtime::{Binding, Runtime};
use super::{Cell, Committed, SessionState, info, notice};
use crate::json;
use crate::opencode::event::{EventPayload, SessionEvent};
use crate::opencode::session::FileDiff;
use crate::opencode::{Session as SessionInfo, SessionId, ToldSession, now_ms};
use crate::registry::Snapshot;
use crate::session::fallback::Fallbacks;
use crate::session::spending::Spending;
use crate::session::{Error, Sizes};
use crate::store::{Change, StoreError};

/// What is done once a draft is committed. It must not block.
pub(super) type Effect = Box<dyn FnOnce() + Send>;

/// See the module.
pub(crate) struct Draft {
    /// The session.
    pub id: SessionId,
    /// Its directory.
    pub directory: Arc<str>,
    /// When it is drafted, in milliseconds since the Unix epoch.
    pub now: u64,
    /// How large what others send may be.
    pub sizes: Sizes,
    pub(super) registry: Arc<Snapshot>,
    pub(super) fallbacks: Arc<Fallbacks>,
    pub(super) spending: Arc<Spending>,
    pub(super) runtime: Runtime,
    state: Arc<SessionState>,
    base: Arc<Committed>,
    stopping: bool,
    tasks: TaskTracker,
    state_changed: bool,
    is_deleted: bool,
    is_lost: bool,
    pub(super) diff: Option<Vec<FileDiff>>,
    changes: Vec<Change>,
    events: Vec<EventPayload>,
    effects: Vec<Effect>,
}

/// A draft that is finished.
pub(super) struct Drafted {
    /// What the store has to take first.
    pub batch: Vec<Change>,
    /// What is committed then.
    pub next: Committed,
    /// The events that are published then.
    pub events: Vec<EventPayload>,
    /// What is done then.
    pub effects: Vec<Effect>,
}

impl Draft {
    pub(super) fn new(cell: &Cell, base: Arc<Committed>, registry: Arc<Snapshot>) -> Self {
        Self {
            id: cell.id.clone(),
            directory: Arc::clone(&cell.directory),
            now: now_ms(),
            sizes: cell.office.sizes,
            registry,
            fallbacks: Arc::clone(&cell.office.fallbacks),
            spending: Arc::clone(&cell.office.spending),
            runtime: base.runtime.clone(),
            state: Arc::clone(&base.state),
            base,
            stopping: cell.office.stopping.is_cancelled(),
            tasks: cell.office.tasks.clone(),
            state_changed: false,
            is_deleted: false,
            is_lost: false,
            diff: None,
            changes: Vec::new(),
            events: Vec::new(),
            effects: Vec::new(),
        }
    }

    /// Applies a job. The draft of one that fails, or panics, is useless.
    pub(super) fn apply(
        &mut self,
        job: impl FnOnce(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let applied = std::panic::catch_unwind(AssertUnwindSafe(|| job(self)));
        applied.unwrap_or_else(|_| {
            let message = format!("a change of session {} has panicked", self.id);
            Err(Error::Internal(message))
        })
    }

    /// The same for a draft that others are applied to: one that fails leaves it as it was.
    pub(super) fn attempt(
        &mut self,
        job: impl FnOnce(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (state, runtime) = (Arc::clone(&self.state), self.runtime.clone());
        let (state_changed, is_deleted) = (self.state_changed, self.is_deleted);
        let lengths = (self.changes.len(), self.events.len(), self.effects.len());
        let result = self.apply(job);
        if result.is_err() {
            (self.state, self.runtime) = (state, runtime);
            (self.state_changed, self.is_deleted) = (state_changed, is_deleted);
            self.changes.truncate(lengths.0);
            self.events.truncate(lengths.1);
            self.effects.truncate(lengths.2);
        }
        result
    }

    /// What to commit.
    pub(super) fn finish(mut self) -> Drafted {
        if self.is_lost {
            // What others do with it is theirs to write and to tell.
            self.changes.clear();
            self.events.clear();
            self.state = Arc::clone(&self.base.state);
            (self.state_changed, self.is_deleted) = (false, false);
        }
        let mut batch = Vec::with_capacity(self.changes.len() + 1);
        let mut row = self.base.row;
        if self.is_deleted {
            batch.push(Change::DeleteSession {
                id: self.id.clone(),
            });
        } else {
            if self.state_changed {
                batch.push(self.state.put(row, &self.base.state));
                row = Some(self.state.revision);
            }
            batch.append(&mut self.changes);
        }
        let next = Committed {
            state: self.state,
            runtime: self.runtime,
            row,
        };
        Drafted {
            batch,
            next,
            events: self.events,
            effects: self.effects,
        }
    }

    /// The state, as drafted so far.
    pub(crate) fn state(&self) -> &SessionState {
        &self.state
    }

    /// The runtime, as drafted so far.
    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// What can be selected.
    pub(crate) fn registry(&self) -> &Snapshot {
        &self.registry
    }

    /// Changes the state; its row is written with this draft.
    pub(super) fn state_mut(&mut self) -> &mut SessionState {
        self.state_changed = true;
        Arc::make_mut(&mut self.state)
    }

    /// The same with a state that was made elsewhere.
    pub(super) fn set_state(&mut self, next: SessionState) {
        self.state_changed = true;
        self.state = Arc::new(next);
    }

    /// The session as clients will see it.
    pub(crate) fn info(&self) -> SessionInfo {
        info(&self.state, &self.runtime)
    }

    /// The same, written for events and answers.
    pub(crate) fn told(&self) -> ToldSession {
        self.info().into()
    }

    /// Refuses to change a session that was deleted.
    ///
    /// # Errors
    /// [`Error::NotFound`], or [`StoreError::TakenOver`].
    pub(crate) fn unless_deleted(&self) -> Result<(), Error> {
        if self.runtime.is_lost() {
            return Err(StoreError::TakenOver(self.id.clone()).into());
        }
        match self.runtime.is_deleted() {
            true => Err(Error::NotFound(self.id.clone())),
            false => Ok(()),
        }
    }

    /// Refuses to begin something new while the server stops, and for a session that was deleted.
    ///
    /// # Errors
    /// [`Error::ShutDown`] or [`Error::NotFound`].
    pub(crate) fn unless_ending(&self) -> Result<(), Error> {
        match self.stopping {
            true => Err(Error::ShutDown),
            false => self.unless_deleted(),
        }
    }

    /// Refuses what cannot be done during a turn.
    ///
    /// # Errors
    /// [`Error::Busy`].
    pub(crate) fn unless_busy(&self) -> Result<(), Error> {
        match self.runtime.is_busy() {
            true => Err(Error::Busy(self.id.clone())),
            false => Ok(()),
        }
    }

    /// Writes something besides the state.
    pub(crate) fn write(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// Tells everybody, once it is committed.
    pub(crate) fn event(&mut self, event: EventPayload) {
        self.events.push(event);
    }

    /// Tells everybody what the session is like.
    pub(crate) fn event_of_session(&mut self) -> ToldSession {
        let info = self.told();
        self.event(EventPayload::SessionUpdated(SessionEvent {
            session_id: self.id.clone(),
            info: info.clone(),
        }));
        info
    }

    /// Does something once it is committed.
    pub(crate) fn then(&mut self, effect: impl FnOnce() + Send + 'static) {
        self.effects.push(Box::new(effect));
    }

    /// Does something that takes its time, such as telling an agent, once it is committed.
    pub(crate) fn then_run(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        let tasks = self.tasks.clone();
        self.then(move || drop(tasks.spawn(task)));
    }

    /// Makes the session: its row is written with this draft.
    pub(crate) fn found(&mut self) {
        self.state_changed = true;
        let (session_id, info) = (self.id.clone(), self.told());
        self.event(EventPayload::SessionCreated(SessionEvent {
            session_id,
            info,
        }));
    }

    /// Has the selection applied although it is the one from before a restart, or a session's first.
    pub(crate) fn want_applied(&mut self) {
        let revision = self.state.kept.selection_revision;
        let open = self.runtime.applied.is_none() && self.runtime.outcomes.is_empty();
        if open && !self.runtime.is_busy() {
            self.runtime.settled_revision = revision.saturating_sub(1);
        }
    }

    /// The same for a caller that waits for a revision, so that it is not let settle. Answers what is waited for: there may be
    /// none yet that is so late.
    pub(crate) fn await_applied(&mut self, revision: u64) -> u64 {
        self.want_applied();
        let wanted = revision.min(self.state.kept.selection_revision);
        self.runtime.awaited_revision = wanted.max(self.runtime.awaited_revision);
        wanted
    }

    /// A fork begins with this many messages; its selection waits for its first prompt.
    pub(crate) fn settle_first(&mut self, messages: u64) {
        self.runtime.last_seq = messages;
        self.runtime.settled_revision = self.state.kept.selection_revision;
    }

    /// Notes what its directory belongs to.
    pub(crate) fn belongs_to(&mut self, place: &crate::project::Place) {
        self.state_mut().belongs_to(place);
    }

    /// Deletes the session and what belongs to it.
    ///
    /// # Errors
    /// When that was done already.
    pub(crate) fn delete(&mut self) -> Result<(), Error> {
        self.unless_deleted()?;
        self.stop_all();
        let (session_id, info) = (self.id.clone(), self.told());
        self.cancel_all_asks();
        // The last event about it.
        self.event(EventPayload::SessionDeleted(SessionEvent {
            session_id,
            info,
        }));
        self.runtime.phase = super::Phase::Deleted;
        self.is_deleted = true;
        Ok(())
    }

    /// Stops the turn in flight and all that wait; their callers are told that the session is gone.
    fn stop_all(&mut self) {
        let turn = self.runtime.turn().map(|turn| &turn.queued);
        let waiting = turn.into_iter().chain(&self.runtime.queue);
        let aborts: Vec<_> = waiting.map(|queued| queued.abort.clone()).collect();
        self.runtime.queue.clear();
        self.then(move || aborts.iter().for_each(|abort| abort.cancel()));
    }

    /// Whether nothing of this draft is stored, since another server has taken the session.
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// Another server has taken the session: nothing is written, told or begun here any more.
    pub(super) fn lose(&mut self) {
        if !self.runtime.is_deleted() {
            self.stop_all();
            self.cancel_all_asks();
            self.runtime.phase = super::Phase::Lost;
            self.is_lost = true;
        }
    }

    /// Notes a native session.
    pub(crate) fn bind(&mut self, backend: &str, binding: Binding) {
        self.write(Change::PutBinding {
            session: self.id.clone(),
            backend: backend.to_owned(),
            body: json::text(&binding),
        });
        let native = binding.native_session.clone();
        let before = Arc::make_mut(&mut self.runtime.bindings).insert(backend.to_owned(), binding);
        self.note_left(
            backend,
            before.filter(|before| before.native_session != native),
        );
    }

    /// Forgets native sessions: the next turn of these backends is given the conversation anew.
    pub(crate) fn unbind(&mut self, backends: &[String]) {
        for backend in backends {
            self.write(Change::DeleteBinding {
                session: self.id.clone(),
                backend: backend.clone(),
            });
            let before = Arc::make_mut(&mut self.runtime.bindings).remove(backend);
            self.note_left(backend, before);
        }
        if !backends.is_empty() {
            self.runtime.bindings_epoch += 1;
        }
    }

    /// A native session that its user has made outside of Baton is not left without a word.
    fn note_left(&mut self, backend: &str, left: Option<Binding>) {
        if let Some(left) = left.filter(|left| left.outside.is_some()) {
            notice::remark_left(self, backend, &left.native_session);
        }
    }

    /// Forgets native sessions that cannot be opened again; live ones stay.
    pub(crate) fn forget_binding(&mut self, backends: &[String]) {
        let epoch = self.runtime.bindings_epoch;
        self.unbind(backends);
        self.runtime.bindings_epoch = epoch;
    }

    /// Forgets all native sessions.
    pub(crate) fn unbind_all(&mut self) {
        self.write(Change::DeleteBindings {
            session: self.id.clone(),
        });
        for (backend, left) in std::mem::take(&mut self.runtime.bindings).iter() {
            self.note_left(backend, Some(left.clone()));
        }
        self.runtime.bindings_epoch += 1;
    }

    /// A new place in the conversation.
    pub(super) fn next_seq(&mut self) -> u64 {
        self.runtime.conversation += 1;
        self.next_place_of_notice()
    }

    /// A new place for what no model is given: what was prepared for one stays true.
    pub(super) fn next_place_of_notice(&mut self) -> u64 {
        self.runtime.last_seq += 1;
        self.runtime.last_seq
    }

    /// What was said has changed: what was prepared from it before is out of date.
    pub(super) fn conversation_changes(&mut self) {
        self.runtime.conversation += 1;
    }
}
