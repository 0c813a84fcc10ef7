//! One session in memory: what is committed, and the one way to change it.
//!
//! ```text
//!                 ┌────────── a turn waits ──────────┐
//!                 │                                  ▼
//!   loaded ──► Idle ──► Switching ──► Idle        Working ──► Idle
//!                 │   (nothing waits, and the        (its end is stored)
//!                 │    selection is not applied)
//!                 └──► Restoring ──► Idle            any ──► Deleted
//! ```
//!
//! That is the session's [`Phase`]. Its worker, where it has one, follows it: it takes what waits, works
//! without holding anything up, and commits what came of it. It is started by a commit that leaves
//! something to do, and ends when it has had nothing to do for a while.
//!
//! A change is a job ([`Cell::change`]) that a [`Draft`] is given: a copy of what is committed, with
//! synchronous methods only. [`commit`] drains the jobs that wait, applies them to one draft, writes the
//! batch, and only then replaces what is committed. So nothing is visible before it is stored, and there is
//! nothing to take back. What is committed is an immutable [`Committed`], which readers take without
//! waiting for anybody; waiting for something means watching it change ([`Cell::watch`]).
//!
//! *Absent here:* agents, and anything that waits for one.

mod admit;
pub(super) mod commit;
mod draft;
mod fallback;
pub(super) mod handoff;
mod history;
pub(super) mod interrupted;
mod kept;
mod late;
pub(super) mod loaded;
pub(super) mod notice;
mod outcome;
pub(super) mod outside;
mod pin;
mod requests;
pub(super) mod runtime;
pub(super) mod select;
pub(super) mod set_by;
mod signs;
pub(super) mod spending;
pub(super) mod state;
mod toast;
mod turn;

use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use futures_util::FutureExt;
use tokio::sync::{Notify, watch};

use crate::opencode::session::{
    PendingReason, PendingSelection, RuntimeStatus, SessionRuntime, SessionTime,
};
use crate::opencode::{Selection, Session as SessionInfo, SessionId};
use crate::session::Error;

use commit::{Office, Waiting};

pub(super) use draft::Draft;
pub(super) use history::Reverted;
pub(super) use kept::can_keep;
pub(super) use late::Late;
pub(super) use outcome::Applied;
pub use runtime::Answer;
pub(super) use runtime::{Binding, LiveAnswer, Outside, Phase, Queued, Runtime, Waiters, Work};
pub(super) use signs::Signs;
pub(super) use state::{Birth, SessionState, Target};
pub(super) use turn::Task;

/// State and runtime as they are committed: only ever seen together.
#[derive(Debug)]
pub(super) struct Committed {
    state: Arc<SessionState>,
    runtime: Runtime,
    /// The revision of the session's row in the store; `None` before it has one.
    row: Option<u64>,
}

impl Committed {
    /// What is known for good.
    pub(super) fn state(&self) -> &SessionState {
        &self.state
    }

    /// What is running.
    pub(super) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// The session as clients see it.
    pub(super) fn info(&self) -> SessionInfo {
        info(&self.state, &self.runtime)
    }

    /// Whether something comes before a switch outside of a turn, or a caller waits for it.
    fn is_urgent(&self) -> bool {
        let is_awaited = self.runtime.awaited_revision >= self.state.kept.selection_revision
            && unsettled(&self.state, &self.runtime);
        is_awaited || !self.runtime.queue.is_empty() || self.runtime.is_deleted()
    }

    /// Whether there is something to do that no worker does yet.
    pub(super) fn has_work(&self) -> bool {
        let waits = !self.runtime.queue.is_empty() || unsettled(&self.state, &self.runtime);
        matches!(self.runtime.phase, Phase::Idle) && waits
    }
}

