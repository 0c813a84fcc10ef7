//! Events, as `/event` sends them: `{"id", "type", "properties"}`.

mod own;
mod tui;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::id::{EventId, MessageId, PartId, PermissionId, QuestionId, SessionId};
use super::message::{Message, MessageError, Part};
use super::project::Project;
use super::request::{PermissionReply, PermissionRequest, QuestionRequest};
use super::session::{FileDiff, ModelRef, Session};
use super::told::ToldSession;
pub use own::{
    Effective, FallbackCause, FallbackReason, ModelApplied, ModelChanged, ModelFailed,
    ModelMismatch, SessionSilent, Source, Transfer, TransferKind,
};
pub use tui::{
    ToastVariant, TuiCommandExecute, TuiPromptAppend, TuiRequest, TuiSessionSelect, TuiToastShow,
};

/// Everything that an event can say; `type` names it and `properties` carries it.
///
/// The `session.model_*` events and `server.resync` are Baton's, all others OpenCode's.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(tag = "type", content = "properties")]
pub enum EventPayload {
    /// The first event of every stream.
    #[serde(rename = "server.connected")]
    ServerConnected {},
    /// Sent every ten seconds, so that a broken connection is noticed.
    #[serde(rename = "server.heartbeat")]
    ServerHeartbeat {},
    /// Events were lost to this subscriber: it has to read sessions and messages again.
    #[serde(rename = "server.resync")]
    ServerResync(Resync),
    /// A session was created.
    #[serde(rename = "session.created")]
    SessionCreated(SessionEvent),
    /// A session has changed.
    #[serde(rename = "session.updated")]
    SessionUpdated(SessionEvent),
    /// A session was deleted.
    #[serde(rename = "session.deleted")]
    SessionDeleted(SessionEvent),
    /// A session became busy or idle.
    #[serde(rename = "session.status")]
    SessionStatus(SessionStatusEvent),
    /// A session has nothing left to do.
    #[serde(rename = "session.idle")]
    SessionIdle(SessionIdleEvent),
    /// What a session has changed in its working directory.
    #[serde(rename = "session.diff")]
    SessionDiff(SessionDiff),
    /// Something failed.
    #[serde(rename = "session.error")]
    SessionError(SessionErrorEvent),
    /// A session's selection has changed.
    #[serde(rename = "session.model_changed")]
    ModelChanged(ModelChanged),
    /// The agent has confirmed the selection.
    #[serde(rename = "session.model_applied")]
    ModelApplied(ModelApplied),
    /// The selection could not be applied.
    #[serde(rename = "session.model_failed")]
    ModelFailed(ModelFailed),
    /// Another model has answered than the one that was selected.
    #[serde(rename = "session.model_mismatch")]
    ModelMismatch(ModelMismatch),
    /// The agent of a turn says nothing any more.
    #[serde(rename = "session.silent")]
    SessionSilent(SessionSilent),
    /// The model of a session was changed (OpenCode 2's event).
    #[serde(rename = "session.next.model.switched")]
    ModelSwitched(ModelSwitched),
    /// The agent of a session was changed (OpenCode 2's event).
    #[serde(rename = "session.next.agent.switched")]
    AgentSwitched(AgentSwitched),
    /// The conversation goes on from a summary.
    #[serde(rename = "session.compacted")]
    SessionCompacted(SessionCompacted),
    /// A slash command was answered.
    #[serde(rename = "command.executed")]
    CommandExecuted(CommandExecuted),
    /// A message was made or has changed.
    #[serde(rename = "message.updated")]
    MessageUpdated(MessageEvent),
    /// A message was deleted.
    #[serde(rename = "message.removed")]
    MessageRemoved(MessageRemoved),
    /// A part was made or has changed.
    #[serde(rename = "message.part.updated")]
    PartUpdated(PartUpdated),
    /// A part was deleted.
    #[serde(rename = "message.part.removed")]
    PartRemoved(PartRemoved),
    /// Text was added to a part.
    #[serde(rename = "message.part.delta")]
    PartDelta(PartDelta),
    /// An agent wants a permission.
    #[serde(rename = "permission.asked")]
    PermissionAsked(PermissionRequest),
    /// A permission request was answered.
    #[serde(rename = "permission.replied")]
    PermissionReplied(PermissionReplied),
    /// An agent asks a question.
    #[serde(rename = "question.asked")]
    QuestionAsked(QuestionRequest),
    /// A question was answered.
    #[serde(rename = "question.replied")]
    QuestionReplied(QuestionReplied),
    /// A question was dismissed.
    #[serde(rename = "question.rejected")]
    QuestionRejected(QuestionRejected),
    /// The agent's plan has changed.
    #[serde(rename = "todo.updated")]
    TodoUpdated(TodoUpdated),
    /// What clients set about a project has changed.
    #[serde(rename = "project.updated")]
    ProjectUpdated(Project),
    /// An agent has written a file.
    #[serde(rename = "file.edited")]
    FileEdited(FileEdited),
    /// What was cached for a directory is gone: clients read everything again.
    #[serde(rename = "server.instance.disposed")]
    InstanceDisposed(InstanceDisposed),
    /// What was cached for all directories is gone: clients read everything again.
    #[serde(rename = "global.disposed")]
    GlobalDisposed {},
    /// For terminal UIs: append to the prompt.
    #[serde(rename = "tui.prompt.append")]
    TuiPromptAppend(TuiPromptAppend),
    /// For terminal UIs: execute a command.
    #[serde(rename = "tui.command.execute")]
    TuiCommandExecute(TuiCommandExecute),
    /// For terminal UIs: show a notification.
    #[serde(rename = "tui.toast.show")]
    TuiToastShow(TuiToastShow),
    /// For terminal UIs: show a session.
    #[serde(rename = "tui.session.select")]
    TuiSessionSelect(TuiSessionSelect),
}

