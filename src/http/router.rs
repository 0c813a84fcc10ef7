//! The list of routes, and what is wrapped around them.

use std::borrow::Cow;

use axum::Router;
use axum::extract::Request;
use axum::http::{Extensions, HeaderMap, StatusCode, Uri, Version};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use super::error::{self, Problem};
use super::message::Uncompressed;
use super::responses::Dialect;
use super::route::{self, Routes, describe, routes};
use super::state::Shared;
use super::{
    agent, auth, backend, command, config, cors, credential, docs, event, experimental, file, find,
    formatter, front, global, guard, headers, instance, log, lsp, mcp, message, metrics, page,
    path, permission, project, provider, pty, question, request_id, serve, session, skill, tui, v2,
    vcs,
};

/// Where OpenCode's API is, beside the root. The document describes it here only.
pub const PREFIX: &str = "/opencode";

/// Every route of OpenCode's API, once, by the shape of its errors. It is served at the root and below [`PREFIX`]. With
/// [`ROOT`], the router and the OpenAPI document are both made from it.
const OPENCODE: &[(Dialect, &[&[Routes]])] = &[
    (
        Dialect::Named,
        &[
            SERVER,
            SESSIONS,
            HISTORY,
            RUNS,
            ASKS,
            CATALOGUE,
            SURFACE,
            EXPERIMENTAL,
            TUI,
            PLACES,
            TERMINALS,
        ],
    ),
    (Dialect::Tagged, &[V2, V2_SESSIONS]),
];

/// What is at the root only.
const ROOT: &[Routes] = &[
    routes!(docs::openapi),
    routes!(docs::openapi_older),
    routes!(metrics::metrics),
];

/// What the document shows at the root, too: a client that takes only a server's origin looks there.
const ROOT_HEALTH: &[(Dialect, &[Routes])] = &[
    (Dialect::Named, &[routes!(global::health::root)]),
    (Dialect::Tagged, &[routes!(global::health::root_api)]),
];

/// The server itself: its health and its events.
const SERVER: &[Routes] = &[
    routes!(global::health::health),
    routes!(global::event::event),
    routes!(event::subscribe),
];

/// Sessions, their messages, and what is done to them.
const SESSIONS: &[Routes] = &[
    routes!(session::list::list, session::create::create),
    routes!(session::status::status),
    routes!(
        session::get::get,
        session::update::update,
        session::delete::delete
    ),
    routes!(message::list::list, message::prompt::prompt),
    routes!(message::get::get, message::delete::delete),
    routes!(message::prompt_async::prompt_async),
    routes!(session::model_history::model_history),
    routes!(session::handover::handover),
    routes!(session::abort::abort),
    routes!(session::init::init),
    routes!(session::children::children),
    routes!(session::todo::todo),
    routes!(session::permissions::respond),
];

/// What was said and done: going back, copying, editing.
const HISTORY: &[Routes] = &[
    routes!(session::diff::diff),
    routes!(session::revert::revert),
    routes!(session::unrevert::unrevert),
    routes!(session::fork::fork),
    routes!(session::share::share, session::share::unshare),
    routes!(message::part::update::update, message::part::delete::delete),
];

/// What is run in a session beside prompts.
const RUNS: &[Routes] = &[
    routes!(session::shell::shell),
    routes!(session::command::command),
    routes!(command::list::list),
    routes!(session::summarize::summarize),
];

/// What agents ask the user.
const ASKS: &[Routes] = &[
    routes!(permission::list::list),
    routes!(permission::reply::reply),
    routes!(question::list::list),
    routes!(question::reply::reply),
    routes!(question::reject::reject),
];

/// What can be selected, and where work is done.
const CATALOGUE: &[Routes] = &[
    routes!(provider::list::list),
    routes!(backend::list::list),
    routes!(backend::authenticate::authenticate),
    routes!(config::providers::providers),
    routes!(config::get::get, config::update::update),
    routes!(agent::list),
    routes!(path::get),
];

