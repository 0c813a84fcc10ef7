//! Changing what was said: deleting messages, editing and deleting parts.
//!
//! An agent cannot be told that what it has seen was otherwise. The native sessions that know what was
//! changed are let go, and the next turn hands over the conversation as it is now.

use std::sync::Arc;

use super::answer::part_event;
use super::cut;
use super::state::{Locked, Session, to_json};
use super::transcript::{self, Stored};
use super::{Error, Sessions, detached};
use crate::opencode::event::{EventPayload, MessageRemoved, PartRemoved};
use crate::opencode::message::Part;
use crate::opencode::{MessageId, PartId, SessionId};
use crate::store::Change;

/// Parts that are added to one message, and those of its answer.
const PARTS_MAX: usize = super::answer::PARTS_MAX;

impl Sessions {
    /// Deletes a message with its parts.
    ///
    /// # Errors
    /// No such session or message, a busy session, or a failing store.
    pub async fn delete_message(
        self: &Arc<Self>,
        id: &SessionId,
        message: &MessageId,
    ) -> Result<(), Error> {
        let session = self.find(id)?;
        let (this, message) = (Arc::clone(self), message.clone());
        detached(async move { this.delete_message_now(&session, message).await }).await
    }

    async fn delete_message_now(&self, session: &Session, message: MessageId) -> Result<(), Error> {
        let mut locked = session.at_rest().await;
        let stored = self.stored(session, &message).await?;
        if locked.runtime.is_busy() {
            return Err(Error::Busy(session.id.clone()));
        }
        let delete = Change::DeleteMessage {
            session: session.id.clone(),
            id: message.clone(),
        };
        let removed = EventPayload::MessageRemoved(MessageRemoved {
            session_id: session.id.clone(),
            message_id: message,
        });
        self.edit(session, &mut locked, &stored, true, delete, removed)
            .await
    }

    /// Writes a part in place of the one with its id, or behind all others of its message.
    ///
    /// # Errors
    /// No such session or message, a message that is being written, too many parts, or a failing store.
    pub async fn save_part(self: &Arc<Self>, id: &SessionId, part: Part) -> Result<Part, Error> {
        let session = self.find(id)?;
        let this = Arc::clone(self);
        detached(async move { this.save_part_now(&session, part).await }).await
    }

    async fn save_part_now(&self, session: &Session, part: Part) -> Result<Part, Error> {
        let mut locked = session.at_rest().await;
        let stored = self.editable(session, &locked, part.message_id()).await?;
        let parts = &stored.message.parts;
        let old = parts.iter().find(|old| old.id() == part.id());
        if old == Some(&part) {
            return Ok(part);
        }
        if old.is_none() && parts.len() >= PARTS_MAX {
            return Err(Error::Invalid {
                field: "[\"id\"]".to_owned(),
                message: format!("The message has {PARTS_MAX} parts already; edit one of them"),
            });
        }
        let is_known = is_handed_over(&part) || old.is_some_and(is_handed_over);
        let save = Change::SavePart {
            session: session.id.clone(),
            message: part.message_id().clone(),
            id: part.id().clone(),
            body: to_json(&part),
        };
        let updated = part_event(&session.id, part.clone());
        self.edit(session, &mut locked, &stored, is_known, save, updated)
            .await?;
        Ok(part)
    }

    /// Deletes a part of a message.
    ///
    /// # Errors
    /// No such session, message or part, a message that is being written, or a failing store.
    pub async fn delete_part(
        self: &Arc<Self>,
        id: &SessionId,
        message: &MessageId,
        part: &PartId,
    ) -> Result<(), Error> {
        let session = self.find(id)?;
        let this = Arc::clone(self);
        let (message, part) = (message.clone(), part.clone());
        detached(async move { this.delete_part_now(&session, message, part).await }).await
    }

    async fn delete_part_now(
        &self,
        session: &Session,
        message: MessageId,
        part: PartId,
    ) -> Result<(), Error> {
        let mut locked = session.at_rest().await;
        let stored = self.editable(session, &locked, &message).await?;
        let old = stored.message.parts.iter().find(|old| *old.id() == part);
        let old = old.ok_or_else(|| Error::PartNotFound(part.clone()))?;
        let is_known = is_handed_over(old);
        let delete = Change::DeletePart {
            session: session.id.clone(),
            message: message.clone(),
            id: part.clone(),
        };
        let removed = EventPayload::PartRemoved(PartRemoved {
            session_id: session.id.clone(),
            message_id: message,
            part_id: part,
        });
        self.edit(session, &mut locked, &stored, is_known, delete, removed)
            .await
    }

    async fn stored(&self, session: &Session, message: &MessageId) -> Result<Stored, Error> {
        let row = self.store.message(&session.id, message).await?;
        let row = row.ok_or_else(|| Error::MessageNotFound(message.clone()))?;
        Ok(transcript::read_one(row)?)
    }

    /// A message whose parts may be changed: any but the one that is being written.
    async fn editable(
        &self,
        session: &Session,
        locked: &Locked,
        message: &MessageId,
    ) -> Result<Stored, Error> {
        if locked.runtime.deleted {
            return Err(Error::NotFound(session.id.clone()));
        }
        let stored = self.stored(session, message).await?;
        let answering = locked.runtime.answering.as_ref();
        if answering.is_some_and(|a| a.message.id == *message) {
            return Err(Error::Busy(session.id.clone()));
        }
        Ok(stored)
    }

    async fn edit(
        &self,
        session: &Session,
        locked: &mut Locked,
        stored: &Stored,
        is_known: bool,
        change: Change,
        event: EventPayload,
    ) -> Result<(), Error> {
        let mut batch = vec![change];
        let asked = cut::backends(std::iter::once(&stored.message.info));
        let mut bound = locked.runtime.bindings_that_know(stored.turn, &asked);
        if !is_known {
            bound.clear();
        }
        batch.extend(bound.iter().map(|backend| Change::DeleteBinding {
            session: session.id.clone(),
            backend: backend.clone(),
        }));
        self.store.commit(batch).await?;
        locked.runtime.unbind(&bound);
        self.publish(session, &[event]);
        Ok(())
    }
}

/// Whether agents are told of a part: the others are bookkeeping, or hidden reasoning.
fn is_handed_over(part: &Part) -> bool {
    match part {
        Part::Text(_) | Part::Tool(_) | Part::File(_) | Part::Agent(_) | Part::Subtask(_) => true,
        // Where it stands, a handover begins.
        Part::Compaction(_) => true,
        Part::Reasoning(_) | Part::StepStart(_) | Part::StepFinish(_) | Part::Patch(_) => false,
    }
}
