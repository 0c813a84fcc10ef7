//! Reverting a session to an earlier message, bringing it back, and letting go of what is reverted.
//!
//! While a session is reverted its messages are all still there; where it is cut stands in its state. What
//! begins a turn removes what is behind the cut, in the same batch ([`Sessions::forget_reverted`]). Files
//! are brought to their earlier state without the session's lock: [`Session::at_rest`] keeps turns away
//! meanwhile. What is to be done to them is committed before it is done, and done again after a crash.

use std::sync::Arc;

use super::cut::{self, Missing, Move, Patch};
use super::state::{Locked, Restoring, Session, SessionState, put};
use super::transcript::{self, Stored};
use super::{Error, Sessions, detached};
use crate::opencode::event::{
    EventPayload, MessageRemoved, PartRemoved, SessionDiff, SessionEvent,
};
use crate::opencode::message::Message;
use crate::opencode::session::{FileDiff, SessionSummary};
use crate::opencode::{MessageId, PartId, Session as SessionInfo, SessionId, now_ms};
use crate::snapshot::{Repository, SnapshotError, Step};
use crate::store::{Change, MessageRange};

/// What goes with the next turn of a reverted session.
#[derive(Debug, Default)]
pub(super) struct Forgotten {
    /// For the batch that begins the turn; they come first in it.
    pub(super) changes: Vec<Change>,
    /// For those that watch; they come first, too.
    pub(super) events: Vec<EventPayload>,
    /// Backends whose native sessions know what is gone.
    backends: Vec<String>,
}

/// What is done to the files of a session.
struct Files {
    repository: Repository,
    step: Move,
}

impl Sessions {
    /// Takes a message and everything after it out of the conversation, and brings files back to how they
    /// were before it. With a part, only what comes from that part on. Until the next turn begins, all
    /// of it can be brought back with [`Sessions::unrevert`].
    ///
    /// # Errors
    /// No such session, message or part, a busy session, files that cannot be restored, or a failing store.
    pub async fn revert(
        self: &Arc<Self>,
        id: &SessionId,
        message: MessageId,
        part: Option<PartId>,
    ) -> Result<SessionInfo, Error> {
        let session = self.find(id)?;
        let this = Arc::clone(self);
        detached(async move { this.revert_now(&session, message, part).await }).await
    }

    async fn revert_now(
        &self,
        session: &Arc<Session>,
        message: MessageId,
        part: Option<PartId>,
    ) -> Result<SessionInfo, Error> {
        let (before, messages, _restoring) = self.begin(session).await?;
        let plan = cut::plan(messages, &message, part.as_ref()).map_err(|missing| {
            match (missing, part) {
                (Missing::Part, Some(part)) => Error::PartNotFound(part),
                _ => Error::MessageNotFound(message),
            }
        })?;
        let needed = !plan.patches.is_empty() || undoing(&before).is_some();
        let files = self.compose(&before, &plan.patches, needed).await?;
        let mut next = before.clone();
        let mut revert = plan.revert;
        let earlier = before.revert.as_ref().and_then(|r| r.snapshot.clone());
        let mut diff = Vec::new();
        if let Some(Files { repository, step }) = &files {
            let snapshot = earlier.unwrap_or_else(|| step.from.clone());
            revert.diff = repository.text_diff(&snapshot, &step.to).await;
            revert.snapshot = Some(snapshot);
            if let Some(range) = &plan.range {
                diff = repository
                    .diffs(&range.from, &range.to)
                    .await
                    .unwrap_or_default();
            }
        }
        next.revert = Some(revert);
        next.past.cut = Some(plan.cut);
        next.past.reverted_tree = files.as_ref().map(|f| f.step.to.clone());
        next.summary = summary(&diff);
        let session_id = session.id.clone();
        let news = EventPayload::SessionDiff(SessionDiff { session_id, diff });
        self.conclude(session, before, next, files, vec![news])
            .await
    }

    /// Brings back what was reverted: messages and files. A session that is not reverted stays as it is.
    ///
    /// # Errors
    /// No such session, a busy session, files that cannot be restored, or a failing store.
    pub async fn unrevert(self: &Arc<Self>, id: &SessionId) -> Result<SessionInfo, Error> {
        let session = self.find(id)?;
        let this = Arc::clone(self);
        detached(async move { this.unrevert_now(&session).await }).await
    }

    async fn unrevert_now(&self, session: &Arc<Session>) -> Result<SessionInfo, Error> {
        let (before, _, _restoring) = self.begin(session).await?;
        if before.revert.is_none() {
            return Ok(self.view(session).await);
        }
        let files = match undoing(&before) {
            Some(_) => self.compose(&before, &[], true).await?,
            None => None,
        };
        let mut next = before.clone();
        next.revert = None;
        next.past.cut = None;
        next.past.reverted_tree = None;
        self.conclude(session, before, next, files, Vec::new())
            .await
    }

