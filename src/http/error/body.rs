//! The bodies of errors, as OpenCode writes them: `{"name": …, "data": {"message": …, …}}`.

use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::opencode::history::ModelUsage;
use crate::opencode::message::MessageError;
use crate::opencode::spending::{SpendingLimit, SpendingScope, Spent};
use crate::opencode::{Selection, SessionId};

/// What part of a request is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = BadRequestKind)]
pub enum BadKind {
    /// The path.
    Params,
    /// A header.
    Headers,
    /// The query.
    Query,
    /// The body as such: its type, its size, its syntax.
    Body,
    /// A field of the body.
    Payload,
}

/// A request that cannot be understood.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct BadRequestData {
    /// What is wrong, with the path of the field: `Expected string | null, got 5\n  at ["title"]`.
    pub message: String,
    /// The part of the request that is wrong.
    pub kind: BadKind,
}

/// Only a message.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ErrorMessage)]
pub struct MessageData {
    /// What happened, and what to do.
    pub message: String,
}

/// A provider, model or variant that is not known.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ModelNotFoundData {
    /// What is not known, with what is alike.
    pub message: String,
    /// The provider that was asked for.
    #[serde(rename = "providerID")]
    pub provider_id: String,
    /// The model that was asked for.
    #[serde(rename = "modelID")]
    pub model_id: String,
    /// The variant that was asked for, when that is what is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub variant: Option<String>,
    /// Ids to take instead: of providers, models or variants, whichever is not known.
    pub suggestions: Vec<String>,
}

/// A provider that is known and cannot run.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct NotConnectedData {
    /// Why, and what to do.
    pub message: String,
    /// The provider; absent when none at all can run.
    #[serde(rename = "providerID", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub provider_id: Option<String>,
}

/// An agent that is not known, or not with this provider.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AgentNotFoundData {
    /// What is wrong.
    pub message: String,
    /// The agent that was asked for.
    pub agent: String,
    /// The agents that are available.
    pub available: Vec<String>,
}

/// A slash command that is not known.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct CommandNotFoundData {
    /// What is not known, with what is alike.
    pub message: String,
    /// The command that was asked for.
    pub command: String,
    /// Commands to take instead.
    pub suggestions: Vec<String>,
}

/// A session, message, request or route that is not there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct NotFoundData {
    /// What is not there.
    pub message: String,
    /// The session that is not there.
    #[serde(rename = "sessionID", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub session_id: Option<SessionId>,
    /// The permission request or question that is not there.
    #[serde(rename = "requestID", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub request_id: Option<String>,
    /// The project that is not there.
    #[serde(rename = "projectID", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub project_id: Option<String>,
}

/// A session that has moved on since it was read.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RevisionConflictData {
    /// What to do.
    pub message: String,
    /// The session's revision now; it is the `ETag` of this answer, too.
    pub revision: u64,
    /// The session's selection now; null before the first.
    #[schema(required)]
    pub selection: Option<Selection>,
}

/// A session that is busy with something else.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SessionBusyData {
    /// What to do.
    pub message: String,
    /// The session that is busy.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
}

/// A session that is there already.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SessionExistsData {
    /// What to do.
    pub message: String,
    /// The session that is there.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
}

/// A session for which too many prompts wait.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct QueueFullData {
    /// What to do.
    pub message: String,
    /// How many may wait.
    #[schema(format = Int64)]
    pub limit: usize,
}

/// A limit of what may be spent.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SpendingLimitData {
    /// What was spent on what, and how to go on.
    pub message: String,
    /// Of what it is a limit.
    pub scope: SpendingScope,
    /// What may be spent.
    pub allowed: SpendingLimit,
    /// What was.
    pub spent: Spent,
    /// On which models, in this session.
    pub usage: Vec<ModelUsage>,
    /// Backends of this session that have reported nothing of what the limit counts: what they used does not count.
    pub uncounted: Vec<String>,
}

