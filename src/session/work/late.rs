//! What agents say outside of turns: pieces of an answer that come after its end, and the work that goes on after it.
//!
//! It joins the answer that it belongs to ([`Heard`]), whatever the session has moved to since. The stored answer is read,
//! folds what was said, and is committed like any other change; so what was deleted or edited meanwhile stays so. Before the
//! first answer of a native session in this process nothing belongs to anything: greetings, and replays of a load.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value;

use super::Worker;
use super::heard::{Heard, Said, id_of_text, is_of_answer};
use super::live::Live;
use super::outcome::{Ended, Outcome};
use crate::opencode::{MessageId, PartId};
use crate::session::Error;
use crate::session::cell::{Committed, Late, LiveAnswer, Queued};
use crate::session::conversation::answer::{Answering, Folded};
use crate::session::conversation::transcript;

/// What is done to an answer that is opened again.
struct Opened<T> {
    answering: Answering,
    was_open: bool,
    folded: Folded,
    value: T,
}

/// A changed answer to commit, with the answer as it was read.
struct Prepared<T> {
    read_at: u64,
    late: Option<Late>,
    context_tokens: Option<u64>,
    value: T,
}

impl Worker {
    /// Takes in what was said of an answer outside of a turn, to be stored soon.
    pub(super) fn hear(&self, live: &mut Live, update: Value) {
        if live.quiet || !is_of_answer(&update) || live.is_greeting(&update) {
            return;
        }
        if let Some(message) = live.heard.belongs_to(&update).cloned() {
            live.heard.keep(message, update);
            // An agent that goes on by itself is not idle.
            drop(live.agent.work());
        }
    }

    /// The same in a turn, once the turn has a word of its own: until then it may be that the agent uses its ids again.
    pub(super) async fn store_heard_in_turn(&self, live: &mut Live, answer: &LiveAnswer) {
        let has_content = answer.lock().has_content();
        if has_content || live.heard.is_much() {
            self.store_heard(live).await;
        }
    }

    /// What was said of earlier answers while a prompt was dealt with is theirs, unless that had no answer otherwise.
    pub(super) async fn settle_heard(
        &mut self,
        live: &mut Live,
        queued: &Queued,
        outcome: &Outcome,
        answer: &LiveAnswer,
    ) {
        let is_empty = !answer.lock().has_content();
        if is_empty && matches!(outcome.ended, Ended::Replied(Ok(_))) && outcome.stop.is_none() {
            for update in live.heard.take_texts() {
                self.said(live, queued, &update, answer).await;
            }
        }
        self.store_heard(live).await;
    }

    /// Deals with what a native session has said that is closed now.
    pub(super) async fn hear_rest(&self, live: &mut Live) {
        let backend = live.agent.launch.backend.clone();
        while let Some(message) = live.inbox.take_waiting() {
            if !self.said_outside(&backend, live, message).await {
                break;
            }
        }
        self.hear_no_more(live).await;
    }

    /// Deals with what came while something was chosen.
    pub(super) async fn hear_all_kept(&mut self) {
        let kept = self.lives.iter().filter(|(_, live)| !live.kept.is_empty());
        let kept: Vec<String> = kept.map(|(backend, _)| backend.clone()).collect();
        for backend in kept {
            if let Some(mut live) = self.lives.remove(&backend) {
                self.hear_kept(&backend, &mut live).await;
                self.lives.insert(backend, live);
            }
        }
    }

    /// Stores what all live native sessions have said outside of turns.
    pub(super) async fn store_late(&mut self) {
        let due = self
            .lives
            .iter()
            .filter(|(_, live)| live.heard.due().is_some());
        let due: Vec<String> = due.map(|(backend, _)| backend.clone()).collect();
        for backend in due {
            if let Some(mut live) = self.lives.remove(&backend) {
                self.store_heard(&mut live).await;
                self.lives.insert(backend, live);
            }
        }
    }

    /// Stores what a native session has said outside of turns.
    pub(super) async fn store_heard(&self, live: &mut Live) {
        let mut said = live.heard.take();
        while let Some(first) = said.first() {
            let message = first.message.clone();
            let (its, others): (Vec<_>, Vec<_>) =
                said.into_iter().partition(|said| said.message == message);
            said = others;
            match self.store_said(live, &message, &its).await {
                Ok(()) => {}
                Err(Error::Store(error)) if error.may_pass() => {
                    let given_up = live.heard.put_back(its);
                    tracing::warn!(
                        session = %self.cell.id, given_up,
                        "what was said after an answer is not stored yet: {error}"
                    );
                }
                Err(error) => {
                    tracing::debug!(session = %self.cell.id, "what was said after an answer is not stored: {error}");
                }
            }
        }
    }

    async fn store_said(
        &self,
        live: &mut Live,
        message: &MessageId,
        said: &[Said],
    ) -> Result<(), Error> {
        let (heard, directory, cost) = (&live.heard, &*self.cell.directory, live.cost);
        let fold = |answering: &mut Answering| {
            answering.is_metered_from(cost);
            let folded = fold_all(answering, heard, said, directory);
            (
                folded.0,
                (folded.1, answering.cost_total(), answering.has_open_calls()),
            )
        };
        let amended = self.amend(message, fold).await?;
        let Some((parts, total, is_open)) = amended else {
            return Ok(());
        };
        for (said, part) in said.iter().zip(parts) {
            live.heard.note(message, &said.update, part.as_ref());
        }
        if is_open {
            live.open_late.insert(message.clone());
        } else {
            live.open_late.remove(message);
        }
        if total != live.cost {
            live.cost = total;
            self.keep_cost(live).await;
        }
        Ok(())
    }