    /// Makes sure that the session is idle and stays so.
    async fn begin(
        &self,
        session: &Arc<Session>,
    ) -> Result<(SessionState, Vec<Stored>, Restoring), Error> {
        let locked = session.at_rest().await;
        if locked.runtime.deleted {
            return Err(Error::NotFound(session.id.clone()));
        }
        if *self.stopping.borrow() {
            return Err(Error::ShutDown);
        }
        if locked.runtime.is_busy() {
            return Err(Error::Busy(session.id.clone()));
        }
        let rows = self
            .store
            .messages(&session.id, MessageRange::default())
            .await?;
        let messages = transcript::read(rows)?;
        let restoring = session.begin_restoring(&locked);
        Ok((locked.state.clone(), messages, restoring))
    }

    /// Finds out what the working directory shall be like; nothing is done to it yet. `None` where no
    /// snapshots are taken.
    async fn compose(
        &self,
        state: &SessionState,
        patches: &[Patch],
        needed: bool,
    ) -> Result<Option<Files>, Error> {
        let composed = async {
            let Some(repository) = self.snapshots.open(&state.directory).await? else {
                return Ok(None);
            };
            let mut steps = Vec::new();
            if let Some(undo) = undoing(state) {
                steps.push(repository.step_back(&undo.from, &undo.to).await?);
            }
            // The oldest state of a file wins, so it is put in last.
            steps.extend(patches.iter().rev().map(|patch| Step {
                tree: patch.tree.clone(),
                paths: repository.below_root(&patch.files),
            }));
            let (from, to) = repository.compose(&steps).await?;
            let step = Move { from, to };
            Ok::<_, SnapshotError>(Some(Files { repository, step }))
        };
        match composed.await {
            Ok(files) => Ok(files),
            Err(error) if needed => Err(Error::NotRestored(error.to_string())),
            Err(error) => {
                tracing::warn!(directory = state.directory, "no snapshot: {error}");
                Ok(None)
            }
        }
    }

    /// Commits the next state, brings the files after it, and tells everybody. If the files cannot be
    /// brought after it, the state before is committed again.
    async fn conclude(
        &self,
        session: &Arc<Session>,
        before: SessionState,
        mut next: SessionState,
        files: Option<Files>,
        mut events: Vec<EventPayload>,
    ) -> Result<SessionInfo, Error> {
        next.time.updated = now_ms().max(next.time.updated);
        if let Some(files) = &files {
            next.past.last = Some(files.step.to.clone());
        }
        if let Some(files) = files.filter(|f| f.step.from != f.step.to) {
            next.past.restoring = Some(files.step.clone());
            drop(self.put_history(session, &next).await?);
            let applied = files
                .repository
                .apply(&files.step.from, &files.step.to)
                .await;
            if let Err(error) = applied {
                drop(self.put_history(session, &before).await?);
                return Err(Error::NotRestored(error.to_string()));
            }
            next.past.restoring = None;
        }
        let locked = self.put_history(session, &next).await?;
        let info = locked.info();
        let session_id = session.id.clone();
        events.push(EventPayload::SessionUpdated(SessionEvent {
            session_id,
            info: info.clone(),
        }));
        self.publish(session, &events);
        Ok(info)
    }

