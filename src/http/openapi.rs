//! The OpenAPI document.

use std::sync::LazyLock;

use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use super::error::ErrorBody;
use super::router::routes;
use crate::opencode::{EventId, EventPayload};

/// An event of `/event`.
#[derive(Debug, Serialize, ToSchema)]
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

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Baton",
        description = "Hands a live coding session from one model to another."
    ),
    components(schemas(ErrorBody, EventPayload, super::v2::TaggedError))
)]
struct Base;

/// The document as JSON, for people and machines: indented, in the order of the routes.
pub fn document() -> &'static str {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
        let mut document = Base::openapi();
        document.merge(routes().into_openapi());
        serde_json::to_string_pretty(&document).unwrap_or_default()
    });
    &DOCUMENT
}
