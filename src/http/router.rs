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
    agent, auth, backend, command, config, cors, docs, event, file, find, front, global, guard,
    headers, log, mcp, message, metrics, native, nodes, page, permission, project, provider,
    question, request_id, serve, session, stub, tui, v2, vcs,
};

/// Where OpenCode's API is, besides the root. The document describes it only here.
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
    (Dialect::Named, &[routes!(global::root)]),
    (Dialect::Tagged, &[routes!(global::root_api)]),
];

/// The server itself: its health and its events.
const SERVER: &[Routes] = &[
    routes!(global::health),
    routes!(nodes::list),
    routes!(nodes::ready),
    routes!(nodes::drain),
    routes!(event::event),
    routes!(event::subscribe),
];

/// Sessions, their messages, and what is done to them.
const SESSIONS: &[Routes] = &[
    routes!(session::list::list, session::create::create),
    routes!(session::read::status),
    routes!(
        session::read::get,
        session::update::update,
        session::end::delete
    ),
    routes!(message::read::list, message::prompt::prompt),
    routes!(message::read::get, message::edit::delete),
    routes!(message::prompt::prompt_async),
    routes!(session::read::model_history),
    routes!(session::handover::handover),
    routes!(session::handoff::handoff),
    routes!(session::end::abort),
    routes!(session::init::init),
    routes!(session::read::children),
    routes!(session::read::todo),
    routes!(permission::respond),
];

/// What was said and done: going back, copying, editing.
const HISTORY: &[Routes] = &[
    routes!(session::read::diff),
    routes!(session::revert::revert),
    routes!(session::revert::unrevert),
    routes!(session::revert::fork),
    routes!(stub::share, stub::unshare),
    routes!(message::edit::update, message::edit::delete_part),
];

/// What runs in a session besides prompts.
const RUNS: &[Routes] = &[
    routes!(session::shell::shell),
    routes!(session::command::command),
    routes!(command::list),
    routes!(session::summarize::summarize),
];

/// What agents ask the user.
const ASKS: &[Routes] = &[
    routes!(permission::list),
    routes!(permission::reply),
    routes!(question::list),
    routes!(question::reply),
    routes!(question::reject),
];

/// What can be selected, and where work is done.
const CATALOGUE: &[Routes] = &[
    routes!(provider::list::list),
    routes!(backend::list),
    routes!(native::list),
    routes!(provider::sign_in::authenticate),
    routes!(config::providers),
    routes!(config::get, config::update),
    routes!(agent::list),
    routes!(project::paths),
];

/// Where work is done: projects, files, version control.
const PLACES: &[Routes] = &[
    routes!(project::list),
    routes!(project::current),
    routes!(project::git_init),
    routes!(project::update),
    routes!(project::directories),
    routes!(file::list),
    routes!(file::content),
    routes!(file::status),
    routes!(find::text),
    routes!(find::file),
    routes!(stub::symbols),
    routes!(vcs::get),
    routes!(vcs::status),
    routes!(vcs::diff),
    routes!(vcs::diff_raw),
    routes!(vcs::apply),
];

/// Other requests of OpenCode's clients.
const SURFACE: &[Routes] = &[
    routes!(config::get_global, config::update_global),
    routes!(global::dispose),
    routes!(global::dispose_instance),
    routes!(provider::sign_in::auth),
    routes!(provider::sign_in::authorize),
    routes!(provider::sign_in::callback),
    routes!(stub::set_credential, stub::remove_credential),
    routes!(mcp::status, mcp::add),
    routes!(mcp::connect),
    routes!(mcp::disconnect),
    routes!(stub::language_servers),
    routes!(stub::formatters),
    routes!(stub::skills),
    routes!(log::log),
];

/// Features of OpenCode that Baton does not have.
const EXPERIMENTAL: &[Routes] = &[
    routes!(stub::capabilities),
    routes!(stub::console),
    routes!(stub::console_orgs),
    routes!(stub::resources),
    routes!(session::list::list_everywhere),
    routes!(stub::tools),
    routes!(stub::tool_ids),
    routes!(stub::workspaces),
    routes!(stub::workspace_states),
    routes!(stub::workspace_adapters),
    routes!(stub::worktrees),
];

/// The terminal UIs that are attached.
const TUI: &[Routes] = &[
    routes!(tui::commands::append_prompt),
    routes!(tui::commands::open_help),
    routes!(tui::commands::open_sessions),
    routes!(tui::commands::open_themes),
    routes!(tui::commands::open_models),
    routes!(tui::commands::submit_prompt),
    routes!(tui::commands::clear_prompt),
    routes!(tui::execute_command::execute_command),
    routes!(tui::publish::show_toast),
    routes!(tui::publish::publish),
    routes!(tui::commands::select_session),
    routes!(tui::control::next),
    routes!(tui::control::response),
];

/// Terminals, of which Baton has none.
const TERMINALS: &[Routes] = &[routes!(stub::shells)];

/// OpenCode 2.
const V2: &[Routes] = &[
    routes!(global::api),
    routes!(v2::location::get),
    routes!(agent::list_at),
    routes!(v2::providers::list_models),
    routes!(v2::providers::default_model),
    routes!(v2::providers::list),
    routes!(v2::providers::provider_at),
    routes!(stub::integrations),
    routes!(stub::integration),
    routes!(stub::references),
    routes!(stub::skills_at),
    routes!(command::list_at),
    routes!(permission::list_at),
    routes!(stub::saved_permissions),
    routes!(question::list_at),
    routes!(v2::events::subscribe),
    routes!(v2::fs::list),
    routes!(v2::fs::find),
    routes!(v2::fs::read),
];

/// The sessions of OpenCode 2.
const V2_SESSIONS: &[Routes] = &[
    routes!(v2::session::act::model),
    routes!(v2::session::act::agent),
    routes!(v2::session::read::list, v2::session::create::create),
    routes!(v2::session::read::active),
    routes!(v2::session::read::get),
    routes!(v2::session::read::messages),
    routes!(v2::session::read::message),
    routes!(v2::session::read::context),
    routes!(v2::session::prompt::prompt),
    routes!(v2::session::act::interrupt),
    routes!(v2::session::act::wait),
    routes!(v2::session::act::compact),
    routes!(v2::session::read::history),
    routes!(v2::session::event::events),
    routes!(permission::list_of_session),
    routes!(permission::get_of_session),
    routes!(permission::reply_of_session),
    routes!(question::list_of_session),
    routes!(question::reply_of_session),
    routes!(question::reject_of_session),
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
        .merge(nodes::between())
        .fallback(no_route);
    let elsewhere = ELSEWHERE.map(|path| (path, any(no_route)));
    let elsewhere = elsewhere
        .into_iter()
        .fold(at_both_places(tagged), |router, (path, refused)| {
            router.route(path, refused)
        });
    // OpenCode 2 has its own shape of errors, no matter which layer makes them, so this layer is the outermost.
    let tagged = wrapped(elsewhere, &state).layer(from_fn(error::tagged::tagged));
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
        .layer(from_fn_with_state(state.clone(), nodes::forward::route))
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
        .layer(from_fn_with_state(state.clone(), nodes::forward::recognise))
        .layer(from_fn_with_state(state.clone(), front::recognise))
}

/// HTML here, which OpenCode itself sends, would end OpenCode's terminal UI.
pub async fn no_route(uri: Uri, headers: HeaderMap) -> Response {
    let mut message = format!("There is no {} here", uri.path());
    if page::prefers_html(&headers) {
        message.push_str(". For an overview, see /");
    }
    Problem::not_found(message).into_response()
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
