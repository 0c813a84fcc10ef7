//! Passes requests on to the server, as they are, and answers as they come.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use tokio::net::TcpStream;
use tokio::sync::{Mutex, watch};

use super::running::{self, Running};
use crate::http::auth::guesses::Guesses;
use crate::http::auth::{Password, Visitor, query};
use crate::http::directory::DIRECTORY_HEADER;
use crate::http::error::Problem;
use crate::http::front::{MODEL, ORIGINS, TOKEN};
use crate::http::guard;
use crate::http::hops::drop_hop_by_hop;

/// The proxy between clients and the server.
#[derive(Debug)]
pub(super) struct Proxy {
    /// The server as it was found last.
    pub server: Mutex<Running>,
    /// Whose server it is.
    pub data_dir: PathBuf,
    /// Whether a server that has to be started again ends with the last front.
    pub for_fronts: bool,
    /// The host that is listened on.
    pub hostname: String,
    /// The password of this front's clients.
    pub password: Option<Password>,
    /// Failed sign-ins.
    pub guesses: Guesses,
    /// What the server is told about the clients.
    pub says: HeaderMap,
    /// The working directory of requests that name none.
    pub directory: Option<HeaderValue>,
    /// Becomes true when the front stops.
    pub stopping: watch::Receiver<bool>,
}

/// What the server is told about a front's clients.
pub(super) fn says(model: Option<&str>, origins: &[String]) -> HeaderMap {
    let origins = origins.join(" ");
    let said = [(MODEL, model), (ORIGINS, Some(origins.as_str()))];
    let said = said.into_iter().filter_map(|(name, value)| {
        let value = HeaderValue::from_str(value?).ok()?;
        (!value.is_empty()).then_some((name, value))
    });
    said.collect()
}

/// The front.
pub(super) fn router(proxy: Arc<Proxy>) -> Router {
    Router::new()
        .fallback(forward)
        .layer(from_fn_with_state(Arc::clone(&proxy), let_in))
        // Before anything can log the address.
        .layer(from_fn(query::take_token))
        .with_state(proxy)
}

/// Middleware: judges a request by the front's own name and password.
async fn let_in(State(proxy): State<Arc<Proxy>>, request: Request, next: Next) -> Response {
    let has_password = proxy.password.is_some();
    let host = guard::host::of(&request);
    let host = host.and_then(|host| guard::is_asked_by_name(has_password, &proxy.hostname, host));
    if let Err(problem) = host {
        return problem.into_response();
    }
    if let Some(password) = &proxy.password {
        let visitor = Visitor::of(&request);
        let signed_in = visitor.sign_in(password, &proxy.guesses, proxy.stopping.clone());
        if let Err(problem) = signed_in.await {
            return problem.into_response();
        }
    }
    next.run(request).await
}

async fn forward(State(proxy): State<Arc<Proxy>>, request: Request) -> Response {
    match proxy.pass_on(request).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

impl Proxy {
    async fn pass_on(&self, mut request: Request) -> Result<Response, Problem> {
        let gone = |error: &dyn std::fmt::Display| {
            Problem::not_now(&format_args!("Baton does not answer: {error}"))
        };
        let (stream, token) = self.connect().await?;
        let token = HeaderValue::from_str(&token).map_err(|error| gone(&error))?;
        let has_directory = request.headers().contains_key(DIRECTORY_HEADER)
            || request.uri().query().is_some_and(names_directory);
        let headers = request.headers_mut();
        drop_hop_by_hop(headers);
        for own in [AUTHORIZATION, MODEL, ORIGINS] {
            headers.remove(own);
        }
        headers.extend(self.says.clone());
        headers.insert(TOKEN, token);
        if let Some(directory) = self.directory.clone().filter(|_| !has_directory) {
            headers.insert(DIRECTORY_HEADER, directory);
        }
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| gone(&error))?;
        // It ends when the answer was read or is no longer wanted.
        tokio::spawn(connection);
        let response = sender.send_request(request).await;
        let mut response = response.map_err(|error| gone(&error))?.map(Body::new);
        drop_hop_by_hop(response.headers_mut());
        Ok(response)
    }

    /// A connection to the server. One that has gone is started again: this front may not be the only one that needs it.
    async fn connect(&self) -> Result<(TcpStream, String), Problem> {
        let known = self.server.lock().await.clone();
        if let Ok(stream) = TcpStream::connect(known.address).await
            && self.is_still(&known)
        {
            return Ok((stream, known.token));
        }
        let mut server = self.server.lock().await;
        let (data_dir, for_fronts) = (self.data_dir.clone(), self.for_fronts);
        let found =
            tokio::task::spawn_blocking(move || running::ensure(&data_dir, for_fronts)).await;
        let found = found.map_err(|panic| Problem::not_now(&panic))?;
        *server = found.map_err(|error| Problem::not_now(&error))?;
        let stream = TcpStream::connect(server.address).await;
        let stream = stream.map_err(|error| Problem::not_now(&error))?;
        Ok((stream, server.token.clone()))
    }

    /// Whether it is that server which listens there, and no stranger who has got its port since.
    fn is_still(&self, known: &Running) -> bool {
        running::find(&self.data_dir).is_some_and(|found| found == *known)
    }
}

/// Whether a query says where the request takes place.
fn names_directory(query: &str) -> bool {
    let names = query
        .split('&')
        .map(|pair| pair.split('=').next().unwrap_or(pair));
    let mut names = names.map(|name| percent_decode_str(name).decode_utf8_lossy());
    names.any(|name| name == "directory" || name == "location[directory]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_named_by_its_parameter_only() {
        for named in [
            "directory=/x",
            "a=1&directory=",
            "location[directory]=/x",
            "location%5Bdirectory%5D=/x",
        ] {
            assert!(names_directory(named), "{named}");
        }
        for other in ["", "search=directory", "directories=1", "a&b=directory=x"] {
            assert!(!names_directory(other), "{other}");
        }
    }
}
