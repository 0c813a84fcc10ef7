//! The worker of a session: runs its turns one at a time, and brings the agent after the selection.
//!
//! ```text
//!   a commit leaves work ──► hired ──► looks ──► a prompt waits: turn ─────────────────► looks
//!                                        │  ──► the selection is not applied: switch ──► looks
//!                                        └ nothing to do ──► listens to its agents, until there is work,
//!                                                            or it has been idle for long: leaves
//! ```
//!
//! It owns the live native sessions. It talks to agents without holding anything up, and commits what came
//! of it ([`Worker::persist`]): what a turn has produced is kept and written again until the store takes
//! it. A worker that panics fails its turn and is replaced; one that has had nothing to do for a while
//! leaves, and the next change that leaves work starts another.

mod again;
mod answered;
mod apply;
mod aside;
mod asked;
mod asked_late;
mod begin;
mod bind;
mod compact;
mod drive;
mod fallback;
pub(super) mod handover;
mod heard;
mod late;
mod live;
pub(super) mod missed;
mod outcome;
mod parked;
pub(super) mod removal;
mod reopen;
mod said;
mod shell;
pub(super) mod structured;
mod switch;
mod told;
mod tools;
mod traces;
mod turn;

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, sleep_until};
use tracing::{Instrument, Span};

use super::cell::{Answer, Cell, Draft, Phase, Queued, Task};
use super::conversation::answer::Answering;
use super::error::Error;
use crate::opencode::message::{AssistantMessage, MessageError};
use crate::opencode::session::Tokens;
use crate::session::ask::TurnRules;
use crate::store::StoreError;

use aside::Aside;
use live::Live;
use told::next_said;

pub(super) use told::Told;
pub(super) use tools::Tools;

/// What the store has not taken is written again after this time, and then after twice as long each time.
const WRITE_AGAIN_FIRST: Duration = Duration::from_millis(20);
/// … but at least this often, so that a session goes on soon after the disk has room again.
const WRITE_AGAIN_AT_LEAST: Duration = Duration::from_millis(500);
/// A store that does not take it for a reason which time does not mend is tried this often.
const WRITE_AGAIN_TIMES: u32 = 60;
/// A server that stops tries no longer than this.
const STOP_TRYING: Duration = Duration::from_secs(2);

/// Starts a worker for a session, and watches over it.
pub(super) fn hire(tools: &Arc<Tools>, cell: Arc<Cell>) {
    let tools = Arc::clone(tools);
    tools.office.tasks.clone().spawn(async move {
        let another = || Worker::new(Arc::clone(&tools), Arc::clone(&cell));
        let span = || tracing::error_span!("session", session = %cell.id);
        // In boxes, so that a session that waits has not the room of everything that it may do.
        if has_panicked(Box::pin(another().run())).await {
            tracing::error!(session = %cell.id, "a worker has panicked; its turn has failed, and another worker takes over");
            if has_panicked(Box::pin(another().clear_up().instrument(span()))).await {
                tracing::error!(session = %cell.id, "what it has left behind is given up");
                another().give_up_what_is_left().instrument(span()).await;
            }
        }
        cell.dismiss_worker();
    });
}

async fn has_panicked(work: impl Future<Output = ()>) -> bool {
    AssertUnwindSafe(work).catch_unwind().await.is_err()
}

/// What a user is told of a turn or a switch in which a worker has panicked.
fn mistake() -> MessageError {
    bind::unknown("Baton has made a mistake while it worked on this, which stands in its log. Your prompt may have been answered in part; send it again to go on.".to_owned())
}

/// See the module.
struct Worker {
    tools: Arc<Tools>,
    cell: Arc<Cell>,
    lives: HashMap<String, Live>,
    /// The rules that the prompt of the turn in flight has come with.
    rules: Option<TurnRules>,
    /// Backends whose agent has ended or hung while its native session was being reopened.
    not_reopened: HashSet<String>,
    /// How much of a conversation a model is given that has refused more, in bytes, by the model's label.
    fits: HashMap<String, usize>,
    /// The MCP servers that were told of because an agent is not given them, by backend.
    mcp_told: HashMap<String, Vec<(String, String)>>,
    epoch: u64,
    /// The switch whose way of handing over was announced, until a prompt has shown that it worked.
    unproven: Option<u64>,
    /// What was said besides the answer and is not stored yet.
    aside: Aside,
    /// When it had something to do last.
    worked: Instant,
}

/// What comes after having nothing to do.
enum Idle {
    LookAgain,
    Leave,
}

impl Worker {
    fn new(tools: Arc<Tools>, cell: Arc<Cell>) -> Self {
        Self {
            tools,
            cell,
            lives: HashMap::new(),
            rules: None,
            not_reopened: HashSet::new(),
            fits: HashMap::new(),
            mcp_told: HashMap::new(),
            epoch: 0,
            unproven: None,
            aside: Aside::default(),
            worked: Instant::now(),
        }
    }

