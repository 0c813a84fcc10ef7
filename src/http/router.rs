//! The list of routes, and what is wrapped around them.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{Extensions, HeaderMap, StatusCode, Version};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::{self, Problem};
use super::message::Uncompressed;
use super::state::Shared;
use super::{
    agent, auth, config, cors, docs, event, global, guard, message, path, permission, project,
    provider, pty, question, session, v2,
};

/// Every route, once. The router and the OpenAPI document are both made from it.
pub fn routes() -> OpenApiRouter<Shared> {
    let opencode = OpenApiRouter::default()
        .merge(server())
        .merge(sessions())
        .merge(asks())
        .merge(catalogue())
        .merge(terminals())
        .merge(v2());
    OpenApiRouter::default()
        .nest("/opencode", opencode)
        .routes(routes!(global::health::root))
        .routes(routes!(global::health::api))
        .routes(routes!(docs::openapi))
}

/// The server itself: its health and its events.
fn server() -> OpenApiRouter<Shared> {
    OpenApiRouter::default()
        .routes(routes!(global::health::health))
        .routes(routes!(global::event::event))
        .routes(routes!(event::subscribe))
}

/// Sessions, their messages, and what is done to them.
fn sessions() -> OpenApiRouter<Shared> {
    OpenApiRouter::default()
        .routes(routes!(session::list::list, session::create::create))
        .routes(routes!(session::status::status))
        .routes(routes!(
            session::get::get,
            session::update::update,
            session::delete::delete
        ))
        .routes(routes!(message::list::list, message::prompt::prompt))
        .routes(routes!(message::get::get, message::delete::delete))
        .routes(routes!(message::prompt_async::prompt_async))
        .routes(routes!(session::model_history::model_history))
        .routes(routes!(session::abort::abort))
        .routes(routes!(session::init::init))
        .routes(routes!(session::children::children))
        .routes(routes!(session::todo::todo))
        .routes(routes!(session::diff::diff))
        .routes(routes!(session::permissions::respond))
}

/// What agents ask the user.
fn asks() -> OpenApiRouter<Shared> {
    OpenApiRouter::default()
        .routes(routes!(permission::list::list))
        .routes(routes!(permission::reply::reply))
        .routes(routes!(question::list::list))
        .routes(routes!(question::reply::reply))
        .routes(routes!(question::reject::reject))
}

/// What can be selected, and where work is done.
fn catalogue() -> OpenApiRouter<Shared> {
    OpenApiRouter::default()
        .routes(routes!(provider::list::list))
        .routes(routes!(config::providers::providers))
        .routes(routes!(config::get::get))
        .routes(routes!(agent::list))
        .routes(routes!(path::get))
        .routes(routes!(project::current))
}

/// Terminals, of which Baton has none.
fn terminals() -> OpenApiRouter<Shared> {
    OpenApiRouter::default().routes(routes!(pty::shells))
}

/// OpenCode 2.
fn v2() -> OpenApiRouter<Shared> {
    OpenApiRouter::default()
        .routes(routes!(v2::model::model))
        .routes(routes!(v2::agent::agent))
}

/// The whole server.
pub fn router(state: Shared) -> Router {
    let (router, _) = routes().split_for_parts();
    let compressible = DefaultPredicate::new().and(
        |_: StatusCode, _: Version, _: &HeaderMap, extensions: &Extensions| {
            extensions.get::<Uncompressed>().is_none()
        },
    );
    router
        .merge(docs::ui())
        .fallback(no_route)
        .method_not_allowed_fallback(wrong_method)
        // From the inside out: the last one sees a request first.
        .layer(DefaultBodyLimit::max(state.settings.body_bytes))
        .layer(CompressionLayer::new().compress_when(compressible))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(from_fn_with_state(state.clone(), auth::require_password))
        .layer(cors::layer(&state))
        .layer(from_fn(cors::preflight_is_empty))
        .layer(from_fn_with_state(state.clone(), guard::refuse_strangers))
        .layer(from_fn(error::shape))
        .with_state(state)
}

/// HTML here, which OpenCode itself sends, would end OpenCode's terminal UI.
async fn no_route(request: Request) -> Response {
    let message = format!("There is no {} here", request.uri().path());
    Problem::no_route(message).into_response()
}

async fn wrong_method(request: Request) -> Response {
    let message = format!(
        "{} is not possible here; the Allow header has what is",
        request.method()
    );
    Problem::method_not_allowed(message).into_response()
}
