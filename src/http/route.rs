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

/// Adds the description of `list` to `router`, in order.
pub(super) fn describe(router: OpenApiRouter<Shared>, list: &[Routes]) -> OpenApiRouter<Shared> {
    list.iter()
        .fold(router, |router, it| router.routes((it.describe)()))
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
