//! The log of a session: the durable events of OpenCode 2, made from what is stored.
//!
//! Baton stores the conversation, not its events. The log is a projection: the same conversation always has the same
//! events with the same numbers, also after a restart. It is in the order of the conversation, so a prompt that
//! came while another one was being answered comes after that answer.

use super::event::{Durable, Said, Teller, V2Event};
use super::message::{SessionMessage, V2Prompt};
use super::project::{created, message, new_agent, new_model, prompt, switch_id, tool_time};
use crate::opencode::history::ModelSwitch;
use crate::opencode::message::{AssistantMessage, Message, MessageWithParts, Part, ToolState};
use crate::opencode::{EventId, SessionId};

// A number is made of places: turn, then message of the turn, then part, then what happened to the part.
const TURN: u64 = 1 << 24;
const MESSAGE: u64 = 1 << 18;
const PART: u64 = 4;
/// The end of a message; its parts are at most 20,000.
const END: u64 = MESSAGE - 1;
/// Messages of one turn that have a place of their own.
const MESSAGES_MAX: u64 = 32;
/// Changes of the selection between two turns, after the messages.
const SWITCHES: u64 = MESSAGES_MAX * MESSAGE;

/// What the log is made of.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    /// Messages in the order of the conversation, each with its turn.
    pub messages: Vec<(u64, MessageWithParts)>,
    /// The changes of the selection, in order.
    pub switches: Vec<ModelSwitch>,
    /// A prompt is being answered or waits.
    pub busy: bool,
    /// Earlier turns than the first one of `messages` were left out.
    pub partial: bool,
}

/// The number that a turn's prompt has in the log.
pub fn admitted_seq(turn: u64) -> u64 {
    turn * TURN
}

/// The turn that a number of the log belongs to.
pub fn turn_of(seq: u64) -> u64 {
    seq / TURN
}

/// The events of a session, in order, as far as nothing earlier can come any more.
pub fn events(session: &SessionId, recorded: &Recorded) -> Vec<V2Event> {
    let mut log = Log {
        session,
        events: Vec::new(),
    };
    let last_answered = recorded.messages.iter().rev().find(|(_, m)| is_complete(m));
    let last_answered = last_answered.map_or(0, |(turn, _)| *turn);
    let mut turn = match recorded.messages.first() {
        Some((first, _)) if recorded.partial => first.saturating_sub(1),
        _ => 0,
    };
    let mut switches = recorded.switches.iter().enumerate().peekable();
    if recorded.partial
        && let Some((_, first)) = recorded.messages.first()
    {
        while switches
            .next_if(|(_, s)| s.time <= created(first))
            .is_some()
        {}
    }
    let mut of_turn = 0;
    for (at, message) in &recorded.messages {
        if *at != turn {
            if recorded.busy && turn > last_answered {
                // It may still be answered, and its answer comes before what follows.
                return log.events;
            }
            while let Some((n, switch)) = switches.next_if(|(_, s)| s.time <= created(message)) {
                log.switch(turn, n, switch);
            }
            (turn, of_turn) = (*at, 0);
        }
        let base = turn * TURN + of_turn.min(MESSAGES_MAX - 1) * MESSAGE;
        if !log.message(base, message) {
            return log.events;
        }
        of_turn += 1;
    }
    if !(recorded.busy && turn > last_answered) {
        switches.for_each(|(n, switch)| log.switch(turn, n, switch));
    }
    log.events
}

fn is_complete(message: &MessageWithParts) -> bool {
    matches!(&message.info, Message::Assistant(answer) if answer.time.completed.is_some())
}

struct Log<'a> {
    session: &'a SessionId,
    events: Vec<V2Event>,
}

