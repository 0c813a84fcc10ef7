//! What the bus has told, read back.

use baton::event::Next;
use baton::opencode::SessionId;
use futures_util::FutureExt;
use serde_json::Value;

use super::World;

impl World {
    /// All events so far, oldest first.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.events_since(&mut self.began.clone())
    }

    /// The events after a place, which is moved to their end.
    pub(crate) fn events_since(&self, place: &mut u64) -> Vec<Value> {
        let mut reading = self.bus.subscribe(Some(*place));
        let mut events = Vec::new();
        // A reading that has nothing to read waits; one that is starved by tokio's own budget would, too.
        while let Some(next) = tokio::task::unconstrained(reading.next()).now_or_never() {
            match next {
                Next::Event(event) => {
                    events.push(serde_json::from_str(&event.json).expect("JSON"));
                }
                Next::Gap(gap) => panic!("events were lost: {gap:?}"),
            }
        }
        *place = reading.cursor();
        events
    }

    /// Where the events of this world begin.
    pub(crate) fn first_place(&self) -> u64 {
        self.began
    }

    /// The events of a kind that are about a session.
    pub(crate) fn told(&self, id: &SessionId, kind: &str) -> Vec<Value> {
        let mut events = self.events();
        events.retain(|event| event["type"] == kind && is_about(event, id));
        events
    }

    /// The revisions of a session in the order in which they were told.
    pub(crate) fn told_revisions(&self, id: &SessionId) -> Vec<u64> {
        let events = self.events().into_iter().filter(|e| is_about(e, id));
        let mut revisions: Vec<u64> = events.filter_map(|e| revision(&e)).collect();
        revisions.dedup();
        revisions
    }
}

/// Whether an event is about a session.
pub(crate) fn is_about(event: &Value, id: &SessionId) -> bool {
    event["properties"]["sessionID"] == id.as_str()
}

/// The revision of an event.
pub(crate) fn revision(event: &Value) -> Option<u64> {
    let properties = &event["properties"];
    match event["type"].as_str()? {
        "session.created" | "session.updated" => properties["info"]["revision"].as_u64(),
        "session.model_changed" => properties["revision"].as_u64(),
        _ => None,
    }
}
