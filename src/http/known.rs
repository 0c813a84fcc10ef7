//! Answers with an `ETag` of what they say: who has one already is told so.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::body::Bytes;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

/// JSON as it is sent, with its `ETag`.
#[derive(Debug, Clone)]
pub struct Tagged {
    json: Bytes,
    tag: String,
}

impl Tagged {
    /// This JSON.
    pub fn new(json: impl Into<Bytes>) -> Self {
        let json = json.into();
        let mut hasher = DefaultHasher::new();
        json.hash(&mut hasher);
        let tag = format!("\"{:016x}\"", hasher.finish());
        Self { json, tag }
    }

    /// The answer to a request with these headers.
    pub fn answer(self, headers: &HeaderMap) -> Response {
        let is_known = self.is_known(headers);
        let own = [(ETAG, self.tag), (CACHE_CONTROL, "no-cache".to_owned())];
        if is_known {
            return (StatusCode::NOT_MODIFIED, own).into_response();
        }
        (own, [(CONTENT_TYPE, "application/json")], self.json).into_response()
    }

    /// Whether the client has it already.
    fn is_known(&self, headers: &HeaderMap) -> bool {
        let known = headers.get_all(IF_NONE_MATCH).iter();
        let known = known.filter_map(|value| value.to_str().ok());
        known.flat_map(|list| list.split(',')).any(|known| {
            let known = known.trim();
            known == "*" || known.strip_prefix("W/").unwrap_or(known) == self.tag
        })
    }
}