/// Which events are gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ServerResync)]
pub struct Resync {
    /// The last event that the subscriber had.
    #[serde(rename = "lastEventID")]
    pub last_event_id: u64,
    /// The oldest event that is still there; the stream goes on with it.
    #[serde(rename = "oldestEventID")]
    pub oldest_event_id: u64,
}

/// A session, whole.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = SessionChanged)]
pub struct SessionEvent {
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// Its state.
    #[schema(value_type = Session)]
    pub info: ToldSession,
}

/// Busy or idle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
#[schema(as = SessionActivity)]
pub enum SessionStatus {
    /// Nothing is running.
    Idle,
    /// A turn is in flight or queued.
    Busy,
}

/// A session became busy or idle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = SessionStatusChanged)]
pub struct SessionStatusEvent {
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// Its status.
    pub status: SessionStatus,
}

/// A session has nothing left to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = SessionBecameIdle)]
pub struct SessionIdleEvent {
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
}

/// What a session has changed in its working directory; while it is reverted, what was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = SessionDiffChanged)]
pub struct SessionDiff {
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// The changed files.
    pub diff: Vec<FileDiff>,
}

/// The conversation goes on from a summary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SessionCompacted {
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
}

/// A slash command was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CommandExecuted {
    /// Its name.
    pub name: String,
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// What was typed after it.
    pub arguments: String,
    /// The answer.
    #[serde(rename = "messageID")]
    pub message_id: MessageId,
}

/// Something failed in a session.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = SessionFailed)]
pub struct SessionErrorEvent {
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// What.
    pub error: MessageError,
}

/// OpenCode 2: the model was changed.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ModelSwitched {
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// An id for the change in OpenCode 2's message list.
    #[serde(rename = "messageID")]
    pub message_id: MessageId,
    /// When, in milliseconds since the Unix epoch.
    pub timestamp: u64,
    /// The model now.
    pub model: ModelRef,
}

/// OpenCode 2: the agent was changed.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AgentSwitched {
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// An id for the change in OpenCode 2's message list.
    #[serde(rename = "messageID")]
    pub message_id: MessageId,
    /// When, in milliseconds since the Unix epoch.
    pub timestamp: u64,
    /// The agent now.
    pub agent: String,
}

/// A message was made or has changed.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = MessageChanged)]
pub struct MessageEvent {
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// The message.
    pub info: Message,
}

/// A message was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct MessageRemoved {
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// The message.
    #[serde(rename = "messageID")]
    pub message_id: MessageId,
}

/// A part was made or has changed.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PartUpdated {
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// The part, whole.
    pub part: Part,
    /// When, in milliseconds since the Unix epoch.
    pub time: u64,
}

/// A part was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PartRemoved {
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// The message.
    #[serde(rename = "messageID")]
    pub message_id: MessageId,
    /// The part.
    #[serde(rename = "partID")]
    pub part_id: PartId,
}

/// Text was added to a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PartDelta {
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// The message.
    #[serde(rename = "messageID")]
    pub message_id: MessageId,
    /// The part.
    #[serde(rename = "partID")]
    pub part_id: PartId,
    /// The field that grows: `text`.
    pub field: String,
    /// What is added at its end.
    pub delta: String,
}

/// A permission request was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PermissionReplied {
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// The request.
    #[serde(rename = "requestID")]
    pub request_id: PermissionId,
    /// The answer.
    pub reply: PermissionReply,
}

/// A question was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct QuestionReplied {
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// The request.
    #[serde(rename = "requestID")]
    pub request_id: QuestionId,
    /// The chosen labels, one list per question.
    pub answers: Vec<Vec<String>>,
}

/// A question was dismissed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct QuestionRejected {
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// The request.
    #[serde(rename = "requestID")]
    pub request_id: QuestionId,
}

/// How far an entry of a plan can be. ACP has all but the last, which is OpenCode's.
pub const TODO_STATUSES: [&str; 4] = ["pending", "in_progress", "completed", "cancelled"];
/// How much an entry of a plan can matter.
pub const TODO_PRIORITIES: [&str; 3] = ["high", "medium", "low"];

/// One entry of an agent's plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Todo {
    /// What to do.
    pub content: String,
    /// How far it is: one of [`TODO_STATUSES`].
    pub status: String,
    /// How much it matters: one of [`TODO_PRIORITIES`].
    pub priority: String,
}

/// The agent's plan has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TodoUpdated {
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
    /// The whole plan.
    pub todos: Vec<Todo>,
}

/// An agent has written a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FileEdited {
    /// The file's path.
    pub file: String,
}

/// What was cached for a directory is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct InstanceDisposed {
    /// The directory.
    pub directory: String,
}

/// An event of `/event`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ServerEvent)]
pub struct Event {
    /// The event's id.
    pub id: EventId,
    /// What happened.
    #[serde(flatten)]
    pub payload: EventPayload,
}

/// An event of `/global/event`.
#[derive(Debug, Serialize, ToSchema)]
pub struct GlobalEvent {
    /// The directory that it belongs to; absent for events of the whole server.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub directory: Option<String>,
    /// The event.
    pub payload: Event,
}
