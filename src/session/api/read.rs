//! Reading sessions and what was said in them. Nothing here waits for a change: what is committed is taken
//! as it is, with the answer that is being written in place of what the store has of it.

use std::sync::Arc;

use crate::json;
use crate::opencode::event::Todo;
use crate::opencode::history::{ModelHandover, ModelHistory, ModelSwitch};
use crate::opencode::message::{Message, MessageWithParts};
use crate::opencode::{MessageId, Session as SessionInfo, SessionId};
use crate::session::cell::{Cell, Committed};
use crate::session::conversation::transcript::{self, Stored};
use crate::session::{Error, Sessions};
use crate::store::{MessageRange, MessageRow, StoreError};

impl Sessions {
    /// A session.
    ///
    /// # Errors
    /// No such session.
    pub async fn info(&self, id: &SessionId) -> Result<SessionInfo, Error> {
        Ok(self.loaded.find(id).await?.committed().info())
    }

    /// Whether a session answers a prompt, or has one waiting.
    ///
    /// # Errors
    /// No such session.
    pub async fn is_busy(&self, id: &SessionId) -> Result<bool, Error> {
        let cell = self.loaded.find(id).await?;
        Ok(cell.committed().runtime().is_busy())
    }

    /// The agent's plan.
    ///
    /// # Errors
    /// No such session.
    pub async fn todos(&self, id: &SessionId) -> Result<Vec<Todo>, Error> {
        let cell = self.loaded.find(id).await?;
        Ok(cell.committed().state().todos.clone())
    }

    /// The models of a session: selected, applied, what each has answered, and how they changed.
    ///
    /// # Errors
    /// No such session, or a failing store.
    pub async fn model_history(&self, id: &SessionId) -> Result<ModelHistory, Error> {
        let cell = self.loaded.find(id).await?;
        let committed = cell.committed();
        let state = committed.state();
        let switches = self.switches(id, state.revision).await?;
        let registry = self.office.registry.at(&cell.directory);
        let mut usage = state.usage.clone();
        for used in &mut usage {
            let catalogue = registry.catalogue(&used.provider_id);
            let known = catalogue.and_then(|c| c.model(&used.model_id)?.context_tokens);
            used.context.size = known.or(used.context.size);
        }
        Ok(ModelHistory {
            revision: state.revision,
            selected: state.selection.clone(),
            pinned: state.pinned,
            applied: committed.runtime().applied.clone(),
            usage,
            switches,
        })
    }

    /// What agents were given of the conversation after the change that made a revision.
    ///
    /// # Errors
    /// No such session, or a failing store.
    pub async fn handover(&self, id: &SessionId, revision: u64) -> Result<ModelHandover, Error> {
        self.loaded.find(id).await?;
        let rows = self.office.store.handovers(id, revision).await?;
        let given: Result<Vec<_>, _> = rows.iter().map(|row| serde_json::from_str(row)).collect();
        let given = given.map_err(|error| {
            StoreError::Database(format!("a handover of {id} is damaged: {error}"))
        })?;
        Ok(ModelHandover { revision, given })
    }

    /// The audit trail up to a revision: the store may be ahead of what was taken from memory.
    pub(super) async fn switches(
        &self,
        id: &SessionId,
        revision: u64,
    ) -> Result<Vec<ModelSwitch>, Error> {
        let rows = self.office.store.switches(id).await?;
        let switches: Result<Vec<ModelSwitch>, _> =
            rows.iter().map(|row| serde_json::from_str(row)).collect();
        let mut switches = switches.map_err(|error| {
            StoreError::Database(format!("the audit trail of {id} is damaged: {error}"))
        })?;
        switches.retain(|switch| switch.revision <= revision);
        Ok(switches)
    }