    /// Commits what a revert changes about a state. A PATCH may have changed the rest meanwhile.
    async fn put_history<'a>(
        &self,
        session: &'a Session,
        from: &SessionState,
    ) -> Result<tokio::sync::MutexGuard<'a, Locked>, Error> {
        let mut locked = session.locked.lock().await;
        if locked.runtime.deleted {
            return Err(Error::NotFound(session.id.clone()));
        }
        let mut next = locked.state.clone();
        next.revert.clone_from(&from.revert);
        next.past.clone_from(&from.past);
        next.summary = from.summary;
        next.time.updated = next.time.updated.max(from.time.updated);
        if let Err(error) = self
            .store
            .commit(vec![put(&next, Some(next.revision))])
            .await
        {
            self.reload(session, &mut locked).await;
            return Err(error.into());
        }
        locked.state = next;
        Ok(locked)
    }

    /// What removes the reverted messages for good. `next` is the state that is going to be committed
    /// with it; the caller holds the lock.
    pub(super) async fn forget_reverted(
        &self,
        locked: &Locked,
        next: &mut SessionState,
    ) -> Result<Forgotten, Error> {
        let mut forgotten = Forgotten::default();
        let (Some(revert), Some(cut)) = (next.revert.take(), next.past.cut.take()) else {
            return Ok(forgotten);
        };
        next.past.reverted_tree = None;
        let gone = |first: &(u64, String)| !cut.keeps(first.0, first.0);
        if next.past.first.as_ref().is_some_and(gone) {
            next.past.first = None;
        }
        let id = &locked.state.id;
        let range = MessageRange {
            after_turn: Some(cut.turn.saturating_sub(1)),
            ..MessageRange::default()
        };
        let messages = transcript::read(self.store.messages(id, range).await?)?;
        for stored in &messages {
            forgotten.take_out(id, stored, cut.keeps(stored.turn, stored.seq), &revert);
        }
        let out = messages.iter().map(|stored| &stored.message.info);
        let bound = locked
            .runtime
            .bindings_that_know(cut.turn, &cut::backends(out));
        forgotten
            .changes
            .extend(bound.iter().map(|backend| Change::DeleteBinding {
                session: id.clone(),
                backend: backend.clone(),
            }));
        forgotten.backends = bound;
        Ok(forgotten)
    }

    /// Brings the files of sessions after their states, where a server was killed in between. Turns of
    /// these sessions wait for it.
    pub async fn finish_restoring(self: &Arc<Self>) {
        for session in self.every() {
            let locked = session.locked.lock().await;
            let Some(step) = locked.state.past.restoring.clone() else {
                continue;
            };
            let _restoring = session.begin_restoring(&locked);
            let mut next = locked.state.clone();
            drop(locked);
            if let Err(error) = self.restore_again(&next.directory, &step).await {
                tracing::warn!(session = %session.id, "files of a revert that was interrupted are not restored: {error}");
            }
            next.past.restoring = None;
            if let Err(error) = self.put_history(&session, &next).await {
                tracing::warn!(session = %session.id, "not stored: {error}");
            }
        }
    }

    /// What was changed in the working directory: since the first turn, or by the answer to one prompt.
    ///
    /// # Errors
    /// No such session, or a failing store.
    pub async fn diff(
        &self,
        id: &SessionId,
        prompt: Option<&MessageId>,
    ) -> Result<Vec<FileDiff>, Error> {
        let session = self.find(id)?;
        if let Some(prompt) = prompt {
            let row = self.store.message(id, prompt).await?;
            let stored = row.map(transcript::read_one).transpose()?;
            return Ok(stored
                .and_then(|s| summary_of(s.message.info))
                .unwrap_or_default());
        }
        let past = session.locked.lock().await.state.past.clone();
        let (Some((_, first)), Some(last)) = (past.first, past.last) else {
            return Ok(Vec::new());
        };
        let diffs = async {
            match self.snapshots.open(&session.directory).await? {
                Some(repository) => repository.diffs(&first, &last).await,
                None => Ok(Vec::new()),
            }
        };
        // Old snapshots are thrown away some day.
        Ok(diffs.await.unwrap_or_else(|error| {
            tracing::info!(session = %id, "what the session has changed is not known: {error}");
            Vec::new()
        }))
    }

    async fn restore_again(&self, directory: &str, step: &Move) -> Result<(), SnapshotError> {
        let Some(repository) = self.snapshots.open(directory).await? else {
            return Ok(());
        };
        let again = repository.step_back(&step.to, &step.from).await?;
        let (from, to) = repository.compose(&[again]).await?;
        repository.apply(&from, &to).await
    }
}

impl Forgotten {
    fn take_out(
        &mut self,
        session: &SessionId,
        stored: &Stored,
        keeps: bool,
        revert: &crate::opencode::session::Revert,
    ) {
        let id = stored.message.info.id();
        let (session_id, message_id) = (session.clone(), id.clone());
        if !keeps {
            self.changes.push(Change::DeleteMessage {
                session: session_id.clone(),
                id: message_id.clone(),
            });
            let removed = MessageRemoved {
                session_id,
                message_id,
            };
            return self.events.push(EventPayload::MessageRemoved(removed));
        }
        if *id != revert.message_id {
            return;
        }
        let Some(first_out) = cut::parts_out(stored, revert) else {
            return;
        };
        for part in &stored.message.parts[first_out..] {
            self.changes.push(Change::DeletePart {
                session: session.clone(),
                message: id.clone(),
                id: part.id().clone(),
            });
            self.events.push(EventPayload::PartRemoved(PartRemoved {
                session_id: session.clone(),
                message_id: id.clone(),
                part_id: part.id().clone(),
            }));
        }
    }

    /// Lets go of the native sessions that know too much, once the batch is committed. The caller holds
    /// the lock.
    pub(super) fn let_go(&self, locked: &mut Locked) {
        locked.runtime.unbind(&self.backends);
    }
}

/// The state to go back to, and the one in which an earlier revert has left the working directory.
fn undoing(state: &SessionState) -> Option<Move> {
    let from = state.revert.as_ref()?.snapshot.clone()?;
    let to = state.past.reverted_tree.clone()?;
    (from != to).then_some(Move { from, to })
}

fn summary_of(message: Message) -> Option<Vec<FileDiff>> {
    match message {
        Message::User(prompt) => Some(prompt.summary?.diffs),
        Message::Assistant(_) => None,
    }
}

/// The sum of some changes.
pub(super) fn summary(diffs: &[FileDiff]) -> SessionSummary {
    SessionSummary {
        additions: diffs.iter().map(|d| d.additions).sum(),
        deletions: diffs.iter().map(|d| d.deletions).sum(),
        files: diffs.len() as u64,
    }
}
