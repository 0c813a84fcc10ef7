//! Changing a session, and waiting until its agent follows.

use std::sync::Arc;

use crate::opencode::{SessionId, ToldSession};
use crate::registry::Wish;
use crate::session::{CHAIN_MOST, Caller, ChainWish, Error, Sessions, Update};

impl Sessions {
    /// Changes a session: all or nothing.
    ///
    /// # Errors
    /// A stale `if_match`, a selection that is not available, no such session, or a failing store.
    pub async fn update(
        self: &Arc<Self>,
        id: &SessionId,
        mut update: Update,
        caller: Caller,
    ) -> Result<ToldSession, Error> {
        if !update.wish.is_empty() {
            let always = self.tools.settings.pin_patches;
            update.pin = update.pin.or(Some(always));
        }
        let cell = self.loaded.find(id).await?;
        if !update.wish.is_empty() {
            self.prepare(&cell.directory, Some(&cell), &update.wish)
                .await;
        }
        if let ChainWish::Set(chain) = &update.fallback {
            for model in chain.iter().take(CHAIN_MOST) {
                self.prepare(&cell.directory, Some(&cell), &Wish::of(model))
                    .await;
            }
        }
        cell.change(move |draft| {
            draft.unless_deleted()?;
            let selected = draft.select(&update, &caller, |_| {})?;
            Ok(selected.told.unwrap_or_else(|| draft.told()))
        })
        .await
    }

    /// Waits until the session's selection is applied or was passed over by a later one that is.
    /// A session without a selection has nothing to wait for.
    ///
    /// # Errors
    /// [`Error::NotApplied`] when it could not be applied, no such session, or a server that stops.
    pub async fn wait_applied(
        self: &Arc<Self>,
        id: &SessionId,
        revision: u64,
    ) -> Result<ToldSession, Error> {
        let cell = self.loaded.find(id).await?;
        // A selection from before a restart is applied when somebody waits for it.
        let wanted = cell.change(move |draft| {
            draft.unless_ending()?;
            Ok(draft.await_applied(revision))
        });
        let wanted = wanted.await?;
        let committed = cell.until(|committed| {
            let runtime = committed.runtime();
            runtime.settled_revision >= wanted || runtime.is_deleted()
        });
        let committed = committed.await?;
        if committed.runtime().is_deleted() {
            return Err(Error::NotFound(id.clone()));
        }
        match committed.runtime().outcome(wanted) {
            Some(Some(failure)) => Err(Error::NotApplied(failure.clone())),
            _ => Ok(committed.info().into()),
        }
    }
}
