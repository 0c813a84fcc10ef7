//! A live native session.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::handover::Rendered;
use super::heard::Heard;
use crate::agent::client::{self, Opened, Opening, Outstanding};
use crate::agent::connection::{Inbound, Inbox};
use crate::agent::options::Options;
use crate::agent::pool::{Agent, Lease};
use crate::opencode::session::Tokens;
use crate::opencode::{MessageId, now_ms};
use crate::session::cell::{Binding, Outside};

/// How a live native session came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    New,
    Resumed,
    Loaded,
    /// It has answered a prompt of this worker.
    Used,
}

/// A live native session.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) agent: Arc<Agent>,
    _lease: Lease,
    pub(super) native_session: String,
    pub(super) inbox: Inbox,
    /// What the agent still says by itself at the beginning of its native session.
    greeting: Option<String>,
    pub(super) options: Options,
    /// What it was opened with.
    pub(super) opening: Opening,
    pub(super) outstanding: Outstanding,
    pub(super) seen_turn: u64,
    /// What the native session has cost so far, as the agent counts it, where that is known.
    pub(super) cost: Option<f64>,
    /// The same of its tokens, where the agent counts those of all turns.
    pub(super) tokens: Option<Tokens>,
    /// Its model was chosen, or its process has opened it first, since its tokens were counted last.
    pub(super) is_chosen_anew: bool,
    /// The model that it works with, or has worked with last.
    pub(super) model: String,
    /// It is its user's own, made outside of Baton.
    pub(super) outside: Option<Outside>,
    /// What the agent says now is not an answer: it only takes in what it has missed.
    pub(super) quiet: bool,
    pub(super) origin: Origin,
    /// What came while something was chosen, and is dealt with afterwards.
    pub(super) kept: Vec<Inbound>,
    /// Which answers it has given, and what it has said after them.
    pub(super) heard: Heard,
    /// Answers that had ended and have a tool call that goes on.
    pub(super) open_late: BTreeSet<MessageId>,
    /// The handover that was foreseen at the switch.
    pub(super) rendered: Option<Rendered>,
}

impl Drop for Live {
    fn drop(&mut self) {
        let connection = &self.agent.connection;
        connection.let_go(&self.native_session, &self.inbox);
    }
}

impl Live {
    pub(super) fn new(
        agent: Arc<Agent>,
        opened: Opened,
        known: Binding,
        model: &str,
        origin: Origin,
    ) -> Self {
        let Opened {
            native_session,
            options,
            inbox,
            greeting,
            commands: _,
            replayed: _,
        } = opened;
        Self {
            _lease: agent.lease(),
            is_chosen_anew: agent.is_opened_first(),
            agent,
            native_session,
            inbox,
            greeting,
            options,
            opening: Opening::default(),
            outstanding: None,
            seen_turn: known.seen_turn,
            cost: known.cost,
            tokens: known.tokens,
            model: model.to_owned(),
            outside: known.outside,
            quiet: false,
            origin,
            kept: Vec::new(),
            heard: Heard::default(),
            open_late: BTreeSet::new(),
            rendered: None,
        }
    }

    /// Lets go of what is needed for prompts only.
    pub(super) fn shed(&mut self) {
        self.options = Options::default();
        self.rendered = None;
        self.greeting = None;
    }

    /// Whether an update is the agent's greeting, which comes once.
    pub(super) fn is_greeting(&mut self, update: &Value) -> bool {
        let text = update.pointer("/content/text").and_then(Value::as_str);
        let greets = text.is_some() && text == self.greeting.as_deref();
        if greets {
            self.greeting = None;
        }
        greets
    }

    /// Notes that the agent has taken in everything up to this turn.
    pub(super) fn has_seen(&mut self, turn: u64) {
        self.seen_turn = turn;
        self.origin = Origin::Used;
        if let Some(outside) = &mut self.outside {
            outside.prompts += 1;
        }
    }

    /// What is kept of it.
    pub(super) fn binding(&self) -> Binding {
        Binding {
            native_session: self.native_session.clone(),
            seen_turn: self.seen_turn,
            cost: self.cost,
            tokens: self.tokens,
            model: Some(self.model.clone()),
            // What was written until now was Baton's doing.
            outside: self.outside.map(|outside| Outside {
                known_ms: now_ms(),
                ..outside
            }),
        }
    }

    /// Tells the agent that it is no longer needed. Returns whether the agent has deleted it.
    pub(super) async fn remove(&self, timeout: Duration) -> bool {
        let can = self.agent.info.capabilities;
        client::remove_session(&self.agent.connection, can, &self.native_session, timeout).await
    }
}
