//! A change that is installed and on its way into the store.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::outbox::Ticket;
use super::state::Session;
use super::{Error, Sessions};
use crate::store::StoreError;

type Commit = BoxFuture<'static, Result<(), StoreError>>;

/// Concludes a change whatever becomes of the request that made it: a client that hangs up must not keep
/// the events of a committed change from the others. Dropped before its end, it goes on as a task.
#[must_use = "the change is acknowledged by finish"]
pub(super) struct Committing {
    under_way: Option<(Commit, Change)>,
}

struct Change {
    sessions: Arc<Sessions>,
    session: Arc<Session>,
    ticket: Ticket,
    /// How often the state had been read anew when the change was made.
    reloads: u64,
}

impl Committing {
    /// Watches over a change that was just installed.
    pub(super) fn new(
        sessions: &Arc<Sessions>,
        session: &Arc<Session>,
        commit: Commit,
        ticket: Ticket,
        reloads: u64,
    ) -> Self {
        let (sessions, session) = (Arc::clone(sessions), Arc::clone(session));
        let change = Change {
            sessions,
            session,
            ticket,
            reloads,
        };
        Self {
            under_way: Some((commit, change)),
        }
    }

    /// Waits for the commit, and tells everybody.
    ///
    /// # Errors
    /// When the store fails; the change is taken back then.
    pub(super) async fn finish(mut self) -> Result<(), Error> {
        let Some((commit, change)) = &mut self.under_way else {
            return Ok(());
        };
        let result = commit.await;
        change.settle(result.is_ok());
        match (result, self.under_way.take()) {
            (Err(error), Some((_, change))) => {
                super::detached(async move {
                    change.take_back().await;
                    Ok(())
                })
                .await?;
                Err(error.into())
            }
            _ => Ok(()),
        }
    }
}

impl Change {
    fn settle(&self, committed: bool) {
        self.session
            .outbox
            .settle(&self.sessions.bus, self.ticket, committed);
        self.session.wake.notify_one();
    }

    async fn take_back(&self) {
        let mut locked = self.session.locked.lock().await;
        // The first of several that failed together has done it already.
        if locked.runtime.reloads == self.reloads {
            self.sessions.reload(&self.session, &mut locked).await;
        }
    }
}

impl Drop for Committing {
    fn drop(&mut self) {
        let Some((commit, change)) = self.under_way.take() else {
            return;
        };
        // Without a runtime the process is at its end, and with it everybody who could be told.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        runtime.spawn(async move {
            let committed = commit.await.is_ok();
            change.settle(committed);
            if !committed {
                change.take_back().await;
            }
        });
    }
}
