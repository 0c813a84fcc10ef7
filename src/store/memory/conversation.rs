//! Messages, parts, bindings and the audit trail of one session in memory.

use std::collections::BTreeMap;

use crate::opencode::{MessageId, PartId, SessionId};
use crate::store::growth::grown;
use crate::store::{Change, HANDOVERS_KEPT, MessageKey, MessageRow, StoreError};

/// What belongs to a session. It may be there without the session, as in a database.
#[derive(Debug, Default, Clone)]
pub(super) struct Conversation {
    /// By place.
    pub(super) messages: BTreeMap<u64, StoredMessage>,
    /// By message, then by place.
    parts: BTreeMap<MessageId, BTreeMap<u64, StoredPart>>,
    /// By backend.
    pub(super) bindings: BTreeMap<String, String>,
    /// By revision.
    pub(super) switches: BTreeMap<u64, String>,
    /// By turn: the revision, and what was given.
    pub(super) handovers: BTreeMap<u64, (u64, String)>,
}

/// A message without its parts.
#[derive(Debug, Clone)]
pub(super) struct StoredMessage {
    turn: u64,
    id: MessageId,
    /// The answer is being written.
    pub(super) open: bool,
    body: String,
}

#[derive(Debug, Clone)]
struct StoredPart {
    id: PartId,
    body: String,
    /// What its text has grown by since.
    more: String,
}

impl StoredPart {
    fn new(id: PartId, body: String) -> Self {
        let more = String::new();
        Self { id, body, more }
    }
}

impl Conversation {
    /// A message with its parts.
    pub(super) fn row(&self, session: &SessionId, seq: u64, message: &StoredMessage) -> MessageRow {
        let parts = self.parts.get(&message.id);
        let bodies = parts
            .into_iter()
            .flat_map(BTreeMap::values)
            .map(|part| grown(&part.body, &part.more));
        MessageRow {
            session: session.clone(),
            key: MessageKey {
                seq,
                turn: message.turn,
                id: message.id.clone(),
            },
            open: message.open,
            body: message.body.clone(),
            parts: bodies.collect(),
        }
    }

    /// Whether it goes on in this native session of a backend.
    pub(super) fn has_native(&self, backend: &str, native_session: &str) -> bool {
        let body = self.bindings.get(backend);
        let body = body.and_then(|body| serde_json::from_str::<serde_json::Value>(body).ok());
        body.is_some_and(|body| {
            body.get("native_session")
                .is_some_and(|it| it == native_session)
        })
    }

    /// Writes what belongs to a session.
    ///
    /// # Errors
    /// A message that has another place already.
    pub(super) fn write(&mut self, change: Change) -> Result<(), StoreError> {
        match change {
            Change::PutMessage {
                key, open, body, ..
            } => return self.put_message(key, open, body),
            Change::DeleteMessage { id, .. } => {
                self.messages.retain(|_, message| message.id != id);
                self.parts.remove(&id);
            }
            Change::PutPart {
                message,
                place,
                id,
                body,
                ..
            } => {
                let parts = self.parts.entry(message).or_default();
                parts.insert(place, StoredPart::new(id, body));
            }
            Change::SavePart {
                message, id, body, ..
            } => {
                let parts = self.parts.entry(message).or_default();
                let mut same = parts.values_mut().filter(|part| part.id == id).peekable();
                if same.peek().is_some() {
                    same.for_each(|part| *part = StoredPart::new(id.clone(), body.clone()));
                } else {
                    drop(same);
                    let place = parts.last_key_value().map_or(0, |(place, _)| place + 1);
                    parts.insert(place, StoredPart::new(id, body));
                }
            }
            Change::GrowPart {
                message,
                place,
                text,
                ..
            } => {
                if let Some(part) = self.part(&message, place) {
                    part.more.push_str(&text);
                }
            }
            Change::EndPart {
                message,
                place,
                body,
                ..
            } => {
                if let Some(part) = self.part(&message, place) {
                    part.body = body;
                }
            }
            Change::DeletePart { message, id, .. } => {
                if let Some(parts) = self.parts.get_mut(&message) {
                    parts.retain(|_, part| part.id != id);
                }
            }
            Change::PutBinding { backend, body, .. } => {
                self.bindings.insert(backend, body);
            }
            Change::DeleteBinding { backend, .. } => {
                self.bindings.remove(&backend);
            }
            Change::DeleteBindings { .. } => self.bindings.clear(),
            Change::PutSwitch { revision, body, .. } => {
                self.switches.insert(revision, body);
            }
            Change::PutHandover {
                turn,
                revision,
                body,
                ..
            } => {
                self.handovers.insert(turn, (revision, body));
                while self.handovers.len() as u64 > HANDOVERS_KEPT {
                    self.handovers.pop_first();
                }
            }
            Change::DeleteHandovers { from_turn, .. } => {
                self.handovers.split_off(&from_turn);
            }
            // What belongs to no session is written by the tables.
            _ => {}
        }
        Ok(())
    }

    fn part(&mut self, message: &MessageId, place: u64) -> Option<&mut StoredPart> {
        self.parts.get_mut(message)?.get_mut(&place)
    }

    fn put_message(&mut self, key: MessageKey, open: bool, body: String) -> Result<(), StoreError> {
        let taken =
            |(seq, message): (&u64, &StoredMessage)| message.id == key.id && *seq != key.seq;
        if self.messages.iter().any(taken) {
            return Err(StoreError::Database(format!(
                "the message {} has another place already",
                key.id
            )));
        }
        let message = StoredMessage {
            turn: key.turn,
            id: key.id.clone(),
            open,
            body,
        };
        // Another message that had the place takes its parts along.
        if let Some(old) = self.messages.insert(key.seq, message)
            && old.id != key.id
        {
            self.parts.remove(&old.id);
        }
        Ok(())
    }
}
