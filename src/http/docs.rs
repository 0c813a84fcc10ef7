//! `/openapi.json` and the page at `/docs` that shows it.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::openapi::COMMITTED;
use super::state::Shared;

/// An OpenAPI 3.1 document.
#[derive(Debug, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object)]
pub struct OpenApiDocument(pub Map<String, Value>);

/// Get this document
///
/// The OpenAPI document of the server, as it runs.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "openapi.get",
    tag = "global",
    responses((status = 200, description = "The document.", body = OpenApiDocument))
)]
pub async fn openapi() -> Response {
    ([(CONTENT_TYPE, "application/json")], COMMITTED.trim_end()).into_response()
}

/// The page. Its files are part of the program.
pub fn ui() -> Router<Shared> {
    let config = Config::from("/openapi.json").try_it_out_enabled(true);
    SwaggerUi::new("/docs").config(config).into()
}