impl Log<'_> {
    fn push(&mut self, seq: u64, said: Said) {
        let durable = Durable {
            aggregate_id: self.session.clone(),
            seq,
            version: said.version(),
        };
        let session = self.session.as_str().rsplit('_').next().unwrap_or_default();
        let text = format!("evt_{seq:016x}{session}");
        // Digits and the session's own characters: an id, and always the same one.
        let id = EventId::parse(&text).unwrap_or_else(|_| EventId::new());
        self.events.push(V2Event {
            id,
            r#type: said.kind.to_owned(),
            durable: Some(durable),
            location: None,
            data: said.data,
        });
    }

    fn teller(&self, time: u64) -> Teller<'_> {
        Teller {
            session: self.session,
            time,
        }
    }

    fn switch(&mut self, turn: u64, n: usize, switch: &ModelSwitch) {
        let seq = turn * TURN + SWITCHES + 2 * n as u64 % (TURN - SWITCHES);
        let teller = self.teller(switch.time);
        let model = new_model(switch)
            .map(|model| teller.model_switched(&switch_id(self.session, switch, "model"), &model));
        let agent = new_agent(switch)
            .map(|agent| teller.agent_switched(&switch_id(self.session, switch, "agent"), agent));
        if let Some(said) = model {
            self.push(seq, said);
        }
        if let Some(said) = agent {
            self.push(seq + 1, said);
        }
    }

    /// Tells of a message; false when more of it may come.
    fn message(&mut self, base: u64, message: &MessageWithParts) -> bool {
        match &message.info {
            Message::User(_) => {
                self.prompt(base, message);
                true
            }
            Message::Assistant(answer) if answer.summary == Some(true) => {
                self.compaction(base, answer, message)
            }
            Message::Assistant(answer) => self.answer(base, answer, &message.parts),
        }
    }

    fn prompt(&mut self, base: u64, stored: &MessageWithParts) {
        let (id, time) = (stored.info.id(), created(stored));
        let prompt = prompt(&stored.parts);
        if prompt != V2Prompt::default() {
            let (admitted, prompted) = (
                self.teller(time).admitted(id, &prompt),
                self.teller(time).prompted(id, &prompt),
            );
            self.push(base, admitted);
            return self.push(base + 1, prompted);
        }
        if let Some(SessionMessage::Synthetic(made)) = message(stored) {
            let said = self.teller(time).synthetic(id, &made.text);
            self.push(base, said);
        }
    }

    fn compaction(
        &mut self,
        base: u64,
        answer: &AssistantMessage,
        stored: &MessageWithParts,
    ) -> bool {
        let said = self
            .teller(answer.time.created)
            .compaction_started(&answer.id);
        self.push(base, said);
        let Some(completed) = answer.time.completed else {
            return false;
        };
        if let Some(SessionMessage::Compaction(made)) = message(stored) {
            let said = self
                .teller(completed)
                .compaction_ended(&answer.id, &made.summary);
            self.push(base + END, said);
        }
        true
    }

    fn answer(&mut self, base: u64, answer: &AssistantMessage, parts: &[Part]) -> bool {
        let begun = self.teller(answer.time.created).step_started(answer);
        self.push(base, begun);
        for (place, part) in parts.iter().enumerate() {
            let seq = base + PART * (place as u64 + 1);
            if !self.part(seq, part, answer) {
                return false;
            }
        }
        let Some(completed) = answer.time.completed else {
            return false;
        };
        let ended = self.teller(completed).step_ended(answer);
        self.push(base + END, ended);
        true
    }

    /// Tells of a part; false when more of it may come.
    fn part(&mut self, seq: u64, part: &Part, answer: &AssistantMessage) -> bool {
        // What an interrupted answer has left open does not continue.
        let over = answer.time.completed;
        match part {
            Part::Text(text) => {
                let (start, end) = text
                    .time
                    .map_or((answer.time.created, over), |t| (t.start, t.end.or(over)));
                let started = self.teller(start).text_started(text);
                self.push(seq, started);
                let ended = end.map(|end| self.teller(end).text_ended(text));
                self.push_last(seq + 1, ended)
            }
            Part::Reasoning(reasoning) => {
                let started = self
                    .teller(reasoning.time.start)
                    .reasoning_started(reasoning);
                self.push(seq, started);
                let end = reasoning.time.end.or(over);
                let ended = end.map(|end| self.teller(end).reasoning_ended(reasoning));
                self.push_last(seq + 1, ended)
            }
            Part::Tool(call) => {
                // A call that was only announced has no time and its arguments may change: it is logged once it runs.
                let Some(time) = tool_time(&call.state) else {
                    return over.is_some();
                };
                let teller = self.teller(time.start);
                let begun = [
                    teller.input_started(call),
                    teller.input_ended(call),
                    teller.called(call),
                ];
                for (place, said) in (0..).zip(begun) {
                    self.push(seq + place, said);
                }
                if matches!(call.state, ToolState::Running { .. }) {
                    return over.is_some();
                }
                let ended = self.teller(time.end.unwrap_or(time.start)).tool(call);
                self.push_last(seq + 3, ended)
            }
            _ => true,
        }
    }

    fn push_last(&mut self, seq: u64, said: Option<Said>) -> bool {
        match said {
            Some(said) => {
                self.push(seq, said);
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests;
