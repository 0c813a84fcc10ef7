//! The heartbeat: tells the database that this server is alive, and notices when others could not tell.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{Nodes, Shared};
use crate::opencode::SessionId;
use crate::store::StoreError;
use crate::store::shared::EventsKept;

/// Beats in the time of a lease.
const BEATS_PER_LEASE: u32 = 4;
/// Sessions that are taken from servers that are gone at once.
const ORPHANS_AT_ONCE: usize = 64;
/// Events that are kept for those who come back.
const EVENTS_KEPT: EventsKept = EventsKept {
    time: Duration::from_secs(3_600),
    events: 100_000,
    bytes: 256 * 1024 * 1024,
};
/// Beats between two looks at events that are too old.
const PRUNE_EVERY: u32 = 16;

/// What the heartbeat tells whoever has the sessions. Nothing of it may wait for a session.
pub trait Pulse: Send + Sync {
    /// How much is going on, as JSON.
    fn load(&self) -> String;
    /// Looks at what the others have done that concerns all.
    fn look(&self) -> BoxFuture<'_, ()>;
    /// The database could not be told for as long as a lease lasts: others may have begun with what is at work here.
    fn stop_working(&self);
    /// Others have taken these sessions.
    fn are_taken(&self, sessions: Vec<SessionId>);
    /// Nobody works on these sessions, which are in the middle of something.
    fn take_over(&self, sessions: Vec<SessionId>);
}

impl Nodes {
    /// Tells the database for the first time.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn join(&self) -> Result<(), StoreError> {
        match &self.0 {
            Some(shared) => {
                let node = shared.node("{}".to_owned());
                shared.store.beat(node, shared.settings.lease, true).await
            }
            None => Ok(()),
        }
    }

    /// Beats as long as it is polled. Ends at once where there are no others.
    pub async fn beat(&self, pulse: Arc<dyn Pulse>) {
        let Some(shared) = &self.0 else { return };
        let mut heart = Heart {
            shared,
            pulse,
            told: Instant::now(),
            stopped: false,
        };
        let mut ticks = interval(shared.settings.lease / BEATS_PER_LEASE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told_of_drain = false;
        for beat in 0_u32.. {
            tokio::select! {
                _ = ticks.tick() => {}
                // The others are to know it at once.
                () = shared.drains.cancelled(), if !told_of_drain => told_of_drain = true,
            }
            heart.beat().await;
            if beat % PRUNE_EVERY == 0
                && let Err(error) = shared.store.prune_events(EVENTS_KEPT).await
            {
                tracing::debug!("old events stay: {error}");
            }
        }
    }
}

struct Heart<'a> {
    shared: &'a Shared,
    pulse: Arc<dyn Pulse>,
    /// When the database was told last, by when it was begun.
    told: Instant,
    /// What was at work was stopped, since it could not be told for too long.
    stopped: bool,
}

impl Heart<'_> {
    async fn beat(&mut self) {
        let lease = self.shared.settings.lease;
        let began = Instant::now();
        // A process that was stopped, or a machine that slept, finds that out here.
        self.stop_when_over(began);
        let (shared, told) = (self.shared, self.told);
        let beating = async {
            let node = shared.node(self.pulse.load());
            shared.store.beat(node, lease, false).await?;
            if began.duration_since(told) >= lease {
                let taken = shared.store.taken(shared.all_held()).await?;
                if !taken.is_empty() {
                    tracing::warn!("{} sessions were taken over by other nodes", taken.len());
                    self.pulse.are_taken(taken);
                }
            }
            let orphans = shared.store.orphans(ORPHANS_AT_ONCE).await?;
            if !orphans.is_empty() && !shared.drains.is_cancelled() {
                self.pulse.take_over(orphans);
            }
            self.pulse.look().await;
            Ok::<_, StoreError>(())
        };
        // The way to the database may be silent for longer than a lease.
        let over = tokio::time::sleep_until((told + lease).max(began + lease / BEATS_PER_LEASE));
        let beaten = tokio::select! {
            beaten = beating => beaten,
            () = over => Err(StoreError::Unavailable("the database did not answer".to_owned())),
        };
        match beaten {
            Ok(()) => (self.told, self.stopped) = (began, false),
            Err(error) => {
                tracing::warn!("the other nodes do not hear of this one: {error}");
                self.stop_when_over(Instant::now());
            }
        }
    }

    fn stop_when_over(&mut self, now: Instant) {
        if !self.stopped && now.duration_since(self.told) >= self.shared.settings.lease {
            self.stopped = true;
            tracing::warn!("the lease of this node is over: what is at work is stopped");
            self.pulse.stop_working();
        }
    }
}
