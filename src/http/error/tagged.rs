//! Errors as OpenCode 2 writes them: `{"_tag": …, "message": …, …}`, the data next to the name.
//!
//! The document's `TaggedError` is made from the types here and those of [`body`](super::body) (`openapi/errors`).

use axum::Json;
use axum::extract::Request;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::Problem;
use crate::json;
use crate::opencode::{MessageId, SessionId};

/// The names that OpenCode 2 has where the first version has another or a wider one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ErrorTag)]
pub enum Tag {
    /// `BadRequest`.
    InvalidRequestError,
    /// `BadRequest`: the cursor leads nowhere.
    InvalidCursorError,
    /// `MessageExistsError`.
    ConflictError,
    /// `NotFoundError`: there is no such session.
    SessionNotFoundError,
    /// `NotFoundError`: there is no such message.
    MessageNotFoundError,
    /// `NotFoundError`: no such permission request waits.
    PermissionNotFoundError,
    /// `NotFoundError`: no such question waits.
    QuestionNotFoundError,
    /// `NotFoundError`: there is no such provider.
    ProviderNotFoundError,
    /// `NotFoundError`: there is no such project.
    ProjectNotFoundError,
}

/// What only OpenCode 2's shape says of something that is not there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
#[schema(as = TaggedFields)]
pub struct Fields {
    /// The provider that is not there.
    #[serde(rename = "providerID", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub provider_id: Option<String>,
    /// The session of that message.
    #[serde(rename = "sessionID", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub session_id: Option<SessionId>,
    /// The message that is not there.
    #[serde(rename = "messageID", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub message_id: Option<MessageId>,
}

impl Problem {
    /// The body in OpenCode 2's shape.
    pub(super) fn flat(&self) -> Map<String, Value> {
        let Value::Object(mut body) = self.masked() else {
            return Map::new();
        };
        let name = body.remove("name").unwrap_or_default();
        let tag = self.0.tag.map_or(name, |tag| json::tree(&tag));
        let mut flat = Map::from_iter([("_tag".to_owned(), tag)]);
        let data = body.remove("data").unwrap_or_default();
        for fields in [data, json::tree(&self.0.fields)] {
            if let Value::Object(fields) = fields {
                flat.extend(fields);
            }
        }
        if self.0.tag == Some(Tag::InvalidCursorError) {
            // OpenCode's shape of this one has nothing but its message.
            flat.remove("kind");
        }
        flat
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
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.remove(CONTENT_ENCODING);
    Response::from_parts(parts, flat.into_body())
}
