//! `x-request-id`: one name for a request, in its answer, its error and its lines of the log.

use std::borrow::Cow;
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use rand::RngExt;
use tracing::Instrument;

use super::router::{is_there, name_of};
use crate::{metrics, secret};

/// The header.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// A longer one is not taken over, in bytes.
const MAX_BYTES: usize = 128;
/// Random characters of one that is made.
const MADE_CHARS: usize = 20;
/// The route of a request that fits none.
const NO_ROUTE: &str = "none";
/// The status of a request whose client did not wait for the answer.
const GONE: &str = "gone";

tokio::task_local! {
    static CURRENT: HeaderValue;
}

/// The id of the request that the current task answers; `None` outside of one.
pub fn current() -> Option<String> {
    let text = |id: &HeaderValue| id.to_str().map(str::to_owned);
    CURRENT.try_with(text).ok()?.ok()
}

/// Middleware: gives the request its id, a span for the log, and its place in the figures.
pub async fn follow(request: Request, next: Next) -> Response {
    let id = id_of(request.headers());
    // An error span, so that no setting of the log leaves out what its lines belong to. Without the query, which is the
    // client's own text.
    let span = tracing::error_span!(
        "request",
        id = id.to_str().unwrap_or_default(),
        method = %request.method(),
        path = request.uri().path(),
    );
    let mut running = Running::new(&request, &id);
    let answering = CURRENT.scope(id.clone(), next.run(request));
    let mut response = answering.instrument(span).await;
    running.status = Some(response.status());
    response.headers_mut().insert(HEADER, id);
    response
}

/// The client's own id, if it is a single plain word; otherwise a new one. One that holds a secret is not repeated, either.
fn id_of(headers: &HeaderMap) -> HeaderValue {
    let mut given = headers.get_all(HEADER).iter();
    match (given.next(), given.next()) {
        (Some(id), None) if is_plain(id) => id.clone(),
        _ => made(),
    }
}

fn is_plain(id: &HeaderValue) -> bool {
    let bytes = id.as_bytes();
    let fits = (1..=MAX_BYTES).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
    // What would be masked in the log could not be found there.
    fits && id.to_str().is_ok_and(|id| secret::mask(id) == id)
}

fn made() -> HeaderValue {
    let mut rng = rand::rng();
    let random = (0..MADE_CHARS).map(|_| rng.sample(rand::distr::Alphanumeric));
    let id: Vec<u8> = b"req_".iter().copied().chain(random).collect();
    // Letters and digits are always a valid header value.
    HeaderValue::from_bytes(&id).unwrap_or_else(|_| HeaderValue::from_static("req_"))
}

/// A request that is being answered. It is counted when this is dropped, also when its client goes away before.
struct Running {
    method: Method,
    id: HeaderValue,
    path: String,
    route: Option<MatchedPath>,
    status: Option<axum::http::StatusCode>,
    began: Instant,
}

impl Running {
    fn new(request: &Request, id: &HeaderValue) -> Self {
        Self {
            id: id.clone(),
            path: request.uri().path().to_owned(),
            method: request.method().clone(),
            route: request.extensions().get::<MatchedPath>().cloned(),
            status: None,
            began: Instant::now(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let route = self.route.as_ref().map(MatchedPath::as_str);
        let route = route.filter(|route| is_there(route));
        let route = route.map_or(Cow::Borrowed(NO_ROUTE), name_of);
        let status = self.status.as_ref().map_or(GONE, |status| status.as_str());
        let took = self.began.elapsed();
        metrics::request(self.method.as_str(), &route, status, took);
        let id = self.id.to_str().unwrap_or_default();
        let (method, path) = (self.method.as_str(), self.path.as_str());
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(id, method, path, status, ms, "a request was answered");
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use axum::response::IntoResponse;

    use super::*;
    use crate::http::error::Problem;

    fn taken(ids: &[&[u8]]) -> HeaderValue {
        let mut headers = HeaderMap::new();
        for id in ids {
            headers.append(HEADER, HeaderValue::from_bytes(id).expect("a header value"));
        }
        id_of(&headers)
    }

    #[tokio::test]
    async fn an_unforeseen_error_names_its_request() {
        let failing = async { Problem::unforeseen(&"a test").into_response() };
        let answer = CURRENT.scope(HeaderValue::from_static("mine"), failing);
        let body = to_bytes(answer.await.into_body(), usize::MAX).await;
        let body: serde_json::Value = serde_json::from_slice(&body.expect("some")).expect("JSON");
        assert_eq!(body["data"]["requestID"], "mine", "{body}");
        assert_eq!(current(), None, "nothing is answered here");
    }

    #[test]
    fn a_plain_id_is_taken_over_and_anything_else_replaced() {
        for plain in ["a", "7f3e-41:x/y", &"x".repeat(MAX_BYTES), "{\"a\"}\\"] {
            assert_eq!(taken(&[plain.as_bytes()]), plain);
        }
        let long = "x".repeat(MAX_BYTES + 1);
        let odd: [&[&[u8]]; 6] = [
            &[],
            &[b""],
            &[b"two words"],
            &[b"tab\there"],
            &["ä".as_bytes()],
            &[b"a", b"b"],
        ];
        for odd in odd.into_iter().chain([&[long.as_bytes()][..]]) {
            let made = taken(odd);
            assert_eq!(made.len(), "req_".len() + MADE_CHARS, "{odd:?}");
            assert_ne!(made, taken(odd), "a new one each time");
        }
    }
}
