//! Tells clients to read the catalogue again when it has changed: they read it once.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::event::Bus;
use crate::opencode::event::{EventPayload, InstanceDisposed};
use crate::registry::{Registry, Snapshot};

/// Where OpenCode's clients look for what concerns the whole server.
const GLOBAL: &str = "global";
/// Changes in quick succession are announced once: clients read everything again.
const QUIET: Duration = Duration::from_millis(500);
/// Lists wait this long for the first probes; a list that was read later is complete.
const FIRST_PROBES: Duration = Duration::from_secs(10);

/// Follows the registry as long as it is polled.
pub(super) async fn tell_changes(registry: Arc<Registry>, bus: Arc<Bus>) {
    let started = Instant::now();
    let mut snapshots = registry.watch();
    // What is known at the start is not announced: no client has read anything else.
    let Ok(first) = snapshots
        .wait_for(|s| s.settled())
        .await
        .map(|s| Arc::clone(&s))
    else {
        return;
    };
    if started.elapsed() >= FIRST_PROBES {
        tell(&bus);
    }
    let mut told = first;
    while snapshots.changed().await.is_ok() {
        tokio::time::sleep(QUIET).await;
        let now = Arc::clone(&snapshots.borrow_and_update());
        if differs(&told, &now) {
            tell(&bus);
        }
        told = now;
    }
}

/// Whether clients would read something else.
fn differs(told: &Snapshot, now: &Snapshot) -> bool {
    let same = told.backends.iter().zip(&now.backends).all(|(a, b)| {
        Arc::ptr_eq(a, b) || a.connected() == b.connected() && a.reason() == b.reason()
    });
    !same || !now.has_same_places(told)
}

/// OpenCode's terminal UI and SDKs read everything again after `server.instance.disposed`, its web UI after
/// `global.disposed`.
fn tell(bus: &Bus) {
    let disposed = || {
        EventPayload::InstanceDisposed(InstanceDisposed {
            directory: GLOBAL.to_owned(),
        })
    };
    // An event without a directory reaches the followers of every directory.
    bus.publish(&"".into(), &[disposed()]);
    bus.publish(
        &GLOBAL.into(),
        &[disposed(), EventPayload::GlobalDisposed {}],
    );
}
