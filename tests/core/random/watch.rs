//! What has to hold, whatever happens:
//!
//! - what anybody can see is stored, and what was acknowledged stays, also for the next server;
//! - revisions come one after the other, in events as in the store, and nothing comes after a deletion;
//! - what was selected is what the last entry of the audit trail says, and each selection follows on the one
//!   before;
//! - an end that is not stored is never published;
//! - nothing is busy, and nothing waits, once everything has come to rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use baton::opencode::message::Message;
use baton::opencode::session::RuntimeStatus;
use baton::opencode::{MessageId, Session, SessionId};
use baton::session::Error;
use baton::store::Store;
use serde_json::Value;

use crate::support::{World, revision, unfinished};

/// Until then, of the run's own time, everybody is told of what the store has taken.
const TOLD_AT_MOST: Duration = Duration::from_secs(1);

/// See the module. Shared by everybody who takes part in a run.
#[derive(Clone)]
pub(super) struct Watch(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    sessions: BTreeMap<SessionId, Known>,
    /// The place of the last event that was looked at.
    place: u64,
    /// Servers that were killed or stopped: they owe no answers.
    ended: Vec<World>,
    /// By session, according to the events of the present server.
    told: BTreeMap<String, Told>,
    removed: BTreeSet<String>,
}

#[derive(Default)]
struct Known {
    /// The highest revision that was acknowledged.
    revision: u64,
    parent: Option<SessionId>,
    said: BTreeSet<MessageId>,
    /// Somebody has asked for its deletion.
    may_be_gone: bool,
    /// … and was told that it is done.
    is_gone: bool,
}

#[derive(Default)]
struct Told {
    revision: Option<u64>,
    /// Null before the first one; `None` while it is not known.
    selection: Option<Value>,
    deleted: bool,
}

impl Watch {
    pub(super) fn new(world: &World) -> Self {
        Self(Arc::new(Mutex::new(Seen {
            place: world.first_place(),
            ..Seen::default()
        })))
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().expect("nobody panics while it is locked")
    }

    /// The sessions that are there as far as anybody knows.
    pub(super) fn sessions(&self) -> Vec<SessionId> {
        let seen = self.seen();
        let there = seen.sessions.iter().filter(|(_, known)| !known.may_be_gone);
        there.map(|(id, _)| id.clone()).collect()
    }

    pub(super) fn made(&self, id: &SessionId, revision: u64, parent: Option<SessionId>) {
        let mut seen = self.seen();
        // One below a session that is being deleted may be deleted with it.
        let family = parent.as_ref().and_then(|parent| seen.sessions.get(parent));
        let may_be_gone = family.is_some_and(|parent| parent.may_be_gone);
        let known = seen.sessions.entry(id.clone()).or_default();
        (known.revision, known.parent, known.may_be_gone) = (revision, parent, may_be_gone);
    }

    pub(super) fn changed(&self, id: &SessionId, revision: u64) {
        let mut seen = self.seen();
        let known = seen.sessions.entry(id.clone()).or_default();
        known.revision = known.revision.max(revision);
    }

    pub(super) fn said(&self, id: &SessionId, message: &MessageId) {
        let mut seen = self.seen();
        let known = seen.sessions.entry(id.clone()).or_default();
        known.said.insert(message.clone());
    }

    pub(super) fn is_being_deleted(&self, id: &SessionId) {
        let mut seen = self.seen();
        let mut family = vec![id.clone()];
        while let Some(id) = family.pop() {
            let children = seen
                .sessions
                .iter()
                .filter(|(_, known)| known.parent.as_ref() == Some(&id));
            family.extend(children.map(|(id, _)| id.clone()));
            seen.sessions.entry(id).or_default().may_be_gone = true;
        }
    }

    pub(super) fn deleted(&self, id: &SessionId) {
        self.seen().sessions.entry(id.clone()).or_default().is_gone = true;
    }

    /// Whether a prompt may end without an answer.
    pub(super) fn may_be_silent(&self, world: &World, id: &SessionId) -> bool {
        let seen = self.seen();
        let ended = seen
            .ended
            .iter()
            .any(|ended| Arc::ptr_eq(&ended.sessions, &world.sessions));
        ended || seen.sessions.get(id).is_some_and(|known| known.may_be_gone)
    }

    pub(super) fn has_ended(&self, world: World) {
        self.seen().ended.push(world);
    }

    /// The next server begins where the store is.
    pub(super) async fn goes_on(&self, world: &World) {
        let ids: Vec<_> = self.seen().sessions.keys().cloned().collect();
        let mut told = BTreeMap::new();
        for id in ids {
            if let Some(session) = world.info_if_there(&id).await {
                let history = world.sessions.model_history(&id).await.expect("a history");
                let selection = serde_json::to_value(history.selected).expect("JSON");
                let begun = Told {
                    revision: Some(session.revision),
                    selection: Some(selection),
                    deleted: false,
                };
                told.insert(id.to_string(), begun);
            }
        }
        let mut seen = self.seen();
        (seen.place, seen.told) = (world.first_place(), told);
    }

    /// Looks at everything, at any time.
    pub(super) async fn look(&self, world: &World) {
        self.look_at_events(world).await;
        let ids: Vec<_> = self.seen().sessions.keys().cloned().collect();
        for id in ids {
            self.look_at(world, &id).await;
        }
    }

    /// Reads what was told since the last look.
    pub(super) async fn look_at_events(&self, world: &World) {
        let events = world.events_since(&mut self.seen().place);
        for event in events {
            let Some(id) = event["properties"]["sessionID"].as_str() else {
                continue;
            };
            self.seen().follow(id, &event);
            let id: SessionId = serde_json::from_value(id.into()).expect("an id");
            let stored = world.stored_revision(&id).await;
            if let (Some(told), Some(stored)) = (revision(&event), stored) {
                assert!(told <= stored, "told and not stored: {stored} {event}");
            }
            assert_end_is_stored(world, &id, &event).await;
        }
    }

