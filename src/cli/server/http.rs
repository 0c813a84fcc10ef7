//! Requests to the server, each on a connection of its own, and what is said when it refuses one.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use axum::http::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Pass, Server};
use crate::cli::failure::Failure;
use crate::http::front::TOKEN;

/// How long a connection may take.
const CONNECTS_WITHIN: Duration = Duration::from_secs(10);
/// The longest answer that is read, in bytes.
const ANSWER_MAX_BYTES: usize = 1 << 30;
/// Who changes a session by a command: what other clients and the audit trail see.
const CLIENT: (&str, &str) = ("x-client-id", "baton-cli");

/// What the server answers.
pub type Answer<T> = Result<T, Refused>;

/// Why a request has no answer.
#[derive(Debug)]
pub enum Refused {
    /// The server has refused it.
    ByServer {
        /// The status.
        status: StatusCode,
        /// Its body.
        body: Value,
    },
    /// There was no server, or it was not understood.
    Otherwise(Failure),
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Otherwise(failure)
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Otherwise(failure) => failure,
            Refused::ByServer { status, body } => Self::Failed(reason(status, &body)),
        }
    }
}

/// Why the server has refused something, as a sentence.
fn reason(status: StatusCode, body: &Value) -> String {
    if status == StatusCode::UNAUTHORIZED {
        return "the server wants its password, or another one: set BATON_PASSWORD, or give --password-file."
            .to_owned();
    }
    let said = body.pointer("/data/message").or(body.get("message"));
    // The place of a field only helps the author of the request.
    let said = said
        .and_then(Value::as_str)
        .map(|said| said.split("\n  at ").next());
    match said.flatten() {
        Some(said) => said.to_owned(),
        None => format!("the server has answered {status}. Is it a Baton?"),
    }
}

impl Server {
    /// Gets something.
    ///
    /// # Errors
    /// When there is no server, or it refuses.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Answer<T> {
        self.ask(Method::GET, path, None).await
    }

    /// Has something done.
    ///
    /// # Errors
    /// When there is no server, or it refuses.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Answer<T> {
        let response = self.open(method, path, body, &[]).await?;
        let bytes = to_bytes(response.into_body(), ANSWER_MAX_BYTES).await;
        let bytes = bytes.map_err(|error| self.gone(&error))?;
        serde_json::from_slice(&bytes).map_err(|error| {
            Refused::Otherwise(Failure::Failed(format!(
                "the answer of {} cannot be read ({error}). It may be of another version than this command.",
                self.url()
            )))
        })
    }

    /// Gets a text.
    ///
    /// # Errors
    /// When there is no server, or it refuses.
    pub async fn text(&self, path: &str) -> Answer<String> {
        let response = self.open(Method::GET, path, None, &[]).await?;
        let bytes = to_bytes(response.into_body(), ANSWER_MAX_BYTES).await;
        let bytes = bytes.map_err(|error| self.gone(&error))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Sends a request and returns the answer, whose body is still to come.
    ///
    /// # Errors
    /// When there is no server, or it refuses.
    pub(super) async fn open(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, String)],
    ) -> Answer<Response<Body>> {
        let stream = timeout(CONNECTS_WITHIN, TcpStream::connect(&self.authority)).await;
        let stream = match stream {
            Ok(stream) => stream.map_err(|error| self.gone(&error))?,
            Err(_) => return Err(self.gone(&"it takes too long to connect").into()),
        };
        // Before the token is sent to a stranger who listens there.
        if !self.is_still_there() {
            return Err(self.gone(&"it has gone").into());
        }
        let request = self.request(method, path, body, headers);
        let request = request.map_err(|error| Failure::of(format!("no request: {error}")))?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| self.gone(&error))?;
        // It ends when the answer was read or is no longer wanted.
        tokio::spawn(connection);
        let response = sender.send_request(request).await;
        let response = response.map_err(|error| self.gone(&error))?.map(Body::new);
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let bytes = to_bytes(response.into_body(), ANSWER_MAX_BYTES).await;
        let bytes = bytes.map_err(|error| self.gone(&error))?;
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        Err(Refused::ByServer { status, body })
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, String)],
    ) -> Result<Request<Body>, axum::http::Error> {
        // What is at the root only is named with two slashes.
        let path = match path.strip_prefix('/').filter(|path| path.starts_with('/')) {
            Some(at_root) => {
                let base = self.base.strip_suffix(super::PREFIX).unwrap_or(&self.base);
                format!("{base}{at_root}")
            }
            None => format!("{}{path}", self.base),
        };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.authority)
            .header(CLIENT.0, CLIENT.1);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        request = match &self.pass {
            Pass::None => request,
            Pass::Token(token) => request.header(TOKEN, token),
            Pass::Password(password) => request.header(AUTHORIZATION, format!("Bearer {password}")),
        };
        match body {
            Some(body) => request
                .header(CONTENT_TYPE, "application/json")
                .body(Body::from(body.to_string())),
            None => request.body(Body::empty()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_servers_own_words() {
        let bad = StatusCode::BAD_REQUEST;
        let body =
            json!({"name": "BadRequest", "data": {"message": "Too long.\n  at [\"title\"]"}});
        assert_eq!(reason(bad, &body), "Too long.");
        assert_eq!(reason(bad, &json!({"_tag": "X", "message": "No."})), "No.");
        assert!(reason(bad, &Value::Null).contains("400 Bad Request"));
        assert!(reason(StatusCode::UNAUTHORIZED, &body).contains("BATON_PASSWORD"));
    }
}