/// A selection that the agent could not apply.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct NotAppliedData {
    /// Why, and what to do.
    pub message: String,
    /// The same, as the event `session.model_failed` carries it.
    pub error: MessageError,
}

/// Why a patch was not applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UnpatchableReason {
    /// There is no repository.
    NonGit,
    /// It does not fit.
    NotClean,
}

/// A patch that was not applied.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct VcsApplyData {
    /// What is wrong, in git's words.
    pub message: String,
    /// Which kind of wrong.
    pub reason: UnpatchableReason,
}

/// A failure of the server.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct UnknownErrorData {
    /// A general sentence; the log says more.
    pub message: String,
    /// Identifies the real error in the server's log.
    #[schema(example = "err_3kTz9Qa1Xw0B")]
    pub r#ref: String,
    /// The `x-request-id` of this answer, which is in the log, too (Baton's addition).
    #[serde(rename = "requestID", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub request_id: Option<String>,
}

/// Every error body, by name.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(tag = "name", content = "data")]
pub enum ErrorBody {
    /// The request cannot be understood.
    BadRequest(BadRequestData),
    /// The provider, the model or the variant is not known.
    ProviderModelNotFoundError(ModelNotFoundData),
    /// The provider is known and cannot run.
    ProviderNotConnectedError(NotConnectedData),
    /// The agent is not known, or not with this provider.
    AgentNotFoundError(AgentNotFoundData),
    /// There is no such slash command.
    CommandNotFoundError(CommandNotFoundData),
    /// No password, or a wrong one.
    UnauthorizedError(MessageData),
    /// A page of another web site, or a host name that is not this server's.
    ForbiddenError(MessageData),
    /// There is no such session, message, request or route.
    NotFoundError(NotFoundData),
    /// The route exists, and not with this method.
    MethodNotAllowedError(MessageData),
    /// The session has moved on since the client read it.
    RevisionConflictError(RevisionConflictData),
    /// The session is busy, and this cannot be done at the same time.
    SessionBusyError(SessionBusyData),
    /// There is a message with this id already.
    MessageExistsError(MessageData),
    /// A session goes on in this native session already.
    SessionExistsError(SessionExistsData),
    /// Too many prompts wait for the session.
    QueueFullError(QueueFullData),
    /// No more may be spent.
    SpendingLimitError(SpendingLimitData),
    /// The agent could not apply the selection, which was taken back.
    ModelNotAppliedError(NotAppliedData),
    /// A patch does not fit what is there.
    VcsApplyError(VcsApplyData),
    /// The server is shutting down.
    ServiceUnavailableError(MessageData),
    /// The disk of the data directory is full.
    InsufficientStorageError(MessageData),
    /// The server has failed.
    UnknownError(UnknownErrorData),
}

impl ErrorBody {
    /// The status that it comes with, unless there is a better one.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_)
            | Self::ProviderModelNotFoundError(_)
            | Self::ProviderNotConnectedError(_)
            | Self::AgentNotFoundError(_)
            | Self::CommandNotFoundError(_)
            | Self::VcsApplyError(_) => StatusCode::BAD_REQUEST,
            Self::UnauthorizedError(_) => StatusCode::UNAUTHORIZED,
            Self::ForbiddenError(_) => StatusCode::FORBIDDEN,
            Self::NotFoundError(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowedError(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::SessionBusyError(_)
            | Self::MessageExistsError(_)
            | Self::SessionExistsError(_) => StatusCode::CONFLICT,
            Self::RevisionConflictError(_) => StatusCode::PRECONDITION_FAILED,
            Self::QueueFullError(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::SpendingLimitError(_) => StatusCode::PAYMENT_REQUIRED,
            Self::UnknownError(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::ModelNotAppliedError(_) => StatusCode::BAD_GATEWAY,
            Self::ServiceUnavailableError(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::InsufficientStorageError(_) => StatusCode::INSUFFICIENT_STORAGE,
        }
    }
}

/// The data of an error that says nothing but its message.
pub(super) fn message_data(message: impl Into<String>) -> MessageData {
    MessageData {
        message: message.into(),
    }
}