    async fn run(mut self) {
        loop {
            let task = self.next_task().await;
            let span = task.as_ref().map(|task| self.span(task));
            if task.is_some() {
                self.worked = Instant::now();
                self.store_late().await;
            }
            match task {
                Some(Task::Turn(queued)) => {
                    self.rules = Some(queued.rules.clone());
                    let span = span.unwrap_or_else(Span::none);
                    Box::pin(self.turn(queued).instrument(span)).await;
                    self.rules = None;
                }
                Some(Task::Switch(target)) => {
                    let span = span.unwrap_or_else(Span::none);
                    self.switch(target).instrument(span).await;
                }
                None => match self.idle().await {
                    Idle::LookAgain => {}
                    Idle::Leave => return self.close().await,
                },
            }
        }
    }

    /// What the lines of the log belong to while something is done. An error span, so that no setting of the log leaves it
    /// out. While a session waits it has none: there may be many that do.
    fn span(&self, task: &Task) -> Span {
        let target = task.target();
        tracing::error_span!(
            "work", session = %self.cell.id, revision = target.revision, backend = target.selection.provider_id
        )
    }

    async fn next_task(&mut self) -> Option<Task> {
        let committed = self.cell.committed();
        if self.epoch != committed.runtime().bindings_epoch {
            self.epoch = committed.runtime().bindings_epoch;
            for backend in self.lives.keys().cloned().collect::<Vec<_>>() {
                self.let_go_of(&backend).await;
            }
        }
        if !committed.has_work() {
            return None;
        }
        self.cell
            .change(|draft| Ok(draft.next_task()))
            .await
            .ok()
            .flatten()
    }

    /// Waits for work, and reads what agents say between turns.
    async fn idle(&mut self) -> Idle {
        let stopping = self.tools.office.stopping.clone();
        let nodes = Arc::clone(&self.tools.office.nodes);
        if self.cell.committed().runtime().is_deleted() || stopping.is_cancelled() {
            return Idle::Leave;
        }
        if nodes.drains() && !self.cell.committed().has_work() {
            return Idle::Leave;
        }
        // Without a native session there is nothing to keep.
        if self.lives.is_empty() && !self.cell.committed().has_work() {
            return Idle::Leave;
        }
        self.hear_all_kept().await;
        let (epoch, leave_at) = (self.epoch, self.worked + self.tools.settings.idle);
        let mut watch = self.cell.watch();
        let due = self
            .lives
            .values()
            .filter_map(|live| live.heard.due())
            .min();
        let said = tokio::select! {
            // It looks before it waits, and the session outlives it.
            _ = watch.wait_for(|c| {
                c.has_work() || c.runtime().is_deleted() || c.runtime().bindings_epoch != epoch
            }) => None,
            () = stopping.cancelled() => None,
            () = nodes.drained() => None,
            said = next_said(&mut self.lives) => Some(said),
            () = sleep_until(due.unwrap_or(leave_at)), if due.is_some() => None,
            () = sleep_until(leave_at) => return Idle::Leave,
        };
        if due.is_some_and(|due| due <= Instant::now()) {
            self.store_late().await;
        }
        match said {
            Some((backend, Some(message))) => self.said_between_turns(&backend, message).await,
            Some((backend, None)) => self.let_go_of(&backend).await,
            None => {}
        }
        Idle::LookAgain
    }

    /// Lets go of the agents, and keeps listening to them. They are told when the session is gone for good.
    async fn close(mut self) {
        self.store_late().await;
        let committed = self.cell.committed();
        if committed.runtime().is_lost() {
            for backend in self.lives.keys().cloned().collect::<Vec<_>>() {
                self.let_go_of(&backend).await;
            }
            return;
        }
        if committed.runtime().is_deleted() {
            return self.remove_all_native();
        }
        for (backend, live) in std::mem::take(&mut self.lives) {
            if !self.tools.office.stopping.is_cancelled() {
                parked::listen(&self.tools, self.cell.id.clone(), backend, live);
            }
        }
    }

