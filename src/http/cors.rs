//! Which web pages may use the server (CORS).

use std::time::Duration;

use axum::extract::Request;
use axum::http::header::{ETAG, LINK, RETRY_AFTER};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer, ExposeHeaders};

use super::front::Front;
use super::guard::host::is_local;
use super::message::read::NEXT_CURSOR;
use super::session::end::{ABORTED, DROPPED};
use super::state::Shared;

/// How long a browser may keep the answer to a preflight.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// OpenCode's hosted web UI and its desktop app, which talk to a server on the user's machine.
const OPENCODE_ORIGINS: &[&str] = &[
    "https://app.opencode.ai",
    "tauri://localhost",
    "http://tauri.localhost",
    "https://tauri.localhost",
];

/// Whether a page of this origin may use the server.
pub fn is_allowed(origin: &str, configured: &[String]) -> bool {
    let local = || {
        let http = origin.strip_prefix("http://");
        let authority = http.or_else(|| origin.strip_prefix("https://"))?;
        Some(is_local(authority))
    };
    OPENCODE_ORIGINS.contains(&origin)
        || configured.iter().any(|c| c == origin)
        || local().unwrap_or(false)
}

/// Echoes the origins that are allowed, answers preflights.
pub fn layer(state: &Shared) -> CorsLayer {
    let configured = state.settings.cors_origins.clone();
    let allowed = move |origin: &HeaderValue, request: &Parts| {
        let front = request.extensions.get::<Front>();
        origin.to_str().is_ok_and(|origin| {
            is_allowed(origin, &configured)
                || front.is_some_and(|front| is_allowed(origin, &front.origins))
        })
    };
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(allowed))
        .allow_methods([
            Method::GET,
            Method::HEAD,
            Method::PUT,
            Method::PATCH,
            Method::POST,
            Method::DELETE,
        ])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(ExposeHeaders::list([
            ETAG,
            RETRY_AFTER,
            LINK,
            NEXT_CURSOR,
            ABORTED,
            DROPPED,
        ]))
        .max_age(PREFLIGHT_MAX_AGE)
}

/// Middleware: a preflight has no content, and says so as OpenCode does.
pub async fn preflight_is_empty(request: Request, next: Next) -> Response {
    let preflight = request.method() == Method::OPTIONS;
    let mut response = next.run(request).await;
    if preflight && response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::NO_CONTENT;
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_this_machine_and_configured_ones_are_allowed() {
        let configured = ["https://tools.example".to_owned()];
        for good in [
            "http://localhost:3000",
            "http://127.0.0.1",
            "https://127.0.0.1:8443",
            "http://[::1]:5000",
            "https://app.opencode.ai",
            "tauri://localhost",
            "https://tools.example",
        ] {
            assert!(is_allowed(good, &configured), "{good}");
        }
        for bad in [
            "null",
            "https://evil.example",
            "http://localhost.evil.example",
            "https://app.opencode.ai.evil.example",
            "http://app.opencode.ai",
            "https://tools.example:444",
            "ftp://localhost",
            "localhost",
            "",
        ] {
            assert!(!is_allowed(bad, &configured), "{bad}");
        }
    }
}
