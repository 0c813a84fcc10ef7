//! What a turn leaves behind in the working directory.
//!
//! Snapshots are taken in parallel to the turn, without the session's lock. A turn waits for them only for a moment
//! and never fails of them.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::Worker;
use crate::opencode::message::{Message, PromptSummary};
use crate::opencode::session::FileDiff;
use crate::session::cell::{Draft, Queued};
use crate::session::conversation::answer::Step;
use crate::session::conversation::cut::summary;
use crate::session::conversation::{message_event, put_message, transcript};
use crate::snapshot::{PATIENCE, Snapshot, SnapshotError, Snapshots};
use crate::store::MessageKey;

/// A snapshot on its way.
pub(super) type Pending = JoinHandle<Option<Snapshot>>;

/// What a turn has changed.
#[derive(Debug, Clone, Default)]
pub(super) struct Traces {
    /// The working directory before and after; `None` where no snapshots are taken.
    pub(super) step: Option<Step>,
    /// What the turn has changed.
    diffs: Vec<FileDiff>,
    /// What the session has changed since its first turn; `None` when that is not known.
    session_diffs: Option<Vec<FileDiff>>,
    /// The prompt, with what came of it.
    prompt: Option<(Message, MessageKey)>,
}

impl Traces {
    /// Puts them into the draft that ends the turn.
    pub(super) fn note(&self, draft: &mut Draft, turn: u64) {
        if let Some((prompt, key)) = &self.prompt {
            draft.write(put_message(prompt, &draft.id, key));
            draft.event(message_event(&draft.id, prompt.clone()));
        }
        if let Some(step) = &self.step {
            draft.note_past(|past| {
                let first = &mut past.first;
                first.get_or_insert_with(|| (turn, step.before.clone()));
                past.last = Some(step.after.clone());
                summary(self.session_diffs.as_deref().unwrap_or_default())
            });
        }
        if let Some(diff) = &self.session_diffs {
            draft.tell_diff(diff.clone());
        }
    }
}

impl Worker {
    /// Begins a snapshot of the working directory.
    pub(super) fn take_snapshot(&self) -> Pending {
        let snapshots = Arc::clone(&self.tools.snapshots);
        let directory = Arc::clone(&self.cell.directory);
        tokio::spawn(async move { snapshots.take(&directory).await })
    }

    /// The snapshot, if it is there in time.
    pub(super) async fn snapshot_in_time(&self, pending: Pending) -> Option<Snapshot> {
        match tokio::time::timeout(PATIENCE, pending).await {
            Ok(taken) => taken.unwrap_or_default(),
            Err(_elapsed) => {
                tracing::warn!(directory = %self.cell.directory, "a turn goes without a snapshot that takes longer than {PATIENCE:?}");
                None
            }
        }
    }

    /// Finds out what the turn has changed.
    pub(super) async fn traces(&self, queued: &Queued, before: Option<Snapshot>) -> Traces {
        let mut traces = match before {
            Some(before) => self.compare(before).await,
            None => self.untraced(),
        };
        if let Some((Message::User(mut prompt), key)) = self.stored_prompt(queued).await {
            let diffs = std::mem::take(&mut traces.diffs);
            prompt.summary = Some(PromptSummary { diffs });
            traces.prompt = Some((Message::User(prompt), key));
        }
        traces
    }

    async fn stored_prompt(&self, queued: &Queued) -> Option<(Message, MessageKey)> {
        if let Some(message) = &queued.message {
            let key = MessageKey {
                seq: queued.turn,
                turn: queued.turn,
                id: queued.message_id.clone(),
            };
            return Some((message.info.clone(), key));
        }
        let store = &self.tools.office.store;
        let row = store
            .message(&self.cell.id, &queued.message_id)
            .await
            .ok()??;
        let key = row.key.clone();
        let stored = transcript::read_one(row).ok()?;
        Some((stored.message.info, key))
    }

    /// Where no snapshots are taken nothing has changed, as far as anybody knows; where one is missing, what
    /// is known of the session stays.
    fn untraced(&self) -> Traces {
        let committed = self.cell.committed();
        Traces {
            session_diffs: committed.state().kept.past.last.is_none().then(Vec::new),
            ..Traces::default()
        }
    }

    async fn compare(&self, before: Snapshot) -> Traces {
        let first = self.cell.committed().state().kept.past.first.clone();
        let snapshots = Arc::clone(&self.tools.snapshots);
        let directory = Arc::clone(&self.cell.directory);
        // What is not ready in time goes on, so that the next snapshot has less to do.
        let compared = tokio::spawn(async move {
            let first = first.map_or_else(|| before.tree.clone(), |(_, tree)| tree);
            traces_of(&snapshots, &directory, before, &first).await
        });
        match in_time(PATIENCE, compared).await {
            Some(Ok(Some(traces))) => traces,
            Some(Ok(None)) => Traces::default(),
            Some(Err(error)) => {
                tracing::warn!(directory = %self.cell.directory, "what a turn has changed is not known: {error}");
                Traces::default()
            }
            None => {
                tracing::warn!(directory = %self.cell.directory, "what a turn has changed takes longer than {PATIENCE:?} to find out");
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
