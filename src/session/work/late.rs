//! What agents say outside of turns: pieces of an answer that come after its end, and the work that goes on behind it.
//!
//! It joins the answer that it belongs to ([`Heard`]), whatever the session has moved to since. The stored answer is read,
//! folds what was said, and is committed like any other change; so what was deleted or edited meanwhile stays so. Before the
//! first answer of a native session in this process nothing belongs to anything: greetings, and replays of a load.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::Worker;
use super::asked::{Request, about_announced};
use super::bind::Live;
use super::heard::{Heard, Said, id_of_text, is_of_answer};
use super::outcome::{Ended, Outcome};
use crate::opencode::message::Message;
use crate::opencode::{MessageId, PartId, Selection};
use crate::session::Error;
use crate::session::cell::{Committed, Late, LiveAnswer, Queued};
use crate::session::conversation::answer::{Answering, Folded};
use crate::session::conversation::tool::ToolCall;
use crate::session::conversation::transcript;
use crate::store::MessageRange;

/// Messages among which the last answer of a backend is looked for.
const LOOKED_AT: u64 = 50;

/// What is done to an answer that is opened again.
struct Opened<T> {
    answering: Answering,
    was_open: bool,
    folded: Folded,
    value: T,
}

/// A changed answer that is to be committed, as it was read.
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
                    tracing::warn!(session = %self.cell.id, given_up, "what was said after an answer is not stored yet: {error}");
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
    async fn amend<T: Clone + Default + Send + Sync + 'static>(
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

    /// Deals with what an agent asks outside of a turn, or about a call of an earlier one: the user is asked.
    pub(super) async fn asked_late(
        &self,
        live: &mut Live,
        id: Value,
        method: &str,
        params: &Value,
    ) {
        let call = params.get("toolCall").unwrap_or(params);
        let known = live.heard.belongs_to(call).cloned();
        let message = match known {
            Some(message) => Some(message),
            None => self.last_answer_of(&live.agent.launch.backend).await,
        };
        let Some(message) = message.filter(|_| !live.quiet) else {
            return refuse(live, id, method).await;
        };
        drop(live.agent.work());
        self.store_heard(live).await;
        let announced = self.announce_late(live, &message, params).await;
        let Some((params, call)) = announced else {
            return refuse(live, id, method).await;
        };
        let selection = self.selection_now(live, &message);
        let Some(selection) = selection else {
            return refuse(live, id, method).await;
        };
        let request = Request {
            connection: &live.agent.connection,
            selection: &selection,
            message: &message,
            known: call,
            id,
            asks: self.is_small(&params),
            params: &params,
            is_late: true,
        };
        self.put_request(method, request).await;
    }

    async fn announce_late(
        &self,
        live: &mut Live,
        message: &MessageId,
        params: &Value,
    ) -> Option<(Value, Option<ToolCall>)> {
        let directory = &*self.cell.directory;
        let announce = |answering: &mut Answering| {
            let params = about_announced(params, answering);
            let call = params.get("toolCall");
            let folded = call.map(|call| answering.announce(call, directory));
            let id = call.and_then(|call| call.get("toolCallId")?.as_str());
            let known = id.and_then(|id| answering.call(id).cloned());
            let is_open = answering.has_open_calls();
            (folded.unwrap_or_default(), (params, known, is_open))
        };
        let (params, known, is_open) = self.amend(message, announce).await.ok()??;
        if is_open {
            live.open_late.insert(message.clone());
        }
        if let Some(call) = params.get("toolCall") {
            live.heard.note(message, call, None);
        }
        Some((params, known))
    }

    /// In which mode a native session works now, if the session has not moved on.
    fn selection_now(&self, live: &Live, message: &MessageId) -> Option<Selection> {
        let committed = self.cell.committed();
        let applied = committed.runtime().applied.clone();
        let applied = applied.filter(|now| now.provider_id == live.agent.launch.backend);
        let then = live.heard.selection_of(message).cloned();
        applied.or(then).or_else(|| {
            let selected = committed.state().selection.clone();
            selected.filter(|s| s.provider_id == live.agent.launch.backend)
        })
    }

    /// The last answer of a backend that is among the newest messages.
    async fn last_answer_of(&self, backend: &str) -> Option<MessageId> {
        let range = MessageRange {
            limit: Some(LOOKED_AT),
            ..MessageRange::default()
        };
        let rows = self.tools.office.store.messages(&self.cell.id, range).await;
        let stored = rows.and_then(transcript::read).ok()?;
        stored
            .iter()
            .rev()
            .find_map(|stored| match &stored.message.info {
                Message::Assistant(answer) if answer.provider_id == backend => {
                    answer.time.completed.map(|_| answer.id.clone())
                }
                _ => None,
            })
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

    async fn cancel_asks_of_the_gone(&self) {
        let committed = self.cell.committed();
        if committed.runtime().asks.iter().any(|ask| ask.is_gone()) {
            let cancelled = self.cell.change(|draft| {
                draft.cancel_asks_of_the_gone();
                Ok(())
            });
            let _nothing_to_store = cancelled.await;
        }
    }
}

/// An agent is told that nobody can be asked.
pub(super) async fn refuse(live: &Live, id: Value, method: &str) {
    let nobody = match method {
        "session/request_permission" => json!({ "outcome": { "outcome": "cancelled" } }),
        _ => json!({ "action": "cancel" }),
    };
    let _gone = live.agent.connection.respond(id, nobody).await;
}

/// Folds what was said, and says in which part each text stands.
fn fold_all(
    answering: &mut Answering,
    heard: &Heard,
    said: &[Said],
    directory: &str,
) -> (Folded, Vec<Option<PartId>>) {
    let mut all = Folded::default();
    let mut parts: Vec<Option<PartId>> = Vec::with_capacity(said.len());
    for (
        at,
        Said {
            message, update, ..
        },
    ) in said.iter().enumerate()
    {
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

/// The messages in which something stands that a backend has not seen although it has seen their turns, with nothing else
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
