//! The password, where one is set.

use std::fmt;

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;

use super::error::Problem;
use super::state::Shared;

/// The password that clients have to send.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// A password.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Whether this is it. Takes the same time for every wrong one of the right length.
    pub fn matches(&self, given: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(given).into()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Middleware: lets a request pass that has the password, or when none is set.
pub async fn require_password(
    State(state): State<Shared>,
    request: Request,
    next: Next,
) -> Response {
    // A browser sends a preflight without credentials; it reaches no handler.
    let preflight = request.method() == Method::OPTIONS;
    match &state.settings.password {
        Some(password) if !preflight && !allows(password, request.headers()) => {
            Problem::unauthorized().into_response()
        }
        _ => next.run(request).await,
    }
}

fn allows(password: &Password, headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(AUTHORIZATION) else {
        return false;
    };
    let Some((scheme, credentials)) = split_once(value.as_bytes(), b' ') else {
        return false;
    };
    let credentials = credentials.trim_ascii();
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return password.matches(credentials);
    }
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return false;
    }
    let decoded = STANDARD.decode(credentials).unwrap_or_default();
    split_once(&decoded, b':').is_some_and(|(_any_user, given)| password.matches(given))
}

fn split_once(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = bytes.iter().position(|b| *b == at)?;
    Some((&bytes[..place], &bytes[place + 1..]))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn allowed(value: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(value).expect("valid"));
        allows(&Password::new("pa:ss"), &headers)
    }

    #[test]
    fn basic_with_any_user_and_bearer_carry_the_password() {
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        assert!(allowed(&basic("opencode:pa:ss")));
        assert!(allowed(&basic(":pa:ss")));
        assert!(allowed("bearer  pa:ss"));
        for wrong in [
            basic("pa:ss"),
            basic("user:pa:ss "),
            basic("user:"),
            "Bearer pa".to_owned(),
            "Basic ???".to_owned(),
            "pa:ss".to_owned(),
            "Digest pa:ss".to_owned(),
        ] {
            assert!(!allowed(&wrong), "{wrong}");
        }
        assert!(!allows(&Password::new("x"), &HeaderMap::new()));
    }
}
