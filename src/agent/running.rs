//! An agent that runs and was shaken hands with: who uses it, and how it is ended.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::client::AgentInfo;
use super::connection::{CallError, Connection};
use super::process::AgentProcess;
use super::spec::Launch;

/// What a call failed of, with how the process has ended. It has been ended before. What it has written to stderr goes
/// into the log and nowhere else: a process has many sessions, and what it writes there may be of any of them.
pub async fn last_words(process: &AgentProcess, error: &CallError) -> String {
    log_stderr(process);
    ended_with(process, error).await
}

async fn ended_with(process: &AgentProcess, error: &CallError) -> String {
    match error {
        CallError::Closed => format!("{error} ({})", process.exited().await),
        _ => error.to_string(),
    }
}

/// Why Baton ends an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It was not used for `limits.agent_idle_s`.
    Idle,
    /// Another one needs its place (`limits.live_agents`).
    Room,
    /// A newer process takes its place.
    Retired,
    /// It was for one session, or one model, that is no longer in it.
    LastSession,
    /// Somebody has asked for agents to be started anew.
    Anew,
    /// It does not obey.
    Deaf,
    /// Baton stops.
    Stop,
}

impl Why {
    fn in_words(self) -> &'static str {
        match self {
            Self::Idle => "nobody has used it for a while (limits.agent_idle_s)",
            Self::Room => "another agent needs its place (limits.live_agents)",
            Self::Retired => "a newer process takes its place",
            Self::LastSession => "its last session has left",
            Self::Anew => "agents are started anew",
            Self::Deaf => "it does not do what it is told",
            Self::Stop => "Baton stops",
        }
    }
}

/// Puts the end of what a process has written to stderr into the log.
pub fn log_stderr(process: &AgentProcess) {
    let said = process.stderr.quote();
    if !said.is_empty() {
        tracing::warn!(target: "baton::agent", pid = process.pid, "an agent's stderr ends with: {said}");
    }
}

/// A running agent.
#[derive(Debug)]
pub struct Agent {
    /// What it was started from.
    pub launch: Launch,
    /// The way to talk to it.
    pub connection: Arc<Connection>,
    /// What it says about itself.
    pub info: AgentInfo,
    /// Its process.
    pub process: AgentProcess,
    working: AtomicUsize,
    leases: AtomicUsize,
    used: Mutex<Instant>,
    /// When it was asked for.
    asked: Instant,
    /// When it had shaken hands.
    pub started: Instant,
    retired: AtomicBool,
    opened: AtomicBool,
    /// Why Baton has ended it; empty when it has ended by itself.
    why: OnceLock<Why>,
    /// Tells it from others with the same launch.
    pub(super) serial: u64,
}

/// While it lives, the agent is at work and is not evicted.
#[derive(Debug)]
pub struct Working(Arc<Agent>);

/// While it lives, a session has a native session in the agent.
#[derive(Debug)]
pub struct Lease(Arc<Agent>);

impl Agent {
    /// One that has shaken hands.
    pub(super) fn new(
        launch: Launch,
        connection: Arc<Connection>,
        info: AgentInfo,
        process: AgentProcess,
        (serial, asked): (u64, Instant),
    ) -> Self {
        Self {
            launch,
            connection,
            info,
            process,
            working: AtomicUsize::new(0),
            leases: AtomicUsize::new(0),
            used: Mutex::new(Instant::now()),
            asked,
            started: Instant::now(),
            retired: AtomicBool::new(false),
            opened: AtomicBool::new(false),
            why: OnceLock::new(),
            serial,
        }
    }

    /// Whether a session opens its first native session in it, which it notes.
    pub fn is_opened_first(&self) -> bool {
        !self.opened.swap(true, Ordering::AcqRel)
    }

    /// Marks the agent as being at work.
    pub fn work(self: &Arc<Self>) -> Working {
        self.working.fetch_add(1, Ordering::AcqRel);
        Working(Arc::clone(self))
    }

    /// Marks the agent as holding a session.
    pub fn lease(self: &Arc<Self>) -> Lease {
        self.leases.fetch_add(1, Ordering::AcqRel);
        Lease(Arc::clone(self))
    }

    /// It ends as soon as no session is at work with it.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
        if self.working() == 0 {
            self.request_end(Why::Retired);
        }
    }

    /// Whether a newer process has taken its place.
    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// How many sessions are at work with the agent.
    pub fn working(&self) -> usize {
        self.working.load(Ordering::Acquire)
    }

    /// Since when no session is at work with it.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let used = *self.used.lock();
        (self.working.load(Ordering::Acquire) == 0).then_some(used)
    }

    /// Asks it to end: its stdin is closed, and signals follow when that does not help.
    pub fn request_end(&self, why: Why) {
        self.note_why(why);
        self.connection.close();
        self.process.request_end();
    }

    /// The first reason counts.
    pub(super) fn note_why(&self, why: Why) {
        let _earlier = self.why.set(why);
    }

    /// Says in the log that it is there.
    pub(super) fn tell_start(&self) {
        let (backend, pid) = (&self.launch.backend, self.process.pid);
        let ms = u64::try_from(self.asked.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(backend, pid, ms, "an agent has started");
    }

    /// Says in the log how it has ended. What it wrote to stderr last is of use where that was not wanted.
    pub(super) async fn tell_end(&self) {
        let (backend, pid) = (&self.launch.backend, self.process.pid);
        let status = self.process.exited().await;
        let stderr = self.process.stderr.quote();
        match self.why.get() {
            None => tracing::warn!(
                backend,
                pid,
                status,
                stderr,
                "an agent has ended by itself: {}",
                self.connection.gone()
            ),
            Some(Why::Deaf) => tracing::warn!(
                backend,
                pid,
                status,
                stderr,
                "an agent was ended: {}",
                Why::Deaf.in_words()
            ),
            Some(why) => tracing::info!(
                backend,
                pid,
                status,
                "an agent was ended: {}",
                why.in_words()
            ),
        }
    }

    /// The same, without a grace period, for an agent that does not obey.
    pub fn request_end_now(&self, why: Why) {
        self.note_why(why);
        self.connection.close();
        self.process.request_end_now();
    }

    /// Ends it and waits until it and its children are gone.
    pub async fn end(&self) {
        self.connection.close();
        self.process.end().await;
    }

    /// How it ended, for an error message.
    pub async fn obituary(&self) -> String {
        // The process may have closed only its stdout; ending it makes its status known.
        self.end().await;
        // The log has what it wrote to stderr together with its end.
        ended_with(&self.process, &self.connection.gone()).await
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        *self.0.used.lock() = Instant::now();
        let was_last = self.0.working.fetch_sub(1, Ordering::AcqRel) == 1;
        if was_last && self.0.is_retired() {
            self.0.request_end(Why::Retired);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let was_last = self.0.leases.fetch_sub(1, Ordering::AcqRel) == 1;
        if was_last && self.0.launch.ends_with_last_session {
            self.0.request_end(Why::LastSession);
        }
    }
}
