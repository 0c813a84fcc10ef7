//! Reverting a session to an earlier message, bringing it back, and letting go of what is reverted.
//!
//! While a session is reverted its messages are all still there; the place of the cut is in its state. What
//! begins a turn removes what comes after the cut, in the same batch ([`Sessions::forget_reverted`]). Files
//! are brought to their earlier state without the session's lock: [`Session::at_rest`] keeps turns away
//! meanwhile. Their move is committed before it is made, and made again after a crash.

use std::sync::Arc;

use crate::opencode::event::{EventPayload, SessionDiff};
use crate::opencode::message::Message;
use crate::opencode::session::FileDiff;
use crate::opencode::{MessageId, PartId, Session as SessionInfo, SessionId};
use crate::session::cell::{Cell, SessionState};
use crate::session::conversation::cut::{self, Missing, Move, Patch, summary};
use crate::session::conversation::transcript;
use crate::session::{Error, Sessions};
use crate::snapshot::{Repository, SnapshotError, Step};
use crate::store::MessageRange;
use crate::store::StoreError;

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
        let (this, cell) = (Arc::clone(self), self.loaded.find(id).await?);
        let turn = self.turn_of(&cell, &message).await?;
        cell.rest_while(move |cell, before| async move {
            this.revert_now(&cell, &before, turn, message, part).await
        })
        .await
    }

    /// The turn of a message.
    async fn turn_of(&self, cell: &Cell, message: &MessageId) -> Result<u64, Error> {
        let row = self.office.store.message(&cell.id, message).await?;
        let row = row.ok_or_else(|| Error::MessageNotFound(message.clone()))?;
        Ok(row.key.turn)
    }

    async fn revert_now(
        &self,
        cell: &Arc<Cell>,
        before: &SessionState,
        turn: u64,
        message: MessageId,
        part: Option<PartId>,
    ) -> Result<SessionInfo, Error> {
        // What is before the turn stays, whatever is reverted in it.
        let range = MessageRange {
            after_turn: Some(turn.saturating_sub(1)),
            ..MessageRange::default()
        };
        let messages = self.stored(cell, range).await?;
        let plan = cut::plan(messages, &message, part.as_ref()).map_err(|missing| {
            match (missing, part) {
                (Missing::Part, Some(part)) => Error::PartNotFound(part),
                _ => Error::MessageNotFound(message),
            }
        })?;
        let needed = !plan.patches.is_empty() || undoing(before).is_some();
        let files = self.compose(before, &plan.patches, needed).await?;
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
        next.kept.past.cut = Some(plan.cut);
        next.kept.past.reverted_tree = files.as_ref().map(|f| f.step.to.clone());
        next.summary = summary(&diff);
        let session_id = cell.id.clone();
        let news = EventPayload::SessionDiff(SessionDiff { session_id, diff });
        self.conclude(cell, before, next, files, Some(news)).await
    }

    /// Brings back what was reverted: messages and files. A session that is not reverted stays as it is.
    ///
    /// # Errors
    /// No such session, a busy session, files that cannot be restored, or a failing store.
    pub async fn unrevert(self: &Arc<Self>, id: &SessionId) -> Result<SessionInfo, Error> {
        let (this, cell) = (Arc::clone(self), self.loaded.find(id).await?);
        cell.rest_while(move |cell, before| async move { this.unrevert_now(&cell, &before).await })
            .await
    }

    async fn unrevert_now(
        &self,
        cell: &Arc<Cell>,
        before: &SessionState,
    ) -> Result<SessionInfo, Error> {
        if before.revert.is_none() {
            return Ok(cell.committed().info());
        }
        let files = match undoing(before) {
            Some(_) => self.compose(before, &[], true).await?,
            None => None,
        };
        let mut next = before.clone();
        next.revert = None;
        next.kept.past.cut = None;
        next.kept.past.reverted_tree = None;
        self.conclude(cell, before, next, files, None).await
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
            let Some(repository) = self.tools.snapshots.open(&state.directory).await? else {
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

    /// Commits the next state, moves the files to match, and publishes the events. If the files cannot be
    /// brought after it, the state before is committed again.
    async fn conclude(
        &self,
        cell: &Arc<Cell>,
        before: &SessionState,
        mut next: SessionState,
        files: Option<Files>,
        news: Option<EventPayload>,
    ) -> Result<SessionInfo, Error> {
        next.touch();
        if let Some(files) = &files {
            next.kept.past.last = Some(files.step.to.clone());
        }
        if let Some(files) = files.filter(|f| f.step.from != f.step.to) {
            let mut moving = next.clone();
            moving.kept.past.restoring = Some(files.step.clone());
            set_history(cell, moving).await?;
            let Move { from, to } = &files.step;
            if let Err(error) = files.repository.apply(from, to).await {
                set_history(cell, before.clone()).await?;
                return Err(Error::NotRestored(error.to_string()));
            }
        }
        let next = Arc::new(next);
        cell.change(move |draft| {
            draft.set_history(&next)?;
            news.iter().for_each(|news| draft.event(news.clone()));
            draft.end_restoring();
            draft.event_of_session();
            Ok(draft.info())
        })
        .await
    }

    /// Brings the files of sessions after their states, where a server was killed in between. Turns of
    /// these sessions wait for it.
    pub(super) async fn finish_restoring(self: &Arc<Self>) {
        let restoring = self.office.store.restoring().await;
        let restoring = restoring.unwrap_or_else(|error| {
            tracing::warn!("reverts that were interrupted are not finished: {error}");
            Vec::new()
        });
        for id in restoring {
            if let Err(error) = self.restore_again(&id).await {
                tracing::warn!(session = %id, "files of a revert that was interrupted are not restored: {error}");
            }
        }
    }

    pub(super) async fn restore_again(&self, id: &SessionId) -> Result<(), Error> {
        let cell = match self.loaded.find_to_change(id).await {
            // Another server has it, and goes on with that.
            Err(Error::Store(StoreError::TakenOver(_))) => return Ok(()),
            found => found?,
        };
        let mut next = cell.committed().state().clone();
        let Some(step) = next.kept.past.restoring.take() else {
            return Ok(());
        };
        if let Err(error) = self.move_again(&next.directory, &step).await {
            tracing::warn!(session = %id, "files of a revert that was interrupted are not restored: {error}");
        }
        cell.change(move |draft| {
            draft.set_history(&next)?;
            draft.end_restoring();
            Ok(())
        })
        .await
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
        let cell = self.loaded.find(id).await?;
        if let Some(prompt) = prompt {
            let row = self.office.store.message(id, prompt).await?;
            let stored = row.map(transcript::read_one).transpose()?;
            return Ok(stored
                .and_then(|s| summary_of(s.message.info))
                .unwrap_or_default());
        }
        let past = cell.committed().state().kept.past.clone();
        let (Some((_, first)), Some(last)) = (past.first, past.last) else {
            return Ok(Vec::new());
        };
        let diffs = async {
            match self.tools.snapshots.open(&cell.directory).await? {
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

    async fn move_again(&self, directory: &str, step: &Move) -> Result<(), SnapshotError> {
        let Some(repository) = self.tools.snapshots.open(directory).await? else {
            return Ok(());
        };
        let again = repository.step_back(&step.to, &step.from).await?;
        let (from, to) = repository.compose(&[again]).await?;
        repository.apply(&from, &to).await
    }
}

/// Commits what a revert changes about a state; turns keep waiting.
async fn set_history(cell: &Arc<Cell>, from: SessionState) -> Result<(), Error> {
    cell.change(move |draft| draft.set_history(&from)).await
}

/// The state to go back to, and the one in which an earlier revert has left the working directory.
fn undoing(state: &SessionState) -> Option<Move> {
    let from = state.revert.as_ref()?.snapshot.clone()?;
    let to = state.kept.past.reverted_tree.clone()?;
    (from != to).then_some(Move { from, to })
}

fn summary_of(message: Message) -> Option<Vec<FileDiff>> {
    match message {
        Message::User(prompt) => Some(prompt.summary?.diffs),
        Message::Assistant(_) => None,
    }
}
