//! Native sessions that are no longer needed: of a session that was deleted, of a summary, of a prompt that was not taken
//! in. Agents would keep them among their user's own conversations. What cannot be removed stays there.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::live::Live;
use super::{Tools, Worker};
use crate::agent::client;
use crate::opencode::SessionId;
use crate::session::cell::{Binding, Cell};

/// Removes the native sessions of a session that was deleted while it had no worker, without waiting.
pub(crate) fn after_deletion(tools: &Arc<Tools>, cell: &Cell) {
    let bindings = cell.committed().runtime().bindings.as_ref().clone();
    remove_bound(tools, cell.id.clone(), bindings);
}

impl Worker {
    /// Removes a live native session that is no longer needed, without waiting.
    pub(super) fn remove_native(&self, live: Live) {
        let tools = Arc::clone(&self.tools);
        tools.office.tasks.clone().spawn(async move {
            let stopping = tools.office.stopping.clone();
            tokio::select! {
                () = stopping.cancelled() => {}
                () = remove_live(&tools, &live) => {}
            }
        });
    }

    /// Removes what a session that was deleted has in its agents.
    pub(super) fn remove_all_native(&mut self) {
        let committed = self.cell.committed();
        let mut bindings = committed.runtime().bindings.as_ref().clone();
        for (backend, live) in std::mem::take(&mut self.lives) {
            if bindings
                .get(&backend)
                .is_some_and(|b| b.native_session == live.native_session)
            {
                bindings.remove(&backend);
            }
            self.remove_native(live);
        }
        remove_bound(&self.tools, self.cell.id.clone(), bindings);
    }
}

async fn remove_live(tools: &Tools, live: &Live) {
    // It is its user's.
    if live.outside.is_some() {
        return;
    }
    let backend = &live.agent.launch.backend;
    if is_bound(tools, backend, &live.native_session).await {
        return;
    }
    let is_gone = live.remove(tools.settings.timeouts.switch).await;
    let snapshot = tools.office.registry.snapshot();
    if !is_gone && let Some(backend) = snapshot.backend(backend) {
        let registry = &tools.office.registry;
        registry.remove_later(&backend.spec, &live.native_session);
    }
}

fn remove_bound(tools: &Arc<Tools>, session: SessionId, mut bindings: BTreeMap<String, Binding>) {
    // What was made outside of Baton is its user's.
    bindings.retain(|_, binding| binding.outside.is_none());
    if bindings.is_empty() {
        return;
    }
    let tools = Arc::clone(tools);
    tools.office.tasks.clone().spawn(async move {
        let stopping = tools.office.stopping.clone();
        let removing = async {
            // Each may start an agent; they take their turns, however many sessions are deleted.
            let _one_at_a_time = tools.removals.acquire().await;
            for (backend, binding) in &bindings {
                remove_one(&tools, &session, backend, binding).await;
            }
        };
        tokio::select! {
            () = stopping.cancelled() => {}
            () = removing => {}
        }
    });
}

async fn remove_one(tools: &Tools, session: &SessionId, backend: &str, binding: &Binding) {
    let registry = &tools.office.registry;
    let snapshot = registry.snapshot();
    let Some(backend) = snapshot.backend(backend) else {
        return;
    };
    let (spec, native_session) = (&backend.spec, &binding.native_session);
    let can_delete = (backend.catalogue.as_ref()).is_some_and(|c| c.info.capabilities.delete);
    if !can_delete && spec.removal.is_none() || is_bound(tools, &spec.id, native_session).await {
        return;
    }
    if can_delete && spec.find_program().is_ok() {
        let model = binding.model.as_deref().unwrap_or_default();
        let launch = spec.launch(model, session.as_str());
        if let Ok(agent) = tools.pool.get(&launch).await {
            let (_working, _lease) = (agent.work(), agent.lease());
            let timeout = tools.settings.timeouts.switch;
            let can = agent.info.capabilities;
            if client::remove_session(&agent.connection, can, native_session, timeout).await {
                return;
            }
        }
    }
    registry.remove_later(spec, native_session);
}

/// Whether another session has the same native session, or may have.
async fn is_bound(tools: &Tools, backend: &str, native_session: &str) -> bool {
    let bound = tools.office.store.bound(backend, native_session).await;
    bound.map_or(true, |sessions| !sessions.is_empty())
}
