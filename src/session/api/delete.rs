//! Ending things: a turn, or a session.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::opencode::{MessageId, SessionId};
use crate::session::cell::Queued;
use crate::session::settings::AtAbort;
use crate::session::work::removal;
use crate::session::{Error, Sessions};

/// What an abort has stopped, by the ids of the prompts.
#[derive(Debug, Default)]
pub struct Aborted {
    /// The prompt whose turn was in flight.
    pub running: Option<MessageId>,
    /// The prompts that waited and will not be given to a model.
    pub dropped: Vec<MessageId>,
}

impl Sessions {
    /// Deletes a session, what belongs to it, and the sessions below it.
    ///
    /// # Errors
    /// No such session, or a failing store.
    pub async fn delete(self: &Arc<Self>, id: &SessionId) -> Result<(), Error> {
        self.loaded.find(id).await?;
        let (this, id) = (Arc::clone(self), id.clone());
        // A task of its own: a caller that hangs up must not leave half of a family.
        let deleting = self.office.tasks.spawn(async move {
            for id in this.office.store.family(&id).await? {
                // Those below it may be at work elsewhere; they go with it all the same.
                this.office.nodes.hold(&id, true).await?;
                match this.loaded.find(&id).await {
                    Ok(cell) => {
                        cell.change(|draft| draft.delete()).await?;
                        // A worker takes leave of its agents by itself.
                        if !cell.has_worker() {
                            removal::after_deletion(&this.tools, &cell);
                        }
                    }
                    // Somebody else was faster.
                    Err(Error::NotFound(_)) => continue,
                    Err(error) => return Err(error),
                }
                this.count.fetch_sub(1, Ordering::Relaxed);
                this.loaded.forget(&id);
            }
            Ok(())
        });
        deleting.await.unwrap_or(Err(Error::ShutDown))
    }

    /// Stops the turn in flight, and with [`AtAbort::Drop`] the prompts that wait; each of them gets an answer of its own
    /// that says so. A session that is idle stays so. Without `waiting`, what is configured holds.
    ///
    /// # Errors
    /// No such session.
    pub async fn abort(&self, id: &SessionId, waiting: Option<AtAbort>) -> Result<Aborted, Error> {
        let cell = self.loaded.find(id).await?;
        let committed = cell.committed();
        let runtime = committed.runtime();
        let drops = waiting.unwrap_or(self.tools.settings.at_abort) == AtAbort::Drop;
        let turn = runtime.turn().map(|turn| &turn.queued);
        let dropped = runtime.queue.iter().filter(|_| drops);
        let stop = |queued: &Arc<Queued>| {
            queued.abort.cancel();
            queued.message_id.clone()
        };
        Ok(Aborted {
            running: turn.map(stop),
            dropped: dropped.map(stop).collect(),
        })
    }
}
