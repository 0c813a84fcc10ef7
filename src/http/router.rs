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
    agent, auth, command, config, cors, credential, docs, event, experimental, file, find,
    formatter, global, guard, instance, log, lsp, mcp, message, path, permission, project,
    provider, pty, question, session, skill, tui, v2, vcs,
};

/// Every route, once. The router and the OpenAPI document are both made from it.
pub fn routes() -> OpenApiRouter<Shared> {
    let opencode = OpenApiRouter::default()
        .merge(server())
        .merge(sessions())
        .merge(history())
        .merge(runs())
        .merge(asks())
        .merge(catalogue())
        .merge(surface())
        .merge(experimental())
        .merge(tui())
        .merge(places())
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
        .routes(routes!(session::permissions::respond))
}

/// What was said and done: going back, copying, editing.
fn history() -> OpenApiRouter<Shared> {
    OpenApiRouter::default()
        .routes(routes!(session::diff::diff))
        .routes(routes!(session::revert::revert))
        .routes(routes!(session::unrevert::unrevert))
        .routes(routes!(session::fork::fork))
        .routes(routes!(session::share::share, session::share::unshare))
        .routes(routes!(
            message::part::update::update,
            message::part::delete::delete
        ))
}

/// What is run in a session beside prompts.
fn runs() -> OpenApiRouter<Shared> {
    OpenApiRouter::default()
        .routes(routes!(session::shell::shell))
        .routes(routes!(session::command::command))
        .routes(routes!(command::list::list))
        .routes(routes!(session::summarize::summarize))
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
        .routes(routes!(config::get::get, config::update::update))
        .routes(routes!(agent::list))
        .routes(routes!(path::get))
}

/// Where work is done: projects, files, version control.
fn places() -> OpenApiRouter<Shared> {
    OpenApiRouter::default()
        .routes(routes!(project::list::list))
        .routes(routes!(project::current::current))
        .routes(routes!(project::git_init::git_init))
        .routes(routes!(project::update::update))
        .routes(routes!(project::directories::directories))
        .routes(routes!(file::list::list))
        .routes(routes!(file::content::content))
        .routes(routes!(file::status::status))
        .routes(routes!(find::text::text))
        .routes(routes!(find::file::file))
        .routes(routes!(find::symbol::symbol))
        .routes(routes!(vcs::get::get))
        .routes(routes!(vcs::status::status))
        .routes(routes!(vcs::diff::diff))
        .routes(routes!(vcs::diff_raw::diff_raw))
        .routes(routes!(vcs::apply::apply))
        .routes(routes!(v2::fs::list::list))
        .routes(routes!(v2::fs::find::find))
        .routes(routes!(v2::fs::read::read))
}

/// What else OpenCode's clients ask and tell a server.
fn surface() -> OpenApiRouter<Shared> {
    OpenApiRouter::default()
        .routes(routes!(global::config::get, global::config::update))
        .routes(routes!(global::dispose::dispose))
        .routes(routes!(instance::dispose::dispose))
        .routes(routes!(provider::auth::auth))
        .routes(routes!(credential::set::set, credential::remove::remove))
        .routes(routes!(mcp::status))
        .routes(routes!(lsp::status))
        .routes(routes!(formatter::status))
        .routes(routes!(skill::list))
        .routes(routes!(log::log))
}

/// Features of OpenCode that Baton does not have.
fn experimental() -> OpenApiRouter<Shared> {
    OpenApiRouter::default()
        .routes(routes!(experimental::capabilities::get))
        .routes(routes!(experimental::console::get))
        .routes(routes!(experimental::console::orgs))
        .routes(routes!(experimental::resource::list))
        .routes(routes!(experimental::session::list))
        .routes(routes!(experimental::tool::list))
        .routes(routes!(experimental::tool::ids))
        .routes(routes!(experimental::workspace::list))
        .routes(routes!(experimental::workspace::status))
        .routes(routes!(experimental::workspace::adapters))
        .routes(routes!(experimental::worktree::list))
}

/// The terminal UIs that are attached.
fn tui() -> OpenApiRouter<Shared> {
    OpenApiRouter::default()
        .routes(routes!(tui::append_prompt::append_prompt))
        .routes(routes!(tui::open_help::open_help))
        .routes(routes!(tui::open_sessions::open_sessions))
        .routes(routes!(tui::open_themes::open_themes))
        .routes(routes!(tui::open_models::open_models))
        .routes(routes!(tui::submit_prompt::submit_prompt))
        .routes(routes!(tui::clear_prompt::clear_prompt))
        .routes(routes!(tui::execute_command::execute_command))
        .routes(routes!(tui::show_toast::show_toast))
        .routes(routes!(tui::publish::publish))
        .routes(routes!(tui::select_session::select_session))
        .routes(routes!(tui::control::next))
        .routes(routes!(tui::control::response))
}

/// Terminals, of which Baton has none.
fn terminals() -> OpenApiRouter<Shared> {
    OpenApiRouter::default().routes(routes!(pty::shells))
}

/// OpenCode 2.
fn v2() -> OpenApiRouter<Shared> {
    OpenApiRouter::default()
        .routes(routes!(v2::location::get))
        .routes(routes!(v2::agents::list))
        .routes(routes!(v2::models::list))
        .routes(routes!(v2::models::default))
        .routes(routes!(v2::providers::list))
        .routes(routes!(v2::providers::get))
        .routes(routes!(v2::integrations::list))
        .routes(routes!(v2::integrations::get))
        .routes(routes!(v2::references::list))
        .routes(routes!(v2::skills::list))
        .routes(routes!(v2::permissions::list))
        .routes(routes!(v2::permissions::saved))
        .routes(routes!(v2::questions::list))
        .routes(routes!(v2::events::subscribe))
        .merge(v2_sessions())
}

/// The sessions of OpenCode 2.
fn v2_sessions() -> OpenApiRouter<Shared> {
    use v2::session;
    OpenApiRouter::default()
        .routes(routes!(v2::model::model))
        .routes(routes!(v2::agent::agent))
        .routes(routes!(session::list::list, session::create::create))
        .routes(routes!(session::active::active))
        .routes(routes!(session::get::get))
        .routes(routes!(session::messages::list))
        .routes(routes!(session::message::get))
        .routes(routes!(session::context::get))
        .routes(routes!(session::prompt::prompt))
        .routes(routes!(session::interrupt::interrupt))
        .routes(routes!(session::wait::wait))
        .routes(routes!(session::compact::compact))
        .routes(routes!(session::history::history))
        .routes(routes!(session::event::events))
        .routes(routes!(session::permissions::list))
        .routes(routes!(session::permissions::get))
        .routes(routes!(session::permissions::reply))
        .routes(routes!(session::questions::list))
        .routes(routes!(session::questions::reply))
        .routes(routes!(session::questions::reject))
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
