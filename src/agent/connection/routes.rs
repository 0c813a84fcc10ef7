//! Who waits for what an agent sends: callers for replies, sessions for everything else.

use std::collections::{HashMap, VecDeque};

use tokio::sync::oneshot;

use crate::agent::client::SESSION_ID_MAX_BYTES;

use super::inbox::{INBOX_MAX_BYTES, Inbox, InboxSender, Mark, NotTaken, RawReply, Waiting, inbox};

/// Unknown native sessions for which early updates are kept.
const EARLY_SESSIONS: usize = 16;

/// What is kept for a native session that is not known yet: agents send some updates before its id.
#[derive(Debug, Clone, Copy)]
pub struct EarlyLimits {
    /// Updates of one native session.
    pub updates: usize,
    /// What they may take together, in bytes.
    pub bytes: usize,
}

impl Default for EarlyLimits {
    fn default() -> Self {
        Self {
            updates: 64,
            bytes: 1024 * 1024,
        }
    }
}

/// Who waits for a reply.
pub(super) enum Pending {
    /// The caller of a method.
    Call(oneshot::Sender<RawReply>),
    /// The inbox of a native session: it is the reply to its prompt.
    Prompt { native_session: String },
}

/// Updates for a native session that has no reader yet.
struct Early {
    native_session: String,
    messages: Vec<Waiting>,
    bytes: usize,
}

/// Who receives for a native session.
struct Slot {
    mark: Mark,
    /// `None` in place of an inbox that has overflowed.
    sender: Option<InboxSender>,
}

/// Everybody who waits.
pub(super) struct Routes {
    /// `None` once the agent is gone.
    pending: Option<HashMap<u64, Pending>>,
    inboxes: HashMap<String, Slot>,
    early: VecDeque<Early>,
    early_limits: EarlyLimits,
    /// The budget of each inbox, in bytes; tests have a smaller one.
    pub(super) inbox_max_bytes: usize,
}

impl Routes {
    /// Not awaited yet.
    pub(super) fn new(early_limits: EarlyLimits) -> Self {
        Self {
            inbox_max_bytes: INBOX_MAX_BYTES,
            pending: Some(HashMap::new()),
            inboxes: HashMap::new(),
            early: VecDeque::new(),
            early_limits,
        }
    }

    /// Notes who waits for a reply; false when the agent is gone.
    pub(super) fn await_reply(&mut self, id: u64, pending: Pending) -> bool {
        match &mut self.pending {
            Some(waiting) => {
                waiting.insert(id, pending);
                true
            }
            None => false,
        }
    }

    /// Takes the caller that waits for this reply.
    pub(super) fn take_pending(&mut self, id: u64) -> Option<Pending> {
        self.pending.as_mut()?.remove(&id)
    }

    /// How many replies are waited for.
    #[cfg(test)]
    pub(super) fn pending_count(&self) -> usize {
        self.pending.as_ref().map_or(0, HashMap::len)
    }

    /// Gives a native session a new inbox, with what was sent early.
    pub(super) fn attach(&mut self, native_session: &str) -> Inbox {
        // The reply to a prompt of an earlier inbox must not end a turn of this one.
        self.detach(native_session);
        let (sender, receiver) = inbox(self.inbox_max_bytes);
        let early = self
            .early
            .iter()
            .position(|early| early.native_session == native_session);
        let early = early.and_then(|at| self.early.remove(at));
        for message in early.into_iter().flat_map(|early| early.messages) {
            // They are far fewer than an inbox takes, and its reader is in this very function.
            let _taken = sender.push(message);
        }
        if self.pending.is_some() {
            let slot = Slot {
                mark: receiver.mark(),
                sender: Some(sender),
            };
            self.inboxes.insert(native_session.to_owned(), slot);
        }
        receiver
    }

    /// Whether a native session has an inbox.
    pub(super) fn is_attached(&self, native_session: &str) -> bool {
        self.inboxes.contains_key(native_session)
    }

    /// Takes a native session's inbox away, and with it the reply that it waits for.
    pub(super) fn detach(&mut self, native_session: &str) {
        self.inboxes.remove(native_session);
        if let Some(pending) = &mut self.pending {
            pending.retain(|_, waiting| {
                !matches!(waiting, Pending::Prompt { native_session: of } if of == native_session)
            });
        }
    }

    /// The same, unless somebody else receives for it by now.
    pub(super) fn let_go(&mut self, native_session: &str, inbox: &Inbox) {
        let is_its = |slot: &Slot| slot.mark.is_of(inbox);
        if self.inboxes.get(native_session).is_some_and(is_its) {
            self.detach(native_session);
        }
    }

    /// Gives a message to its native session; false when that session has no reader.
    pub(super) fn deliver(&mut self, native_session: &str, message: Waiting) -> bool {
        let Some(inbox) = self.inboxes.get_mut(native_session) else {
            return self.keep_early(native_session, message);
        };
        let inbox = &mut inbox.sender;
        let Some(sender) = inbox else {
            return false;
        };
        match sender.push(message) {
            Ok(()) => true,
            Err(NotTaken::Unread) => false,
            Err(NotTaken::Overflow) => {
                tracing::warn!(
                    target: "baton::acp",
                    native_session,
                    "an agent sends more than is read; its session is cut off"
                );
                if let Some(sender) = inbox.take() {
                    sender.overflow();
                }
                false
            }
        }
    }

    fn keep_early(&mut self, native_session: &str, message: Waiting) -> bool {
        let nameless = native_session.len() > SESSION_ID_MAX_BYTES;
        if nameless || self.pending.is_none() || !matches!(message, Waiting::Update(_)) {
            return false;
        }
        let known = self
            .early
            .iter()
            .position(|early| early.native_session == native_session);
        let at = known.unwrap_or_else(|| {
            if self.early.len() == EARLY_SESSIONS {
                self.early.pop_front();
            }
            self.early.push_back(Early {
                native_session: native_session.to_owned(),
                messages: Vec::new(),
                bytes: 0,
            });
            self.early.len() - 1
        });
        let (limits, early) = (self.early_limits, &mut self.early[at]);
        let bytes = message.bytes();
        if early.messages.len() < limits.updates && early.bytes + bytes <= limits.bytes {
            early.bytes += bytes;
            early.messages.push(message);
        }
        true
    }

    /// The agent is gone: ends every inbox and every wait for a reply.
    pub(super) fn close(&mut self) {
        // Dropping the senders wakes the callers.
        self.pending = None;
        self.inboxes.clear();
        self.early.clear();
    }
}
