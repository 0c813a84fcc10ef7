//! The heartbeat of one of several servers: it stops working before others may begin.

use std::sync::Arc;
use std::time::Duration;

use baton::nodes::DEFAULT_LEASE;
use baton::nodes::beat::Pulse;
use baton::opencode::SessionId;
use futures_util::future::{BoxFuture, ready};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use crate::support::nodes_on;
use crate::support::shared::{Unshared, Way};

/// What the heartbeat has said, and when.
#[derive(Default)]
struct Heard {
    stopped: Mutex<Vec<Instant>>,
    taken: Mutex<Vec<SessionId>>,
}

struct Listener(Arc<Heard>);

impl Pulse for Listener {
    fn load(&self) -> String {
        "{}".to_owned()
    }

    fn look(&self) -> BoxFuture<'_, ()> {
        Box::pin(ready(()))
    }

    fn stop_working(&self) {
        self.0.stopped.lock().push(Instant::now());
    }

    fn are_taken(&self, sessions: Vec<SessionId>) {
        self.0.taken.lock().extend(sessions);
    }

    fn take_over(&self, _: Vec<SessionId>) {}
}

struct Beating {
    store: Arc<Unshared>,
    heard: Arc<Heard>,
}

async fn beating() -> Beating {
    let (store, heard) = (Arc::new(Unshared::default()), Arc::new(Heard::default()));
    let (nodes, pulse) = (nodes_on(Arc::clone(&store)), Listener(Arc::clone(&heard)));
    nodes.join().await.expect("told");
    tokio::spawn(async move { nodes.beat(Arc::new(pulse)).await });
    sleep(DEFAULT_LEASE * 3).await;
    Beating { store, heard }
}

#[tokio::test(start_paused = true)]
async fn work_is_stopped_before_the_lease_is_over() {
    for way in [Way::Closed, Way::Silent] {
        let it = beating().await;
        assert!(it.heard.stopped.lock().is_empty());
        *it.store.way.lock() = way;
        // The last beat was taken up to a pause ago.
        let closed = Instant::now();
        sleep(DEFAULT_LEASE * 3).await;
        let stopped = it.heard.stopped.lock().clone();
        assert_eq!(stopped.len(), 1, "{way:?}");
        let after = stopped[0] - closed;
        assert!(
            after < DEFAULT_LEASE && after > DEFAULT_LEASE / 4,
            "{way:?}: {after:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_moment_without_the_database_stops_nothing() {
    let it = beating().await;
    *it.store.way.lock() = Way::Closed;
    sleep(DEFAULT_LEASE / 4).await;
    *it.store.way.lock() = Way::Open;
    sleep(DEFAULT_LEASE * 3).await;
    assert!(it.heard.stopped.lock().is_empty() && it.heard.taken.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_others_have_taken_meanwhile_is_known_when_the_database_is_back() {
    let it = beating().await;
    let id = SessionId::new();
    *it.store.way.lock() = Way::Silent;
    sleep(DEFAULT_LEASE * 2).await;
    it.store.taken.lock().push(id.clone());
    *it.store.way.lock() = Way::Open;
    sleep(DEFAULT_LEASE).await;
    assert_eq!(*it.heard.taken.lock(), [id]);
    assert_eq!(it.heard.stopped.lock().len(), 1);
    // Once it is told again, it may be too late again.
    *it.store.way.lock() = Way::Closed;
    sleep(DEFAULT_LEASE + Duration::from_secs(1)).await;
    assert_eq!(it.heard.stopped.lock().len(), 2);
}
