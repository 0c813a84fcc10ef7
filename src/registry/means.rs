//! What a backend is asked with, and how native sessions that were opened to ask are removed again.

use super::left::Left;
use crate::agent::Timeouts;
use crate::agent::client::{self, Capabilities};
use crate::agent::connection::Connection;
use crate::agent::process::Starter;
use crate::process::Ledger;

/// What the questions to a backend are asked with.
pub struct Means<'a> {
    /// How long calls may take.
    pub timeouts: &'a Timeouts,
    /// Knows what is running.
    pub ledger: &'a dyn Ledger,
    /// Starts agents.
    pub starter: &'a dyn Starter,
    /// Notes what is opened, until it is gone.
    pub(super) notes: Option<&'a Left>,
    /// Native sessions that were opened, and that the agent may keep in its own store.
    pub(super) left: Vec<String>,
}

impl<'a> Means<'a> {
    /// To ask with; what is opened is noted nowhere.
    pub fn new(timeouts: &'a Timeouts, ledger: &'a dyn Ledger, starter: &'a dyn Starter) -> Self {
        Self {
            timeouts,
            ledger,
            starter,
            notes: None,
            left: Vec::new(),
        }
    }

    /// A native session was opened.
    pub(super) async fn opened(&self, backend: &str, native_session: &str) {
        if let Some(notes) = self.notes {
            notes.note(backend, native_session).await;
        }
    }

    /// Takes leave of a native session that was opened to ask something.
    pub(super) async fn leave(
        &mut self,
        connection: &Connection,
        can: Capabilities,
        backend: &str,
        native_session: &str,
    ) {
        if !client::remove_session(connection, can, native_session, self.timeouts.end).await {
            self.left.push(native_session.to_owned());
        } else if let Some(notes) = self.notes {
            notes.forget(backend, native_session).await;
        }
    }

    /// Takes leave of what an earlier run has opened and left, but for the native session that is in use.
    pub(super) async fn leave_earlier(
        &mut self,
        connection: &Connection,
        can: Capabilities,
        backend: &str,
        in_use: &str,
    ) {
        let Some(notes) = self.notes else { return };
        // It is open nowhere.
        let can = Capabilities {
            close: false,
            ..can
        };
        for native_session in notes.take_earlier(backend).await {
            if native_session != in_use {
                self.leave(connection, can, backend, &native_session).await;
            }
        }
    }
}
