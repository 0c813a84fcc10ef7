//! One entry of the route list: how it is served, and how it is described.
//!
//! The two are apart because a description is large: collecting the schemas of all operations takes
//! tens of megabytes for a moment and runs most of the program's code, which a server that only
//! serves must not pay for.

use axum::Router;
use axum::handler::Handler;
use axum::routing::MethodRouter;
use utoipa_axum::PathItemExt;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use super::responses::Dialect;
use super::state::Shared;

/// The operations of one path. [`routes!`] makes it from their handlers.
pub(super) struct Routes {
    /// Adds them to a router.
    pub serve: fn(Router<Shared>) -> Router<Shared>,
    /// What the document says about them.
    pub describe: fn() -> UtoipaMethodRouter<Shared>,
}

/// Adds `list` to `router`, in order.
pub(super) fn serve(router: Router<Shared>, list: &[Routes]) -> Router<Shared> {
    list.iter().fold(router, |router, it| (it.serve)(router))
}

/// Adds the description of a list to `router`, in order, with what every operation of its dialect, and every
/// one that takes a body, can answer.
pub(super) fn describe(
    router: OpenApiRouter<Shared>,
    (dialect, list): (Dialect, &[Routes]),
) -> OpenApiRouter<Shared> {
    let (everywhere, of_bodies) = (dialect.everywhere(), dialect.of_bodies());
    list.iter().fold(router, |router, it| {
        let (schemas, mut paths, methods) = (it.describe)();
        for item in paths.paths.values_mut() {
            let methods = [
                &mut item.get,
                &mut item.put,
                &mut item.post,
                &mut item.patch,
                &mut item.delete,
            ];
            for operation in methods.into_iter().flatten() {
                let responses = &mut operation.responses.responses;
                // What an operation says itself of such a status is more.
                for (status, response) in &everywhere {
                    responses
                        .entry(status.clone())
                        .or_insert_with(|| response.clone());
                }
                if operation.request_body.is_some() {
                    responses.extend(of_bodies.clone());
                }
            }
        }
        router.routes((schemas, paths, methods))
    })
}

/// Adds the operation `P`, which `handler` serves. An earlier one with the same path keeps its methods.
pub(super) fn operation<P, H, T>(router: Router<Shared>, handler: &H) -> Router<Shared>
where
    P: utoipa::Path,
    H: Handler<T, Shared>,
    T: 'static,
{
    let methods = P::methods()
        .iter()
        .fold(MethodRouter::new(), |methods, method| {
            methods.on(method.to_method_filter(), handler.clone())
        });
    router.route(&P::path(), methods)
}

/// `routes!(session::get::get, session::update::update)`: the [`Routes`] of handlers with one path.
macro_rules! routes {
    ( $( $( $part:ident )::+ ),+ $(,)? ) => {
        $crate::http::route::Routes {
            serve: |router| {
                $(
                    let router = $crate::http::route::operation::<
                        $crate::http::route::path_of!([] $( $part )::+),
                        _,
                        _,
                    >(router, &$( $part )::+);
                )+
                router
            },
            describe: || utoipa_axum::routes!($( $( $part )::+ ),+),
        }
    };
}

/// The type that `#[utoipa::path]` puts beside a handler: `__path_get` for `get`, in the same module.
macro_rules! path_of {
    ( [ $( $module:ident )* ] $handler:ident ) => {
        utoipa_axum::paste! { $( $module:: )* [<__path_ $handler>] }
    };
    ( [ $( $module:ident )* ] $next:ident :: $( $rest:ident )::+ ) => {
        $crate::http::route::path_of!([ $( $module )* $next ] $( $rest )::+)
    };
}

pub(crate) use {path_of, routes};
