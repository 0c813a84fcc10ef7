//! The conversation with its order and its changes of selection, as the log of OpenCode 2 is made from it.

use crate::opencode::SessionId;
use crate::opencode::v2::log::Recorded;
use crate::session::{Error, Sessions};
use crate::store::MessageRange;

impl Sessions {
    /// A session's conversation, in order, with the changes of its selection; only what belongs to
    /// `from_turn` or later turns, when that is given.
    ///
    /// # Errors
    /// No such session, or a failing store.
    pub async fn recorded(
        &self,
        id: &SessionId,
        from_turn: Option<u64>,
    ) -> Result<Recorded, Error> {
        let cell = self.loaded.find(id).await?;
        let range = MessageRange {
            after_turn: from_turn.map(|turn| turn.saturating_sub(1)),
            ..MessageRange::default()
        };
        let partial = range.after_turn.is_some_and(|turn| turn > 0);
        let mut stored = self.stored(&cell, range).await?;
        stored.sort_by_key(|m| (m.turn, m.seq));
        let committed = cell.committed();
        Ok(Recorded {
            messages: stored.into_iter().map(|m| (m.turn, *m.message)).collect(),
            switches: self.switches(id, committed.state().revision).await?,
            busy: committed.runtime().is_busy(),
            partial,
        })
    }
}
