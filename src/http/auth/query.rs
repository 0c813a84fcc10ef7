//! `?auth_token=…`: the credentials of an event stream.
//!
//! A browser's `EventSource` cannot set headers. An address is seen in more places than a header, though: in histories,
//! proxies and logs. So it counts for event streams only, and is taken out of the request before anything else sees it.

use axum::extract::Request;
use axum::http::uri::PathAndQuery;
use axum::http::{Method, Uri};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;

use super::{Password, basic_password};

/// The parameter, as OpenCode calls it.
const PARAMETER: &str = "auth_token";

/// What stood in the query of a request for an event stream.
#[derive(Clone)]
pub struct QueryToken(Vec<u8>);

impl QueryToken {
    /// Whether it carries the password: as OpenCode's clients write it, `base64(USER:PASSWORD)`, or as it is.
    pub fn allows(&self, password: &Password) -> bool {
        let decoded = STANDARD.decode(&self.0).unwrap_or_default();
        let basic = basic_password(&decoded).is_some_and(|given| password.matches(given));
        password.matches(&self.0) || basic
    }
}

/// Middleware: takes the token out of the address. It is kept for event streams only.
pub async fn take_token(mut request: Request, next: Next) -> Response {
    if let Some((uri, token)) = without_token(request.uri()) {
        *request.uri_mut() = uri;
        if is_event_stream(request.method(), request.uri().path()) {
            request.extensions_mut().insert(QueryToken(token));
        }
    }
    next.run(request).await
}

/// The address without the parameter, and the parameter's first value, if any.
fn without_token(uri: &Uri) -> Option<(Uri, Vec<u8>)> {
    let query = uri.query()?;
    let (mut rest, mut token) = (Vec::new(), None);
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if percent_decode_str(name).eq(PARAMETER.bytes()) {
            token.get_or_insert_with(|| percent_decode_str(value).collect());
        } else {
            rest.push(pair);
        }
    }
    let token = token?;
    let path = match rest.as_slice() {
        [] => uri.path().to_owned(),
        rest => format!("{}?{}", uri.path(), rest.join("&")),
    };
    let mut parts = uri.clone().into_parts();
    // A part of a valid address is a valid one.
    parts.path_and_query = PathAndQuery::try_from(path).ok();
    Some((Uri::from_parts(parts).unwrap_or_default(), token))
}

fn is_event_stream(method: &Method, path: &str) -> bool {
    let path = path.strip_prefix("/opencode").unwrap_or(path);
    let of_session = || {
        let id = path.strip_prefix("/api/session/")?.strip_suffix("/event")?;
        Some(!id.is_empty() && !id.contains('/'))
    };
    *method == Method::GET
        && (matches!(path, "/event" | "/global/event" | "/api/event") || of_session() == Some(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(address: &str) -> Option<(String, String)> {
        let (uri, token) = without_token(&address.parse().expect("an address"))?;
        Some((uri.to_string(), String::from_utf8(token).expect("text")))
    }

    #[test]
    fn the_token_is_taken_out_of_the_address_in_every_spelling() {
        for (address, rest, token) in [
            ("/event?auth_token=abc", "/event", "abc"),
            (
                "/event?a=1&auth_token=a%2Bb%3D&b=2",
                "/event?a=1&b=2",
                "a+b=",
            ),
            ("/event?%61uth_token=x&auth_token=y", "/event", "x"),
            ("/event?auth_token", "/event", ""),
            ("http://h:1/event?auth_token=x", "http://h:1/event", "x"),
        ] {
            let expected = Some((rest.to_owned(), token.to_owned()));
            assert_eq!(split(address), expected, "{address}");
        }
        for none in ["/event", "/event?", "/event?xauth_token=1", "/auth_token=1"] {
            assert_eq!(split(none), None, "{none}");
        }
    }

    #[test]
    fn event_streams_are_told_from_everything_else() {
        for stream in [
            "/event",
            "/opencode/event",
            "/opencode/global/event",
            "/api/event",
            "/opencode/api/session/ses_1/event",
        ] {
            assert!(is_event_stream(&Method::GET, stream), "{stream}");
            assert!(!is_event_stream(&Method::POST, stream), "{stream}");
        }
        for other in [
            "/",
            "/session",
            "/opencode/session/event",
            "/api/session//event",
            "/api/session/a/b/event",
            "/event/",
        ] {
            assert!(!is_event_stream(&Method::GET, other), "{other}");
        }
    }

    #[test]
    fn a_token_is_the_password_with_a_user_or_alone() {
        let password = Password::new("pa:ss+word");
        let encoded = STANDARD.encode("opencode:pa:ss+word").into_bytes();
        assert!(QueryToken(encoded).allows(&password));
        assert!(QueryToken(b"pa:ss+word".to_vec()).allows(&password));
        for wrong in [&b""[..], b"pa", b"opencode:pa:ss+word"] {
            assert!(!QueryToken(wrong.to_vec()).allows(&password));
        }
    }
}