/// Where work is done: projects, files, version control.
const PLACES: &[Routes] = &[
    routes!(project::list::list),
    routes!(project::current::current),
    routes!(project::git_init::git_init),
    routes!(project::update::update),
    routes!(project::directories::directories),
    routes!(file::list::list),
    routes!(file::content::content),
    routes!(file::status::status),
    routes!(find::text::text),
    routes!(find::file::file),
    routes!(find::symbol::symbol),
    routes!(vcs::get::get),
    routes!(vcs::status::status),
    routes!(vcs::diff::diff),
    routes!(vcs::diff_raw::diff_raw),
    routes!(vcs::apply::apply),
];

/// What else OpenCode's clients ask and tell a server.
const SURFACE: &[Routes] = &[
    routes!(global::config::get, global::config::update),
    routes!(global::dispose::dispose),
    routes!(instance::dispose::dispose),
    routes!(provider::auth::auth),
    routes!(provider::oauth::authorize),
    routes!(provider::oauth::callback),
    routes!(credential::set::set, credential::remove::remove),
    routes!(mcp::status),
    routes!(lsp::status),
    routes!(formatter::status),
    routes!(skill::list),
    routes!(log::log),
];

/// Features of OpenCode that Baton does not have.
const EXPERIMENTAL: &[Routes] = &[
    routes!(experimental::capabilities::get),
    routes!(experimental::console::get),
    routes!(experimental::console::orgs),
    routes!(experimental::resource::list),
    routes!(experimental::session::list),
    routes!(experimental::tool::list),
    routes!(experimental::tool::ids),
    routes!(experimental::workspace::list),
    routes!(experimental::workspace::status),
    routes!(experimental::workspace::adapters),
    routes!(experimental::worktree::list),
];

/// The terminal UIs that are attached.
const TUI: &[Routes] = &[
    routes!(tui::append_prompt::append_prompt),
    routes!(tui::open_help::open_help),
    routes!(tui::open_sessions::open_sessions),
    routes!(tui::open_themes::open_themes),
    routes!(tui::open_models::open_models),
    routes!(tui::submit_prompt::submit_prompt),
    routes!(tui::clear_prompt::clear_prompt),
    routes!(tui::execute_command::execute_command),
    routes!(tui::show_toast::show_toast),
    routes!(tui::publish::publish),
    routes!(tui::select_session::select_session),
    routes!(tui::control::next),
    routes!(tui::control::response),
];

/// Terminals, of which Baton has none.
const TERMINALS: &[Routes] = &[routes!(pty::shells)];

/// OpenCode 2.
const V2: &[Routes] = &[
    routes!(global::health::api),
    routes!(v2::location::get),
    routes!(v2::agents::list),
    routes!(v2::models::list),
    routes!(v2::models::default),
    routes!(v2::providers::list),
    routes!(v2::providers::get),
    routes!(v2::integrations::list),
    routes!(v2::integrations::get),
    routes!(v2::references::list),
    routes!(v2::skills::list),
    routes!(v2::commands::list),
    routes!(v2::permissions::list),
    routes!(v2::permissions::saved),
    routes!(v2::questions::list),
    routes!(v2::events::subscribe),
    routes!(v2::fs::list::list),
    routes!(v2::fs::find::find),
    routes!(v2::fs::read::read),
];

/// The sessions of OpenCode 2.
const V2_SESSIONS: &[Routes] = &[
    routes!(v2::model::model),
    routes!(v2::agent::agent),
    routes!(v2::session::list::list, v2::session::create::create),
    routes!(v2::session::active::active),
    routes!(v2::session::get::get),
    routes!(v2::session::messages::list),
    routes!(v2::session::message::get),
    routes!(v2::session::context::get),
    routes!(v2::session::prompt::prompt),
    routes!(v2::session::interrupt::interrupt),
    routes!(v2::session::wait::wait),
    routes!(v2::session::compact::compact),
    routes!(v2::session::history::history),
    routes!(v2::session::event::events),
    routes!(v2::session::permissions::list),
    routes!(v2::session::permissions::get),
    routes!(v2::session::permissions::reply),
    routes!(v2::session::questions::list),
    routes!(v2::session::questions::reply),
    routes!(v2::session::questions::reject),
];

/// What the OpenAPI document says about the routes.
pub fn description() -> OpenApi {
    let opencode = OPENCODE
        .iter()
        .flat_map(|(dialect, lists)| lists.iter().map(|list| (*dialect, *list)));
    let opencode = opencode.fold(OpenApiRouter::default(), describe);
    let router = OpenApiRouter::default().nest(PREFIX, opencode);
    let router = ROOT_HEALTH.iter().copied().fold(router, describe);
    describe(router, (Dialect::Named, ROOT)).into_openapi()
}

