//! The growth of answers: told to all servers, and stored by none.
//!
//! What is stored is told in the order of the commits, a moment after they took place. Growth must not overtake it: so it waits
//! here until the last stored event of its session was published; and it is dropped where a later one about its messages was, as
//! that has all of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, broadcast, mpsc};
use tokio::time::timeout;

use super::Nodes;
use crate::event::Bus;
use crate::opencode::SessionId;
use crate::store::shared::StoredEvent;

/// Growth that waits at most; more is dropped.
const WAITING_MOST: usize = 4_096;
/// Growth that another server may be behind at most; more is dropped for it.
const BEHIND_MOST: usize = 4_096;
/// A stored event that is not published within this time is not waited for.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(1);
/// Sessions whose last event is remembered.
const REMEMBERED: usize = 10_000;
/// How the JSON of an event begins, up to its id.
const BEFORE_ID: &str = r#"{"id":""#;
/// How it goes on behind its id where it has what has grown, or ends it.
const HAS_GROWTH: [&str; 2] = [r#"","type":"message."#, r#"","type":"session.deleted""#];

/// What has grown, as servers tell each other.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Grown {
    /// Whose.
    session: String,
    /// The number of the last stored event of the session that comes before it.
    behind: u64,
    directory: String,
    /// Each as `{"id", "type", "properties"}`.
    events: Vec<String>,
}

struct Waiting {
    grown: Grown,
    /// The id of that event, as far as this server has stored any.
    behind: Option<String>,
}

/// See the module.
pub(super) struct Growth {
    queue: mpsc::Sender<Waiting>,
    waiting: Mutex<Option<mpsc::Receiver<Waiting>>>,
    others: broadcast::Sender<Arc<Grown>>,
    last: Mutex<HashMap<String, Last>>,
    published: Notify,
}

/// The last stored event of a session that was published, and the last that has what had grown.
#[derive(Debug, Clone, Default)]
struct Last {
    any: At,
    with_growth: At,
}

/// Of a stored event: its number and its id. Both ascend.
#[derive(Debug, Clone, Default)]
struct At {
    seq: u64,
    id: String,
}

impl Last {
    fn note(&mut self, event: &StoredEvent) {
        let id = id_of(&event.json);
        self.any = At {
            seq: event.seq,
            id: id.to_owned(),
        };
        let behind_id = event.json.get(BEFORE_ID.len() + id.len()..);
        if behind_id.is_some_and(|json| HAS_GROWTH.iter().any(|has| json.starts_with(has))) {
            self.with_growth = self.any.clone();
        }
    }

    /// After which event growth is told that comes behind the one with this id: `None` while that was not published, and the
    /// inner `None` where it is too late.
    fn after_id(&self, behind: &str) -> Option<Option<u64>> {
        let is_published = self.any.id.as_str() >= behind;
        is_published.then(|| (self.with_growth.id.as_str() <= behind).then_some(self.any.seq))
    }

    /// The same for growth that comes behind the one with this number.
    fn after_seq(&self, behind: u64) -> Option<bool> {
        (self.any.seq >= behind).then_some(self.with_growth.seq <= behind)
    }
}

impl Default for Growth {
    fn default() -> Self {
        let (queue, waiting) = mpsc::channel(WAITING_MOST);
        Self {
            queue,
            waiting: Mutex::new(Some(waiting)),
            others: broadcast::Sender::new(BEHIND_MOST),
            last: Mutex::default(),
            published: Notify::new(),
        }
    }
}

impl Growth {
    /// Notes what was published.
    pub(super) fn notes(&self, events: &[StoredEvent]) {
        let mut last = self.last.lock();
        for event in events {
            let Some(session) = &event.session else {
                continue;
            };
            last.entry(session.clone()).or_default().note(event);
        }
        if last.len() > REMEMBERED {
            // Whose is forgotten waits in vain once.
            let from = events.first().map_or(0, |event| event.seq);
            last.retain(|_, known| known.any.seq >= from);
        }
        drop(last);
        self.published.notify_waiters();
    }

