//! Lists of sessions: from the store, with what is in memory in place of it.

use std::collections::BTreeMap;

use crate::opencode::event::SessionStatus;
use crate::opencode::{Session as SessionInfo, SessionId};
use crate::session::cell::loaded::read_state;
use crate::session::cell::{Cell, stored_info};
use crate::session::{Error, ListFilter, Page, Sessions};
use crate::store::{SessionOrder, SessionQuery};

impl Sessions {
    /// Sessions, the most recently used first.
    ///
    /// # Errors
    /// A failing store.
    pub async fn list(&self, filter: ListFilter) -> Result<Vec<SessionInfo>, Error> {
        let query = SessionQuery {
            order: SessionOrder::Used,
            ..query(filter)
        };
        let mut bodies = self.office.store.sessions(query.clone()).await?;
        if bodies.is_none() {
            let query = SessionQuery {
                after: None,
                ..query
            };
            bodies = self.office.store.sessions(query).await?;
        }
        Ok(self.shown(bodies.unwrap_or_default()))
    }

    /// A page of sessions in the order in which they were made. `None` when the session that the page
    /// starts at is gone.
    ///
    /// # Errors
    /// A failing store.
    pub async fn page(
        &self,
        filter: ListFilter,
        page: Page,
    ) -> Result<Option<(Vec<SessionInfo>, bool)>, Error> {
        let limit = filter.limit.unwrap_or(usize::MAX);
        let query = SessionQuery {
            order: match page.oldest_first {
                true => SessionOrder::Oldest,
                false => SessionOrder::Newest,
            },
            after: page.after,
            // One more, to see whether there is a next page.
            limit: Some((limit as u64).saturating_add(1)),
            ..query(filter)
        };
        let Some(mut bodies) = self.office.store.sessions(query).await? else {
            return Ok(None);
        };
        let more = bodies.len() > limit;
        bodies.truncate(limit);
        Ok(Some((self.shown(bodies), more)))
    }

    /// One that is damaged does not keep the others from being listed.
    fn shown(&self, bodies: Vec<String>) -> Vec<SessionInfo> {
        let shown = |body: String| {
            let state = read_state(&body)
                .inspect_err(|error| tracing::error!("left out of a list: {error}"))
                .ok()?;
            // What this server is not sure to hold may be out of date.
            let cell = self.loaded.peek(&state.id);
            Some(match cell.filter(|_| self.office.nodes.is_sure()) {
                Some(cell) => cell.committed().info(),
                None => stored_info(&state),
            })
        };
        bodies.into_iter().filter_map(shown).collect()
    }

    /// The sessions that belong to one.
    ///
    /// # Errors
    /// No such session, or a failing store.
    pub async fn children(&self, id: &SessionId) -> Result<Vec<SessionInfo>, Error> {
        self.loaded.find(id).await?;
        let bodies = self.office.store.children(id).await?;
        Ok(self.shown(bodies))
    }

    /// The sessions of a directory, or of all, that are busy, as OpenCode lists them.
    pub fn statuses(&self, directory: Option<&str>) -> BTreeMap<String, SessionStatus> {
        let at_work = self.office.at_work();
        let busy = at_work
            .iter()
            .filter(|cell| is_in(cell, directory) && cell.committed().runtime().is_busy());
        busy.map(|cell| (cell.id.to_string(), SessionStatus::Busy))
            .collect()
    }
}

/// Whether a session is one of a directory.
pub(super) fn is_in(cell: &Cell, directory: Option<&str>) -> bool {
    directory.is_none_or(|directory| directory == &*cell.directory)
}

fn query(filter: ListFilter) -> SessionQuery {
    SessionQuery {
        project: filter.project_id,
        directory: filter.directory,
        below: filter.path.filter(|path| !path.is_empty()),
        roots: filter.roots,
        used_since: filter.start,
        used_before: filter.before,
        after: filter.behind,
        without_archived: filter.without_archived,
        search: filter.search,
        limit: filter.limit.map(|limit| limit as u64),
        ..SessionQuery::default()
    }
}
