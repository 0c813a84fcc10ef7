//! `/openapi.json` and the page at `/docs` that shows it.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::openapi::document;
use super::state::Shared;

/// Get this document
///
/// The OpenAPI document of the server, as it runs.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "openapi.get",
    tag = "global",
    responses((status = 200, description = "The document.", body = Object))
)]
pub async fn openapi() -> Response {
    ([(CONTENT_TYPE, "application/json")], document()).into_response()
}

/// The page. Its files are part of the program.
pub fn ui() -> Router<Shared> {
    let config = Config::from("/openapi.json").try_it_out_enabled(true);
    SwaggerUi::new("/docs").config(config).into()
}
