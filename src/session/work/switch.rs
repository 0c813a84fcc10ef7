//! Bringing the agent after the selection while no prompt waits, and telling what came of a switch.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::bind::NotStarted;
use super::{Worker, elapsed_ms};
use crate::opencode::event::Transfer;
use crate::opencode::history::ModelSwitch;
use crate::opencode::message::MessageError;
use crate::session::cell::{Applied, Cell, Committed, Target};

/// A switch that has to start a process waits this long for the user to change their mind again.
const SETTLE_COLD: Duration = Duration::from_millis(150);
/// A switch on a live native session waits this long, so that an agent does not follow every step of a
/// picker that is flicked through, or of a script that patches in a loop.
const SETTLE_WARM: Duration = Duration::from_millis(3);
/// While the selection goes on changing it looks less and less often, but as often as this.
const LOOK_AT_LEAST: Duration = Duration::from_millis(12);

/// A start that takes longer is announced.
const SLOW: Duration = Duration::from_secs(1);

/// How a warm start ended.
pub(super) enum Warmed {
    /// The agent is ready. That is how the conversation will get there.
    Ready(Transfer),
    /// It cannot be.
    Failed(MessageError),
    /// There is no room for another agent, and no caller waits for this one.
    NoRoom,
}

impl Worker {
    /// Brings the agent after the selection, so that it is warm when the next prompt comes.
    pub(super) async fn switch(&mut self, mut target: Target) {
        let cell = Arc::clone(&self.cell);
        let stopping = self.tools.office.stopping.clone();
        let mut watch = cell.watch();
        loop {
            let started = Instant::now();
            self.settle(&mut target).await;
            let warmed = tokio::select! {
                biased;
                // It looks before it waits. A selection that was passed over is given up at any point.
                _ = watch.wait_for(|committed| is_passed_over(committed, &target)) => None,
                () = stopping.cancelled() => None,
                warmed = told_when_slow(&cell, &target, self.warm(&target)) => Some(warmed),
            };
            match warmed {
                Some(Warmed::Ready(transfer)) => {
                    self.unproven = Some(target.revision);
                    return self.report_applied(&target, transfer, started).await;
                }
                Some(Warmed::Failed(error)) => {
                    self.let_go_of(&target.selection.provider_id).await;
                    return self.report_failed(&target, error, started).await;
                }
                Some(Warmed::NoRoom) => return self.stop_switching(Some(target)).await,
                None => match next_target(&cell.committed(), stopping.is_cancelled()) {
                    Some(next) => target = next,
                    None => return self.stop_switching(None).await,
                },
            }
        }
    }

