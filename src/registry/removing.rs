//! Native sessions that are no longer needed and that their agents keep: removed by the agents' own programs, in the
//! background and one after the other, since each takes the start of a program.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::Registry;
use super::means::Means;
use crate::agent::spec::{AgentSpec, Launch};

/// How long one removal may take.
const REMOVAL_AT_MOST: Duration = Duration::from_secs(60);
/// How long a server that stops waits for what is being removed; the rest is noted for the next start (`left`).
const AT_STOP_AT_MOST: Duration = Duration::from_secs(3);
/// Removals that may wait, so that deleting many sessions at once takes no memory without end.
const WAITING_MAX: usize = 1_000;

/// What is being removed.
#[derive(Debug)]
pub(super) struct Removing {
    tasks: TaskTracker,
    turn: Arc<Semaphore>,
}

impl Default for Removing {
    fn default() -> Self {
        Self {
            tasks: TaskTracker::new(),
            turn: Arc::new(Semaphore::new(1)),
        }
    }
}

impl Registry {
    /// What backends are asked with.
    pub(super) fn means(&self) -> Means<'_> {
        Means {
            timeouts: &self.timeouts,
            ledger: self.ledger.as_ref(),
            starter: self.starter.as_ref(),
            notes: Some(&self.left),
            left: Vec::new(),
        }
    }

    /// Removes what asking a backend has left in its store.
    pub(super) fn remove_left(self: &Arc<Self>, spec: &AgentSpec, means: Means<'_>) {
        for native_session in means.left {
            self.remove_later(spec, &native_session);
        }
    }

    /// Removes a native session of a backend from the agent's own store, if its program has a way, without waiting.
    pub fn remove_later(self: &Arc<Self>, spec: &AgentSpec, native_session: &str) {
        if self.removing.tasks.is_closed() || self.removing.tasks.len() >= WAITING_MAX {
            tracing::debug!(backend = spec.id, "a native session stays in its store");
            return;
        }
        let launch = spec.removal(native_session);
        let registry = Arc::clone(self);
        let turn = Arc::clone(&self.removing.turn);
        let (backend, session) = (spec.id.clone(), native_session.to_owned());
        self.removing.tasks.spawn(async move {
            let is_over = match &launch {
                Some(launch) => {
                    registry.left.note(&backend, &session).await;
                    // It is never closed.
                    let _one_at_a_time = turn.acquire_owned().await;
                    registry.remove(launch).await
                }
                // There is no way, for the next start either.
                None => true,
            };
            if is_over {
                registry.left.forget(&backend, &session).await;
            }
        });
    }

    /// Whether the program has ended, whatever it has said: it would say the same again.
    async fn remove(&self, launch: &Launch) -> bool {
        let scratch = self.scratch.join(&launch.backend);
        let started = match self.starter.start(launch, &scratch, self.timeouts.end) {
            Ok(started) => started,
            Err(error) => {
                tracing::debug!(backend = launch.backend, "a native session stays: {error}");
                return false;
            }
        };
        let (process, mut pipes) = started;
        process.note_start(self.ledger.as_ref(), &launch.backend);
        drop(pipes.stdin);
        let done = tokio::time::timeout(REMOVAL_AT_MOST, async {
            // Its output is dropped, and must not block it.
            let _said = tokio::io::copy(&mut pipes.stdout, &mut tokio::io::sink()).await;
            process.exited().await
        });
        let status = done.await;
        process.end().await;
        process.note_end(self.ledger.as_ref());
        match &status {
            Ok(status) => tracing::debug!(
                backend = launch.backend,
                status,
                "a native session was removed"
            ),
            Err(_) => tracing::debug!(
                backend = launch.backend,
                "removing a native session takes too long"
            ),
        }
        status.is_ok()
    }

    /// Waits for what is being removed, for a moment. Nothing more is removed after this.
    pub async fn end_removals(&self) {
        self.removing.tasks.close();
        let ended = tokio::time::timeout(AT_STOP_AT_MOST, self.removing.tasks.wait());
        if ended.await.is_err() {
            tracing::warn!(
                "some native sessions that nobody needs are still in their agents' stores; the next start removes them"
            );
        }
    }
}
