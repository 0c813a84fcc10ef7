//! Making a session.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::opencode::Session as SessionInfo;
use crate::project::Place;
use crate::session::ask::fence;
use crate::session::cell::select::bound_rules;
use crate::session::cell::{Birth, Cell, Draft, SessionState, Stored, can_keep};
use crate::session::{Caller, Error, NewSession, Sessions};

impl Sessions {
    /// Makes a session. One that names a model has its agent started at once.
    ///
    /// # Errors
    /// When the requested selection is not available, or the store fails.
    pub async fn create(
        self: &Arc<Self>,
        mut new: NewSession,
        caller: Caller,
    ) -> Result<SessionInfo, Error> {
        if let Some(from) = new.import.take() {
            return self.import(new, from, caller).await;
        }
        if !new.wish.is_empty() {
            self.prepare(&new.directory, None, &new.wish).await;
        }
        bound_rules(&mut new.permission, &self.office.sizes)?;
        let place = self.place_of(&mut new).await?;
        let registry = self.office.registry.at(&new.directory);
        let mut state = SessionState::new(Birth {
            project_id: place.project_id.clone(),
            path: place.path(),
            directory: new.directory,
            parent_id: new.parent_id,
            title: new.title,
            metadata: new.metadata,
            permission: new.permission,
        });
        if !new.wish.is_empty() {
            state.take(registry.resolve(None, &new.wish)?);
        }
        if let Some(selection) = &state.selection {
            let fence = fence(&state.rules());
            can_keep(&registry, &selection.provider_id, &fence).map_err(|message| {
                let field = "[\"permission\"]".to_owned();
                Error::Invalid { field, message }
            })?;
            state.kept.selection_revision = 1;
        }
        self.found(state, move |draft| {
            draft.put_first_switch(&caller);
            draft.want_applied();
            draft.found();
        })
        .await
    }

    /// Where a new session is; its project is stored from then on.
    pub(super) async fn place_of(&self, new: &mut NewSession) -> Result<Place, Error> {
        let place = match new.place.take() {
            Some(place) => place,
            None => self.projects.locate(&new.directory).await,
        };
        self.projects.note(&place).await?;
        Ok(place)
    }

    /// Commits a new session, with what belongs to it, and puts it into memory.
    pub(super) async fn found(
        self: &Arc<Self>,
        state: SessionState,
        beside: impl Fn(&mut Draft) + Send + 'static,
    ) -> Result<SessionInfo, Error> {
        let limit = self.office.sizes.sessions;
        if self.count.fetch_add(1, Ordering::Relaxed) >= limit {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return Err(Error::TooManySessions { limit });
        }
        let (this, id) = (Arc::clone(self), state.id.clone());
        // A task of its own: a caller that hangs up must not leave half of it.
        let founding = self.office.tasks.spawn(async move {
            let office = Arc::clone(&this.office);
            let cell = this.loaded.enter(&id, || async move {
                office.nodes.hold(&state.id, false).await?;
                let epoch = office.nodes.lease(&state.id).map(|lease| lease.epoch);
                let stored = Stored {
                    epoch,
                    ..Stored::default()
                };
                let cell = Cell::new(office, state, stored);
                let founded = cell.change(move |draft| {
                    draft.unless_ending()?;
                    beside(draft);
                    Ok(())
                });
                founded.await?;
                Ok(cell)
            });
            match cell.await {
                Ok(cell) => Ok(cell.committed().info()),
                Err(error) => {
                    this.office.nodes.give_back([id]);
                    this.count.fetch_sub(1, Ordering::Relaxed);
                    Err(error)
                }
            }
        });
        founding.await.unwrap_or(Err(Error::ShutDown))
    }
}
