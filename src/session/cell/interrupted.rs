//! Answers that were being written when the server that wrote them ended.

use std::sync::Arc;

use super::{Cell, Draft};
use crate::json;
use crate::opencode::message::{Message, MessageError, MessageWithParts, Part};
use crate::opencode::now_ms;
use crate::session::Error;
use crate::session::conversation::answer::interrupt;
use crate::session::conversation::{put_message, transcript};
use crate::store::{Change, MessageRow, Store, StoreError};

/// Why an answer of an earlier server is not whole.
const RESTARTED: &str = "Baton was restarted while this answer was being written.";
/// Why an answer of another server is not whole.
const TAKEN_OVER: &str =
    "The server that was writing this answer is gone; another one goes on with the session.";

/// Marks answers that were being written when the last server ended.
///
/// # Errors
/// Those of the store.
pub(crate) async fn interrupt_open_messages(store: &dyn Store) -> Result<(), StoreError> {
    let mut batch = Vec::new();
    for row in store.open_messages().await? {
        let (_, mut changes) = interrupted(row, RESTARTED)?;
        batch.append(&mut changes);
    }
    match batch.is_empty() {
        true => Ok(()),
        false => store.commit(batch).await,
    }
}

impl Cell {
    /// The same for a session that was another server's: it is told to those who follow it.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn interrupt_open(self: &Arc<Self>) -> Result<(), Error> {
        let open = self.office.store.open_messages().await?;
        let own = open.into_iter().filter(|row| row.session == self.id);
        let ended: Result<Vec<_>, _> = own.map(|row| interrupted(row, TAKEN_OVER)).collect();
        let ended = ended?;
        if ended.is_empty() {
            return Ok(());
        }
        let told = move |draft: &mut Draft| {
            for (message, changes) in &ended {
                changes.iter().cloned().for_each(|it| draft.write(it));
                draft.event_of_message(message);
            }
            draft.event_of_idle();
            Ok(())
        };
        self.change(told).await
    }
}

/// A message that has ended now, and what is written of it.
fn interrupted(row: MessageRow, why: &str) -> Result<(MessageWithParts, Vec<Change>), StoreError> {
    let (session, key) = (row.session.clone(), row.key.clone());
    let mut message = transcript::read_one(row)?.message;
    // One that had ended has a tool call that went on after it.
    if let Message::Assistant(message) = &mut message.info
        && message.time.completed.is_none()
    {
        message.time.completed = Some(now_ms());
        message.error = Some(MessageError::MessageAbortedError {
            message: why.to_owned(),
        });
    }
    let mut changes = vec![put_message(&message.info, &session, &key)];
    for part in &mut message.parts {
        // A text may have grown since it was written. By its id: parts may have been deleted, so that places have gaps.
        if interrupt(part, now_ms()) || matches!(part, Part::Text(_) | Part::Reasoning(_)) {
            changes.push(Change::SavePart {
                session: session.clone(),
                message: part.message_id().clone(),
                id: part.id().clone(),
                body: json::text(part),
            });
        }
    }
    Ok((*message, changes))
}
