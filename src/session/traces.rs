//! What a turn leaves behind in the working directory.
//!
//! Snapshots are taken beside the turn, without the session's lock. A turn waits for them only for a moment
//! and never fails of them.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::revert::summary;
use super::state::{Queued, SessionState};
use super::transcript;
use super::worker::Worker;
use crate::opencode::message::{Message, PromptSummary};
use crate::opencode::session::FileDiff;
use crate::snapshot::{PATIENCE, Snapshot, SnapshotError, Snapshots};
use crate::store::MessageKey;

/// A snapshot on its way.
pub(super) type Pending = JoinHandle<Option<Snapshot>>;

/// What a turn has changed.
#[derive(Debug, Default)]
pub(super) struct Traces {
    /// The working directory before and after; `None` where no snapshots are taken.
    pub(super) step: Option<Step>,
    /// What the turn has changed.
    diffs: Vec<FileDiff>,
    /// What the session has changed since its first turn; `None` when that is not known.
    pub(super) session_diffs: Option<Vec<FileDiff>>,
    /// The prompt, with what came of it.
    pub(super) prompt: Option<(Message, MessageKey)>,
}

/// The working directory before and after a turn.
#[derive(Debug)]
pub(super) struct Step {
    turn: u64,
    pub(super) before: String,
    pub(super) after: String,
    /// The files that differ, as absolute paths.
    pub(super) files: Vec<String>,
}

impl Traces {
    /// Notes them in the session's state.
    pub(super) fn note(&self, state: &mut SessionState) {
        if let Some(step) = &self.step {
            let first = &mut state.past.first;
            first.get_or_insert_with(|| (step.turn, step.before.clone()));
            state.past.last = Some(step.after.clone());
            state.summary = summary(self.session_diffs.as_deref().unwrap_or_default());
        }
    }
}

impl Worker {
    /// Begins a snapshot of the working directory.
    pub(super) fn take_snapshot(&self) -> Pending {
        let snapshots = Arc::clone(&self.sessions.snapshots);
        let directory = Arc::clone(&self.session.directory);
        tokio::spawn(async move { snapshots.take(&directory).await })
    }

    /// The snapshot, if it is there in time.
    pub(super) async fn snapshot_in_time(&self, pending: Pending) -> Option<Snapshot> {
        match tokio::time::timeout(PATIENCE, pending).await {
            Ok(taken) => taken.unwrap_or_default(),
            Err(_elapsed) => {
                tracing::warn!(directory = %self.session.directory, "a turn goes without a snapshot that takes longer than {PATIENCE:?}");
                None
            }
        }
    }

    /// Finds out what the turn has changed.
    pub(super) async fn traces(&self, queued: &Queued, before: Option<Snapshot>) -> Traces {
        let mut traces = match before {
            Some(before) => self.compare(queued, before).await,
            None => self.untraced().await,
        };
        let row = self
            .sessions
            .store
            .message(&self.session.id, &queued.message_id);
        let Ok(Some(row)) = row.await else {
            return traces;
        };
        let key = row.key.clone();
        if let Ok(stored) = transcript::read_one(row)
            && let Message::User(mut prompt) = stored.message.info
        {
            let diffs = std::mem::take(&mut traces.diffs);
            prompt.summary = Some(PromptSummary { diffs });
            traces.prompt = Some((Message::User(prompt), key));
        }
        traces
    }

    /// Where no snapshots are taken nothing has changed, as far as anybody knows; where one is missing, what
    /// is known of the session stays.
    async fn untraced(&self) -> Traces {
        let locked = self.session.locked.lock().await;
        Traces {
            session_diffs: locked.state.past.last.is_none().then(Vec::new),
            ..Traces::default()
        }
    }

    async fn compare(&self, queued: &Queued, before: Snapshot) -> Traces {
        let first = {
            let locked = self.session.locked.lock().await;
            locked.state.past.first.clone()
        };
        let snapshots = Arc::clone(&self.sessions.snapshots);
        let directory = Arc::clone(&self.session.directory);
        let turn = queued.turn;
        // What is not ready in time goes on, so that the next snapshot has less to do.
        let compared = tokio::spawn(async move {
            let first = first.map_or_else(|| before.tree.clone(), |(_, tree)| tree);
            traces_of(&snapshots, &directory, turn, before, &first).await
        });
        match in_time(PATIENCE, compared).await {
            Some(Ok(Some(traces))) => traces,
            Some(Ok(None)) => Traces::default(),
            Some(Err(error)) => {
                tracing::warn!(directory = %self.session.directory, "what a turn has changed is not known: {error}");
                Traces::default()
            }
            None => {
                tracing::warn!(directory = %self.session.directory, "what a turn has changed takes longer than {PATIENCE:?} to find out");
                Traces::default()
            }
        }
    }
}

async fn in_time<T>(patience: Duration, task: JoinHandle<T>) -> Option<T> {
    tokio::time::timeout(patience, task).await.ok()?.ok()
}

async fn traces_of(
    snapshots: &Snapshots,
    directory: &str,
    turn: u64,
    before: Snapshot,
    first: &str,
) -> Result<Option<Traces>, SnapshotError> {
    let Some(repository) = snapshots.open(directory).await? else {
        return Ok(None);
    };
    let after = repository.take().await?;
    let files = repository.changed_files(&before, &after).await?;
    let diffs = repository.diffs(&before.tree, &after.tree).await?;
    let session_diffs = if first == before.tree {
        Some(diffs.clone())
    } else {
        // The first snapshot of an old session may be gone.
        repository.diffs(first, &after.tree).await.ok()
    };
    let (before, after) = (before.tree, after.tree);
    let step = Step {
        turn,
        before,
        after,
        files,
    };
    Ok(Some(Traces {
        step: Some(step),
        diffs,
        session_diffs,
        prompt: None,
    }))
}
