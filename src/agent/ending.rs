//! How an agent's process ends: by itself, or asked to, or forced to; and everything that it has started with it.

use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::process::Child;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::process::signal_group;
use crate::supervise::Leash;

/// A supervisor that was asked to end everything has this long for it.
const KILLED_WITHIN: Duration = Duration::from_millis(700);
/// What is not gone this long after SIGKILL hangs in the kernel. It is not waited for; the next start looks after it.
const GIVEN_UP_AFTER: Duration = Duration::from_millis(500);
/// Of the time until a deadline, the first part is for an agent to notice that its stdin was closed.
const NOTICE_SHARE: u32 = 2;

/// When an agent, whose stdin was closed, is sent which signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    term_at: Instant,
    kill_at: Instant,
}

impl Ending {
    /// Each way of ending it gets this long.
    pub fn patient(grace: Duration) -> Self {
        let term_at = Instant::now() + grace;
        Self {
            term_at,
            kill_at: term_at + grace,
        }
    }

    /// It is not waited for it to notice that its stdin was closed.
    pub fn stern(grace: Duration) -> Self {
        let term_at = Instant::now();
        Self {
            term_at,
            kill_at: term_at + grace,
        }
    }

    /// It is killed at this time.
    pub fn by(deadline: Instant) -> Self {
        let left = deadline.saturating_duration_since(Instant::now());
        Self {
            term_at: Instant::now() + left / NOTICE_SHARE,
            kill_at: deadline,
        }
    }

    /// Of both, what comes first.
    pub fn or_sooner(self, other: Self) -> Self {
        Self {
            term_at: self.term_at.min(other.term_at),
            kill_at: self.kill_at.min(other.kill_at),
        }
    }
}

/// A process, with everything that it has started. Dropped, it is ended without being waited for.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    pid: u32,
    leash: Leash,
    /// From then on its number may be somebody else's.
    has_ended: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.has_ended {
            self.kill();
        }
    }
}

impl Running {
    /// The leader of a process group.
    pub(super) fn new(child: Child, pid: u32, leash: Leash) -> Self {
        Self {
            child,
            pid,
            leash,
            has_ended: false,
        }
    }

    /// Waits until it has ended, by itself or as it is asked to, and says how.
    pub(super) async fn until_end(mut self, mut asked: watch::Receiver<Option<Ending>>) -> String {
        let status = self.leader_ended(&mut asked).await;
        // What the leader has left behind is still in its group.
        signal_group(self.pid, Signal::SIGKILL);
        self.has_ended = true;
        status
    }

    async fn leader_ended(&mut self, asked: &mut watch::Receiver<Option<Ending>>) -> String {
        tokio::select! {
            status = self.wait() => return status,
            _ = asked.wait_for(Option::is_some) => {}
        }
        if let Some(status) = self.ended_before(asked, |ending| ending.term_at).await {
            return status;
        }
        signal_group(self.pid, Signal::SIGTERM);
        // What has stopped itself does not notice SIGTERM.
        signal_group(self.pid, Signal::SIGCONT);
        if let Some(status) = self.ended_before(asked, |ending| ending.kill_at).await {
            return status;
        }
        self.kill();
        if let Ok(status) = timeout(KILLED_WITHIN, self.wait()).await {
            return status;
        }
        signal_group(self.pid, Signal::SIGKILL);
        match timeout(GIVEN_UP_AFTER, self.wait()).await {
            Ok(status) => status,
            Err(_) => {
                tracing::warn!(
                    pid = self.pid,
                    "an agent does not end, although it was killed"
                );
                "it does not end, although it was killed".to_owned()
            }
        }
    }

    /// Its status, if it ends before it is time for the next step, which may come sooner on the way.
    async fn ended_before(
        &mut self,
        asked: &mut watch::Receiver<Option<Ending>>,
        step: fn(Ending) -> Instant,
    ) -> Option<String> {
        loop {
            // Its handle was dropped: there is nothing to wait for.
            let at = asked.borrow_and_update().map_or_else(Instant::now, step);
            tokio::select! {
                status = self.wait() => return Some(status),
                () = sleep_until(at) => return None,
                Ok(()) = asked.changed() => {}
            }
        }
    }

    /// Kills everything, through the supervisor where there is one: it finds also what has left the group.
    fn kill(&mut self) {
        if !self.leash.kill() {
            signal_group(self.pid, Signal::SIGKILL);
        }
    }

    async fn wait(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => format!("its exit status is unknown: {error}"),
        }
    }
}
