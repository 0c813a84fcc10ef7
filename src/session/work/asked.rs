//! What an agent asks in a turn: whether it may do something, or a form to fill in.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;

use super::Worker;
use super::bind::Live;
use crate::opencode::request::PermissionReply;
use crate::session::ask::{Asking, WaitingPermission, WaitingQuestion};
use crate::session::cell::{LiveAnswer, Queued};
use crate::session::{Error, fits};

/// The parameters of a request that names a call of its own, as if it named the one that it is about. What it says of the
/// call besides is about the request.
fn about_announced(params: &Value, answer: &LiveAnswer) -> Value {
    let mut params = params.clone();
    if let Some(call) = params.get_mut("toolCall")
        && let Some(id) = answer.lock().meant_by(call)
    {
        let content = call.get("content").cloned();
        *call = json!({ "toolCallId": id });
        if let Some(content) = content {
            call["content"] = content;
        }
    }
    params
}

impl Worker {
    pub(super) async fn asked(
        &self,
        live: &Live,
        queued: &Queued,
        id: Value,
        method: &str,
        params: &Value,
        answer: &LiveAnswer,
    ) {
        let asks = queued.work.is_prompt() && !live.quiet;
        let params = &about_announced(params, answer);
        if let Some(call) = params.get("toolCall").filter(|_| !live.quiet) {
            let announced = answer.lock().announce(call, &self.cell.directory);
            self.store_growth(answer).await;
            self.cell.tell_growth(&announced.events);
        }
        let asks = asks && self.is_small(params);
        if method == "session/request_permission" {
            self.asked_permission(live, queued, id, params, answer, asks)
                .await;
        } else {
            self.asked_question(live, id, params, answer, asks).await;
        }
    }

    async fn asked_permission(
        &self,
        live: &Live,
        queued: &Queued,
        id: Value,
        params: &Value,
        answer: &LiveAnswer,
        asks: bool,
    ) {
        let connection = &live.agent.connection;
        let call = params.pointer("/toolCall/toolCallId");
        let call = call.and_then(Value::as_str).unwrap_or_default();
        let known = answer.lock().call(call).cloned();
        let asking = Asking {
            session: &self.cell.id,
            directory: &self.cell.directory,
            message_id: answer.id().as_str(),
            selection: &queued.target.selection,
            connection,
            rpc_id: id.clone(),
            waits_at: self.place_to_wait(),
        };
        let read = WaitingPermission::read(asking, params, known);
        let Some(waiting) = read else {
            let nobody = json!({ "outcome": { "outcome": "cancelled" } });
            let _gone = connection.respond(id, nobody).await;
            return;
        };
        if !asks || waiting.is_cut() {
            // Neither a summary nor taking note needs tools, and nobody expects to be asked about one. What is too
            // large to be shown is not asked either: nobody would know what they allow.
            return waiting.answer(PermissionReply::Reject).await;
        }
        let waiting = Arc::new(waiting);
        let asked = Arc::clone(&waiting);
        match self
            .persist(move |draft| draft.ask_permission(&asked))
            .await
        {
            Ok(None) => {}
            Ok(Some(reply)) => waiting.answer(reply).await,
            Err(error @ Error::TooManyAsks { .. }) => {
                self.tell_refused(&error);
                waiting.answer(PermissionReply::Reject).await;
            }
            Err(_deleted) => waiting.cancel().await,
        }
    }

    async fn asked_question(
        &self,
        live: &Live,
        id: Value,
        params: &Value,
        answer: &LiveAnswer,
        asks: bool,
    ) {
        let connection = &live.agent.connection;
        let message = answer.id().as_str();
        let read = WaitingQuestion::read(
            &self.cell.id,
            message,
            connection,
            id.clone(),
            params,
            self.place_to_wait(),
        );
        if let Some(waiting) = read.filter(|_| asks) {
            let waiting = Arc::new(waiting);
            let asked = self.persist(move |draft| draft.ask_question(&waiting));
            match asked.await {
                Ok(()) => return,
                Err(error) => self.tell_refused(&error),
            }
        }
        let _gone = connection.respond(id, json!({ "action": "decline" })).await;
    }

    fn place_to_wait(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.tools.asks).try_acquire_owned().ok()
    }

    fn is_small(&self, params: &Value) -> bool {
        let most = self.tools.settings.sizes.ask_bytes;
        let small = fits(params, most);
        if !small {
            tracing::warn!(
                session = %self.cell.id,
                "what an agent asks was refused: it has more than {most} bytes (limits.ask_bytes)"
            );
        }
        small
    }

    fn tell_refused(&self, why: &Error) {
        tracing::warn!(session = %self.cell.id, "what an agent asks was refused: {why}");
    }

    /// Takes back everything that the session's agents ask: its turn ends.
    pub(super) async fn cancel_asks(&self) {
        if self.cell.committed().runtime().asks.is_empty() {
            return;
        }
        let cancelled = self.cell.change(|draft| {
            draft.cancel_asks();
            Ok(())
        });
        let _nothing_to_store = cancelled.await;
    }
}