    /// Messages, oldest first: the newest `limit` of those before `before`. They are given as they are
    /// stored, so that a long conversation is not read only to be written again.
    ///
    /// # Errors
    /// No such session, no such message, or a failing store.
    pub async fn messages(
        &self,
        id: &SessionId,
        limit: Option<u64>,
        before: Option<&MessageId>,
    ) -> Result<Vec<StoredMessage>, Error> {
        let cell = self.loaded.find(id).await?;
        let before_seq = match before {
            None => None,
            Some(before) => {
                let row = self.office.store.message(id, before).await?;
                let row = row.ok_or_else(|| Error::MessageNotFound(before.clone()))?;
                Some(row.key.seq)
            }
        };
        let range = MessageRange {
            after_turn: None,
            before_seq,
            limit,
        };
        let rows = self.office.store.messages(id, range).await?;
        let mut messages = Vec::with_capacity(rows.len());
        for row in rows {
            messages.push(match row.open {
                false => StoredMessage::from(row),
                true => {
                    let mut stored = [transcript::read_one(row)?];
                    self.bring_up_to_date(&cell, &mut stored).await?;
                    StoredMessage::from(&*stored[0].message)
                }
            });
        }
        Ok(messages)
    }

    /// A message.
    ///
    /// # Errors
    /// No such session, no such message, or a failing store.
    pub async fn message(
        &self,
        id: &SessionId,
        message: &MessageId,
    ) -> Result<MessageWithParts, Error> {
        let cell = self.loaded.find(id).await?;
        let row = self.office.store.message(id, message).await?;
        let row = row.ok_or_else(|| Error::MessageNotFound(message.clone()))?;
        let mut stored = [transcript::read_one(row)?];
        self.bring_up_to_date(&cell, &mut stored).await?;
        let [stored] = stored;
        Ok(*stored.message)
    }

    /// Messages as they are now.
    pub(super) async fn stored(
        &self,
        cell: &Arc<Cell>,
        range: MessageRange,
    ) -> Result<Vec<Stored>, Error> {
        let rows = self.office.store.messages(&cell.id, range).await?;
        let mut stored = transcript::read(rows)?;
        self.bring_up_to_date(cell, &mut stored).await?;
        Ok(stored)
    }

    /// An answer that was being written when it was read is taken from who writes it. One that has ended
    /// since is read again, once: then its end is in the store.
    async fn bring_up_to_date(&self, cell: &Cell, stored: &mut [Stored]) -> Result<(), Error> {
        let committed = cell.committed();
        for stored in stored.iter_mut().filter(|m| is_open(&m.message)) {
            if show_live(&committed, stored) {
                continue;
            }
            let id = stored.message.info.id();
            if let Some(row) = self.office.store.message(&cell.id, id).await? {
                *stored = transcript::read_one(row)?;
            }
        }
        Ok(())
    }
}

/// A message as JSON.
#[derive(Debug, Clone)]
pub struct StoredMessage {
    info: String,
    parts: Vec<String>,
}

impl From<MessageRow> for StoredMessage {
    fn from(row: MessageRow) -> Self {
        Self {
            info: row.body,
            parts: row.parts,
        }
    }
}

impl From<&MessageWithParts> for StoredMessage {
    fn from(message: &MessageWithParts) -> Self {
        Self {
            info: json::text(&message.info),
            parts: message.parts.iter().map(json::text).collect(),
        }
    }
}

impl StoredMessage {
    /// Reads it.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn read(&self) -> Result<MessageWithParts, Error> {
        let mut json = String::new();
        self.write_to(&mut json);
        let read = serde_json::from_str(&json);
        Ok(read.map_err(|error| StoreError::Database(format!("a message is damaged: {error}")))?)
    }

    /// Writes it as a `MessageWithParts`.
    pub fn write_to(&self, json: &mut String) {
        json.push_str("{\"info\":");
        json.push_str(&self.info);
        json.push_str(",\"parts\":[");
        for (at, part) in self.parts.iter().enumerate() {
            if at > 0 {
                json.push(',');
            }
            json.push_str(part);
        }
        json.push_str("]}");
    }
}

fn is_open(message: &MessageWithParts) -> bool {
    matches!(&message.info, Message::Assistant(m) if m.time.completed.is_none())
}

/// Puts the answer as it is being written in place of what the store has of it; false when it is not being
/// written.
fn show_live(committed: &Committed, stored: &mut Stored) -> bool {
    let live = committed.runtime().answer();
    let live = live.filter(|live| live.id() == stored.message.info.id());
    if let Some(live) = live {
        *stored.message = live.lock().snapshot();
    }
    live.is_some()
}
