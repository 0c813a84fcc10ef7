//! What is brought in order after a start.

use std::sync::Arc;

use crate::opencode::message::{Message, MessageError};
use crate::opencode::now_ms;
use crate::session::conversation::answer::interrupt;
use crate::session::conversation::{put_message, put_part, transcript};
use crate::session::{ListFilter, Sessions};
use crate::store::{Store, StoreError};

/// Why an answer of an earlier server is not whole.
const RESTARTED: &str = "Baton was restarted while this answer was being written.";
/// Sessions from before there were projects that are brought in order at once.
const UNPLACED_AT_ONCE: usize = 100;

/// Marks answers that were being written when the last server ended.
pub(crate) async fn interrupt_open_messages(store: &dyn Store) -> Result<(), StoreError> {
    let mut batch = Vec::new();
    for row in store.open_messages().await? {
        let (session, key) = (row.session.clone(), row.key.clone());
        let mut stored = transcript::read_one(row)?;
        // One that had ended has a tool call that went on after it.
        if let Message::Assistant(message) = &mut stored.message.info
            && message.time.completed.is_none()
        {
            message.time.completed = Some(now_ms());
            message.error = Some(MessageError::MessageAbortedError {
                message: RESTARTED.to_owned(),
            });
        }
        batch.push(put_message(&stored.message.info, &session, &key));
        for (place, part) in stored.message.parts.iter_mut().enumerate() {
            if interrupt(part, now_ms()) {
                batch.push(put_part(part, &session, place));
            }
        }
    }
    if batch.is_empty() {
        Ok(())
    } else {
        store.commit(batch).await
    }
}

impl Sessions {
    /// Finishes what the last server has left: reverts whose files were being moved, and sessions from
    /// before there were projects.
    pub async fn bring_in_order(self: &Arc<Self>) {
        self.finish_restoring().await;
        if let Err(error) = self.place_old_sessions().await {
            tracing::warn!("sessions from before there were projects are in none yet: {error}");
        }
    }

    async fn place_old_sessions(&self) -> Result<(), crate::session::Error> {
        loop {
            let unplaced = self.list(ListFilter {
                project_id: Some(String::new()),
                limit: Some(UNPLACED_AT_ONCE),
                ..ListFilter::default()
            });
            let unplaced = unplaced.await?;
            if unplaced.is_empty() {
                return Ok(());
            }
            for session in unplaced {
                let place = self.projects.locate(&session.directory).await;
                let cell = self.loaded.find(&session.id).await?;
                cell.change(move |draft| {
                    draft.belongs_to(&place);
                    Ok(())
                })
                .await?;
            }
        }
    }
}
