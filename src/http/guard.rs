//! Keeps web pages of strangers away from a server that asks for no password.
//!
//! A page can make its own host name point to 127.0.0.1 (DNS rebinding) and is then of the same
//! origin as the server; its requests still carry that name in `Host`. And a page of any origin can
//! send a simple POST without asking first, only not read the answer.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::cors;
use super::error::Problem;
use super::state::{HttpSettings, Shared};

/// Middleware: refuses requests under a foreign host name, and changes by a foreign page.
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
    let headers = request.headers();
    let host = header(headers, HOST.as_str()).or(request.uri().authority().map(|a| a.as_str()));
    if settings.password.is_none()
        && let Some(host) = host
        && !is_ours(host, &settings.host)
    {
        return Err(Problem::forbidden(format!(
            "Host \"{host}\" is not this server's. Without a password it answers only under localhost, 127.0.0.1 and \
             the like."
        )));
    }
    let changes = !matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    if changes
        && let Some(origin) = header(headers, ORIGIN.as_str())
        && !cors::is_allowed(origin, &settings.cors_origins)
        && !same_origin(origin, host)
    {
        return Err(Problem::forbidden(format!(
            "Pages of {origin} may not change anything here. Add the origin to cors_origins in [server] of the config \
             file to allow it."
        )));
    }
    Ok(())
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    // What is not ASCII is neither a host nor an origin of ours.
    Some(headers.get(name)?.to_str().unwrap_or("?"))
}

/// Whether a `Host` names this server.
fn is_ours(host: &str, listening: &str) -> bool {
    let name = without_port(host);
    let name = name.strip_suffix('.').unwrap_or(name);
    is_loopback(name)
        || name.eq_ignore_ascii_case(listening)
        || name.to_ascii_lowercase().ends_with(".localhost")
}

/// Whether a host can only be reached from this machine.
pub fn is_loopback(host: &str) -> bool {
    let bare = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host);
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // The colons of an IPv6 address stand in brackets.
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

fn same_origin(origin: &str, host: Option<&str>) -> bool {
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    authority.is_some_and(|a| host.is_some_and(|h| h.eq_ignore_ascii_case(a)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_are_ours() {
        for good in [
            "localhost",
            "LOCALHOST:2468",
            "localhost.:80",
            "baton.localhost:1",
            "127.0.0.1:2468",
            "127.5.5.5",
            "[::1]:2468",
            "[::1]",
        ] {
            assert!(is_ours(good, "127.0.0.1"), "{good}");
        }
        for bad in [
            "evil.example:2468",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "192.168.1.5:2468",
            "",
            "?",
        ] {
            assert!(!is_ours(bad, "127.0.0.1"), "{bad}");
        }
    }

    #[test]
    fn a_page_of_the_server_itself_is_of_the_same_origin() {
        assert!(same_origin("http://box:2468", Some("box:2468")));
        assert!(!same_origin("http://box:2468", Some("box:80")));
        assert!(!same_origin("null", Some("null")));
        assert!(!same_origin("http://box", None));
    }
}
