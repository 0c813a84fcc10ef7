//! The other servers: asked over HTTP, with the secret that all of them have.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::uri::{Authority, PathAndQuery, Scheme};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use axum::response::Response;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::http::auth::Password;
use crate::http::error::Problem;
use crate::http::hops::drop_hop_by_hop;
use crate::metrics;
use crate::nodes::NodeSettings;

/// Carries the secret.
pub const NODE: HeaderName = HeaderName::from_static("x-baton-node");
/// How long another server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(2);
/// How long another server may take to say what it has.
const ANSWER: Duration = Duration::from_secs(3);
/// The most that is read of what it says, in bytes.
pub(super) const ANSWER_MAX_BYTES: usize = 8 * 1024 * 1024;
/// What a browser says of the page that asks: it was judged where it has arrived.
const OF_BROWSERS: [HeaderName; 4] = [
    ORIGIN,
    HeaderName::from_static("sec-fetch-site"),
    HeaderName::from_static("sec-fetch-mode"),
    HeaderName::from_static("sec-fetch-dest"),
];

/// A request that another server has sent on: it is not sent on again.
#[derive(Debug, Clone, Copy)]
pub struct FromNode;

/// See the module.
#[derive(Debug)]
pub struct Peers {
    client: Client<HttpConnector, Body>,
    secret: Password,
    header: HeaderValue,
}

impl Peers {
    /// With what is configured about them.
    ///
    /// # Errors
    /// When the secret cannot be sent in a header.
    pub fn new(settings: &NodeSettings) -> Result<Self, String> {
        let mut header = HeaderValue::from_str(&settings.secret)
            .map_err(|_| "[nodes] secret: expected printable ASCII".to_owned())?;
        header.set_sensitive(true);
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_nodelay(true);
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            secret: Password::new(&settings.secret),
            header,
        })
    }

    /// Whether a header carries the secret.
    pub fn know(&self, header: &HeaderValue) -> bool {
        self.secret.matches(header.as_bytes())
    }

    /// Sends a request on, as it is, and answers as it answers.
    ///
    /// # Errors
    /// When the other server does not answer.
    pub async fn send_on(&self, url: &str, mut request: Request) -> Result<Response, Problem> {
        let asked = request.uri().path_and_query().cloned();
        *request.uri_mut() = at(url, asked)?;
        let headers = request.headers_mut();
        drop_hop_by_hop(headers);
        for own in OF_BROWSERS.into_iter().chain([AUTHORIZATION, HOST]) {
            headers.remove(own);
        }
        headers.insert(NODE, self.header.clone());
        let answer = self.client.request(request).await;
        metrics::sent_on(answer.is_ok());
        let mut answer = answer.map_err(|error| gone(url, &error))?.map(Body::new);
        drop_hop_by_hop(answer.headers_mut());
        Ok(answer)
    }

    /// What another server answers to a question, if it is JSON and comes in time.
    ///
    /// # Errors
    /// When it is not.
    pub async fn ask(
        &self,
        url: &str,
        path: &PathAndQuery,
        headers: HeaderMap,
    ) -> Result<Value, Problem> {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = Uri::from(path.clone());
        *request.headers_mut() = headers;
        let asked = async {
            let answer = self.send_on(url, request).await?;
            let status = answer.status();
            let body = to_bytes(answer.into_body(), ANSWER_MAX_BYTES).await;
            let body = body.map_err(|error| gone(url, &error))?;
            match status.is_success() {
                true => serde_json::from_slice(&body).map_err(|error| gone(url, &error)),
                false => Err(gone(url, &status)),
            }
        };
        match tokio::time::timeout(ANSWER, asked).await {
            Ok(answer) => answer,
            Err(_) => Err(gone(url, &"it takes too long")),
        }
    }
}

fn at(url: &str, asked: Option<PathAndQuery>) -> Result<Uri, Problem> {
    let mut parts = Uri::default().into_parts();
    let authority = url.strip_prefix("http://").unwrap_or(url);
    let authority = authority.trim_end_matches('/').parse::<Authority>();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority.map_err(|error| gone(url, &error))?);
    parts.path_and_query = asked.or_else(|| Some(PathAndQuery::from_static("/")));
    Uri::from_parts(parts).map_err(|error| gone(url, &error))
}

fn gone(url: &str, error: &dyn std::fmt::Display) -> Problem {
    Problem::not_now(&format_args!(
        "the node {url}, which has what this is about, does not answer: {error}. If it is gone, another one takes over soon"
    ))
}
