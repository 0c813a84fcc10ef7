//! The commands for terminal UIs that poll.

use std::collections::VecDeque;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Notify;

use crate::opencode::event::TuiRequest;

/// Commands that wait for a poll; an older one than these is given up.
const WAITING_MAX: usize = 64;

/// Commands that wait for a poll, oldest first.
#[derive(Debug, Default)]
pub struct TuiQueue {
    waiting: Mutex<VecDeque<TuiRequest>>,
    pushed: Notify,
}

impl TuiQueue {
    /// Adds a command, in place of the oldest one when there are too many.
    pub fn push(&self, path: &str, body: Value) {
        let request = TuiRequest {
            path: path.to_owned(),
            body,
        };
        {
            let mut waiting = self.waiting.lock();
            if waiting.len() >= WAITING_MAX {
                waiting.pop_front();
            }
            waiting.push_back(request);
        }
        self.pushed.notify_one();
    }

    fn take(&self) -> Option<TuiRequest> {
        let mut waiting = self.waiting.lock();
        let first = waiting.pop_front();
        if !waiting.is_empty() {
            // One notification may stand for several commands: the next poll must not miss them.
            self.pushed.notify_one();
        }
        first
    }

    /// The oldest command, as soon as there is one. Dropping the future loses none.
    pub async fn next(&self) -> TuiRequest {
        loop {
            if let Some(first) = self.take() {
                return first;
            }
            self.pushed.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn a_poll_gets_what_comes_and_two_polls_never_the_same() {
        let queue = Arc::new(TuiQueue::default());
        let poll = |queue: &Arc<TuiQueue>| {
            let queue = Arc::clone(queue);
            tokio::spawn(async move { queue.next().await.path })
        };
        let (one, two) = (poll(&queue), poll(&queue));
        tokio::task::yield_now().await;
        queue.push("/a", Value::Null);
        queue.push("/b", Value::Null);
        let mut got = [one.await.expect("one"), two.await.expect("two")];
        got.sort();
        assert_eq!(got, ["/a", "/b"]);
    }

    #[tokio::test]
    async fn only_the_newest_wait() {
        let queue = TuiQueue::default();
        for n in 0..=WAITING_MAX {
            queue.push(&n.to_string(), Value::Null);
        }
        assert_eq!(queue.next().await.path, "1");
        assert_eq!(queue.waiting.lock().len(), WAITING_MAX - 1);
    }
}