    async fn keep_cost(&self, live: &Live) {
        let (backend, native) = (
            live.agent.launch.backend.clone(),
            live.native_session.clone(),
        );
        let cost = live.cost;
        let kept = self.cell.change(move |draft| {
            draft.unless_deleted()?;
            let binding = draft.runtime().bindings.get(&backend).cloned();
            if let Some(mut binding) = binding.filter(|b| b.native_session == native) {
                binding.cost = cost;
                draft.bind(&backend, binding);
            }
            Ok(())
        });
        // It is stored with the end of the next turn at the latest.
        let _or_later = kept.await;
    }

    /// Opens a stored answer again, changes it, and commits that. `None` when there is no such answer any more.
    pub(super) async fn amend<T: Clone + Default + Send + Sync + 'static>(
        &self,
        message: &MessageId,
        change: impl Fn(&mut Answering) -> (Folded, T),
    ) -> Result<Option<T>, Error> {
        let read = async |committed: Arc<Committed>| {
            let read_at = committed.runtime().conversation;
            let opened = self.open_again(message, &change).await?;
            Ok(prepared(read_at, message, opened))
        };
        let amended = self
            .cell
            .prepare_and_change(read, |draft, prepared: &Prepared<T>| {
                let Some(late) = &prepared.late else {
                    return Ok(None);
                };
                draft.unless_moved_on(prepared.read_at)?;
                draft.amend(late)?;
                let tokens = prepared.context_tokens;
                let told = tokens.map(|tokens| (late.backend.clone(), late.model.clone(), tokens));
                Ok(Some((prepared.value.clone(), told)))
            });
        let Some((value, told)) = amended.await? else {
            return Ok(None);
        };
        if let Some((backend, model, tokens)) = told {
            let registry = &self.tools.office.registry;
            registry.note_context(&backend, &model, tokens).await;
        }
        Ok(Some(value))
    }

    async fn open_again<T>(
        &self,
        message: &MessageId,
        change: impl Fn(&mut Answering) -> (Folded, T),
    ) -> Result<Option<Opened<T>>, Error> {
        let store = &self.tools.office.store;
        let Some(row) = store.message(&self.cell.id, message).await? else {
            return Ok(None);
        };
        let was_open = row.open;
        let stored = transcript::read_one(row)?;
        let sizes = self.tools.settings.sizes;
        let Some(mut answering) = Answering::reopened(&stored, sizes) else {
            return Ok(None);
        };
        let (folded, value) = change(&mut answering);
        Ok(Some(Opened {
            answering,
            was_open,
            folded,
            value,
        }))
    }

    /// Nothing more will be heard of a native session: what it has left open is over.
    pub(super) async fn hear_no_more(&self, live: &mut Live) {
        self.store_heard(live).await;
        for message in std::mem::take(&mut live.open_late) {
            let end = |answering: &mut Answering| {
                let events = answering.interrupt_calls();
                let folded = Folded {
                    events,
                    ..Folded::default()
                };
                (folded, ())
            };
            if let Err(error) = self.amend(&message, end).await {
                tracing::debug!(session = %self.cell.id, "a tool call stays open until the next start: {error}");
            }
        }
        self.cancel_asks_of_the_gone().await;
    }
}

/// Folds what was said, and returns the part of each text.
fn fold_all(
    answering: &mut Answering,
    heard: &Heard,
    said: &[Said],
    directory: &str,
) -> (Folded, Vec<Option<PartId>>) {
    let mut all = Folded::default();
    let mut parts: Vec<Option<PartId>> = Vec::with_capacity(said.len());
    for (at, one) in said.iter().enumerate() {
        let Said {
            message, update, ..
        } = one;
        let id = id_of_text(update);
        let earlier = said[..at]
            .iter()
            .rposition(|s| id.is_some() && id_of_text(&s.update) == id);
        let here = earlier.and_then(|at| parts[at].as_ref());
        answering.go_on(
            id,
            here.or_else(|| heard.part_of(message, update)),
            one.is_soon,
        );
        let folded = answering.fold(update, directory);
        all.events.extend(folded.events);
        all.todos = folded.todos.or(all.todos);
        all.title = folded.title.or(all.title);
        all.context_tokens = folded.context_tokens.or(all.context_tokens);
        parts.push(answering.growing().cloned());
    }
    (all, parts)
}

fn prepared<T: Default>(
    read_at: u64,
    message: &MessageId,
    opened: Option<Opened<T>>,
) -> Prepared<T> {
    let Some(opened) = opened else {
        return Prepared {
            read_at,
            late: None,
            context_tokens: None,
            value: T::default(),
        };
    };
    let Opened {
        mut answering,
        was_open,
        folded,
        value,
    } = opened;
    let changed = answering.take_changed(was_open);
    let late = Late {
        message: message.clone(),
        turn: answering.turn(),
        backend: answering.message.provider_id.clone(),
        model: answering.message.model_id.clone(),
        events: folded.events,
        changed,
        todos: folded.todos,
        title: folded.title,
    };
    Prepared {
        read_at,
        late: Some(late),
        context_tokens: folded.context_tokens,
        value,
    }
}

/// The messages with something that a backend has not seen although it has seen their turns, with nothing else
/// in them.
pub(super) fn missed_parts(
    committed: &Committed,
    backend: &str,
    seen_turn: u64,
) -> Vec<(MessageId, HashSet<PartId>)> {
    let late = committed.state().kept.late.iter();
    let mut missed: Vec<(MessageId, HashSet<PartId>)> = Vec::new();
    for late in late.filter(|late| late.is_missed_by(backend, seen_turn)) {
        match missed.iter_mut().find(|(id, _)| *id == late.message) {
            Some((_, parts)) => drop(parts.insert(late.part.clone())),
            None => missed.push((late.message.clone(), HashSet::from([late.part.clone()]))),
        }
    }
    missed
}
