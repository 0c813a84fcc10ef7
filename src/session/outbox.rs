//! Events that wait for their commit.
//!
//! A changed selection is installed under the session's lock and committed right after: commits of one
//! session go into the store's queue in the order of the lock, so that many of them share a transaction.
//! Nobody sees a change before it is committed: its events wait here, and readers wait for the ticket of
//! the last change ([`Outbox::caught_up`]). Events leave in the order in which they came in.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::event::Bus;
use crate::opencode::event::EventPayload;

/// Names a change that waits for its commit.
pub type Ticket = u64;

#[derive(Debug)]
struct Waiting {
    ticket: Ticket,
    events: Vec<EventPayload>,
    ready: bool,
}

#[derive(Debug, Default)]
struct Queue {
    last: Ticket,
    waiting: VecDeque<Waiting>,
}

/// The events of one session on their way to the bus.
#[derive(Debug)]
pub struct Outbox {
    directory: Arc<str>,
    queue: Mutex<Queue>,
    /// All tickets up to this one are done.
    done: watch::Sender<Ticket>,
}

impl Outbox {
    /// An empty outbox for events of a directory.
    pub fn new(directory: Arc<str>) -> Self {
        Self {
            directory,
            queue: Mutex::default(),
            done: watch::Sender::new(0),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in the events of a change whose commit is under way.
    pub fn stage(&self, events: Vec<EventPayload>) -> Ticket {
        let mut queue = self.queue();
        queue.last += 1;
        let ticket = queue.last;
        queue.waiting.push_back(Waiting {
            ticket,
            events,
            ready: false,
        });
        ticket
    }

    /// The commit of a change has ended. Events of one that failed are dropped.
    pub fn settle(&self, bus: &Bus, ticket: Ticket, committed: bool) {
        let mut queue = self.queue();
        if let Some(waiting) = queue.waiting.iter_mut().find(|w| w.ticket == ticket) {
            waiting.ready = true;
            if !committed {
                waiting.events.clear();
            }
        }
        let mut done = None;
        while queue.waiting.front().is_some_and(|first| first.ready) {
            let Some(first) = queue.waiting.pop_front() else {
                break;
            };
            if !first.events.is_empty() {
                bus.publish(&self.directory, &first.events);
            }
            done = Some(first.ticket);
        }
        if let Some(done) = done {
            self.done.send_replace(done);
        }
    }

    /// Publishes events of what is committed, behind those that wait.
    pub fn publish(&self, bus: &Bus, events: &[EventPayload]) {
        if events.is_empty() {
            return;
        }
        let mut queue = self.queue();
        if queue.waiting.is_empty() {
            return bus.publish(&self.directory, events);
        }
        queue.last += 1;
        let ticket = queue.last;
        queue.waiting.push_back(Waiting {
            ticket,
            events: events.to_vec(),
            ready: true,
        });
    }

    /// The last ticket that was given out.
    pub fn last(&self) -> Ticket {
        self.queue().last
    }

    /// Waits until all changes up to a ticket are committed or have failed.
    pub async fn caught_up(&self, ticket: Ticket) {
        if *self.done.borrow() >= ticket || self.queue().waiting.is_empty() {
            return;
        }
        let mut done = self.done.subscribe();
        // The sender lives as long as this outbox.
        let _sender_lives = done.wait_for(|done| *done >= ticket).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Next, RingLimits};
    use crate::opencode::SessionId;
    use crate::opencode::event::{FileEdited, SessionIdleEvent};

    fn named(file: &str) -> Vec<EventPayload> {
        vec![EventPayload::FileEdited(FileEdited { file: file.into() })]
    }

    async fn published(bus: &Bus, from: u64, count: usize) -> Vec<String> {
        let mut subscription = bus.subscribe(Some(from));
        let mut files = Vec::new();
        for _ in 0..count {
            let Next::Event(event) = subscription.next().await else {
                panic!("a gap")
            };
            let value: serde_json::Value = serde_json::from_str(&event.json).expect("JSON");
            files.push(
                value["properties"]["file"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
            );
        }
        files
    }

    #[tokio::test]
    async fn events_leave_in_the_order_of_the_lock_whatever_commit_is_heard_of_first() {
        let bus = Bus::new(RingLimits::default());
        let start = bus.subscribe(None).cursor();
        let outbox = Outbox::new("/project".into());
        let (a, b, c) = (
            outbox.stage(named("a")),
            outbox.stage(named("b")),
            outbox.stage(named("c")),
        );
        outbox.publish(&bus, &named("d"));
        outbox.settle(&bus, c, true);
        outbox.settle(&bus, b, false);
        assert_eq!(
            bus.subscribe(None).cursor(),
            start,
            "nothing leaves before the first"
        );
        outbox.settle(&bus, a, true);
        outbox.publish(&bus, &named("e"));
        assert_eq!(published(&bus, start, 4).await, ["a", "c", "d", "e"]);
        outbox.caught_up(outbox.last()).await;
    }

    #[tokio::test]
    async fn readers_wait_for_what_was_staged_before_them() {
        let bus = Bus::new(RingLimits::default());
        let outbox = Arc::new(Outbox::new("/project".into()));
        let idle = EventPayload::SessionIdle(SessionIdleEvent {
            session_id: SessionId::new(),
        });
        let ticket = outbox.stage(vec![idle]);
        let waiting = tokio::spawn({
            let outbox = Arc::clone(&outbox);
            async move { outbox.caught_up(ticket).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        outbox.settle(&bus, ticket, true);
        waiting.await.expect("it goes on");
    }
}
