//! Forking: a new session that begins with a copy of another one's conversation.
//!
//! Its first turn hands the copied conversation to its agent, as any other switch does.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::opencode::message::{Message, MessageError, MessageWithParts, Part};
use crate::opencode::{MessageId, PartId, Session as SessionInfo, SessionId, now_ms};
use crate::registry::Wish;
use crate::session::cell::notice::Told;
use crate::session::cell::{Birth, Cell, SessionState, select};
use crate::session::conversation::Placed;
use crate::session::conversation::answer::interrupt;
use crate::session::conversation::cut::{self, Cut, Past};
use crate::session::conversation::transcript::Stored;
use crate::session::{Caller, Error, Sessions, Update};
use crate::store::{MessageKey, MessageRange};

/// Why an answer of a fork is not whole.
const UNFINISHED: &str = "The session was forked while this answer was being written.";

impl Sessions {
    /// Makes a session that begins with a copy of another one's messages: all of them, or those before
    /// one. What is reverted is not copied. The selection and the permission rules are the other one's.
    ///
    /// # Errors
    /// No such session or message, or a failing store.
    pub async fn fork(
        self: &Arc<Self>,
        id: &SessionId,
        before: Option<MessageId>,
        caller: Caller,
    ) -> Result<SessionInfo, Error> {
        let source = self.loaded.find(id).await?;
        let (from, messages) = self.to_copy(&source, before).await?;
        let mut state = fresh(&from);
        let (copies, turns) = copies(&state.id, messages);
        state.kept.past = past(&copies);
        state.kept.withheld = withheld(&from.kept.withheld, &turns);
        let update = Update {
            wish: wish(&from),
            ..Update::default()
        };
        // A backend that cannot run any more leaves the choice to the first prompt.
        let registry = self.office.registry.at(&source.directory);
        if let Ok(Some(planned)) = select::plan(&state, &update, &registry, now_ms()) {
            state = planned.into_next();
        }
        self.found(state, move |draft| {
            draft.put_first_switch(&caller);
            draft.settle_first(copies.len() as u64);
            draft.found();
            for copy in &copies {
                let session = draft.id.clone();
                copy.changes(&session)
                    .for_each(|change| draft.write(change));
                draft.event_of_message(&copy.message);
            }
        })
        .await
    }

    async fn to_copy(
        &self,
        source: &Arc<Cell>,
        before: Option<MessageId>,
    ) -> Result<(SessionState, Vec<Stored>), Error> {
        source.at_rest().await?;
        let mut messages = self.stored(source, MessageRange::default()).await?;
        let committed = source.at_rest().await?;
        if committed.runtime().is_deleted() {
            return Err(Error::NotFound(source.id.clone()));
        }
        let state = committed.state().clone();
        let end = match &before {
            None => None,
            Some(id) => {
                let found = messages.iter().find(|m| m.message.info.id() == id);
                let found = found.ok_or_else(|| Error::MessageNotFound(id.clone()))?;
                let (turn, seq) = (found.turn, found.seq);
                Some(Cut { turn, seq })
            }
        };
        messages.retain(|m| end.is_none_or(|end| end.keeps(m.turn, m.seq)));
        let (cut, revert) = (state.kept.past.cut.as_ref(), state.revert.as_ref());
        let messages = cut::remaining(messages, cut, revert);
        Ok((state, messages))
    }
}

/// The state of a fork, with nothing selected yet.
fn fresh(from: &SessionState) -> SessionState {
    let mut state = SessionState::new(Birth {
        directory: from.directory.clone(),
        project_id: from.project_id.clone(),
        path: from.path.clone(),
        parent_id: None,
        title: Some(forked_title(&from.title)),
        metadata: from.metadata.clone(),
        // A fork must not be allowed what its origin is not.
        permission: from.permission.clone(),
    });
    state.kept.agent_rules.clone_from(&from.kept.agent_rules);
    state.fallback.clone_from(&from.fallback);
    state.limit = from.limit;
    state.kept.told = from.selection.clone().map(Told::by_prompt);
    state
}

