//! Changing what was said: deleting messages, editing and deleting parts.
//!
//! What an agent has seen cannot be changed. The native sessions that know what was
//! changed are let go, and the next turn hands over the conversation as it is now.

use std::sync::Arc;

use crate::json;
use crate::opencode::event::{EventPayload, MessageRemoved, PartRemoved};
use crate::opencode::message::Part;
use crate::opencode::{MessageId, PartId, SessionId};
use crate::session::cell::{Cell, Committed, Draft};
use crate::session::conversation::part_event;
use crate::session::conversation::transcript::{self, Stored};
use crate::session::{Error, Sessions};
use crate::store::Change;

/// A message as it was read for an edit.
struct Read {
    at: u64,
    stored: Stored,
}

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
        let deleted = message.clone();
        self.edit(id, message, move |draft, read| {
            draft.unless_busy()?;
            let delete = Change::DeleteMessage {
                session: draft.id.clone(),
                id: deleted.clone(),
            };
            let removed = EventPayload::MessageRemoved(MessageRemoved {
                session_id: draft.id.clone(),
                message_id: deleted.clone(),
            });
            draft.edit(&read.stored, true, delete, removed);
            Ok(())
        })
        .await
    }

    /// Writes a part in place of the one with its id, or after all others of its message.
    ///
    /// # Errors
    /// No such session or message, a message that is being written, too many parts, or a failing store.
    pub async fn save_part(self: &Arc<Self>, id: &SessionId, part: Part) -> Result<Part, Error> {
        let message = part.message_id().clone();
        self.edit(id, &message, move |draft, read| {
            unless_being_written(draft, read)?;
            let parts = &read.stored.message.parts;
            let old = parts.iter().find(|old| old.id() == part.id());
            if old == Some(&part) {
                return Ok(part.clone());
            }
            if old.is_none() && parts.len() >= draft.sizes.answer_parts {
                return Err(Error::Invalid {
                    field: "[\"id\"]".to_owned(),
                    message: format!(
                        "The message has {} parts already (limits.answer_parts); edit one of them",
                        parts.len()
                    ),
                });
            }
            let agents_know = is_handed_over(&part) || old.is_some_and(is_handed_over);
            let save = Change::SavePart {
                session: draft.id.clone(),
                message: part.message_id().clone(),
                id: part.id().clone(),
                body: json::text(&part),
            };
            let updated = part_event(&draft.id, part.clone());
            draft.edit(&read.stored, agents_know, save, updated);
            Ok(part.clone())
        })
        .await
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
        let part = part.clone();
        self.edit(id, message, move |draft, read| {
            unless_being_written(draft, read)?;
            let message = &read.stored.message;
            let old = message.parts.iter().find(|old| *old.id() == part);
            let old = old.ok_or_else(|| Error::PartNotFound(part.clone()))?;
            let delete = Change::DeletePart {
                session: draft.id.clone(),
                message: message.info.id().clone(),
                id: part.clone(),
            };
            let removed = EventPayload::PartRemoved(PartRemoved {
                session_id: draft.id.clone(),
                message_id: message.info.id().clone(),
                part_id: part.clone(),
            });
            draft.edit(&read.stored, is_handed_over(old), delete, removed);
            Ok(())
        })
        .await
    }

    async fn edit<T: Send + 'static>(
        &self,
        id: &SessionId,
        message: &MessageId,
        job: impl Fn(&mut Draft, &Read) -> Result<T, Error> + Send + Sync + 'static,
    ) -> Result<T, Error> {
        let cell = self.loaded.find(id).await?;
        let read = |committed: Arc<Committed>| self.read_for_edit(&cell, committed, message);
        let job = move |draft: &mut Draft, read: &Read| {
            draft.unless_deleted()?;
            draft.unless_moved_on(read.at)?;
            job(draft, read)
        };
        cell.prepare_and_change(read, job).await
    }

    async fn read_for_edit(
        &self,
        cell: &Cell,
        committed: Arc<Committed>,
        message: &MessageId,
    ) -> Result<Read, Error> {
        let row = self.office.store.message(&cell.id, message).await?;
        let row = row.ok_or_else(|| Error::MessageNotFound(message.clone()))?;
        Ok(Read {
            at: committed.runtime().conversation,
            stored: transcript::read_one(row)?,
        })
    }
}

/// The parts of any message may be changed but of the one that is being written.
fn unless_being_written(draft: &Draft, read: &Read) -> Result<(), Error> {
    let live = draft.runtime().answer();
    match live.is_some_and(|live| live.id() == read.stored.message.info.id()) {
        true => Err(Error::Busy(draft.id.clone())),
        false => Ok(()),
    }
}

/// Whether agents see a part: the others are bookkeeping, or hidden reasoning.
fn is_handed_over(part: &Part) -> bool {
    match part {
        Part::Text(_) | Part::Tool(_) | Part::File(_) | Part::Agent(_) | Part::Subtask(_) => true,
        // A handover begins there.
        Part::Compaction(_) => true,
        Part::Reasoning(_) | Part::StepStart(_) | Part::StepFinish(_) | Part::Patch(_) => false,
    }
}