    async fn look_at(&self, world: &World, id: &SessionId) {
        let stored = world.stored_revision(id).await;
        let session = match world.sessions.info(id).await {
            Ok(session) => session,
            Err(Error::NotFound(_)) => {
                assert!(self.seen().sessions[id].may_be_gone, "{id} is gone");
                return;
            }
            Err(error) => panic!("{id} cannot be read: {error}"),
        };
        // A server that is stopped in the middle of a deletion still has it in memory.
        let Some(stored) = stored else {
            assert!(self.seen().sessions[id].may_be_gone, "{id} is not stored");
            return;
        };
        assert!(
            session.revision <= stored,
            "{id}: {} is not stored",
            session.revision
        );
        let history = world.sessions.model_history(id).await.expect("a history");
        let last = history.switches.last().map(|switch| switch.current.clone());
        assert_eq!(
            last, history.selected,
            "{id}: the audit trail differs from the selection"
        );
        assert_eq!(history.applied, session.runtime.applied);
        let messages = world.messages(id).await;
        let open = unfinished(&messages);
        let busy = session.runtime.status == RuntimeStatus::Busy;
        assert!(
            open == 0 || (open == 1 && busy),
            "{id}: {open} answers are unfinished, {:?}",
            session.runtime
        );
        let there: BTreeSet<_> = messages.iter().map(|m| m.info.id().clone()).collect();
        {
            let seen = self.seen();
            let known = &seen.sessions[id];
            assert!(!known.is_gone, "{id} is back");
            assert!(
                known.revision <= stored,
                "{id}: {} was acknowledged, {stored} is stored",
                known.revision
            );
        }
        if self.lost(id, &there).is_some() {
            // What was just removed is told as soon as the store has answered.
            tokio::time::sleep(TOLD_AT_MOST).await;
            self.look_at_events(world).await;
        }
        let lost = self.lost(id, &there);
        assert_eq!(lost, None, "{id}: a message was acknowledged and is lost");
    }

    /// What was said in a session and is gone without an event of its removal.
    fn lost(&self, id: &SessionId, there: &BTreeSet<MessageId>) -> Option<MessageId> {
        let seen = self.seen();
        let mut said = seen.sessions[id].said.iter();
        said.find(|said| !there.contains(said) && !seen.removed.contains(said.as_str()))
            .cloned()
    }

    /// Whether nothing is switching any more.
    pub(super) async fn is_quiet(&self, world: &World) -> bool {
        for id in self.sessions() {
            let session = world.info_if_there(&id).await;
            if session.is_some_and(|s| s.runtime.status != RuntimeStatus::Idle) {
                return false;
            }
        }
        true
    }

    /// Looks at what has to hold when everything has come to rest.
    pub(super) async fn look_at_rest(&self, world: &World) {
        assert!(world.sessions.statuses(None).is_empty());
        assert!(world.sessions.permissions(None).is_empty());
        for id in self.sessions() {
            let session = world.info(&id).await;
            assert_eq!(world.stored_revision(&id).await, Some(session.revision));
            assert_eq!(session.runtime.status, RuntimeStatus::Idle, "{id}");
            assert_eq!(session.runtime.pending, None, "{id}");
            assert_eq!(unfinished(&world.messages(&id).await), 0, "{id}");
            let seen = self.seen();
            let told = seen.told.get(id.as_str()).and_then(|told| told.revision);
            assert!(
                told.is_none_or(|told| told == session.revision),
                "{id}: {told:?} was told last"
            );
        }
    }
}

impl Seen {
    fn follow(&mut self, id: &str, event: &Value) {
        let told = self.told.entry(id.to_owned()).or_default();
        assert!(!told.deleted, "after its deletion: {event}");
        if let Some(now) = revision(event) {
            let follows = told
                .revision
                .is_none_or(|before| now == before || now == before + 1);
            assert!(follows, "{now} after {:?}: {event}", told.revision);
            told.revision = Some(now);
        }
        let properties = &event["properties"];
        match event["type"].as_str().unwrap_or_default() {
            "session.model_changed" => {
                let before = told.selection.replace(properties["current"].clone());
                let follows = before.is_none_or(|before| before == properties["previous"]);
                assert!(follows, "it follows on something else: {event}");
            }
            "session.created" if properties["info"]["model"].is_null() => {
                told.selection = Some(Value::Null);
            }
            "session.deleted" => told.deleted = true,
            "message.removed" => {
                let message = properties["messageID"].as_str().expect("an id");
                self.removed.insert(message.to_owned());
            }
            _ => {}
        }
    }
}

/// The end of an answer is never published before it is stored.
async fn assert_end_is_stored(world: &World, id: &SessionId, event: &Value) {
    let info = &event["properties"]["info"];
    if event["type"] != "message.updated" || info["time"]["completed"].is_null() {
        return;
    }
    let message: Message = serde_json::from_value(info.clone()).expect("a message");
    let row = world.memory.message(id, message.id()).await.expect("reads");
    if let Some(row) = row {
        let stored: Message = serde_json::from_str(&row.body).expect("a message");
        let ended = matches!(&stored, Message::Assistant(m) if m.time.completed.is_some());
        assert!(ended, "told and not stored: {event}");
    }
}

impl World {
    /// A session as it is, unless it is gone.
    pub(crate) async fn info_if_there(&self, id: &SessionId) -> Option<Session> {
        self.sessions.info(id).await.ok()
    }
}
