//! What an agent asks, in a turn or outside of one: whether it may do something, or a form to fill in.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;

use super::Worker;
use super::live::Live;
use crate::agent::connection::Connection;
use crate::opencode::request::PermissionReply;
use crate::opencode::{MessageId, Selection};
use crate::session::ask::{Asking, WaitingPermission, WaitingQuestion};
use crate::session::cell::{LiveAnswer, Queued};
use crate::session::conversation::answer::Answering;
use crate::session::conversation::tool::ToolCall;
use crate::session::{Error, fits};

/// Who asks for what.
pub(super) struct Request<'a> {
    pub(super) connection: &'a Arc<Connection>,
    pub(super) selection: &'a Selection,
    /// The answer that it belongs to.
    pub(super) message: &'a MessageId,
    /// The tool call that it is about, as far as that is known.
    pub(super) known: Option<ToolCall>,
    pub(super) id: Value,
    pub(super) params: &'a Value,
    /// Whether the user may be asked.
    pub(super) asks: bool,
    /// It is asked outside of a turn, and does not end with one.
    pub(super) is_late: bool,
}

/// What else is taken from such a request: the user is asked about the arguments that it has.
const KEPT: [&str; 4] = ["content", "rawInput", "locations", "kind"];

/// The parameters of a request that names a call of its own, as if it named the one that it is about. Its title and its
/// status are those of the request.
pub(super) fn about_announced(params: &Value, answer: &Answering) -> Value {
    let mut params = params.clone();
    if let Some(call) = params.get_mut("toolCall")
        && let Some(id) = answer.meant_by(call)
    {
        let kept = KEPT.iter();
        let kept = kept.filter_map(|key| Some(((*key).to_owned(), call.get(*key)?.clone())));
        // What is of no certain kind is of the kind that was announced.
        let kept = kept.filter(|(key, value)| key != "kind" || value != "other");
        // Less than is known of the call would hide the rest from the rules and from the user.
        let known = answer.call(id);
        let kept = kept.filter(|(key, value)| {
            key != "rawInput" || !known.is_some_and(|known| known.has_arguments(value))
        });
        let id = ("toolCallId".to_owned(), json!(id));
        *call = Value::Object(kept.chain([id]).collect());
    }
    params
}

impl Worker {
    pub(super) async fn asked(
        &self,
        live: &mut Live,
        queued: &Queued,
        id: Value,
        method: &str,
        params: &Value,
        answer: &LiveAnswer,
    ) {
        let call = params.get("toolCall").unwrap_or(params);
        if queued.work.is_prompt() && live.heard.belongs_to_earlier(call).is_some() {
            return self.asked_late(live, id, method, params).await;
        }
        let asks = queued.work.is_prompt() && !live.quiet;
        let params = &about_announced(params, &answer.lock());
        if let Some(call) = params.get("toolCall").filter(|_| !live.quiet) {
            let announced = answer.lock().announce(call, &self.cell.directory);
            live.heard.note(answer.id(), call, None);
            self.store_growth(answer).await;
            self.cell.tell_growth(&announced.events);
        }
        let call = params.pointer("/toolCall/toolCallId");
        let call = call.and_then(Value::as_str).unwrap_or_default();
        let known = answer.lock().call(call).cloned();
        let request = Request {
            connection: &live.agent.connection,
            selection: &queued.target.selection,
            message: answer.id(),
            known,
            id,
            params,
            asks: asks && self.is_small(params),
            is_late: false,
        };
        self.put_request(method, request).await;
    }

    /// Lets a request wait for the user, or answers it.
    pub(super) async fn put_request(&self, method: &str, request: Request<'_>) {
        if method == "session/request_permission" {
            self.asked_permission(request).await;
        } else {
            self.asked_question(request).await;
        }
    }

    async fn asked_permission(&self, request: Request<'_>) {
        let Request {
            connection,
            id,
            asks,
            ..
        } = request;
        let asking = Asking {
            session: &self.cell.id,
            directory: &self.cell.directory,
            message_id: request.message.as_str(),
            selection: request.selection,
            connection,
            rules: self.rules.clone().filter(|_| !request.is_late),
            rpc_id: id.clone(),
            waits_at: self.place_to_wait(),
        };
        let read = WaitingPermission::read(asking, request.params, request.known);
        let Some(mut waiting) = read else {
            let nobody = json!({ "outcome": { "outcome": "cancelled" } });
            let _gone = connection.respond(id, nobody).await;
            return;
        };
        waiting.is_late = request.is_late;
        if !asks || waiting.is_cut() {
            // Neither a summary nor taking note needs tools, and no user expects to be asked about one. What is too
            // large to be shown is not asked either: users would not know what they allow.
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

    async fn asked_question(&self, request: Request<'_>) {
        let (connection, id) = (request.connection, request.id);
        let read = WaitingQuestion::read(
            &self.cell.id,
            request.message.as_str(),
            connection,
            id.clone(),
            request.params,
            self.place_to_wait(),
        );
        if let Some(mut waiting) = read.filter(|_| request.asks) {
            waiting.is_late = request.is_late;
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

    pub(super) fn is_small(&self, params: &Value) -> bool {
        let most = self.tools.settings.sizes.ask_bytes;
        let small = fits(params, most);
        if !small {
            tracing::warn!(
                "what an agent asks was refused: it has more than {most} bytes (limits.ask_bytes)"
            );
        }
        small
    }

    fn tell_refused(&self, why: &Error) {
        tracing::warn!("what an agent asks was refused: {why}");
    }

    /// Takes back what is asked in the turn in flight: it ends.
    pub(super) async fn cancel_asks(&self) {
        let committed = self.cell.committed();
        if committed.runtime().asks.iter().all(|ask| ask.is_late()) {
            return;
        }
        let cancelled = self.cell.change(|draft| {
            draft.cancel_asks();
            Ok(())
        });
        let _nothing_to_store = cancelled.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::opencode::SessionId;

    #[test]
    fn a_request_that_says_less_than_its_call_is_about_the_whole_call() {
        let selection = Selection {
            provider_id: "mock".into(),
            model_id: "m".into(),
            variant: None,
            agent: "build".into(),
            mode: None,
        };
        let (session, prompt) = (SessionId::new(), MessageId::new());
        let mut answer = Answering::new(&session, &prompt, 1, 2, &selection, "/project");
        let told = json!({"command": "rm -rf build", "description": "clean"});
        let call = json!({"sessionUpdate": "tool_call", "toolCallId": "c", "kind": "execute", "rawInput": told});
        answer.fold(&call, "/project");
        let asked = |arguments: Value| {
            let call = json!({"toolCallId": "own", "kind": "execute", "title": "clean", "rawInput": arguments});
            about_announced(&json!({ "toolCall": call }), &answer)["toolCall"].clone()
        };
        // Taken for all of them, they would hide what is run.
        let less = asked(json!({"description": "clean"}));
        assert_eq!(less["toolCallId"], "c");
        assert_eq!(less.get("rawInput"), None);
        let more = json!({"command": "rm -rf build", "description": "clean", "timeout": 5});
        assert_eq!(asked(more.clone())["rawInput"], more);
    }
}
