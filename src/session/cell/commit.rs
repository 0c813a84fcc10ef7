//! The one function that commits.
//!
//! A request puts its job into the session's list. If nobody is committing for it, a task is started that
//! drains the list: all jobs that wait are applied, one after the other, to one draft, and share a
//! transaction. It is a task of its own, so that a caller that hangs up, or that waits for something else
//! meanwhile, does not hold up other jobs.
//! There is at most one such task per session: it is the session's lock.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use futures_util::FutureExt;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::draft::Drafted;
use super::{Cell, Committed, Draft};
use crate::event::{Bus, render};
use crate::metrics;
use crate::nodes::Nodes;
use crate::nodes::growth::id_of;
use crate::opencode::SessionId;
use crate::opencode::event::EventPayload;
use crate::registry::Registry;
use crate::session::fallback::{FallbackSettings, Fallbacks};
use crate::session::spending::Spending;
use crate::session::{Error, Sizes};
use crate::store::{Change, Store, StoreError};

/// How often a change that was prepared from what the store has is prepared again because the conversation
/// has moved on in between.
const PREPARED_AT_MOST: usize = 64;

/// Starts a worker for a session.
type Hire = Box<dyn Fn(Arc<Cell>) + Send + Sync>;

/// What all sessions share.
pub(crate) struct Office {
    /// Where they are kept.
    pub store: Arc<dyn Store>,
    /// What can be selected.
    pub registry: Arc<Registry>,
    /// The servers that use the store.
    pub nodes: Arc<Nodes>,
    /// Everything that runs for sessions; awaited when the server stops.
    pub tasks: TaskTracker,
    /// Cancelled when the server stops.
    pub stopping: CancellationToken,
    /// How large what others send may be.
    pub sizes: Sizes,
    /// What goes on when a model cannot answer, and which cannot now.
    pub fallbacks: Arc<Fallbacks>,
    /// What may be spent, and what was today.
    pub spending: Arc<Spending>,
    bus: Arc<Bus>,
    at_work: Mutex<BTreeMap<SessionId, Arc<Cell>>>,
    hire: OnceLock<Hire>,
}

