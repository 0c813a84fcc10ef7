//! The one place that says which failure has which status, name and body.
//!
//! Most bodies have OpenCode's shape `{"name": …, "data": {"message": …, …}}`. OpenCode 2's routes
//! have its own, `{"_tag": …, "message": …, …}`; [`tagged`] writes it there. Where OpenCode itself
//! mixes the two, the body has both.

mod of_domain;

use std::any::Any;
use std::io;

use axum::Json;
use axum::extract::Request;
use axum::http::header::{ETAG, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rand::RngExt;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::request_id;
use crate::files::FileError;
use crate::git::GitError;
use crate::json;
use crate::opencode::message::MessageError;
use crate::opencode::{Selection, SessionId};
use crate::registry::{DefaultsError, SelectError};
use crate::secret;
use crate::session;
use crate::store::StoreError;
use crate::vcs::ApplyError;

/// When a client shall try again after a full queue, in seconds.
const QUEUE_RETRY_AFTER_S: u64 = 5;
/// When to try again after too many failed sign-ins, in seconds.
const GUESSES_RETRY_AFTER_S: u64 = 5;
/// When to try again after the store could not be written, in seconds.
const STORE_RETRY_AFTER_S: u64 = 1;
/// When to try again after there were too many connections, in seconds.
const CROWD_RETRY_AFTER_S: u64 = 5;
/// When to try again after a directory did not answer, in seconds.
const FILES_RETRY_AFTER_S: u64 = 5;
/// Random characters of a failure's reference, which stands in the log and in the answer.
const REF_CHARS: usize = 12;
/// What OpenCode 2 calls a cursor that leads nowhere.
const INVALID_CURSOR: &str = "InvalidCursorError";

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
    /// The agents that can be had.
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
    /// The session.
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
    /// Stands beside the real error in the server's log.
    #[schema(example = "err_3kTz9Qa1Xw0B")]
    pub r#ref: String,
    /// The `x-request-id` of this answer, which stands in the log, too (Baton's addition).
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
    /// The session is busy, and this cannot be done beside it.
    SessionBusyError(SessionBusyData),
    /// There is a message with this id already.
    MessageExistsError(MessageData),
    /// Too many prompts wait for the session.
    QueueFullError(QueueFullData),
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

/// A failed request: what a handler returns.
#[derive(Debug, Clone)]
pub struct Problem(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    status: StatusCode,
    body: ErrorBody,
    /// The name in OpenCode 2's shape, where it is not that of the body.
    tag: Option<&'static str>,
    /// Further fields in OpenCode 2's shape.
    tagged: Map<String, Value>,
    /// OpenCode writes this error in its second shape on its first routes, too.
    both: bool,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Problem {
    fn new(status: StatusCode, body: ErrorBody) -> Self {
        Self(Box::new(Inner {
            status,
            body,
            tag: None,
            tagged: Map::new(),
            both: false,
            header: None,
        }))
    }

    fn tagged(mut self, tag: &'static str) -> Self {
        self.0.tag = Some(tag);
        self
    }

    /// Adds a field in OpenCode 2's shape.
    pub fn with_tagged_field(mut self, name: &str, value: &str) -> Self {
        self.0.tagged.insert(name.to_owned(), Value::from(value));
        self
    }

    /// 404 for something with an error of its own in OpenCode 2's shape.
    pub fn missing(message: String, tag: &'static str) -> Self {
        let data = NotFoundData {
            message,
            ..NotFoundData::default()
        };
        Self::not_found(data, tag)
    }

    /// 400 for a cursor that leads nowhere.
    pub fn cursor(message: &str) -> Self {
        Self::bad(BadKind::Query, format!("{message}\n  at [\"cursor\"]")).tagged(INVALID_CURSOR)
    }

    fn in_both_shapes(mut self) -> Self {
        self.0.both = true;
        self
    }

    fn with_header(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.0.header = Some((name, value.into()));
        self
    }

    /// 400 `BadRequest`.
    pub fn bad(kind: BadKind, message: impl Into<String>) -> Self {
        Self::bad_with(StatusCode::BAD_REQUEST, kind, message)
    }

    /// `BadRequest` with another status: 413 or 415.
    pub fn bad_with(status: StatusCode, kind: BadKind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::new(
            status,
            ErrorBody::BadRequest(BadRequestData { message, kind }),
        )
        .tagged("InvalidRequestError")
    }

    /// 401.
    pub fn unauthorized() -> Self {
        let message =
            "A password is needed: send it with HTTP Basic (any user name) or as a Bearer token.";
        let body = ErrorBody::UnauthorizedError(message_data(message));
        Self::new(StatusCode::UNAUTHORIZED, body).with_header(
            WWW_AUTHENTICATE,
            HeaderValue::from_static("Basic realm=\"baton\", charset=\"UTF-8\""),
        )
    }

    /// 429: too many attempts to sign in wait already.
    pub fn too_many_guesses() -> Self {
        let message = "Too many sign-ins from this address have failed. Try again later, with the right password.";
        let body = ErrorBody::UnauthorizedError(message_data(message));
        Self::new(StatusCode::TOO_MANY_REQUESTS, body)
            .with_header(RETRY_AFTER, GUESSES_RETRY_AFTER_S)
    }

    /// 403.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            ErrorBody::ForbiddenError(message_data(message)),
        )
    }

    /// 404 for a route that does not exist.
    pub fn no_route(message: impl Into<String>) -> Self {
        let data = NotFoundData {
            message: message.into(),
            ..NotFoundData::default()
        };
        Self::new(StatusCode::NOT_FOUND, ErrorBody::NotFoundError(data))
    }

    /// 405.
    pub fn method_not_allowed(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            ErrorBody::MethodNotAllowedError(message_data(message)),
        )
    }

    /// 503.
    pub fn shutting_down() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            ErrorBody::ServiceUnavailableError(message_data("Baton is shutting down")),
        )
    }

    /// 503: nothing can be stored for now, and nothing was changed.
    pub fn store_unavailable(error: &dyn std::fmt::Display) -> Self {
        tracing::error!("a request was refused: {error}");
        let message = format!("{error}. Nothing was changed; send the request again.");
        let body = ErrorBody::ServiceUnavailableError(message_data(&message));
        Self::new(StatusCode::SERVICE_UNAVAILABLE, body)
            .with_header(RETRY_AFTER, STORE_RETRY_AFTER_S)
    }

    /// 503: there are too many connections.
    pub fn crowded() -> Self {
        let message = "There are too many connections (limits.connections, limits.connections_per_address, limits.event_streams). Close some and try again.";
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            ErrorBody::ServiceUnavailableError(message_data(message)),
        )
        .with_header(RETRY_AFTER, CROWD_RETRY_AFTER_S)
    }

    /// 507: the disk is full, and nothing was changed.
    pub fn disk_full(error: &dyn std::fmt::Display) -> Self {
        tracing::error!("a request was refused: {error}");
        let message = format!("Nothing was changed: {error}.");
        let body = ErrorBody::InsufficientStorageError(message_data(&message));
        Self::new(StatusCode::INSUFFICIENT_STORAGE, body)
            .with_header(RETRY_AFTER, STORE_RETRY_AFTER_S)
    }

    /// 503: what the request is about cannot be had at the moment.
    pub fn not_now(error: &dyn std::fmt::Display) -> Self {
        tracing::warn!("a request was refused: {error}");
        let body = ErrorBody::ServiceUnavailableError(message_data(error.to_string()));
        Self::new(StatusCode::SERVICE_UNAVAILABLE, body)
            .with_header(RETRY_AFTER, FILES_RETRY_AFTER_S)
    }

    /// 500 for anything unforeseen. The error goes to the log, under a reference that the client gets.
    pub fn unforeseen(error: &dyn std::fmt::Display) -> Self {
        let mut rng = rand::rng();
        let random: String = (0..REF_CHARS)
            .map(|_| char::from(rng.sample(rand::distr::Alphanumeric)))
            .collect();
        let reference = format!("err_{random}");
        tracing::error!(reference, "unexpected error: {error}");
        let data = UnknownErrorData {
            message: "Unexpected server error. Check server logs for details.".to_owned(),
            r#ref: reference,
            request_id: request_id::current(),
        };
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            ErrorBody::UnknownError(data),
        )
    }

    /// 500 for a failure that the client can be told about.
    fn failed(message: String) -> Self {
        let mut problem = Self::unforeseen(&message);
        if let ErrorBody::UnknownError(data) = &mut problem.0.body {
            data.message = message;
        }
        problem
    }

    /// 404 for a project that was never used.
    pub fn no_project(id: &str) -> Self {
        let data = NotFoundData {
            message: format!("Project not found: {id}"),
            project_id: Some(id.to_owned()),
            ..NotFoundData::default()
        };
        Self::not_found(data, "ProjectNotFoundError").in_both_shapes()
    }

    fn not_found(data: NotFoundData, tag: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, ErrorBody::NotFoundError(data)).tagged(tag)
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The message for the client.
    pub fn message(&self) -> String {
        let body = self.named();
        body["data"]["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// The body without secrets: some errors carry what agents or git have said.
    fn masked(&self) -> Value {
        secret::mask_json(json::tree(&self.0.body))
    }

    /// The body in OpenCode's shape.
    fn named(&self) -> Value {
        let mut body = self.masked();
        if self.0.both
            && let Some(body) = body.as_object_mut()
        {
            body.extend(self.flat());
        }
        body
    }

    /// The body in OpenCode 2's shape.
    fn flat(&self) -> Map<String, Value> {
        let body = self.masked();
        let tag = self.0.tag.or(body["name"].as_str()).unwrap_or_default();
        let mut flat = Map::from_iter([("_tag".to_owned(), Value::from(tag))]);
        if let Some(data) = body["data"].as_object() {
            flat.extend(data.clone());
        }
        flat.extend(self.0.tagged.clone());
        if tag == INVALID_CURSOR {
            // OpenCode's shape of this one has nothing but its message.
            flat.remove("kind");
        }
        flat
    }
}

fn message_data(message: impl Into<String>) -> MessageData {
    MessageData {
        message: message.into(),
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.0.status, Json(self.named())).into_response();
        if let Some((name, value)) = &self.0.header {
            response.headers_mut().insert(name.clone(), value.clone());
        }
        // `tagged` writes the body anew where the other shape is due.
        response.extensions_mut().insert(self);
        response
    }
}

/// Middleware: writes errors in OpenCode 2's shape. The router puts it around OpenCode 2's routes.
pub async fn tagged(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let Some(problem) = response.extensions().get::<Problem>() else {
        return response;
    };
    let flat = Json(problem.flat()).into_response();
    let (mut parts, _) = response.into_parts();
    // Both belong to the body that was there; compression has been at work already.
    parts.headers.remove(axum::http::header::CONTENT_LENGTH);
    parts.headers.remove(axum::http::header::CONTENT_ENCODING);
    Response::from_parts(parts, flat.into_body())
}

/// What a panic in a handler is answered with.
pub fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a text");
    Problem::unforeseen(&format_args!("a handler has panicked: {text}")).into_response()
}

/// A revision as an `ETag`.
pub fn etag(revision: u64) -> HeaderValue {
    // Digits between quotes are always a valid header value.
    HeaderValue::from_str(&format!("\"{revision}\""))
        .unwrap_or_else(|_| HeaderValue::from(revision))
}
