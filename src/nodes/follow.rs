//! Follows what has happened on all servers: from the store into the bus, in the order of the commits.

use std::sync::Arc;
use std::time::Duration;

use super::Nodes;
use crate::event::Bus;
use crate::store::StoreError;
use crate::store::shared::StoredEvent;

/// Whoever was not told of news looks all the same.
const LOOK: Duration = Duration::from_millis(500);
/// Events that are read at once: each may be as large as a part of an answer.
const AT_ONCE: usize = 128;

impl Nodes {
    /// Brings the bus to where the events are, with as many of the last ones as it keeps for those who come back.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn catch_up(&self, bus: &Bus, keeps: usize) -> Result<(), StoreError> {
        let Some(shared) = &self.0 else { return Ok(()) };
        let head = shared.store.event_head().await?;
        let from = head.seq.saturating_sub(keeps as u64).max(head.pruned);
        bus.starts_behind(from);
        self.read_on(bus).await.map(drop)
    }

    /// Publishes what is stored, as long as it is polled. Ends at once where there are no others.
    pub async fn follow(&self, bus: Arc<Bus>) {
        let Some(shared) = &self.0 else { return };
        let mut news = shared.store.news();
        let mut fails = false;
        loop {
            news.mark_unchanged();
            match self.read_on(&bus).await {
                Ok(_) => fails = false,
                Err(error) if !fails => {
                    fails = true;
                    tracing::warn!("events of the nodes are late: {error}");
                }
                Err(_) => {}
            }
            // A sender that is gone tells nothing more: then it looks.
            let changed = tokio::time::timeout(LOOK, news.changed()).await;
            if matches!(changed, Ok(Err(_))) {
                tokio::time::sleep(LOOK).await;
            }
        }
    }

    /// Publishes all that the bus does not have yet.
    async fn read_on(&self, bus: &Bus) -> Result<(), StoreError> {
        let Some(shared) = &self.0 else { return Ok(()) };
        loop {
            let after = bus.stored();
            let events = shared.store.events(after, AT_ONCE).await?;
            let Some(first) = events.first() else {
                return Ok(());
            };
            if first.seq > after + 1 {
                // It was away for longer than events are kept.
                bus.starts_behind(first.seq - 1);
            }
            let is_all = events.len() < AT_ONCE;
            let published = events.clone();
            for StoredEvent {
                seq,
                directory,
                json,
                last,
                ..
            } in events
            {
                bus.publish_stored(seq, &directory, json, last);
            }
            shared.growth.notes(&published);
            if is_all {
                return Ok(());
            }
        }
    }
}
