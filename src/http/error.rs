//! The one place that says which failure has which status, name and body.
//!
//! Most bodies have OpenCode's shape `{"name": …, "data": {"message": …, …}}`. OpenCode 2's routes
//! have its own, `{"_tag": …, "message": …, …}`; [`tagged::tagged`] writes it there. Where OpenCode itself
//! mixes the two, the body has both.

pub mod body;
mod of_domain;
pub mod tagged;

use std::any::Any;

use axum::Json;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use rand::RngExt;
use serde_json::Value;

pub use self::body::BadKind;
use self::body::{BadRequestData, ErrorBody, NotFoundData, UnknownErrorData, message_data};
use self::tagged::{Fields, Tag};
use super::request_id;
use crate::{json, secret};

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
/// Random characters of a failure's reference, which is in the log and in the answer.
const REF_CHARS: usize = 12;

/// A failed request: what a handler returns.
#[derive(Debug, Clone)]
pub struct Problem(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    status: StatusCode,
    body: ErrorBody,
    /// The name in OpenCode 2's shape, where it is not that of the body.
    tag: Option<Tag>,
    /// Further fields in OpenCode 2's shape.
    fields: Fields,
    /// OpenCode writes this error in its second shape on its first routes, too.
    both: bool,
    header: Option<(HeaderName, HeaderValue)>,
}

impl From<ErrorBody> for Problem {
    fn from(body: ErrorBody) -> Self {
        Self(Box::new(Inner {
            status: body.status(),
            body,
            tag: None,
            fields: Fields::default(),
            both: false,
            header: None,
        }))
    }
}

impl Problem {
    fn tagged(mut self, tag: Tag) -> Self {
        self.0.tag = Some(tag);
        self
    }

    /// 404 for something with an error of its own in OpenCode 2's shape.
    pub fn missing(message: String, tag: Tag, fields: Fields) -> Self {
        let mut problem = Self::not_found(message).tagged(tag);
        problem.0.fields = fields;
        problem
    }

    /// 400 for a cursor that leads nowhere.
    pub fn cursor(message: &str) -> Self {
        Self::bad_at(BadKind::Query, "cursor", message).tagged(Tag::InvalidCursorError)
    }

    fn in_both_shapes(mut self) -> Self {
        self.0.both = true;
        self
    }

    fn with_header(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.0.header = Some((name, value.into()));
        self
    }

    fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = status;
        self
    }

    fn retry_after(self, seconds: u64) -> Self {
        self.with_header(RETRY_AFTER, seconds)
    }

    /// 400 `BadRequest`.
    pub fn bad(kind: BadKind, message: impl Into<String>) -> Self {
        let message = message.into();
        let body = ErrorBody::BadRequest(BadRequestData { message, kind });
        Self::from(body).tagged(Tag::InvalidRequestError)
    }

    /// The same, with the name of the parameter, header or field that is wrong.
    pub fn bad_at(kind: BadKind, name: &str, message: impl std::fmt::Display) -> Self {
        Self::bad(kind, format!("{message}\n  at [\"{name}\"]"))
    }

    /// `BadRequest` with another status: 408, 413 or 415.
    pub fn bad_with(status: StatusCode, kind: BadKind, message: impl Into<String>) -> Self {
        Self::bad(kind, message).with_status(status)
    }

    /// 401.
    pub fn unauthorized() -> Self {
        let message =
            "A password is needed: send it with HTTP Basic (any user name) or as a Bearer token.";
        let body = ErrorBody::UnauthorizedError(message_data(message));
        let how = HeaderValue::from_static("Basic realm=\"baton\", charset=\"UTF-8\"");
        Self::from(body).with_header(WWW_AUTHENTICATE, how)
    }

    /// 429: too many attempts to sign in wait already.
    pub fn too_many_guesses() -> Self {
        let message = "Too many sign-ins from this address have failed. Try again later, with the right password.";
        let body = ErrorBody::UnauthorizedError(message_data(message));
        Self::from(body)
            .with_status(StatusCode::TOO_MANY_REQUESTS)
            .retry_after(GUESSES_RETRY_AFTER_S)
    }

    /// 403.
    pub fn forbidden(message: impl Into<String>) -> Self {
        ErrorBody::ForbiddenError(message_data(message)).into()
    }

    /// 404.
    pub fn not_found(message: impl Into<String>) -> Self {
        let data = NotFoundData {
            message: message.into(),
            ..NotFoundData::default()
        };
        ErrorBody::NotFoundError(data).into()
    }

    /// 405.
    pub fn method_not_allowed(message: impl Into<String>) -> Self {
        ErrorBody::MethodNotAllowedError(message_data(message)).into()
    }

    /// 503.
    pub fn shutting_down() -> Self {
        ErrorBody::ServiceUnavailableError(message_data("Baton is shutting down")).into()
    }

    /// 503: nothing can be stored for now, and nothing was changed.
    pub fn store_unavailable(error: &dyn std::fmt::Display) -> Self {
        tracing::error!("a request was refused: {error}");
        let message = format!("{error}. Nothing was changed; send the request again.");
        let body = ErrorBody::ServiceUnavailableError(message_data(&message));
        Self::from(body).retry_after(STORE_RETRY_AFTER_S)
    }

    /// 503: there are too many connections.
    pub fn crowded() -> Self {
        let message = "There are too many connections (limits.connections, limits.connections_per_address, limits.event_streams). Close some and try again.";
        let body = ErrorBody::ServiceUnavailableError(message_data(message));
        Self::from(body).retry_after(CROWD_RETRY_AFTER_S)
    }

    /// 507: the disk is full, and nothing was changed.
    pub fn disk_full(error: &dyn std::fmt::Display) -> Self {
        tracing::error!("a request was refused: {error}");
        let message = format!("Nothing was changed: {error}.");
        let body = ErrorBody::InsufficientStorageError(message_data(&message));
        Self::from(body).retry_after(STORE_RETRY_AFTER_S)
    }

    /// 503: what the request is about is not available at the moment.
    pub fn not_now(error: &dyn std::fmt::Display) -> Self {
        tracing::warn!("a request was refused: {error}");
        let body = ErrorBody::ServiceUnavailableError(message_data(error.to_string()));
        Self::from(body).retry_after(FILES_RETRY_AFTER_S)
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
        ErrorBody::UnknownError(data).into()
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
        Self::not_found_as(data, Tag::ProjectNotFoundError).in_both_shapes()
    }

    fn not_found_as(data: NotFoundData, tag: Tag) -> Self {
        Self::from(ErrorBody::NotFoundError(data)).tagged(tag)
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The message for the client.
    pub fn message(&self) -> String {
        let body = self.named();
        let message = body.pointer("/data/message").and_then(Value::as_str);
        message.unwrap_or_default().to_owned()
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
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.0.status, Json(self.named())).into_response();
        if let Some((name, value)) = &self.0.header {
            response.headers_mut().insert(name.clone(), value.clone());
        }
        // `tagged::tagged` writes the body anew where the other shape is due.
        response.extensions_mut().insert(self);
        response
    }
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
