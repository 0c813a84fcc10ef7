//! Changes of what was said: edits, and what a revert takes out.

use super::{Draft, Phase, SessionState};
use crate::opencode::event::{EventPayload, MessageRemoved, PartRemoved};
use crate::opencode::session::Revert;
use crate::session::Error;
use crate::session::conversation::cut;
use crate::session::conversation::transcript::Stored;
use crate::store::Change;

/// The messages of a reverted session that the next turn removes for good, as they were read.
#[derive(Debug, Default)]
pub(crate) struct Reverted {
    /// The state of the conversation that they were read at.
    pub read_at: u64,
    /// The messages from the turn of the cut on.
    pub messages: Vec<Stored>,
}

impl Draft {
    /// Refuses what was prepared from an earlier conversation, or while files are being moved.
    ///
    /// # Errors
    /// [`Error::MovedOn`].
    pub(crate) fn unless_moved_on(&self, read_at: u64) -> Result<(), Error> {
        match self.runtime.conversation == read_at {
            true => self.at_rest(),
            false => Err(Error::MovedOn),
        }
    }

    /// Refuses to begin a turn, or to change messages, while files are being moved.
    ///
    /// # Errors
    /// [`Error::MovedOn`].
    pub(crate) fn at_rest(&self) -> Result<(), Error> {
        match self.runtime.is_restoring() {
            true => Err(Error::MovedOn),
            false => Ok(()),
        }
    }

    /// Removes what is reverted for good, with the native sessions that know of it. For whatever begins a
    /// turn; nothing in a session that is not reverted.
    ///
    /// # Errors
    /// [`Error::MovedOn`] when the messages were not read, or have changed since.
    pub(crate) fn forget_reverted(&mut self, reverted: &Reverted) -> Result<(), Error> {
        let state = self.state();
        let (Some(revert), Some(cut)) = (state.revert.clone(), state.kept.past.cut) else {
            return Ok(());
        };
        self.unless_moved_on(reverted.read_at)?;
        let state = self.state_mut();
        state.revert = None;
        state.kept.past.cut = None;
        state.kept.past.reverted_tree = None;
        let gone = |first: &(u64, String)| !cut.keeps(first.0, first.0);
        if state.kept.past.first.as_ref().is_some_and(gone) {
            state.kept.past.first = None;
        }
        for stored in &reverted.messages {
            self.take_out(stored, cut.keeps(stored.turn, stored.seq), &revert);
        }
        self.forget_handovers(cut.turn);
        let out = reverted.messages.iter().map(|s| &s.message.info);
        let asked = cut::backends(out);
        let bound = self.runtime.bindings_that_know(cut.turn, &asked);
        self.unbind(&bound);
        Ok(())
    }

    fn take_out(&mut self, stored: &Stored, keeps: bool, revert: &Revert) {
        let message_id = stored.message.info.id().clone();
        if !keeps {
            self.write(Change::DeleteMessage {
                session: self.id.clone(),
                id: message_id.clone(),
            });
            self.event(EventPayload::MessageRemoved(MessageRemoved {
                session_id: self.id.clone(),
                message_id,
            }));
            return;
        }
        if message_id != revert.message_id {
            return;
        }
        let Some(first_out) = cut::parts_out(stored, revert) else {
            return;
        };
        for part in &stored.message.parts[first_out..] {
            self.write(Change::DeletePart {
                session: self.id.clone(),
                message: message_id.clone(),
                id: part.id().clone(),
            });
            self.event(EventPayload::PartRemoved(PartRemoved {
                session_id: self.id.clone(),
                message_id: message_id.clone(),
                part_id: part.id().clone(),
            }));
        }
    }

    /// Changes something that was said. Where agents see it, native sessions that know the turn are
    /// let go.
    pub(crate) fn edit(
        &mut self,
        stored: &Stored,
        agents_know: bool,
        change: Change,
        event: EventPayload,
    ) {
        self.conversation_changes();
        self.write(change);
        if agents_know {
            self.forget_handovers(stored.turn + 1);
            let asked = cut::backends(std::iter::once(&stored.message.info));
            let bound = self.runtime.bindings_that_know(stored.turn, &asked);
            self.unbind(&bound);
        }
        self.queued_is_edited(stored.message.info.id());
        self.event(event);
    }

    /// Forgets the texts of handovers that may quote what was said in a turn: whatever takes something out of the
    /// conversation does not look for it there.
    fn forget_handovers(&mut self, from_turn: u64) {
        self.write(Change::DeleteHandovers {
            session: self.id.clone(),
            from_turn,
        });
    }

    /// Keeps turns and other changes of messages away until [`Draft::end_restoring`].
    pub(crate) fn begin_restoring(&mut self) {
        let switches = matches!(self.runtime.phase, Phase::Switching);
        self.runtime.phase = Phase::Restoring { switches };
    }

    /// Lets turns begin again.
    pub(crate) fn end_restoring(&mut self) {
        match self.runtime.phase {
            Phase::Restoring { switches: true } => self.runtime.phase = Phase::Switching,
            Phase::Restoring { switches: false } => self.runtime.phase = Phase::Idle,
            _ => {}
        }
    }

    /// Takes over what a revert changes about a state. A PATCH may have changed the rest meanwhile.
    ///
    /// # Errors
    /// When the session was deleted.
    pub(crate) fn set_history(&mut self, from: &SessionState) -> Result<(), Error> {
        self.unless_deleted()?;
        self.conversation_changes();
        let state = self.state_mut();
        state.revert.clone_from(&from.revert);
        state.kept.past.clone_from(&from.kept.past);
        state.summary = from.summary;
        state.time.updated = state.time.updated.max(from.time.updated);
        Ok(())
    }
}
