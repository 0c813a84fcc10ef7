//! A store that fails, delays or panics on demand, for tests of what uses a store.

use std::collections::HashMap;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{
    Change, MessageRange, MessageRow, ProcessRow, SessionQuery, SessionRow, Store, StoreError,
};
use crate::opencode::{MessageId, SessionId};

/// Wraps a store whose commits and reads are to go wrong.
pub struct FlakyStore {
    inner: Arc<dyn Store>,
    plan: Mutex<Plan>,
}

#[derive(Default)]
struct Plan {
    commits: u64,
    /// What happens to single commits, by their number.
    single: HashMap<u64, Fault>,
    /// What happens to all others.
    all: Option<StoreError>,
    delay: Duration,
    answer_delay: Duration,
    /// Ends when the commit before has been passed on. `None` when none was delayed.
    previous: Option<oneshot::Receiver<()>>,
    /// What happens to reads, by the name of the method.
    reads: HashMap<&'static str, Fault>,
    read_delay: Duration,
    /// How often something was read, by the name of the method.
    counts: HashMap<&'static str, u64>,
}

#[derive(Clone)]
enum Fault {
    Fail(StoreError),
    Panic,
}

impl FlakyStore {
    /// Passes everything on until it is told otherwise.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self {
            inner,
            plan: Mutex::default(),
        }
    }

    /// Lets the n-th commit from now fail, the next one being the first. Nothing of it is written.
    pub fn fail_nth(&self, n: u64, error: StoreError) {
        let mut plan = self.plan();
        let number = plan.commits + n;
        plan.single.insert(number, Fault::Fail(error));
    }

    /// Lets all commits fail, until [`Self::heal`].
    pub fn fail_all(&self, error: StoreError) {
        self.plan().all = Some(error);
    }

    /// Lets the future of the n-th commit from now panic, the next one being the first. Nothing of it is written.
    pub fn panic_nth(&self, n: u64) {
        let mut plan = self.plan();
        let number = plan.commits + n;
        plan.single.insert(number, Fault::Panic);
    }

    /// Delays each commit that is called from now on by this much of tokio's time. They are passed on in the order of
    /// the calls all the same, also when nobody awaits them; they need a runtime then.
    pub fn delay(&self, delay: Duration) {
        self.plan().delay = delay;
    }

    /// Delays the answer of each commit that is called from now on by this much of tokio's time. What it has written is
    /// read meanwhile.
    pub fn delay_answers(&self, delay: Duration) {
        self.plan().answer_delay = delay;
    }

    /// Lets all reads of one kind fail, until [`Self::heal`]. A kind is named as the method of [`Store`].
    pub fn fail_reads(&self, kind: &'static str, error: StoreError) {
        self.plan().reads.insert(kind, Fault::Fail(error));
    }

    /// Lets the futures of all reads of one kind panic, until [`Self::heal`].
    pub fn panic_reads(&self, kind: &'static str) {
        self.plan().reads.insert(kind, Fault::Panic);
    }

    /// Delays the answer of each read that is called from now on by this much of tokio's time. What it answers may be
    /// out of date then.
    pub fn delay_reads(&self, delay: Duration) {
        self.plan().read_delay = delay;
    }

    /// How many reads of one kind were called, with those that failed.
    pub fn reads(&self, kind: &'static str) -> u64 {
        self.plan().counts.get(kind).copied().unwrap_or(0)
    }

    /// Forgets every fault and delay that was asked for. Commits that are delayed already stay so.
    pub fn heal(&self) {
        let mut plan = self.plan();
        plan.single.clear();
        plan.all = None;
        plan.delay = Duration::ZERO;
        plan.answer_delay = Duration::ZERO;
        plan.reads.clear();
        plan.read_delay = Duration::ZERO;
    }

    /// How many commits were called, with those that failed.
    pub fn commits(&self) -> u64 {
        self.plan().commits
    }

    fn read<T: Send + 'static>(
        &self,
        kind: &'static str,
        read: BoxFuture<'static, Result<T, StoreError>>,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        let mut plan = self.plan();
        *plan.counts.entry(kind).or_default() += 1;
        let (fault, delay) = (plan.reads.get(kind).cloned(), plan.read_delay);
        drop(plan);
        if fault.is_none() && delay.is_zero() {
            return read;
        }
        Box::pin(async move {
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            match fault {
                None => read.await,
                Some(Fault::Fail(error)) => Err(error),
                Some(Fault::Panic) => panic!("the store was told to panic"),
            }
        })
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock()
    }
}

/// Passes a batch on, or lets it fail.
fn carry_out(
    inner: &dyn Store,
    fault: Option<Fault>,
    batch: Vec<Change>,
) -> BoxFuture<'static, Result<(), StoreError>> {
    match fault {
        None => inner.commit(batch),
        Some(Fault::Fail(error)) => Box::pin(async move { Err(error) }),
        Some(Fault::Panic) => Box::pin(async { panic!("the store was told to panic") }),
    }
}

