//! The password, where one is set.

pub mod guesses;
mod password;
pub mod query;
mod record;

use std::net::{Ipv4Addr, SocketAddr};

use axum::extract::connect_info::ConnectInfo;
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use tokio::sync::watch;

use super::error::Problem;
use super::front::Front;
use super::state::Shared;
use guesses::{Attempt, Guesses};
use query::QueryToken;

pub use password::{PASSWORD_MAX_BYTES, Password};

/// Middleware: lets a request pass that has the password, or when none is set.
pub async fn require_password(
    State(state): State<Shared>,
    request: Request,
    next: Next,
) -> Response {
    let signed_in = match &state.settings.password {
        Some(password) if request.extensions().get::<Front>().is_none() => {
            let visitor = Visitor::of(&request);
            visitor
                .sign_in(password, &state.guesses, state.stopping.clone())
                .await
        }
        _ => Ok(()),
    };
    match signed_in {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Who has sent a request, as far as a password goes.
#[derive(Debug)]
pub struct Visitor {
    peer: SocketAddr,
    credentials: Option<Credentials>,
    /// A browser sends a preflight without credentials; it reaches no handler.
    is_preflight: bool,
}

/// What a request brings to sign in with.
struct Credentials {
    header: Option<HeaderValue>,
    token: Option<QueryToken>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(…)")
    }
}

impl Credentials {
    fn of(request: &Request) -> Option<Self> {
        let header = request.headers().get(AUTHORIZATION).cloned();
        let token = request.extensions().get::<QueryToken>().cloned();
        (header.is_some() || token.is_some()).then_some(Self { header, token })
    }

    fn carry(&self, password: &Password) -> bool {
        let header = self.header.as_ref();
        header.is_some_and(|header| allows(password, header))
            || self.token.as_ref().is_some_and(|t| t.allows(password))
    }
}

impl Visitor {
    /// That of a request.
    pub fn of(request: &Request) -> Self {
        Self {
            peer: peer(request),
            credentials: Credentials::of(request),
            is_preflight: request.method() == Method::OPTIONS,
        }
    }

    /// Lets them in who have the password.
    ///
    /// # Errors
    /// When they have not, or when too many of their attempts wait.
    pub async fn sign_in(
        self,
        password: &Password,
        guesses: &Guesses,
        stopping: watch::Receiver<bool>,
    ) -> Result<(), Problem> {
        if self.is_preflight {
            return Ok(());
        }
        // Without any, nothing was tried: this is how a browser learns that a password is needed.
        let credentials = self.credentials.ok_or_else(Problem::unauthorized)?;
        sign_in(password, &credentials, guesses.begin(self.peer), stopping).await
    }
}

async fn sign_in(
    password: &Password,
    credentials: &Credentials,
    attempt: Option<Attempt<'_>>,
    mut stopping: watch::Receiver<bool>,
) -> Result<(), Problem> {
    let attempt = attempt.ok_or_else(Problem::too_many_guesses)?;
    let right = credentials.carry(password);
    // A server that is stopping does not wait.
    let outcome = async {
        match right {
            true => attempt.succeeded().await,
            false => attempt.failed().await,
        }
    };
    tokio::select! {
        biased;
        () = outcome => {}
        _ = stopping.wait_for(|stopping| *stopping) => return Err(Problem::shutting_down()),
    }
    match right {
        true => Ok(()),
        false => Err(Problem::unauthorized()),
    }
}

/// Who is at the other end of the connection. What a proxy says in a header is not believed: anybody can send one.
fn peer(request: &Request) -> SocketAddr {
    let info = request.extensions().get::<ConnectInfo<SocketAddr>>();
    info.map_or_else(|| (Ipv4Addr::UNSPECIFIED, 0).into(), |info| info.0)
}

fn allows(password: &Password, value: &HeaderValue) -> bool {
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
    basic_password(&decoded).is_some_and(|given| password.matches(given))
}

/// The password of `USER:PASSWORD`.
fn basic_password(decoded: &[u8]) -> Option<&[u8]> {
    split_once(decoded, b':').map(|(_any_user, given)| given)
}

fn split_once(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = bytes.iter().position(|b| *b == at)?;
    Some((bytes.get(..place)?, bytes.get(place + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(value: &str) -> bool {
        let value = HeaderValue::from_str(value).expect("valid");
        allows(&Password::new("pa:ss"), &value)
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
    }
}
