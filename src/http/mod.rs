//! The HTTP surface: OpenCode's API below `/opencode`, and a little at the root.
//!
//! [`router::routes`] is the one list of routes; it feeds the router and the OpenAPI document. A
//! handler reads its request into typed values ([`extract`], [`fields`]), calls one function of
//! [`Sessions`](crate::session::Sessions) or [`Registry`](crate::registry::Registry), and shapes the
//! answer. What can go wrong becomes a response in [`error`], and nowhere else.

pub mod agent;
pub mod auth;
pub mod config;
pub mod cors;
pub mod docs;
pub mod error;
pub mod event;
pub mod extract;
pub mod fields;
pub mod global;
pub mod guard;
pub mod message;
pub mod openapi;
pub mod path;
pub mod permission;
pub mod project;
pub mod provider;
pub mod question;
pub mod responses;
pub mod router;
pub mod selection;
pub mod session;
pub mod sse;
pub mod state;
pub mod v2;

use error::Problem;

/// Runs to its end what has to be all or nothing, also when the client goes away meanwhile: a
/// handler's own future is dropped then, at whatever point it is.
///
/// # Errors
/// Those of the work; 500 when it panics.
pub async fn uncancelled<T, E>(
    work: impl Future<Output = Result<T, E>> + Send + 'static,
) -> Result<T, Problem>
where
    T: Send + 'static,
    E: Into<Problem> + Send + 'static,
{
    match tokio::spawn(work).await {
        Ok(done) => done.map_err(Into::into),
        Err(panic) => Err(Problem::unforeseen(&panic)),
    }
}
