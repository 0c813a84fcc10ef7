//! What an agent says in a turn: the answer grows by it.

use serde_json::Value;

use super::Worker;
use super::aside::Aside;
use super::live::Live;
use super::told::read_options;
use crate::agent::commands;
use crate::agent::quirks::told;
use crate::metrics;
use crate::session::cell::{LiveAnswer, Queued};

/// Whether an update is about the answer itself, and not about a helper of its model.
fn tells_of_answer(update: &Value) -> bool {
    let kind = update.get("sessionUpdate").and_then(Value::as_str);
    matches!(kind, Some("agent_message_chunk" | "usage_update"))
}

impl Worker {
    /// Deals with an update that came in a turn.
    pub(super) async fn said(
        &mut self,
        live: &mut Live,
        queued: &Queued,
        update: &Value,
        answer: &LiveAnswer,
    ) {
        let is_prompt = queued.work.is_prompt();
        let selection = &queued.target.selection;
        if let Some(commands) = commands::read(update) {
            return self.note_commands(&selection.provider_id, commands).await;
        }
        if let Some(model) = told::model(update).filter(|_| tells_of_answer(update)) {
            answer.lock().note_told_model(model);
        }
        if read_options(&mut live.options, update) {
            // What another native session has selected is not the session's selection.
            if is_prompt {
                self.agent_has_switched(&selection.provider_id, &live.options)
                    .await;
            }
            return;
        }
        if live.quiet || live.is_greeting(update) {
            return;
        }
        if is_prompt && let Some(earlier) = live.heard.belongs_to_earlier(update).cloned() {
            return live.heard.keep(earlier, update.clone());
        }
        let (folded, is_first, part) = {
            let mut answer = answer.lock();
            let had_content = answer.has_content();
            let folded = answer.fold(update, &self.cell.directory);
            let part = answer.growing().cloned();
            (folded, !had_content && answer.has_content(), part)
        };
        live.heard.note(answer.id(), update, part.as_ref());
        if is_first {
            metrics::first_token(queued.signs.since_prompt());
        }
        if folded.complete {
            self.store_growth(answer).await;
        }
        self.cell.tell_growth(&folded.events);
        let (todos, title) = (folded.todos, folded.title);
        if is_prompt {
            // Stored with the next flush: an agent may send one plan after the other.
            self.aside.add(Aside { todos, title });
        }
        if let Some(tokens) = folded.context_tokens {
            let registry = &self.tools.office.registry;
            registry
                .note_context(&selection.provider_id, &selection.model_id, tokens)
                .await;
        }
    }

    /// Writes what an answer has grown by. What the store does not take now goes with the next time.
    pub(super) async fn store_growth(&self, answer: &LiveAnswer) {
        let unwritten = {
            let mut answering = answer.lock();
            if !answering.is_unwritten() {
                return;
            }
            answering.take_unwritten()
        };
        let changes = unwritten.changes.clone();
        let written = self.cell.change(move |draft| {
            draft.unless_deleted()?;
            changes
                .iter()
                .for_each(|change| draft.write(change.clone()));
            Ok(())
        });
        if let Err(error) = written.await {
            tracing::debug!("an answer's growth is not stored yet: {error}");
            answer.lock().put_back(unwritten);
        }
    }
}