    /// Commits what has happened, however long the store does not take it: with a delay that grows to a
    /// bound. The session says meanwhile what it waits for.
    async fn persist<T: Send + 'static>(
        &self,
        job: impl Fn(&mut Draft) -> Result<T, Error> + Clone + Send + 'static,
    ) -> Result<T, Error> {
        let stopping = &self.tools.office.stopping;
        let (mut delay, mut tries, mut give_up_at) = (WRITE_AGAIN_FIRST, 0, None);
        loop {
            let error = match self.cell.change(job.clone()).await {
                Err(Error::Store(error)) if !is_final(&error) => error,
                done => {
                    if tries > 0 {
                        self.note_store(false).await;
                    }
                    return done;
                }
            };
            tries += 1;
            if tries == 1 {
                tracing::error!("not stored, it is tried again: {error}");
                self.note_store(true).await;
            }
            let hopeless = !error.may_pass() && tries >= WRITE_AGAIN_TIMES;
            if stopping.is_cancelled() {
                give_up_at.get_or_insert_with(|| Instant::now() + STOP_TRYING);
            }
            if hopeless || give_up_at.is_some_and(|at| Instant::now() >= at) {
                tracing::error!("given up: {error}");
                self.note_store(false).await;
                return Err(error.into());
            }
            tokio::time::sleep(delay).await;
            delay = (delay * 2).min(WRITE_AGAIN_AT_LEAST);
        }
    }

    async fn note_store(&self, fails: bool) {
        let noted = self.cell.change(move |draft| {
            draft.note_store(fails);
            Ok(())
        });
        // Nothing of it has to be stored, so nothing can fail.
        let _noted = noted.await;
    }

    /// What another worker has left behind when it panicked: its turn, or its switch, has failed.
    async fn clear_up(&self) {
        let committed = self.cell.committed();
        let error = mistake();
        match &committed.runtime().phase {
            Phase::Working(turn) => {
                if turn.answer.is_none() && self.begin(&turn.queued, None).await.is_none() {
                    return;
                }
                let committed = self.cell.committed();
                let Some(live) = committed.runtime().answer() else {
                    return;
                };
                let mut done: Answering = live.lock().clone();
                let events = done.finish("error", Tokens::default(), Some(error), None);
                // What its native session is doing now is unknown; the next turn gets another one.
                let backend = vec![turn.queued.target.selection.provider_id.clone()];
                self.end_with(&turn.queued, done, events, move |draft, _| {
                    draft.unbind(&backend);
                })
                .await;
            }
            Phase::Switching | Phase::Restoring { switches: true } => {
                if let Some(target) = committed.state().target() {
                    self.report_failed(&target, error, Instant::now()).await;
                }
            }
            Phase::Idle | Phase::Restoring { .. } | Phase::Deleted | Phase::Lost => {}
        }
    }

    /// The last resort, which reads nothing and looks at no answer: whatever was going on is over.
    async fn give_up_what_is_left(&self) {
        let given_up = self.persist(|draft| {
            draft.cancel_all_asks();
            draft.drop_turn();
            match (draft.runtime().is_switching(), draft.state().target()) {
                (true, Some(target)) => draft.failed(&target, &mistake(), 0, None),
                _ => Ok(()),
            }
        });
        let _deleted = given_up.await;
    }

    /// Ends the turn in flight with an answer, whatever else `beside` does in the same commit.
    async fn end_with(
        &self,
        queued: &Queued,
        mut done: Answering,
        events: Vec<crate::opencode::EventPayload>,
        beside: impl Fn(&mut Draft, &Answer) + Clone + Send + 'static,
    ) {
        let changes = Arc::new(done.take_unwritten().changes);
        let answer = Arc::new(Answer {
            message: done.message,
            parts: done.parts,
        });
        let events = Arc::new(events);
        let last_words = Arc::clone(&answer);
        let ended = self.persist(move |draft| {
            draft.unless_deleted()?;
            changes
                .iter()
                .for_each(|change| draft.write(change.clone()));
            events.iter().for_each(|event| draft.event(event.clone()));
            beside(draft, &answer);
            draft.end_turn(&answer)
        });
        let Err(error) = ended.await else {
            return tell_turn(&last_words.message);
        };
        if matches!(
            error,
            Error::NotFound(_) | Error::Store(StoreError::TakenOver(_))
        ) {
            // The session was deleted, or is another server's; the caller of this turn is told how far it got.
            queued.waiters.answer(&last_words);
        } else {
            // The caller is told that there is no answer; the next start marks it as interrupted.
            tracing::error!("the end of a turn is not stored: {error}");
            let dropped = self.cell.change(|draft| {
                draft.drop_turn();
                Ok(())
            });
            let _nothing_to_store = dropped.await;
        }
    }
}

/// Whether nothing is gained by writing the same again.
fn is_final(error: &StoreError) -> bool {
    matches!(error, StoreError::Closed | StoreError::TakenOver(_))
}

/// Says in the log how a turn has ended.
fn tell_turn(answer: &AssistantMessage) {
    let model = format!("{}/{}", answer.provider_id, answer.model_id);
    let (cost, tokens) = (format!("{:.6}", answer.cost), &answer.tokens);
    let (input, output) = (
        tokens.input + tokens.cache.read + tokens.cache.write,
        tokens.output,
    );
    let ended = answer.time.completed.unwrap_or(answer.time.created);
    let s = Duration::from_millis(ended.saturating_sub(answer.time.created)).as_secs_f64();
    match &answer.error {
        None => tracing::info!(model, s, input, output, cost, "a turn has ended"),
        Some(error) => tracing::info!(
            model,
            s,
            input,
            output,
            cost,
            "a turn has failed: {}",
            error.message()
        ),
    }
}

/// Whole milliseconds since a moment.
fn elapsed_ms(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
