//! Keeps web pages of strangers away.
//!
//! A page can make its own host name point to 127.0.0.1 (DNS rebinding) and is then of the same origin as the server;
//! its requests still carry that name in `Host` ([`host`]). And a page of any origin can have its browser send simple
//! requests without asking first, only not read the answers; the browser says where they come from ([`site`]).

pub mod host;
pub mod site;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::error::Problem;
use super::front::Front;
use super::state::{HttpSettings, Shared};

pub use host::is_loopback;

/// Middleware: refuses requests under a foreign host name, and those of foreign pages.
pub async fn refuse_strangers(
    State(state): State<Shared>,
    request: Request,
    next: Next,
) -> Response {
    match check(&state.settings, &request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn check(settings: &HttpSettings, request: &Request) -> Result<(), Problem> {
    let host = host::of(request)?;
    match request.extensions().get::<Front>() {
        // It has looked at the name under which it was asked, and Baton's own is another one.
        Some(front) => {
            let configured = [settings.cors_origins.as_slice(), &front.origins].concat();
            site::check(&configured, host, request)
        }
        None => {
            is_asked_by_name(settings.password.is_some(), &settings.host, host)?;
            site::check(&settings.cors_origins, host, request)
        }
    }
}

/// Refuses a foreign host name where no password keeps strangers out.
///
/// # Errors
/// With what is possible.
pub fn is_asked_by_name(has_password: bool, listening: &str, host: &str) -> Result<(), Problem> {
    if has_password || host::is_ours(host, listening) {
        return Ok(());
    }
    Err(Problem::forbidden(format!(
        "Host \"{host}\" is not this server's. Without a password it answers only under localhost, 127.0.0.1 and the \
         like."
    )))
}
