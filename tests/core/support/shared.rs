//! What several servers share, for one server alone: it gets every session that it asks for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use baton::opencode::SessionId;
use baton::store::StoreError;
use baton::store::shared::{
    Claim, EventHead, EventsKept, Node, Owner, SeenNode, SharedStore, StoredEvent,
};
use futures_util::future::{BoxFuture, ready};
use parking_lot::Mutex;
use tokio::sync::watch;

/// See the module.
#[derive(Default)]
pub(crate) struct Unshared {
    epoch: AtomicU64,
    /// Whether a heartbeat is taken, is refused at once, or is answered by silence.
    pub(crate) way: Mutex<Way>,
    /// Sessions that another server has taken.
    pub(crate) taken: Mutex<Vec<SessionId>>,
}

/// How the way to the database is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Way {
    #[default]
    Open,
    Closed,
    Silent,
}

type Answer<T> = BoxFuture<'static, Result<T, StoreError>>;

fn answer<T: Send + 'static>(value: T) -> Answer<T> {
    Box::pin(ready(Ok(value)))
}

impl SharedStore for Unshared {
    fn beat(&self, _: Node, _: Duration, _: bool) -> Answer<()> {
        match *self.way.lock() {
            Way::Open => answer(()),
            Way::Closed => {
                let error = StoreError::Unavailable("the way is closed".to_owned());
                Box::pin(ready(Err(error)))
            }
            Way::Silent => Box::pin(std::future::pending()),
        }
    }

    fn nodes(&self) -> Answer<Vec<SeenNode>> {
        answer(Vec::new())
    }

    fn claim(&self, _: &SessionId, _: bool) -> Answer<Claim> {
        let epoch = self.epoch.fetch_add(1, Ordering::Relaxed) + 1;
        answer(Claim::Held {
            epoch,
            taken_over: false,
        })
    }

    fn owner(&self, _: &SessionId) -> Answer<Option<Owner>> {
        answer(None)
    }

    fn release(&self, _: Vec<(SessionId, u64)>) -> Answer<()> {
        answer(())
    }

    fn taken(&self, _: Vec<(SessionId, u64)>) -> Answer<Vec<SessionId>> {
        answer(self.taken.lock().clone())
    }

    fn orphans(&self, _: usize) -> Answer<Vec<SessionId>> {
        answer(Vec::new())
    }

    fn leave(&self) -> Answer<()> {
        answer(())
    }

    fn event_head(&self) -> Answer<EventHead> {
        answer(EventHead { seq: 0, pruned: 0 })
    }

    fn events(&self, _: u64, _: usize) -> Answer<Vec<StoredEvent>> {
        answer(Vec::new())
    }

    fn prune_events(&self, _: EventsKept) -> Answer<()> {
        answer(())
    }

    fn news(&self) -> watch::Receiver<u64> {
        watch::channel(0).1
    }
}