/// A session.
pub(super) struct Cell {
    /// Its id.
    pub id: SessionId,
    /// Its directory.
    pub directory: Arc<str>,
    /// The epoch of the lease under which it is changed, where other servers use the store, too.
    epoch: Option<u64>,
    /// The id of the last event that was stored, where others follow what is stored.
    last_told: Mutex<Option<String>>,
    office: Arc<Office>,
    committed: watch::Sender<Arc<Committed>>,
    waiting: Mutex<Waiting>,
    /// Wakes a worker that lets a selection settle: something else comes first.
    urgent: Notify,
    /// A worker was started and has not left.
    has_worker: AtomicBool,
}

impl std::fmt::Debug for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cell")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// What the store has of a session that is being loaded.
#[derive(Debug, Default)]
pub(super) struct Stored {
    /// The revision of its row; `None` for a session that is being made.
    pub row: Option<u64>,
    /// Its native sessions, by backend.
    pub bindings: BTreeMap<String, Binding>,
    /// The highest place of a message.
    pub last_seq: u64,
    /// The epoch of the lease under which it is changed.
    pub epoch: Option<u64>,
}

impl Cell {
    /// A session around its state. Nothing is started for it: a selection from before a restart is applied
    /// by the next prompt, so that reading a session starts no agent.
    pub(super) fn new(office: Arc<Office>, state: SessionState, stored: Stored) -> Arc<Self> {
        let runtime = Runtime {
            phase: match state.kept.past.restoring {
                Some(_) => Phase::Restoring { switches: false },
                None => Phase::Idle,
            },
            bindings: Arc::new(stored.bindings),
            last_seq: stored.last_seq,
            settled_revision: state.kept.selection_revision,
            ..Runtime::default()
        };
        let committed = Committed {
            runtime,
            row: stored.row,
            state: Arc::new(state),
        };
        Arc::new(Self {
            id: committed.state.id.clone(),
            directory: committed.state.directory.as_str().into(),
            epoch: stored.epoch,
            last_told: Mutex::default(),
            office,
            committed: watch::Sender::new(Arc::new(committed)),
            waiting: Mutex::default(),
            urgent: Notify::new(),
            has_worker: AtomicBool::new(false),
        })
    }

    /// What is committed now.
    pub(super) fn committed(&self) -> Arc<Committed> {
        Arc::clone(&self.committed.borrow())
    }

    /// Watches what is committed. Its `wait_for` looks before it waits, so no change is missed in between.
    pub(super) fn watch(&self) -> watch::Receiver<Arc<Committed>> {
        self.committed.subscribe()
    }

    /// Waits until a prompt waits, a caller waits for the selection, or the session was deleted.
    pub(super) async fn urgent(&self) {
        let mut urgent = pin!(self.urgent.notified());
        loop {
            // Registered before it looks, so that what comes in between is not missed.
            urgent.as_mut().enable();
            if self.committed().is_urgent() {
                return;
            }
            urgent.as_mut().await;
            urgent.set(self.urgent.notified());
        }
    }

    /// Waits until something holds.
    ///
    /// # Errors
    /// [`Error::ShutDown`] when the server stops before that.
    pub(super) async fn until(
        &self,
        mut holds: impl FnMut(&Committed) -> bool,
    ) -> Result<Arc<Committed>, Error> {
        let mut watch = self.watch();
        tokio::select! {
            biased;
            // The sender lives as long as this session.
            committed = watch.wait_for(|committed| holds(committed)) => {
                committed.map(|c| Arc::clone(&c)).map_err(|_| Error::ShutDown)
            }
            () = self.office.stopping.cancelled() => Err(Error::ShutDown),
        }
    }

    /// Waits until no revert is under way.
    ///
    /// # Errors
    /// [`Error::ShutDown`] when the server stops before that.
    pub(super) async fn at_rest(&self) -> Result<Arc<Committed>, Error> {
        self.until(|committed| !committed.runtime.is_restoring())
            .await
    }
}