    /// Waits until something holds of the last event of a session; none where it does not in time.
    async fn until<T>(
        &self,
        session: &str,
        holds: impl Fn(Option<&Last>) -> Option<T>,
    ) -> Option<T> {
        let waited = async {
            loop {
                let published = self.published.notified();
                if let Some(found) = holds(self.last.lock().get(session)) {
                    return found;
                }
                published.await;
            }
        };
        timeout(PUBLISHED_WITHIN, waited).await.ok()
    }
}

/// The id of an event.
pub fn id_of(json: &str) -> &str {
    let behind = json.strip_prefix(BEFORE_ID).unwrap_or_default();
    behind.split('"').next().unwrap_or_default()
}

impl Nodes {
    /// Tells everybody that something of a session has grown, after the stored event with this id.
    pub fn grow(
        &self,
        session: &SessionId,
        behind: Option<String>,
        directory: &str,
        events: Vec<String>,
    ) {
        let Some(shared) = &self.0 else { return };
        let grown = Grown {
            session: session.to_string(),
            behind: 0,
            directory: directory.to_owned(),
            events,
        };
        // The stored end of it has all of it.
        let _dropped = shared.growth.queue.try_send(Waiting { grown, behind });
    }

    /// Publishes what grows here, here and for the others, as long as it is polled. Ends at once where there are none.
    pub async fn tell_growth(&self, bus: Arc<Bus>) {
        let Some(shared) = &self.0 else { return };
        let growth = &shared.growth;
        let Some(mut waiting) = growth.waiting.lock().take() else {
            return;
        };
        while let Some(Waiting { mut grown, behind }) = waiting.recv().await {
            let Some(behind) = behind else { continue };
            let reached = |last: Option<&Last>| last?.after_id(&behind);
            let Some(Some(seq)) = growth.until(&grown.session, reached).await else {
                continue;
            };
            bus.publish_rendered(&grown.directory.as_str().into(), grown.events.clone());
            grown.behind = seq;
            let _nobody_listens = growth.others.send(Arc::new(grown));
        }
    }

    /// What grows here, for another server.
    pub fn growth(&self) -> Option<broadcast::Receiver<Arc<Grown>>> {
        Some(self.0.as_ref()?.growth.others.subscribe())
    }

    /// Publishes what has grown at another server.
    pub async fn has_grown(&self, bus: &Bus, grown: Grown) {
        let Some(shared) = &self.0 else { return };
        let reached = |last: Option<&Last>| last?.after_seq(grown.behind);
        if shared.growth.until(&grown.session, reached).await == Some(true) {
            bus.publish_rendered(&grown.directory.as_str().into(), grown.events);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(seq: u64, kind: &str) -> StoredEvent {
        let json = format!(r#"{{"id":"evt_{seq}","type":"{kind}","properties":{{}}}}"#);
        StoredEvent {
            seq,
            session: Some("ses_1".to_owned()),
            directory: String::new(),
            json,
            last: true,
        }
    }

    #[test]
    fn growth_waits_for_what_is_ahead_of_it_and_is_dropped_where_something_has_it() {
        let mut last = Last::default();
        last.note(&event(3, "message.updated"));
        assert_eq!((last.after_id("evt_4"), last.after_seq(4)), (None, None));
        last.note(&event(4, "message.part.updated"));
        assert_eq!(last.after_id("evt_4"), Some(Some(4)));
        assert_eq!(last.after_seq(4), Some(true));
        // What says nothing of messages has none of it.
        last.note(&event(5, "session.updated"));
        assert_eq!(last.after_id("evt_4"), Some(Some(5)));
        assert_eq!(last.after_seq(4), Some(true));
        last.note(&event(6, "message.part.updated"));
        assert_eq!(last.after_id("evt_4"), Some(None));
        assert_eq!(last.after_seq(4), Some(false));
        last.note(&event(7, "session.deleted"));
        assert_eq!(last.after_seq(6), Some(false));
    }
}
