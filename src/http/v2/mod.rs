//! OpenCode 2's routes, below `/api`. Their errors have a shape of their own: `{"_tag", "message", …}`.

pub mod cursor;
pub mod events;
pub mod fs;
pub mod location;
pub mod providers;
pub mod session;

use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::Problem;
use super::extract::Client;
use super::state::Shared;
use crate::opencode::event::Source;
use crate::opencode::{MessageId, SessionId};
use crate::registry::Wish;
use crate::session::Update;

/// An error of OpenCode 2's routes. Which of the optional fields are there depends on `_tag`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TaggedError {
    /// Its name.
    #[serde(rename = "_tag")]
    pub tag: ErrorTag,
    /// What happened, and what to do.
    pub message: String,
    /// The part of the request that is wrong, such as `Payload`.
    #[schema(nullable = false)]
    pub kind: Option<String>,
    /// The session.
    #[serde(rename = "sessionID")]
    #[schema(nullable = false)]
    pub session_id: Option<SessionId>,
    /// The message.
    #[serde(rename = "messageID")]
    #[schema(nullable = false)]
    pub message_id: Option<MessageId>,
    /// The permission request or question.
    #[serde(rename = "requestID")]
    #[schema(nullable = false)]
    pub request_id: Option<String>,
    /// How many prompts may wait.
    #[schema(nullable = false)]
    pub limit: Option<u64>,
    /// The provider that was asked for.
    #[serde(rename = "providerID")]
    #[schema(nullable = false)]
    pub provider_id: Option<String>,
    /// The model that was asked for.
    #[serde(rename = "modelID")]
    #[schema(nullable = false)]
    pub model_id: Option<String>,
    /// The variant that was asked for.
    #[schema(nullable = false)]
    pub variant: Option<String>,
    /// Ids to take instead.
    #[schema(nullable = false)]
    pub suggestions: Option<Vec<String>>,
    /// The agent that was asked for.
    #[schema(nullable = false)]
    pub agent: Option<String>,
    /// The agents that can be had.
    #[schema(nullable = false)]
    pub available: Option<Vec<String>>,
    /// Stands beside the real error in the server's log.
    #[schema(nullable = false)]
    pub r#ref: Option<String>,
}

/// The names of errors of OpenCode 2's routes.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub enum ErrorTag {
    /// The request cannot be understood.
    InvalidRequestError,
    /// The provider, the model or the variant is not known.
    ProviderModelNotFoundError,
    /// The provider is known and cannot run.
    ProviderNotConnectedError,
    /// The agent is not known, or not with this provider.
    AgentNotFoundError,
    /// There is no such file or route.
    NotFoundError,
    /// There is no such session.
    SessionNotFoundError,
    /// There is no such message.
    MessageNotFoundError,
    /// No such permission request waits.
    PermissionNotFoundError,
    /// No such question waits.
    QuestionNotFoundError,
    /// There is no such provider.
    ProviderNotFoundError,
    /// The cursor leads nowhere.
    InvalidCursorError,
    /// There is a message with this id already.
    ConflictError,
    /// Too many prompts wait for the session.
    QueueFullError,
    /// No password, or a wrong one.
    UnauthorizedError,
    /// A page of another web site, or a host name that is not this server's.
    ForbiddenError,
    /// The server is shutting down.
    ServiceUnavailableError,
    /// The disk of the data directory is full.
    InsufficientStorageError,
    /// The route exists, and not with this method.
    MethodNotAllowedError,
    /// The server has failed.
    UnknownError,
}

/// Selects, as a PATCH would.
async fn switch(
    state: &Shared,
    session: SessionId,
    wish: Wish,
    client: Client,
) -> Result<StatusCode, Problem> {
    let update = Update {
        wish,
        ..Update::default()
    };
    let caller = client.by(Source::Patch);
    state.sessions.update(&session, update, caller).await?;
    Ok(StatusCode::NO_CONTENT)
}