impl Office {
    /// An office without workers.
    pub(crate) fn new(
        (store, nodes): (Arc<dyn Store>, Arc<Nodes>),
        bus: Arc<Bus>,
        registry: Arc<Registry>,
        sizes: Sizes,
        (fallback, spending): (FallbackSettings, Spending),
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            nodes,
            registry,
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            sizes,
            fallbacks: Arc::new(Fallbacks::new(fallback)),
            spending: Arc::new(spending),
            bus,
            at_work: Mutex::default(),
            hire: OnceLock::new(),
        })
    }

    /// Says how workers are started. Later calls change nothing.
    pub(crate) fn hire_with(&self, hire: impl Fn(Arc<Cell>) + Send + Sync + 'static) {
        let _set_once = self.hire.set(Box::new(hire));
    }

    /// Tells everybody of something that concerns no session, or one of another server.
    pub(crate) fn tell(&self, directory: String, events: &[EventPayload]) {
        if !self.nodes.is_shared() {
            return self.bus.publish(&directory.into(), events);
        }
        let told = self.store.commit(vec![Change::Tell {
            session: None,
            directory,
            events: events.iter().map(render).collect(),
        }]);
        self.tasks.spawn(async move {
            if let Err(error) = told.await {
                tracing::warn!("an event was told to nobody: {error}");
            }
        });
    }

    /// Sessions that are busy, or whose agents ask the user something.
    pub(crate) fn at_work(&self) -> Vec<Arc<Cell>> {
        lock(&self.at_work).values().cloned().collect()
    }

    fn note_work(&self, cell: &Arc<Cell>, committed: &Committed) {
        let runtime = &committed.runtime;
        let works = !runtime.is_deleted() && (runtime.is_busy() || !runtime.asks.is_empty());
        let mut at_work = lock(&self.at_work);
        if works {
            at_work.insert(cell.id.clone(), Arc::clone(cell));
        } else {
            at_work.remove(&cell.id);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Lists and maps are valid between any two steps, and nothing that can panic runs under these locks.
    mutex.lock()
}

/// The jobs of a session that wait.
#[derive(Default)]
pub(crate) struct Waiting {
    jobs: Vec<Box<dyn Job>>,
    committing: bool,
}

/// A change on its way. It may be applied again, to another draft, when what it was first applied together
/// with could not be stored.
trait Job: Send {
    fn apply(&mut self, draft: &mut Draft) -> Result<(), Error>;
    /// Answers the caller.
    fn conclude(self: Box<Self>, result: Result<(), Error>);
}

struct Asked<F, T> {
    apply: F,
    value: Option<T>,
    caller: oneshot::Sender<Result<T, Error>>,
}

impl<F, T> Job for Asked<F, T>
where
    F: FnMut(&mut Draft) -> Result<T, Error> + Send,
    T: Send,
{
    fn apply(&mut self, draft: &mut Draft) -> Result<(), Error> {
        self.value = Some((self.apply)(draft)?);
        Ok(())
    }

    fn conclude(self: Box<Self>, result: Result<(), Error>) {
        let value = self.value.ok_or(Error::ShutDown);
        // A caller that has hung up does not need it.
        let _gone = self.caller.send(result.and(value));
    }
}

impl Cell {
    /// Changes the session: applies the job to a draft, and answers once that is committed. A job that
    /// returns an error has changed nothing. It runs to its end also when the caller goes away.
    ///
    /// # Errors
    /// The job's own, or that of the store: then nothing has changed and nothing was visible.
    pub(crate) async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        job: impl FnMut(&mut Draft) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (caller, answer) = oneshot::channel();
        let job = Box::new(Asked {
            apply: job,
            value: None,
            caller,
        });
        let starts = {
            let mut waiting = lock(&self.waiting);
            waiting.jobs.push(job);
            !std::mem::replace(&mut waiting.committing, true)
        };
        if starts {
            let this = Arc::clone(self);
            // In a box: a task is aligned, which costs an allocator more the larger it is.
            let committing = Box::pin(async move { this.commit_waiting().await });
            self.office.tasks.spawn(committing);
        }
        answer.await.unwrap_or(Err(Error::ShutDown))
    }

    /// The same for a change that needs something from the store first: `prepare` reads it, and is asked
    /// again when the job says that the conversation has moved on since.
    ///
    /// # Errors
    /// Those of `prepare`, of the job, and of the store.
    pub(crate) async fn prepare_and_change<R, T, P>(
        self: &Arc<Self>,
        mut prepare: impl FnMut(Arc<Committed>) -> P,
        job: impl Fn(&mut Draft, &R) -> Result<T, Error> + Send + Sync + 'static,
    ) -> Result<T, Error>
    where
        R: Send + Sync + 'static,
        T: Send + 'static,
        P: Future<Output = Result<R, Error>>,
    {
        let job = Arc::new(job);
        for _ in 0..PREPARED_AT_MOST {
            let committed = self.at_rest().await?;
            let prepared = prepare(committed).await?;
            let job = Arc::clone(&job);
            let changed = self.change(move |draft| job(draft, &prepared));
            match changed.await {
                Err(Error::MovedOn) => {}
                changed => return changed,
            }
        }
        Err(Error::Busy(self.id.clone()))
    }

    async fn commit_waiting(self: Arc<Self>) {
        loop {
            let jobs = {
                let mut waiting = lock(&self.waiting);
                if waiting.jobs.is_empty() {
                    waiting.committing = false;
                    return;
                }
                std::mem::take(&mut waiting.jobs)
            };
            if let Err(jobs) = self.commit_together(jobs).await {
                // Which of them it was is unknown: each is tried alone.
                for job in jobs {
                    self.commit_alone(job).await;
                }
            }
        }
    }

    /// Commits jobs together; gives them back when that failed.
    async fn commit_together(
        self: &Arc<Self>,
        mut jobs: Vec<Box<dyn Job>>,
    ) -> Result<(), Vec<Box<dyn Job>>> {
        if jobs.len() == 1
            && let Some(job) = jobs.pop()
        {
            self.commit_alone(job).await;
            return Ok(());
        }
        let mut draft = self.draft();
        let results: Vec<_> = jobs
            .iter_mut()
            .map(|job| draft.attempt(|draft| job.apply(draft)))
            .collect();
        let is_lost = draft.is_lost();
        if self.commit(draft).await.is_err() {
            return Err(jobs);
        }
        let lost = || Error::Store(StoreError::TakenOver(self.id.clone()));
        // Refusals are also answered only now: what they were judged by had to be committed first.
        for (job, result) in jobs.into_iter().zip(results) {
            // Of what was applied together with the loss of the session nothing was stored.
            job.conclude(if is_lost { Err(lost()) } else { result });
        }
        Ok(())
    }

    async fn commit_alone(self: &Arc<Self>, mut job: Box<dyn Job>) {
        let mut draft = self.draft();
        // One that fails is dropped with its draft.
        let result = match draft.apply(|draft| job.apply(draft)) {
            Ok(()) => self.commit(draft).await.map_err(Error::from),
            refused => refused,
        };
        job.conclude(result);
    }

    fn draft(&self) -> Draft {
        Draft::new(
            self,
            self.committed(),
            self.office.registry.at(&self.directory),
        )
    }

    /// Writes the draft's batch, and only then replaces what is committed and publishes the events.
    async fn commit(self: &Arc<Self>, draft: Draft) -> Result<(), StoreError> {
        let mut drafted = draft.finish();
        let is_shared = self.office.nodes.is_shared();
        let last_told = match is_shared {
            true => self.share(&mut drafted),
            false => None,
        };
        if !drafted.batch.is_empty() {
            let written = write(self.office.store.as_ref(), drafted.batch).await;
            if matches!(written, Err(StoreError::TakenOver(_))) {
                self.is_taken();
            }
            written?;
        }
        if let Some(last) = last_told {
            *self.last_told.lock() = Some(last);
        }
        let committed = Arc::new(drafted.next);
        self.committed.send_replace(Arc::clone(&committed));
        if !is_shared {
            self.publish(&drafted.events);
        }
        self.office.note_work(self, &committed);
        if committed.is_urgent() {
            self.urgent.notify_waiters();
        }
        for effect in drafted.effects {
            effect();
        }
        self.find_worker();
        Ok(())
    }

    /// Where other servers use the store, a batch names the lease, and brings the events for those who follow them there: this
    /// server is told of them in their order, as the others are. Answers the id of the last event.
    fn share(&self, drafted: &mut Drafted) -> Option<String> {
        if drafted.batch.is_empty() && drafted.events.is_empty() {
            return None;
        }
        let held = Change::Held {
            session: self.id.clone(),
            epoch: self.epoch.unwrap_or(0),
        };
        drafted.batch.insert(0, held);
        let events: Vec<_> = drafted.events.iter().map(render).collect();
        let last = id_of(events.last()?).to_owned();
        drafted.batch.push(Change::Tell {
            session: Some(self.id.clone()),
            directory: self.directory.to_string(),
            events,
        });
        Some(last)
    }

    /// Another server has taken the session: whatever goes on here is stopped, and nothing of it is stored.
    pub(crate) fn is_taken(self: &Arc<Self>) {
        let this = Arc::clone(self);
        self.office.nodes.has_lost(&self.id);
        self.office.tasks.spawn(async move { this.lose().await });
    }

    /// Whether it was read under the lease that this server has now.
    pub(crate) fn is_current(&self) -> bool {
        let lease = self.office.nodes.lease(&self.id);
        lease.is_none_or(|lease| self.epoch == Some(lease.epoch))
    }

    /// The same, and waits until nothing of it is shown any more.
    pub(crate) async fn lose(self: &Arc<Self>) {
        self.office.nodes.has_lost(&self.id);
        metrics::lease_lost();
        let lost = self.change(|draft| {
            draft.lose();
            Ok(())
        });
        let _nothing_to_store = lost.await;
    }

    /// Publishes the growth of an answer as it happens. Only the text of an answer that is still
    /// being written may be visible before it is stored; its end is published by a commit.
    pub(crate) fn tell_growth(&self, events: &[EventPayload]) {
        // While this is borrowed nothing else is committed, so that nothing follows a session's deletion.
        let committed = self.committed.borrow();
        if committed.runtime.is_deleted() || events.is_empty() {
            return;
        }
        let nodes = &self.office.nodes;
        if !nodes.is_shared() {
            return self.publish(events);
        }
        let behind = self.last_told.lock().clone();
        let events = events.iter().map(render).collect();
        nodes.grow(&self.id, behind, &self.directory, events);
    }

    fn publish(&self, events: &[EventPayload]) {
        if !events.is_empty() {
            self.office.bus.publish(&self.directory, events);
        }
    }

    /// Starts a worker if there is work and none.
    fn find_worker(self: &Arc<Self>) {
        if !self.committed.borrow().has_work() || self.office.stopping.is_cancelled() {
            return;
        }
        if let Some(hire) = self.office.hire.get()
            && !self.has_worker.swap(true, Ordering::AcqRel)
        {
            hire(Arc::clone(self));
        }
    }

    /// Whether a worker was started and has not left.
    pub(crate) fn has_worker(&self) -> bool {
        self.has_worker.load(Ordering::Acquire)
    }

    /// The worker leaves. Work that came in just now is given to another one.
    pub(crate) fn dismiss_worker(self: &Arc<Self>) {
        self.has_worker.store(false, Ordering::Release);
        self.find_worker();
    }
}

/// A store that panics has failed; it must not take the session's task with it.
async fn write(store: &dyn Store, batch: Vec<Change>) -> Result<(), StoreError> {
    let written = AssertUnwindSafe(async { store.commit(batch).await });
    let panicked = |_| StoreError::Database("the store has panicked".to_owned());
    written.catch_unwind().await.map_err(panicked)?
}
