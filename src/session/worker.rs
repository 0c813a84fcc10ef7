//! One worker per session: runs its turns one at a time, and brings the agent after the selection.
//!
//! The worker owns the live native sessions. It talks to agents without holding the session's lock,
//! and takes the lock only to note what came of it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::reconcile::Live;
use super::report::read_options;
use super::state::{Queued, Session, Target, Turn};
use super::{Sessions, error_event};
use crate::agent::commands::{self, AgentCommand};
use crate::agent::connection::Inbound;
use crate::opencode::event::Transfer;
use crate::opencode::message::MessageError;
use crate::store::Change;

/// A switch that has to start a process waits this long for the user to change his mind again.
const SETTLE: Duration = Duration::from_millis(150);

/// What the worker does next.
enum Job {
    Turn(Queued),
    Switch(Target),
    Idle,
    End,
}

/// The worker of a session.
pub(super) struct Worker {
    pub(super) sessions: Arc<Sessions>,
    pub(super) session: Arc<Session>,
    pub(super) lives: HashMap<String, Live>,
    pub(super) stopping: watch::Receiver<bool>,
    /// Backends whose agent has ended or hung while its native session was being reopened.
    pub(super) not_reopened: HashSet<String>,
    epoch: u64,
}

impl Worker {
    pub(super) fn new(sessions: Arc<Sessions>, session: Arc<Session>) -> Self {
        let stopping = sessions.stopping.subscribe();
        Self {
            sessions,
            session,
            lives: HashMap::new(),
            stopping,
            not_reopened: HashSet::new(),
            epoch: 0,
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            match self.next_job().await {
                Job::Turn(queued) => self.turn(queued).await,
                Job::Switch(target) => self.switch(target).await,
                Job::Idle => self.idle().await,
                Job::End => return self.close().await,
            }
        }
    }

    /// Lets go of the agents. They are told when the session is gone for good.
    async fn close(self) {
        if !self.session.locked.lock().await.runtime.deleted {
            return;
        }
        let timeout = self.sessions.settings.timeouts.switch;
        for live in self.lives.into_values() {
            if live.agent.info.capabilities.close {
                let params = serde_json::json!({ "sessionId": live.native_session });
                // An agent that cannot keeps the native session until its process is evicted.
                let _kept = live
                    .agent
                    .connection
                    .call("session/close", params, timeout)
                    .await;
            }
        }
    }

    async fn next_job(&mut self) -> Job {
        let mut locked = self.session.locked.lock().await;
        let runtime = &mut locked.runtime;
        if runtime.deleted || *self.stopping.borrow() {
            return Job::End;
        }
        if self.epoch != runtime.bindings_epoch {
            self.epoch = runtime.bindings_epoch;
            self.lives.clear();
        }
        if let Some(mut queued) = runtime.queue.pop_front() {
            let answers = std::mem::take(&mut queued.answers);
            runtime.turn = Some(Turn {
                abort: queued.abort.clone(),
                answers,
            });
            return Job::Turn(queued);
        }
        match &runtime.desired {
            Some(target) if target.revision > runtime.settled_revision => {
                let target = target.clone();
                runtime.switching = true;
                Job::Switch(target)
            }
            _ => Job::Idle,
        }
    }

    /// Waits for work, and reads what agents say between turns.
    async fn idle(&mut self) {
        let said = tokio::select! {
            () = self.session.wake.notified() => None,
            _ = self.stopping.changed() => None,
            said = next_said(&mut self.lives) => Some(said),
        };
        match said {
            Some((backend, Some(message))) => self.said_between_turns(&backend, message).await,
            Some((backend, None)) => drop(self.lives.remove(&backend)),
            None => {}
        }
    }

    async fn said_between_turns(&mut self, backend: &str, message: Inbound) {
        let Some(live) = self.lives.get_mut(backend) else {
            return;
        };
        match message {
            Inbound::Update(update) => {
                if let Some(commands) = commands::read(&update) {
                    self.note_commands(backend, commands).await;
                } else if read_options(&mut live.options, &update) {
                    let options = live.options.clone();
                    self.agent_has_switched(backend, &options).await;
                }
            }
            // Outside of a turn nobody can be asked; the agent is told so.
            Inbound::Request { id, method, .. } => {
                let nobody = match method.as_str() {
                    "session/request_permission" => {
                        serde_json::json!({ "outcome": { "outcome": "cancelled" } })
                    }
                    _ => serde_json::json!({ "action": "cancel" }),
                };
                let _gone = live.agent.connection.respond(id, nobody).await;
            }
            Inbound::PromptReply(_) => {
                tracing::debug!(backend, "a prompt was answered after its turn had ended")
            }
        }
    }