async fn answered_later<T>(commit: impl Future<Output = T>, delay: Duration) -> T {
    let answer = commit.await;
    tokio::time::sleep(delay).await;
    answer
}

impl Store for FlakyStore {
    fn commit(&self, batch: Vec<Change>) -> BoxFuture<'static, Result<(), StoreError>> {
        let mut plan = self.plan();
        plan.commits += 1;
        let number = plan.commits;
        let all = plan.all.clone().map(Fault::Fail);
        let fault = plan.single.remove(&number).or(all);
        let mut previous = plan.previous.take();
        if previous
            .as_mut()
            .is_some_and(|previous| previous.try_recv() != Err(oneshot::error::TryRecvError::Empty))
        {
            previous = None;
        }
        let answer_delay = plan.answer_delay;
        if previous.is_none() && plan.delay.is_zero() {
            let commit = carry_out(&*self.inner, fault, batch);
            return match answer_delay.is_zero() {
                true => commit,
                false => Box::pin(answered_later(commit, answer_delay)),
            };
        }
        let due = Instant::now() + plan.delay;
        let (passed_on, next) = oneshot::channel();
        plan.previous = Some(next);
        drop(plan);

        let inner = Arc::clone(&self.inner);
        // A task of its own, because a store writes what was given to it whether its answer is awaited or not.
        let task = tokio::spawn(async move {
            tokio::time::sleep_until(due).await;
            if let Some(previous) = previous {
                // An error means that its task is gone, which is as good.
                let _over = previous.await;
            }
            let commit = carry_out(&*inner, fault, batch);
            let _nobody_waits = passed_on.send(());
            answered_later(commit, answer_delay).await
        });
        Box::pin(async move {
            match task.await {
                Ok(result) => result,
                Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
                Err(_) => Err(StoreError::Closed),
            }
        })
    }

    fn session(
        &self,
        id: &SessionId,
    ) -> BoxFuture<'static, Result<Option<SessionRow>, StoreError>> {
        self.read("session", self.inner.session(id))
    }

    fn sessions(
        &self,
        query: SessionQuery,
    ) -> BoxFuture<'static, Result<Option<Vec<String>>, StoreError>> {
        self.read("sessions", self.inner.sessions(query))
    }

    fn count_sessions(&self) -> BoxFuture<'static, Result<u64, StoreError>> {
        self.read("count_sessions", self.inner.count_sessions())
    }

    fn family(&self, id: &SessionId) -> BoxFuture<'static, Result<Vec<SessionId>, StoreError>> {
        self.read("family", self.inner.family(id))
    }

    fn children(&self, id: &SessionId) -> BoxFuture<'static, Result<Vec<String>, StoreError>> {
        self.read("children", self.inner.children(id))
    }

    fn bound(
        &self,
        backend: &str,
        native_session: &str,
    ) -> BoxFuture<'static, Result<Vec<SessionId>, StoreError>> {
        self.read("bound", self.inner.bound(backend, native_session))
    }

    fn restoring(&self) -> BoxFuture<'static, Result<Vec<SessionId>, StoreError>> {
        self.read("restoring", self.inner.restoring())
    }

    fn messages(
        &self,
        session: &SessionId,
        range: MessageRange,
    ) -> BoxFuture<'static, Result<Vec<MessageRow>, StoreError>> {
        self.read("messages", self.inner.messages(session, range))
    }

    fn message(
        &self,
        session: &SessionId,
        id: &MessageId,
    ) -> BoxFuture<'static, Result<Option<MessageRow>, StoreError>> {
        self.read("message", self.inner.message(session, id))
    }

    fn open_messages(&self) -> BoxFuture<'static, Result<Vec<MessageRow>, StoreError>> {
        self.read("open_messages", self.inner.open_messages())
    }

    fn switches(&self, session: &SessionId) -> BoxFuture<'static, Result<Vec<String>, StoreError>> {
        self.read("switches", self.inner.switches(session))
    }

    fn switch(
        &self,
        session: &SessionId,
        revision: u64,
    ) -> BoxFuture<'static, Result<Option<String>, StoreError>> {
        self.read("switch", self.inner.switch(session, revision))
    }

    fn handovers(
        &self,
        session: &SessionId,
        revision: u64,
    ) -> BoxFuture<'static, Result<Vec<String>, StoreError>> {
        self.read("handovers", self.inner.handovers(session, revision))
    }

    fn backends(&self) -> BoxFuture<'static, Result<Vec<(String, String)>, StoreError>> {
        self.read("backends", self.inner.backends())
    }

    fn setting(&self, name: &str) -> BoxFuture<'static, Result<Option<String>, StoreError>> {
        self.read("setting", self.inner.setting(name))
    }

    fn projects(&self) -> BoxFuture<'static, Result<Vec<(String, String)>, StoreError>> {
        self.read("projects", self.inner.projects())
    }

    fn processes(&self) -> BoxFuture<'static, Result<Vec<ProcessRow>, StoreError>> {
        self.read("processes", self.inner.processes())
    }
}
