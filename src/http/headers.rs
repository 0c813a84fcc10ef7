//! What every answer tells a browser.

use axum::extract::Request;
use axum::http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

/// Added to every page's own policy: no other page may frame it to catch clicks, and nothing changes where
/// its relative addresses lead.
const PAGE_POLICY: HeaderValue =
    HeaderValue::from_static("frame-ancestors 'none'; base-uri 'none'; object-src 'none'");

/// Middleware: an answer is what its type says, and a page is never framed.
pub async fn protect(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if is_page(headers) {
        // Beside a policy of the page's own: browsers keep all that there are.
        headers.append(CONTENT_SECURITY_POLICY, PAGE_POLICY);
        headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    }
    response
}

fn is_page(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let kind = kind.unwrap_or_default().to_ascii_lowercase();
    [&b"text/html"[..], b"application/xhtml", b"image/svg"]
        .iter()
        .any(|page| kind.starts_with(page))
}
