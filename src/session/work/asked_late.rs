//! What an agent asks outside of a turn, or in one about a call of an earlier answer: the user is asked, and the request
//! waits until it is answered, the session is deleted or the agent is gone.

use serde_json::{Value, json};

use super::Worker;
use super::asked::{Request, about_announced};
use super::live::Live;
use crate::opencode::message::Message;
use crate::opencode::{MessageId, Selection};
use crate::session::conversation::answer::Answering;
use crate::session::conversation::tool::ToolCall;
use crate::session::conversation::transcript;
use crate::store::MessageRange;

/// Messages among which the last answer of a backend is looked for.
const LOOKED_AT: u64 = 50;

impl Worker {
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

    /// Takes back what agents have asked that are gone.
    pub(super) async fn cancel_asks_of_the_gone(&self) {
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

/// Tells an agent that the user cannot be asked.
pub(super) async fn refuse(live: &Live, id: Value, method: &str) {
    let nobody = match method {
        "session/request_permission" => json!({ "outcome": { "outcome": "cancelled" } }),
        _ => json!({ "action": "cancel" }),
    };
    let _gone = live.agent.connection.respond(id, nobody).await;
}
