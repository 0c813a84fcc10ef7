//! The conversation with its order and its changes of selection, as the log of OpenCode 2 is made from it.

use super::read::{is_current, with_live};
use super::{Error, Sessions, transcript};
use crate::opencode::SessionId;
use crate::opencode::history::ModelSwitch;
use crate::opencode::v2::log::Recorded;
use crate::store::{MessageRange, StoreError};

impl Sessions {
    /// A session's conversation, in order, with the changes of its selection; only what belongs to `from_turn` or
    /// later turns, when that is given.
    ///
    /// # Errors
    /// No such session, or a failing store.
    pub async fn recorded(
        &self,
        id: &SessionId,
        from_turn: Option<u64>,
    ) -> Result<Recorded, Error> {
        let session = self.find(id)?;
        let range = MessageRange {
            after_turn: from_turn.map(|turn| turn.saturating_sub(1)),
            ..MessageRange::default()
        };
        let damaged = |error: serde_json::Error| {
            StoreError::Database(format!("the audit trail of {id} is damaged: {error}"))
        };
        loop {
            // Read without the lock, so that a long conversation holds up nobody; what has moved on meanwhile is
            // read again.
            let before = session.locked.lock().await.runtime.last_seq;
            let mut stored = transcript::read(self.store.messages(id, range.clone()).await?)?;
            let switches = self.store.switches(id).await?;
            let locked = session.locked.lock().await;
            let same = locked.runtime.last_seq == before
                && stored.iter().all(|m| is_current(&locked, &m.message));
            if !same {
                continue;
            }
            stored.sort_by_key(|m| (m.turn, m.seq));
            let messages = stored
                .into_iter()
                .map(|m| (m.turn, with_live(&locked, m.message)))
                .collect();
            let busy = locked.runtime.is_busy();
            drop(locked);
            let switches: Result<Vec<ModelSwitch>, _> = switches
                .iter()
                .map(|row| serde_json::from_str(row))
                .collect();
            return Ok(Recorded {
                messages,
                switches: switches.map_err(damaged)?,
                busy,
                partial: range.after_turn.is_some_and(|turn| turn > 0),
            });
        }
    }

    /// Whether a session answers a prompt, or has one waiting.
    ///
    /// # Errors
    /// No such session.
    pub async fn is_busy(&self, id: &SessionId) -> Result<bool, Error> {
        Ok(self.find(id)?.locked.lock().await.runtime.is_busy())
    }
}