fn wish(from: &SessionState) -> Wish {
    let Some(selection) = from.selection.clone() else {
        return Wish::default();
    };
    Wish {
        agent: Some(selection.agent.clone()),
        ..Wish::of(&selection.message_model())
    }
}

/// `Title (fork #1)`, and one more for each fork of a fork, as OpenCode does it.
fn forked_title(title: &str) -> String {
    let numbered = title.strip_suffix(')').and_then(|rest| {
        let (name, number) = rest.rsplit_once(" (fork #")?;
        let number: u64 = number.parse().ok()?;
        (!name.is_empty()).then(|| (name, number.saturating_add(1)))
    });
    let (name, number) = numbered.unwrap_or((title, 1));
    format!("{name} (fork #{number})")
}

/// The messages under new ids, and which of their turns is which. An answer that is still being written ends here.
fn copies(session: &SessionId, mut messages: Vec<Stored>) -> (Vec<Placed>, HashMap<u64, u64>) {
    messages.sort_by_key(|m| m.seq);
    let mut ids: HashMap<MessageId, MessageId> = HashMap::new();
    let mut turns: HashMap<u64, u64> = HashMap::new();
    let mut copies = Vec::with_capacity(messages.len());
    for (at, stored) in messages.into_iter().enumerate() {
        let seq = at as u64 + 1;
        let turn = *turns.entry(stored.turn).or_insert(seq);
        let id = MessageId::new();
        let (mut info, mut parts) = (stored.message.info, stored.message.parts);
        ids.insert(info.id().clone(), id.clone());
        match &mut info {
            Message::User(message) => {
                message.id = id.clone();
                message.session_id = session.clone();
            }
            Message::Assistant(message) => {
                message.id = id.clone();
                message.session_id = session.clone();
                if let Some(parent) = ids.get(&message.parent_id) {
                    message.parent_id = parent.clone();
                }
                if message.time.completed.is_none() {
                    message.time.completed = Some(now_ms());
                    message.error = Some(MessageError::MessageAbortedError {
                        message: UNFINISHED.to_owned(),
                    });
                }
            }
        }
        for part in &mut parts {
            interrupt(part, now_ms());
            part.belong_to(PartId::new(), session, &id);
        }
        let key = MessageKey { seq, turn, id };
        let message = MessageWithParts { info, parts };
        copies.push(Placed { key, message });
    }
    (copies, turns)
}

/// What backends are not told, in the turns of the fork.
fn withheld(from: &BTreeMap<String, u64>, turns: &HashMap<u64, u64>) -> BTreeMap<String, u64> {
    let copied = |(backend, last): (&String, &u64)| {
        let turns = turns.iter().filter(|(before, _)| *before <= last);
        let last = turns.map(|(_, copy)| *copy).max()?;
        Some((backend.clone(), last))
    };
    from.iter().filter_map(copied).collect()
}

/// What the copied messages say of the working directory.
fn past(copies: &[Placed]) -> Past {
    let parts = || {
        copies
            .iter()
            .flat_map(|c| c.message.parts.iter().map(|p| (c.key.turn, p)))
    };
    let first = parts().find_map(|(turn, part)| match part {
        Part::StepStart(step) => Some((turn, step.snapshot.clone()?)),
        _ => None,
    });
    let last = parts().rev().find_map(|(_, part)| match part {
        Part::StepFinish(step) => step.snapshot.clone(),
        _ => None,
    });
    Past {
        first,
        last,
        ..Past::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_of_a_fork_counts_on() {
        for (title, forked) in [
            ("Hello", "Hello (fork #1)"),
            ("Hello (fork #1)", "Hello (fork #2)"),
            ("Hello (fork #9)", "Hello (fork #10)"),
            ("Hello (fork #x)", "Hello (fork #x) (fork #1)"),
            ("Hello(fork #1)", "Hello(fork #1) (fork #1)"),
            (" (fork #1)", " (fork #1) (fork #1)"),
            ("", " (fork #1)"),
        ] {
            assert_eq!(forked_title(title), forked, "{title:?}");
        }
    }
}
