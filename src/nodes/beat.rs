//! The heartbeat: tells the database that this server is alive, and notices when others could not tell.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};

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
            stopped: false,
            unsure: false,
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
            if beat % PRUNE_EVERY == 0 {
                heart.prune().await;
            }
        }
    }
}

struct Heart<'a> {
    shared: &'a Shared,
    pulse: Arc<dyn Pulse>,
    /// What was at work was stopped, since it could not be told for too long.
    stopped: bool,
    /// It could not be told for so long that others may have taken sessions, and which is not known yet.
    unsure: bool,
}

impl Heart<'_> {
    /// Between two beats.
    fn pause(&self) -> Duration {
        self.shared.settings.lease / BEATS_PER_LEASE
    }

    async fn beat(&mut self) {
        let began = Instant::now();
        // A process that was stopped, or a machine that slept, finds that out here.
        self.stop_when_due(began);
        self.unsure |= began.duration_since(*self.shared.told.lock()) >= self.shared.settings.lease;
        let node = self.shared.node(self.pulse.load());
        let beat = (self.shared.store).beat(node, self.shared.settings.lease, false);
        // The way to the database may be silent.
        let due = self.due().max(began + self.pause());
        let silent = || StoreError::Unavailable("the database did not answer".to_owned());
        let beaten = timeout_at(due, beat).await;
        if let Err(error) = beaten.unwrap_or_else(|_| Err(silent())) {
            tracing::warn!("the other nodes do not hear of this one: {error}");
            return self.stop_when_due(Instant::now());
        }
        // What others have taken is known first: until then nobody is sure.
        if !self.unsure {
            *self.shared.told.lock() = began;
        }
        self.stopped = false;
        let looked = timeout(self.pause(), self.look_around(began)).await;
        if let Err(error) = looked.unwrap_or_else(|_| Err(silent())) {
            tracing::debug!("what the other nodes do is not known for a moment: {error}");
        }
    }

    async fn look_around(&mut self, began: Instant) -> Result<(), StoreError> {
        let store = &self.shared.store;
        if self.unsure {
            let taken = store.taken(self.shared.all_held()).await?;
            if !taken.is_empty() {
                tracing::warn!("{} sessions were taken over by other nodes", taken.len());
                self.pulse.are_taken(taken);
            }
            self.unsure = false;
            *self.shared.told.lock() = began;
        }
        let orphans = store.orphans(ORPHANS_AT_ONCE).await?;
        if !orphans.is_empty() && !self.shared.drains.is_cancelled() {
            self.pulse.take_over(orphans);
        }
        self.pulse.look().await;
        Ok(())
    }

    /// When work is stopped unless the database is told: before the next beat would be too late.
    fn due(&self) -> Instant {
        *self.shared.told.lock() + self.shared.settings.lease - self.pause()
    }

    fn stop_when_due(&mut self, now: Instant) {
        if !self.stopped && now >= self.due() {
            self.stopped = true;
            tracing::warn!("the lease of this node is nearly over: what is at work is stopped");
            self.pulse.stop_working();
        }
    }

    async fn prune(&self) {
        let pruned = timeout(self.pause(), self.shared.store.prune_events(EVENTS_KEPT)).await;
        if !matches!(pruned, Ok(Ok(()))) {
            tracing::debug!("old events stay for now");
        }
    }
}