impl Cell {
    /// Runs something while no turn is in flight and none begins: a session that is busy is left alone. It
    /// runs to its end also when the caller goes away, and turns begin again whatever comes of it.
    ///
    /// # Errors
    /// [`Error::Busy`], and those of what is run.
    pub(super) async fn rest_while<T: Send + 'static, R>(
        self: &Arc<Self>,
        run: impl FnOnce(Arc<Self>, SessionState) -> R + Send + 'static,
    ) -> Result<T, Error>
    where
        R: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let cell = Arc::clone(self);
        let task = self.office.tasks.spawn(async move {
            let begin = |draft: &mut Draft, ()| {
                draft.unless_ending()?;
                draft.unless_busy()?;
                draft.at_rest()?;
                draft.begin_restoring();
                Ok(draft.state().clone())
            };
            let prepare = |_| std::future::ready(Ok(()));
            let before = cell
                .prepare_and_change(prepare, move |draft, &nothing| begin(draft, nothing))
                .await?;
            let ran = AssertUnwindSafe(run(Arc::clone(&cell), before));
            let ran = ran.catch_unwind().await;
            let ended = cell.change(|draft| {
                draft.end_restoring();
                Ok(())
            });
            let _nothing_to_store = ended.await;
            ran.unwrap_or_else(|_| Err(Error::Internal("a revert has panicked".to_owned())))
        });
        task.await.unwrap_or(Err(Error::ShutDown))
    }
}

/// Whether the selection waits to be applied.
fn unsettled(state: &SessionState, runtime: &Runtime) -> bool {
    state.selection.is_some() && state.kept.selection_revision > runtime.settled_revision
}

fn pending_reason(state: &SessionState, runtime: &Runtime) -> PendingReason {
    let at_it = runtime.turn().is_some_and(|turn| {
        turn.answer.is_none() && turn.queued.target.revision == state.kept.selection_revision
    });
    match () {
        () if runtime.store_fails => PendingReason::Store,
        () if runtime.is_busy() && !at_it => PendingReason::Turn,
        () => PendingReason::Starting,
    }
}

/// A session as clients see it.
fn info(state: &SessionState, runtime: &Runtime) -> SessionInfo {
    let status = match () {
        () if runtime.is_busy() => RuntimeStatus::Busy,
        () if runtime.is_switching() => RuntimeStatus::Switching,
        () => RuntimeStatus::Idle,
    };
    let waits = |selection: &&Selection| {
        unsettled(state, runtime) && runtime.applied.as_ref() != Some(*selection)
    };
    let pending = state.selection.as_ref().filter(waits);
    let pending =
        pending.map(|selection| PendingSelection::new(selection, pending_reason(state, runtime)));
    SessionInfo {
        id: state.id.clone(),
        slug: state.slug.clone(),
        project_id: state.project_id.clone(),
        directory: state.directory.clone(),
        path: Some(state.path.clone()),
        parent_id: state.parent_id.clone(),
        summary: Some(state.summary),
        cost: state.cost,
        tokens: state.tokens,
        title: state.title.clone(),
        agent: state.selection.as_ref().map(|s| s.agent.clone()),
        model: state.selection.as_ref().map(Selection::session_model),
        version: state.version.clone(),
        metadata: state.metadata.clone(),
        time: SessionTime {
            compacting: runtime.turn().and_then(|turn| turn.compacting),
            ..state.time
        },
        permission: (!state.permission.is_empty()).then(|| state.permission.clone()),
        revert: state.revert.clone(),
        revision: state.revision,
        pinned: state.pinned,
        fallback: state.fallback.clone(),
        limit: state.limit,
        handoff: state.kept.handoff.clone(),
        runtime: SessionRuntime {
            status,
            applied: runtime.applied.clone(),
            pending,
            turn: runtime.turn().and_then(runtime::Turn::shown),
        },
    }
}

/// A session of which nothing is in memory, as clients see it.
pub(super) fn stored_info(state: &SessionState) -> SessionInfo {
    let runtime = Runtime {
        settled_revision: state.kept.selection_revision,
        queue: VecDeque::new(),
        ..Runtime::default()
    };
    info(state, &runtime)
}
