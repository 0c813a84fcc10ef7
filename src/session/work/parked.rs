//! The native sessions of a worker that has left: as long as their processes live, what they say is heard. Neither the
//! session nor what its agent offers stays in memory for it.

use std::sync::Arc;

use super::live::Live;
use super::{Tools, Worker};
use crate::agent::connection::Inbound;
use crate::opencode::SessionId;
use crate::session::cell::Cell;

/// Listens to a native session until it is opened again by somebody, or its process has ended.
pub(super) fn listen(tools: &Arc<Tools>, session: SessionId, backend: String, mut live: Live) {
    live.shed();
    let tools = Arc::clone(tools);
    tools.office.tasks.clone().spawn(async move {
        let stopping = tools.office.stopping.clone();
        loop {
            let message = tokio::select! {
                () = stopping.cancelled() => return,
                message = live.inbox.recv() => message,
            };
            let cell = match &message {
                None if live.open_late.is_empty() && !has_asks(&tools, &session) => return,
                _ => tools.loaded.find_to_change(&session).await,
            };
            let Ok(cell) = cell.map_err(|error| tracing::debug!(%session, "{error}")) else {
                // It was deleted, or cannot be read now.
                return refuse(&live, message).await;
            };
            let worker = Worker::new(Arc::clone(&tools), Arc::clone(&cell));
            match message {
                Some(message) if is_its(&cell, &backend, &live) => {
                    if !worker.hear_together(&backend, &mut live, message).await {
                        return worker.hear_no_more(&mut live).await;
                    }
                }
                Some(message) => {
                    refuse(&live, Some(message)).await;
                    return worker.hear_no_more(&mut live).await;
                }
                None => return worker.hear_no_more(&mut live).await,
            }
        }
    });
}

fn has_asks(tools: &Tools, session: &SessionId) -> bool {
    let cell = tools.loaded.peek(session);
    cell.is_some_and(|cell| !cell.committed().runtime().asks.is_empty())
}

/// Whether the session still has this native session.
fn is_its(cell: &Cell, backend: &str, live: &Live) -> bool {
    let committed = cell.committed();
    let binding = committed.runtime().bindings.get(backend);
    binding.is_some_and(|binding| binding.native_session == live.native_session)
}

async fn refuse(live: &Live, message: Option<Inbound>) {
    if let Some(Inbound::Request { id, method, .. }) = message {
        super::asked_late::refuse(live, id, &method).await;
    }
}

impl Worker {
    /// Deals with a message and what comes right after it. False when the native session is lost.
    async fn hear_together(&self, backend: &str, live: &mut Live, first: Inbound) -> bool {
        let mut next = Some(first);
        while let Some(message) = next {
            if !self.said_outside(backend, live, message).await {
                return false;
            }
            let Some(due) = live.heard.due().filter(|_| !live.heard.is_much()) else {
                break;
            };
            next = match tokio::time::timeout_at(due, live.inbox.recv()).await {
                Ok(Some(message)) => Some(message),
                Ok(None) | Err(_) => None,
            };
        }
        self.store_heard(live).await;
        true
    }
}
