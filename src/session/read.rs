//! Reading sessions, and answering what agents ask; what belongs to no turn.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::answer::{interrupt, put_message, put_part};
use super::state::{Locked, Session};
use super::transcript;
use super::{Error, ListFilter, Sessions, detached};
use crate::opencode::event::{
    EventPayload, PermissionReplied, QuestionRejected, QuestionReplied, SessionStatus, Todo,
};
use crate::opencode::history::ModelHistory;
use crate::opencode::message::{Message, MessageError, MessageWithParts};
use crate::opencode::request::{PermissionReply, PermissionRequest, QuestionRequest};
use crate::opencode::{
    MessageId, PermissionId, QuestionId, Session as SessionInfo, SessionId, now_ms,
};
use crate::store::{MessageRange, Store, StoreError};

/// Why an answer of an earlier server is not whole.
const RESTARTED: &str = "Baton was restarted while this answer was being written.";

/// Marks answers that were being written when the last server ended.
pub(super) async fn interrupt_open_messages(store: &dyn Store) -> Result<(), StoreError> {
    let mut batch = Vec::new();
    for row in store.open_messages().await? {
        let (session, key) = (row.session.clone(), row.key.clone());
        let mut stored = transcript::read_one(row)?;
        if let Message::Assistant(message) = &mut stored.message.info {
            message.time.completed = Some(now_ms());
            message.error = Some(MessageError::MessageAbortedError {
                message: RESTARTED.to_owned(),
            });
        }
        batch.push(put_message(&stored.message.info, &session, &key));
        for (place, part) in stored.message.parts.iter_mut().enumerate() {
            if interrupt(part, now_ms()) {
                batch.push(put_part(part, &session, place));
            }
        }
    }
    if batch.is_empty() {
        Ok(())
    } else {
        store.commit(batch).await
    }
}

/// The message that is being written, in place of what the store has of it.
pub(super) fn with_live(locked: &Locked, message: MessageWithParts) -> MessageWithParts {
    match &locked.runtime.answering {
        Some(answering) if answering.message.id == *message.info.id() => answering.snapshot(),
        _ => message,
    }
}

/// False for an answer that was still being written when it was read, and has ended since.
pub(super) fn is_current(locked: &Locked, message: &MessageWithParts) -> bool {
    match &message.info {
        Message::Assistant(m) if m.time.completed.is_none() => locked
            .runtime
            .answering
            .as_ref()
            .is_some_and(|a| a.message.id == m.id),
        _ => true,
    }
}

