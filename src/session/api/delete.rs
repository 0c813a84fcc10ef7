//! Ending things: a turn, or a session.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::opencode::SessionId;
use crate::session::{Error, Sessions};

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
                match this.loaded.find(&id).await {
                    Ok(cell) => cell.change(|draft| draft.delete()).await?,
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

    /// Stops the turn in flight and those that wait; each of their prompts is answered as aborted. A
    /// session that is idle stays so.
    ///
    /// # Errors
    /// No such session.
    pub async fn abort(&self, id: &SessionId) -> Result<(), Error> {
        let cell = self.loaded.find(id).await?;
        let committed = cell.committed();
        let runtime = committed.runtime();
        let turn = runtime.turn().map(|turn| &turn.queued);
        for queued in turn.into_iter().chain(&runtime.queue) {
            queued.abort.cancel();
        }
        Ok(())
    }
}