    /// Waits until the user has not changed their mind for a moment. It looks from time to time instead of
    /// being woken by every change: a script that patches in a loop does not pay for the agent.
    async fn settle(&self, target: &mut Target) {
        let (mut since, mut pause) = (Instant::now(), SETTLE_WARM);
        loop {
            let urgent = self.cell.urgent();
            let stopping = &self.tools.office.stopping;
            tokio::select! {
                () = urgent => return,
                () = stopping.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            let Some(next) = self.cell.committed().state().target() else {
                return;
            };
            if next != *target {
                (*target, since) = (next, Instant::now());
                pause = LOOK_AT_LEAST.min(pause * 2);
            }
            let is_warm = self.lives.contains_key(&target.selection.provider_id);
            if since.elapsed() >= if is_warm { SETTLE_WARM } else { SETTLE_COLD } {
                return;
            }
        }
    }

    /// The selection is not applied now: something else comes first, or there is no room for an agent.
    async fn stop_switching(&self, left: Option<Target>) {
        let stopped = self.cell.change(move |draft| {
            draft.stop_switching(left.as_ref());
            Ok(())
        });
        let _nothing_to_store = stopped.await;
    }

    async fn warm(&mut self, target: &Target) -> Warmed {
        // A session's first selection was not asked for as a switch.
        let is_first = target.revision == 1;
        let agent = match self.start(&target.selection).await {
            Ok(agent) => agent,
            Err(NotStarted::NoRoom(_)) if is_first => return Warmed::NoRoom,
            Err(error) => return Warmed::Failed(error.into()),
        };
        if let Err(error) = self.reach_with(agent, target).await {
            return Warmed::Failed(error);
        }
        match self.foresee_handover(&target.selection).await {
            Ok(transfer) => Warmed::Ready(transfer),
            Err(error) => Warmed::Failed(error),
        }
    }

    /// Notes that the agent has confirmed a selection.
    pub(super) async fn report_applied(
        &self,
        target: &Target,
        transfer: Transfer,
        started: Instant,
    ) {
        let applied = Applied {
            target: target.clone(),
            transfer,
            duration_ms: elapsed_ms(started),
            entry: self.open_entry(target.revision).await,
        };
        let noted = self.persist(move |draft| draft.applied(&applied));
        // Only a session that was deleted has nothing to note.
        let _deleted = noted.await;
    }

    /// Tells that a selection could not be applied.
    pub(super) async fn report_failed(
        &self,
        target: &Target,
        error: MessageError,
        started: Instant,
    ) {
        let (target, duration_ms) = (target.clone(), elapsed_ms(started));
        let entry = self.open_entry(target.revision).await;
        let noted =
            self.persist(move |draft| draft.failed(&target, &error, duration_ms, entry.as_ref()));
        let _deleted = noted.await;
    }

    /// Corrects in the audit trail how the conversation got to the agent, when a prompt had to be given another way than
    /// was announced before.
    pub(super) async fn correct_transfer(&self, target: &Target, transfer: Transfer) {
        if self.unproven != Some(target.revision) {
            return;
        }
        let Some(mut entry) = self.entry(target.revision).await else {
            return;
        };
        if entry.failure.is_some() || entry.transfer == Some(transfer) {
            return;
        }
        entry.transfer = Some(transfer);
        let corrected = self.persist(move |draft| {
            draft.unless_deleted()?;
            draft.put_switch(entry.clone());
            Ok(())
        });
        let _deleted = corrected.await;
    }

    /// The entry of the audit trail that made a revision, if its outcome may be open.
    pub(super) async fn open_entry(&self, revision: u64) -> Option<ModelSwitch> {
        if self.cell.committed().runtime().closed_revision >= revision {
            return None;
        }
        self.entry(revision).await
    }

    /// The entry of the audit trail that made a revision.
    async fn entry(&self, revision: u64) -> Option<ModelSwitch> {
        let last = self.cell.committed().runtime().last_entry.clone();
        if let Some(last) = last.filter(|last| last.revision == revision) {
            return Some(ModelSwitch::clone(&last));
        }
        let store = &self.tools.office.store;
        let stored = store.switch(&self.cell.id, revision).await;
        serde_json::from_str(&stored.ok()??).ok()
    }
}

/// Does what a selection needs before it can answer, and announces when that takes long.
pub(super) async fn told_when_slow<T>(
    cell: &Arc<Cell>,
    target: &Target,
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    tokio::select! {
        biased;
        done = &mut work => return done,
        () = tokio::time::sleep(SLOW) => {}
    }
    let target = target.clone();
    let told = cell.change(move |draft| {
        draft.unless_deleted()?;
        draft.toast_slow(&target);
        Ok(())
    });
    // Not awaited, so that the work is not held up.
    let (_nothing_to_store, done) = tokio::join!(told, work);
    done
}

/// Whether something else comes before a switch now.
fn is_passed_over(committed: &Committed, target: &Target) -> bool {
    let runtime = committed.runtime();
    let revision = committed.state().kept.selection_revision;
    revision != target.revision || !runtime.queue.is_empty() || runtime.is_deleted()
}

/// What is switched to instead; `None` when something other than a switch comes first.
fn next_target(committed: &Committed, stopping: bool) -> Option<Target> {
    let runtime = committed.runtime();
    let comes_first = !runtime.queue.is_empty() || runtime.is_deleted() || stopping;
    committed.state().target().filter(|_| !comes_first)
}
