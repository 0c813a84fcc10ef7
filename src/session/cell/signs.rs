//! When a turn began, and when its agent was heard last: a turn that hangs can be distinguished from one that works.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::opencode::now_ms;
use crate::opencode::session::RuntimeTurn;

/// What is known of a turn while it runs. Nothing before it has begun.
#[derive(Debug, Default)]
pub(crate) struct Signs(OnceLock<Running>);

/// Moments are kept as milliseconds since the beginning, on a monotonic clock.
#[derive(Debug)]
struct Running {
    began: Instant,
    began_ms: u64,
    /// 0 before the first.
    last_sign: AtomicU64,
    /// From when on nothing has come although something could have.
    quiet_since: AtomicU64,
    sent: AtomicU64,
    told: AtomicBool,
}

impl Running {
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn since(&self, moment: &AtomicU64) -> Duration {
        let moment = moment.load(Ordering::Relaxed);
        Duration::from_millis(self.now().saturating_sub(moment))
    }
}

impl Signs {
    /// The turn begins; later calls change nothing.
    pub(crate) fn begin(&self) {
        self.0.get_or_init(|| Running {
            began: Instant::now(),
            began_ms: now_ms(),
            last_sign: AtomicU64::new(0),
            quiet_since: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            told: AtomicBool::new(false),
        });
    }

    /// The agent is given a prompt.
    pub(crate) fn prompt_sent(&self) {
        if let Some(running) = self.0.get() {
            running.sent.store(running.now(), Ordering::Relaxed);
        }
    }

    /// The agent has sent something.
    pub(crate) fn heard(&self) {
        if let Some(running) = self.0.get() {
            let now = running.now();
            running.last_sign.store(now.max(1), Ordering::Relaxed);
            running.quiet_since.store(now, Ordering::Relaxed);
            running.told.store(false, Ordering::Relaxed);
        }
    }

    /// Nothing is expected of the agent at this moment: it waits for the user.
    pub(crate) fn waits_for_user(&self) {
        if let Some(running) = self.0.get() {
            running.quiet_since.store(running.now(), Ordering::Relaxed);
        }
    }

    /// How long the agent was given its prompt ago.
    pub(crate) fn since_prompt(&self) -> Duration {
        let running = self.0.get();
        running.map_or(Duration::ZERO, |running| running.since(&running.sent))
    }

    /// For how long the agent has said nothing.
    pub(crate) fn silence(&self) -> Duration {
        let running = self.0.get();
        running.map_or(Duration::ZERO, |running| {
            running.since(&running.quiet_since)
        })
    }

    /// Whether the agent has said nothing for this long; true once for each time that it falls silent.
    pub(crate) fn has_fallen_silent(&self, for_at_least: Duration) -> bool {
        let Some(running) = self.0.get() else {
            return false;
        };
        self.silence() >= for_at_least && !running.told.swap(true, Ordering::Relaxed)
    }

    /// Since when the agent says nothing, in milliseconds since the Unix epoch, once that was reported.
    pub(crate) fn silent_since(&self) -> Option<u64> {
        let running = self.0.get()?;
        let is_silent = running.told.load(Ordering::Relaxed);
        is_silent.then(|| running.began_ms + running.quiet_since.load(Ordering::Relaxed))
    }

    /// The turn as clients see it, with the tool call that has not ended; `None` before it has begun.
    pub(crate) fn shown(&self, tool: Option<String>) -> Option<RuntimeTurn> {
        let running = self.0.get()?;
        let last = running.last_sign.load(Ordering::Relaxed);
        Some(RuntimeTurn {
            started: running.began_ms,
            last_sign: (last > 0).then(|| running.began_ms + last),
            silent_since: self.silent_since(),
            tool,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pass(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_told_once_each_time_and_waiting_for_the_user_is_none() {
        let limit = Duration::from_secs(10);
        let signs = Signs::default();
        assert_eq!(signs.shown(None), None);
        signs.begin();
        pass(4).await;
        let shown = signs.shown(None).expect("it runs");
        assert_eq!(shown.last_sign, None);
        signs.prompt_sent();
        pass(5).await;
        signs.heard();
        assert_eq!(signs.since_prompt().as_secs(), 5);
        let last = signs.shown(None).and_then(|shown| shown.last_sign);
        assert_eq!(last, Some(shown.started + 9_000));
        pass(9).await;
        assert!(!signs.has_fallen_silent(limit));
        signs.waits_for_user();
        pass(9).await;
        assert!(!signs.has_fallen_silent(limit), "it waited for the user");
        assert_eq!(signs.shown(None).and_then(|shown| shown.last_sign), last);
        pass(1).await;
        assert_eq!(signs.silence(), limit);
        assert!(signs.has_fallen_silent(limit));
        assert!(!signs.has_fallen_silent(limit), "once");
        let silent_since = signs.shown(None).and_then(|shown| shown.silent_since);
        assert_eq!(silent_since, Some(shown.started + 18_000));
        signs.heard();
        assert_eq!(signs.silent_since(), None);
        pass(10).await;
        assert!(signs.has_fallen_silent(limit), "and again");
    }
}
