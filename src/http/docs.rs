//! `/openapi.json`, `/openapi-3.0.json`, and the page at `/docs` that shows the first.

use axum::Router;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::HOST;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use tower_http::decompression::DecompressionLayer;
use utoipa::{IntoParams, IntoResponses, ToSchema};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::extract::Params;
use super::known::Tagged;
use super::openapi::{Form, Version};
use super::responses::Invalid;
use super::state::Shared;

/// The scheme by which a proxy in front of the server was asked.
const FORWARDED_SCHEME: &str = "x-forwarded-proto";

/// An OpenAPI document.
#[derive(Debug, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object)]
pub struct OpenApiDocument(pub Map<String, Value>);

/// Which operations are wanted.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Query {
    /// Only the operations that matter for driving sessions. Without a value it is true.
    pub core: Option<bool>,
}

/// What a request for the document is answered with.
#[derive(Debug, IntoResponses)]
pub enum Served {
    /// The document.
    #[response(
        status = 200,
        headers(("ETag" = String, description = "Changes with the document; `If-None-Match` takes it."))
    )]
    Document(OpenApiDocument),
    /// The document is the one that `If-None-Match` names.
    #[response(status = 304)]
    Known,
}

/// Get this document
///
/// The OpenAPI 3.1 document of the server, as it runs, with the address at which it was asked as the first of its
/// servers.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "openapi.get",
    tag = "global",
    params(Query),
    responses(Served, Invalid)
)]
pub async fn openapi(params: Params, headers: HeaderMap) -> Response {
    respond(Version::Current, &params, &headers)
}

/// Get this document as OpenAPI 3.0
///
/// The same in the form of OpenAPI 3.0.3, for generators that read no other. Every error is an `Error` there, or a
/// `TaggedError` below `/api`.
#[utoipa::path(
    get,
    path = "/openapi-3.0.json",
    operation_id = "openapi.getOlder",
    tag = "global",
    params(Query),
    responses(Served, Invalid)
)]
pub async fn openapi_older(params: Params, headers: HeaderMap) -> Response {
    respond(Version::Older, &params, &headers)
}

fn respond(version: Version, params: &Params, headers: &HeaderMap) -> Response {
    let is_core = match params.choice_or_bare("core") {
        Ok(is_core) => is_core,
        Err(problem) => return problem.into_response(),
    };
    let document = Form { version, is_core }.served(&address(headers));
    Tagged::new(document).answer(headers)
}

/// Where the server was asked. What the header may have was looked at before (`guard`).
fn address(headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = match text(FORWARDED_SCHEME) {
        Some("https") => "https",
        _ => "http",
    };
    format!("{scheme}://{}", text(HOST.as_str()).unwrap_or_default())
}

/// Where the page is.
const PAGE: &str = "/docs";
/// The main operation on the page. What follows the mark never reaches a server: the page itself opens it.
const MAIN_OPERATION: &str = "/docs/#/session/session.update";

/// The page. Its files are part of the program. It opens on the main operation.
pub fn ui() -> Router<Shared> {
    let config = Config::from("/openapi.json").try_it_out_enabled(true);
    let page: Router<Shared> = SwaggerUi::new(PAGE).config(config).into();
    // They are kept packed, and not every client takes them so.
    let page = page.layer(DecompressionLayer::new());
    page.route_layer(from_fn(open_on_main_operation))
}

/// Middleware: redirects a request for the page itself to its main operation.
async fn open_on_main_operation(request: Request, next: Next) -> Response {
    match request.uri().path() {
        PAGE => Redirect::to(MAIN_OPERATION).into_response(),
        _ => next.run(request).await,
    }
}
