//! What a message says about one connection only, which whoever sends it on leaves out.

use axum::http::header::{
    CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use axum::http::{HeaderMap, HeaderName};

/// What is about one connection only (RFC 9110, 7.6.1).
const HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Takes out of a message what is about one connection only, before it is sent on.
pub fn drop_hop_by_hop(headers: &mut HeaderMap) {
    // What a connection's own header names is about that connection, too.
    let lists = headers.get_all(CONNECTION).iter();
    let lists = lists.filter_map(|list| list.to_str().ok());
    let named = lists.flat_map(|list| list.split(','));
    let named: Vec<HeaderName> = named.filter_map(|name| name.trim().parse().ok()).collect();
    for name in named.into_iter().chain(HOP_BY_HOP) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn what_is_about_one_connection_stays_there() {
        let header = |name: &'static str, value| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        };
        let mut headers = HeaderMap::from_iter([
            header("connection", "close, X-Hop"),
            header("x-hop", "1"),
            header("transfer-encoding", "chunked"),
            header("etag", "\"1\""),
        ]);
        drop_hop_by_hop(&mut headers);
        assert_eq!(headers, HeaderMap::from_iter([header("etag", "\"1\"")]));
    }
}
