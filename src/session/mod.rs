//! Sessions: what clients see, what is running, and how the two are kept together.

mod error;
pub mod handoff;
mod request;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::opencode::event::{SessionStatus, Todo};
use crate::opencode::request::{PermissionReply, PermissionRequest, QuestionRequest};
use crate::opencode::{
    AssistantMessage, MessageId, MessageWithParts, Part, PermissionId, QuestionId, Session as SessionInfo, SessionId,
};

pub use error::Error;
pub use request::{Caller, ListFilter, NewSession, Prompt, Update};

/// STUB.
#[derive(Debug)]
pub struct Sessions {}

/// How a prompt was answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The answer.
    pub message: AssistantMessage,
    /// Its parts.
    pub parts: Vec<Part>,
}

/// A prompt that was stored.
#[derive(Debug)]
pub struct Admitted {
    /// The stored prompt.
    pub message: MessageWithParts,
    /// Comes when it is answered; `None` for a prompt that wants no answer.
    pub answer: Option<tokio::sync::oneshot::Receiver<Answer>>,
}

/// STUB: what sessions work with.
#[derive(Clone)]
pub struct Deps {
    pub store: Arc<dyn crate::store::Store>,
    pub bus: Arc<crate::event::Bus>,
    pub registry: Arc<crate::registry::Registry>,
    pub pool: Arc<crate::agent::pool::Pool>,
    pub settings: Settings,
}

/// STUB: settings of sessions.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    pub queue_prompts: usize,
    pub budget: handoff::Budget,
    pub timeouts: crate::agent::Timeouts,
}

impl Sessions {
    pub async fn open(deps: Deps) -> Result<Arc<Self>, crate::store::StoreError> { let _ = deps; Ok(Arc::new(Self {})) }
    pub async fn shut_down(&self) {}
    pub async fn create(self: &Arc<Self>, new: NewSession, caller: Caller) -> Result<SessionInfo, Error> { todo!() }
    pub async fn list(&self, filter: ListFilter) -> Vec<SessionInfo> { todo!() }
    pub async fn info(&self, id: &SessionId) -> Result<SessionInfo, Error> { todo!() }
    pub async fn update(self: &Arc<Self>, id: &SessionId, update: Update, caller: Caller) -> Result<SessionInfo, Error> { todo!() }
    /// Waits until the selection of this revision is applied, failed (Err(NotApplied)) or superseded.
    pub async fn wait_applied(&self, id: &SessionId, revision: u64) -> Result<SessionInfo, Error> { todo!() }
    pub async fn delete(&self, id: &SessionId) -> Result<(), Error> { todo!() }
    pub async fn prompt(self: &Arc<Self>, id: &SessionId, prompt: Prompt, caller: Caller) -> Result<Admitted, Error> { todo!() }
    pub async fn abort(&self, id: &SessionId) -> Result<(), Error> { todo!() }
    pub async fn messages(&self, id: &SessionId, limit: Option<u64>, before: Option<&MessageId>) -> Result<Vec<MessageWithParts>, Error> { todo!() }
    pub async fn message(&self, id: &SessionId, message: &MessageId) -> Result<MessageWithParts, Error> { todo!() }
    pub async fn delete_message(&self, id: &SessionId, message: &MessageId) -> Result<(), Error> { todo!() }
    /// Busy sessions only, like OpenCode's /session/status.
    pub async fn statuses(&self) -> BTreeMap<String, SessionStatus> { todo!() }
    pub async fn children(&self, id: &SessionId) -> Result<Vec<SessionInfo>, Error> { todo!() }
    pub async fn todos(&self, id: &SessionId) -> Result<Vec<Todo>, Error> { todo!() }
    pub async fn permissions(&self) -> Vec<PermissionRequest> { todo!() }
    pub async fn reply_permission(&self, id: &PermissionId, reply: PermissionReply) -> Result<(), Error> { todo!() }
    pub async fn questions(&self) -> Vec<QuestionRequest> { todo!() }
    pub async fn reply_question(&self, id: &QuestionId, answers: Vec<Vec<String>>) -> Result<(), Error> { todo!() }
    pub async fn reject_question(&self, id: &QuestionId) -> Result<(), Error> { todo!() }
}