/// The whole server.
pub fn router(state: Shared) -> Router {
    let [(_, named), (_, tagged)] = OPENCODE else {
        unreachable!("there are two shapes of errors");
    };
    let named = route::serve(at_both_places(named), ROOT)
        .merge(docs::ui())
        .merge(page::routes())
        .fallback(no_route);
    let elsewhere = ELSEWHERE.map(|path| (path, any(no_route)));
    let elsewhere = elsewhere
        .into_iter()
        .fold(at_both_places(tagged), |router, (path, refused)| {
            router.route(path, refused)
        });
    // OpenCode 2 has its own shape of errors, whoever makes them: outside of all other layers.
    let tagged = wrapped(elsewhere, &state).layer(from_fn(error::tagged));
    wrapped(named, &state).merge(tagged).with_state(state)
}

/// OpenCode's clients differ in whether they keep the path of an address that they are given.
fn at_both_places(lists: &[&[Routes]]) -> Router<Shared> {
    let routes = lists.iter().copied().fold(Router::new(), route::serve);
    Router::new().nest(PREFIX, routes.clone()).merge(routes)
}

/// What is around every route.
fn wrapped(router: Router<Shared>, state: &Shared) -> Router<Shared> {
    let compressible = DefaultPredicate::new().and(
        |_: StatusCode, _: Version, _: &HeaderMap, extensions: &Extensions| {
            extensions.get::<Uncompressed>().is_none()
        },
    );
    router
        .method_not_allowed_fallback(wrong_method)
        // From the inside out: the last one sees a request first.
        .layer(CompressionLayer::new().compress_when(compressible))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(from_fn_with_state(state.clone(), auth::require_password))
        .layer(cors::layer(state))
        .layer(from_fn(cors::preflight_is_empty))
        .layer(from_fn_with_state(state.clone(), guard::refuse_strangers))
        .layer(from_fn(serve::refuse_crowd))
        .layer(from_fn(headers::protect))
        .layer(from_fn(request_id::follow))
        // Before anything can log the address.
        .layer(from_fn(auth::query::take_token))
        .layer(from_fn_with_state(state.clone(), front::recognise))
}

/// HTML here, which OpenCode itself sends, would end OpenCode's terminal UI.
pub async fn no_route(uri: Uri, headers: HeaderMap) -> Response {
    let mut message = format!("There is no {} here", uri.path());
    if page::prefers_html(&headers) {
        message.push_str(". The page that says what there is: /");
    }
    Problem::no_route(message).into_response()
}

/// Where there is nothing, and OpenCode 2's shape of an error is due.
const ELSEWHERE: [&str; 4] = [
    "/api/",
    "/api/{*elsewhere}",
    "/opencode/api/",
    "/opencode/api/{*elsewhere}",
];

/// Whether a route is one of OpenCode's or Baton's, and not only the place of an error.
pub fn is_there(route: &str) -> bool {
    !ELSEWHERE.contains(&route)
}

/// The name of a route in the figures: the same one wherever OpenCode's API was asked.
pub fn name_of(route: &str) -> Cow<'_, str> {
    let has_one_place = route.starts_with(PREFIX)
        || route.starts_with("/docs")
        || route.starts_with("/ui/")
        || ["/", "/openapi.json", "/openapi-3.0.json", "/metrics"].contains(&route);
    match has_one_place {
        true => Cow::Borrowed(route),
        false => Cow::Owned(format!("{PREFIX}{route}")),
    }
}

async fn wrong_method(request: Request) -> Response {
    let message = format!(
        "{} is not possible here; the Allow header has what is",
        request.method()
    );
    Problem::method_not_allowed(message).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_has_one_name_at_both_places() {
        for route in ["/session/{sessionID}", "/opencode/session/{sessionID}"] {
            assert_eq!(name_of(route), "/opencode/session/{sessionID}");
        }
        for own in [
            "/",
            "/metrics",
            "/openapi.json",
            "/docs/{*rest}",
            "/ui/{file}",
        ] {
            assert_eq!(name_of(own), own);
        }
    }
}