/// Whether a path is another one or lies below it.
fn is_below(path: &str, above: &str) -> bool {
    above.is_empty()
        || path
            .strip_prefix(above)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Sessions {
    /// A session.
    ///
    /// # Errors
    /// No such session.
    pub async fn info(&self, id: &SessionId) -> Result<SessionInfo, Error> {
        let session = self.find(id)?;
        Ok(self.view(&session).await)
    }

    /// Sessions, the one used last first.
    pub async fn list(&self, filter: ListFilter) -> Vec<SessionInfo> {
        let search = filter.search.as_deref().map(str::to_lowercase);
        let mut sessions = Vec::new();
        for session in self.every() {
            let locked = session.locked.lock().await;
            let state = &locked.state;
            let is = |wanted: &Option<String>, have: &str| {
                wanted.as_deref().is_none_or(|wanted| wanted == have)
            };
            let wanted = is(&filter.project_id, &state.project_id)
                && is(&filter.directory, &state.directory)
                && filter
                    .path
                    .as_deref()
                    .is_none_or(|path| is_below(&state.path, path))
                && (!filter.roots || state.parent_id.is_none())
                && filter.start.is_none_or(|start| state.time.updated >= start)
                && search
                    .as_deref()
                    .is_none_or(|s| state.title.to_lowercase().contains(s));
            drop(locked);
            if wanted {
                sessions.push(self.view(&session).await);
            }
        }
        sessions.sort_by(|a, b| {
            b.time
                .updated
                .cmp(&a.time.updated)
                .then_with(|| a.id.cmp(&b.id))
        });
        sessions.truncate(filter.limit.unwrap_or(usize::MAX));
        sessions
    }

    /// The sessions that belong to one.
    ///
    /// # Errors
    /// No such session.
    pub async fn children(&self, id: &SessionId) -> Result<Vec<SessionInfo>, Error> {
        self.find(id)?;
        let all = self.list(ListFilter::default()).await;
        Ok(all
            .into_iter()
            .filter(|s| s.parent_id.as_ref() == Some(id))
            .collect())
    }

    /// The agent's plan.
    ///
    /// # Errors
    /// No such session.
    pub async fn todos(&self, id: &SessionId) -> Result<Vec<Todo>, Error> {
        Ok(self.find(id)?.locked.lock().await.state.todos.clone())
    }

    /// The models of a session: selected, applied, what each has answered, and how they changed.
    ///
    /// # Errors
    /// No such session, or a failing store.
    pub async fn model_history(&self, id: &SessionId) -> Result<ModelHistory, Error> {
        let session = self.find(id)?;
        let locked = session.locked.lock().await;
        let damaged = |error: serde_json::Error| {
            StoreError::Database(format!("the audit trail of {id} is damaged: {error}"))
        };
        // Under the lock, so that trail and revision belong together.
        let rows = self.store.switches(id).await?;
        let switches = rows
            .iter()
            .map(|row| serde_json::from_str(row))
            .collect::<Result<_, _>>()
            .map_err(damaged)?;
        Ok(ModelHistory {
            revision: locked.state.revision,
            selected: locked.state.selection.clone(),
            applied: locked.runtime.applied.clone(),
            usage: locked.state.usage.clone(),
            switches,
        })
    }

    /// The sessions of a directory, or of all, that are busy, as OpenCode lists them.
    pub async fn statuses(&self, directory: Option<&str>) -> BTreeMap<String, SessionStatus> {
        let mut busy = BTreeMap::new();
        for session in self.every() {
            if directory.is_none_or(|d| d == &*session.directory)
                && session.locked.lock().await.runtime.is_busy()
            {
                busy.insert(session.id.to_string(), SessionStatus::Busy);
            }
        }
        busy
    }

    /// Messages, oldest first: the newest `limit` of those before `before`.
    ///
    /// # Errors
    /// No such session, no such message, or a failing store.
    pub async fn messages(
        &self,
        id: &SessionId,
        limit: Option<u64>,
        before: Option<&MessageId>,
    ) -> Result<Vec<MessageWithParts>, Error> {
        let session = self.find(id)?;
        let before_seq = match before {
            None => None,
            Some(before) => {
                let row = self.store.message(id, before).await?;
                Some(
                    row.ok_or_else(|| Error::MessageNotFound(before.clone()))?
                        .key
                        .seq,
                )
            }
        };
        let range = MessageRange {
            after_turn: None,
            before_seq,
            limit,
        };
        loop {
            // Read before the lock is taken, so that a long conversation holds up nobody.
            let stored = transcript::read(self.store.messages(id, range.clone()).await?)?;
            let locked = session.locked.lock().await;
            if stored.iter().all(|m| is_current(&locked, &m.message)) {
                return Ok(stored
                    .into_iter()
                    .map(|m| with_live(&locked, m.message))
                    .collect());
            }
        }
    }

    /// A message.
    ///
    /// # Errors
    /// No such session, no such message, or a failing store.
    pub async fn message(
        &self,
        id: &SessionId,
        message: &MessageId,
    ) -> Result<MessageWithParts, Error> {
        let session = self.find(id)?;
        loop {
            let row = self.store.message(id, message).await?;
            let stored =
                transcript::read_one(row.ok_or_else(|| Error::MessageNotFound(message.clone()))?)?;
            let locked = session.locked.lock().await;
            if is_current(&locked, &stored.message) {
                return Ok(with_live(&locked, stored.message));
            }
        }
    }

    /// The permission requests that wait, of the sessions of a directory or of all.
    pub fn permissions(&self, directory: Option<&str>) -> Vec<PermissionRequest> {
        let mut waiting = self.asks.permissions();
        waiting.retain(|request| self.is_in(&request.session_id, directory));
        waiting
    }

    /// The questions that wait, of the sessions of a directory or of all.
    pub fn questions(&self, directory: Option<&str>) -> Vec<QuestionRequest> {
        let mut waiting = self.asks.questions();
        waiting.retain(|request| self.is_in(&request.session_id, directory));
        waiting
    }

    fn is_in(&self, id: &SessionId, directory: Option<&str>) -> bool {
        let Some(directory) = directory else {
            return true;
        };
        self.find(id).is_ok_and(|s| *s.directory == *directory)
    }

    /// Answers a permission request. `Always` is remembered for the session and this backend, and
    /// answers what waits already and matches.
    ///
    /// # Errors
    /// No such request, or a failing store.
    pub async fn reply_permission(
        self: &Arc<Self>,
        id: &PermissionId,
        reply: PermissionReply,
    ) -> Result<(), Error> {
        let (this, id) = (Arc::clone(self), id.clone());
        detached(async move { this.reply_permission_now(&id, reply).await }).await
    }

    async fn reply_permission_now(
        &self,
        id: &PermissionId,
        reply: PermissionReply,
    ) -> Result<(), Error> {
        let waiting = self.asks.take_permission(id)?;
        let session = self.find(&waiting.request.session_id)?;
        let mut answered = vec![(waiting, reply)];
        {
            let mut locked = session.locked.lock().await;
            if reply == PermissionReply::Always {
                self.remember(&mut locked, &answered[0].0).await?;
                for request in self
                    .asks
                    .permissions()
                    .into_iter()
                    .filter(|r| r.session_id == session.id)
                {
                    let taken = self.asks.take_permission(&request.id);
                    match taken
                        .map(|w| (w.decided(&locked.state.permission, &locked.state.always), w))
                    {
                        Ok((Some(reply), waiting)) => answered.push((waiting, reply)),
                        Ok((None, waiting)) => self.asks.add_permission(waiting),
                        Err(_answered_meanwhile) => {}
                    }
                }
            }
            let events: Vec<_> = answered
                .iter()
                .map(|(waiting, reply)| replied(&waiting.request, *reply))
                .collect();
            self.publish(&session, &events);
        }
        for (waiting, reply) in answered {
            waiting.answer(reply).await;
        }
        Ok(())
    }

    async fn remember(
        &self,
        locked: &mut Locked,
        waiting: &super::permission::WaitingPermission,
    ) -> Result<(), Error> {
        let mut next = locked.state.clone();
        let new: Vec<_> = waiting
            .remembered()
            .filter(|a| !next.always.contains(a))
            .collect();
        next.always.extend(new);
        self.store
            .commit(vec![super::state::put(&next, Some(next.revision))])
            .await?;
        locked.state = next;
        Ok(())
    }

    /// Answers a question: one list of labels, or of one text, for each of its questions.
    ///
    /// # Errors
    /// No such question, or answers that are not of its kind.
    pub async fn reply_question(
        self: &Arc<Self>,
        id: &QuestionId,
        answers: Vec<Vec<String>>,
    ) -> Result<(), Error> {
        let (waiting, content) = self
            .asks
            .take_question(id, |waiting| waiting.content(&answers))?;
        let this = Arc::clone(self);
        // A question that was taken out has to be answered, also when the client goes away.
        detached(async move {
            let session_id = waiting.request.session_id.clone();
            if let Ok(session) = this.find(&session_id) {
                let replied = QuestionReplied {
                    session_id,
                    request_id: waiting.request.id.clone(),
                    answers,
                };
                this.publish(&session, &[EventPayload::QuestionReplied(replied)]);
            }
            waiting.accept(content).await;
            Ok(())
        })
        .await
    }

    /// Dismisses a question.
    ///
    /// # Errors
    /// No such question.
    pub async fn reject_question(self: &Arc<Self>, id: &QuestionId) -> Result<(), Error> {
        let (waiting, ()) = self.asks.take_question(id, |_| Ok(()))?;
        let this = Arc::clone(self);
        detached(async move {
            let session_id = waiting.request.session_id.clone();
            if let Ok(session) = this.find(&session_id) {
                let rejected = QuestionRejected {
                    session_id,
                    request_id: waiting.request.id.clone(),
                };
                this.publish(&session, &[EventPayload::QuestionRejected(rejected)]);
            }
            waiting.refuse("decline").await;
            Ok(())
        })
        .await
    }

    /// Takes back everything that a session's agents ask: its turn has ended.
    pub(super) async fn cancel_asks(&self, session: &Session) {
        let (permissions, questions) = self.asks.take_all(&session.id);
        let mut events: Vec<_> = permissions
            .iter()
            .map(|w| replied(&w.request, PermissionReply::Reject))
            .collect();
        events.extend(questions.iter().map(|w| {
            EventPayload::QuestionRejected(QuestionRejected {
                session_id: session.id.clone(),
                request_id: w.request.id.clone(),
            })
        }));
        self.publish(session, &events);
        for waiting in permissions {
            waiting.cancel().await;
        }
        for waiting in questions {
            waiting.refuse("cancel").await;
        }
    }
}

fn replied(request: &PermissionRequest, reply: PermissionReply) -> EventPayload {
    EventPayload::PermissionReplied(PermissionReplied {
        session_id: request.session_id.clone(),
        request_id: request.id.clone(),
        reply,
    })
}