    /// Keeps the slash commands that an agent has told.
    pub(super) async fn note_commands(&self, backend: &str, commands: Vec<AgentCommand>) {
        self.sessions
            .registry
            .note_commands(backend, &commands)
            .await;
        let mut locked = self.session.locked.lock().await;
        locked.runtime.commands.insert(backend.to_owned(), commands);
    }

    /// Whether the job is still wanted: returns when it is not.
    async fn passed_over(&self, target: &Target) {
        let mut stopping = self.stopping.clone();
        loop {
            tokio::select! {
                () = self.session.wake.notified() => {}
                _ = stopping.changed() => return,
            }
            let locked = self.session.locked.lock().await;
            let runtime = &locked.runtime;
            let wanted = runtime.desired.as_ref() == Some(target)
                && runtime.queue.is_empty()
                && !runtime.deleted;
            if !wanted || *self.stopping.borrow() {
                return;
            }
        }
    }

    /// Brings the agent after the selection while no prompt waits, so that it is warm.
    async fn switch(&mut self, target: Target) {
        let started = Instant::now();
        let result = self.warm(&target).await;
        self.session.locked.lock().await.runtime.switching = false;
        match result {
            Some(Ok(transfer)) => self.report_applied(&target, transfer, started).await,
            Some(Err(error)) => self.report_failed(&target, error, started).await,
            // Another selection or a prompt came in between; it is the next job.
            None => {}
        }
    }

    async fn warm(&mut self, target: &Target) -> Option<Result<Transfer, MessageError>> {
        let provider = target.selection.provider_id.clone();
        if !self.lives.contains_key(&provider) {
            tokio::select! {
                () = self.passed_over(target) => return None,
                () = tokio::time::sleep(SETTLE) => {}
            }
        }
        let agent = tokio::select! {
            agent = self.start(&target.selection) => agent,
            () = self.passed_over(target) => return None,
        };
        let agent = match agent {
            Ok(agent) => agent,
            Err(error) => return Some(Err(error)),
        };
        let applied = async {
            let live = self.reach_with(agent, target).await?;
            let (_, transfer) = self.handover(&live, &target.selection, None).await?;
            self.lives.insert(provider, live);
            Ok(transfer)
        };
        Some(applied.await)
    }

    /// Writes what nobody waits for. The caller holds the lock, so that the order is right; it is not
    /// held while the store is at work.
    pub(super) fn write_later(&self, batch: Vec<Change>) {
        if batch.is_empty() {
            return;
        }
        let (committed, id) = (self.sessions.store.commit(batch), self.session.id.clone());
        tokio::spawn(async move {
            if let Err(error) = committed.await {
                tracing::error!(session = %id, "not stored: {error}");
            }
        });
    }

    /// Writes what was not acknowledged to anybody; the caller holds the lock.
    pub(super) async fn write(&self, batch: Vec<Change>) {
        if batch.is_empty() {
            return;
        }
        if let Err(error) = self.sessions.store.commit(batch).await {
            tracing::error!(session = %self.session.id, "not stored: {error}");
            let message = format!("The conversation could not be stored: {error}");
            self.sessions.publish(
                &self.session,
                &[error_event(
                    &self.session,
                    MessageError::UnknownError { message },
                )],
            );
        }
    }
}

/// The next message of any live native session; `None` from one whose agent is gone.
async fn next_said(lives: &mut HashMap<String, Live>) -> (String, Option<Inbound>) {
    if lives.is_empty() {
        return std::future::pending().await;
    }
    let reads = lives
        .iter_mut()
        .map(|(id, live)| Box::pin(async move { (id.clone(), live.inbox.recv().await) }));
    futures_util::future::select_all(reads).await.0
}
