//! `GET /` in a browser: what this is, and where to go.

use axum::Router;
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, VARY,
};
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::router::no_route;
use super::state::Shared;

/// Its text; `{host}` stands for the host under which the browser has found it.
const PAGE: &str = include_str!("page.html");
/// The page loads nothing and runs nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";
/// What stands for the address when the request does not tell it.
const NO_HOST: &str = "127.0.0.1:2468";

/// The page. Other programs than browsers are told that there is nothing, as everywhere.
pub fn routes() -> Router<Shared> {
    Router::new().route("/", get(root))
}

async fn root(uri: Uri, headers: HeaderMap) -> Response {
    if !prefers_html(&headers) {
        return ([(VARY, "accept")], no_route(uri, headers).await).into_response();
    }
    // The guard has looked at it: it is one plain host.
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let page = PAGE.replace("{host}", &escaped(host.unwrap_or(NO_HOST)));
    let about = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (CACHE_CONTROL, "no-store"),
        (VARY, "accept"),
    ];
    (about, page).into_response()
}

fn escaped(text: &str) -> String {
    let entity = |c: char| match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        '\'' => "&#39;".to_owned(),
        other => other.to_string(),
    };
    text.chars().map(entity).collect()
}

/// Whether somebody would rather have a page than JSON: only if they name HTML, as browsers do. `*/*` is no wish.
pub fn prefers_html(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(ACCEPT).iter();
    let lines = lines.filter_map(|line| line.to_str().ok());
    let ranges: Vec<_> = lines.flat_map(|line| line.split(',')).map(range).collect();
    let weight = |kind: &str| {
        let named = ranges.iter().filter(|(name, _)| name == kind);
        named.map(|(_, weight)| *weight).fold(0.0, f32::max)
    };
    let html = weight("text/html");
    html > 0.0 && html >= weight("application/json")
}

/// A media range and its weight (RFC 9110, 12.5.1). A weight that cannot be read is none.
fn range(text: &str) -> (String, f32) {
    let mut pieces = text.split(';').map(str::trim);
    let name = pieces.next().unwrap_or_default().to_ascii_lowercase();
    let weight = pieces.find_map(|p| p.strip_prefix("q=").or_else(|| p.strip_prefix("Q=")));
    let weight = weight.map_or(1.0, |weight| weight.trim().parse().unwrap_or(0.0));
    (name, weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefers(accept: &[&'static str]) -> bool {
        let lines = accept.iter();
        let lines = lines.map(|line| (ACCEPT, axum::http::HeaderValue::from_static(line)));
        let mut headers = HeaderMap::new();
        for (name, line) in lines {
            headers.append(name, line);
        }
        prefers_html(&headers)
    }

    #[test]
    fn only_who_names_html_gets_a_page() {
        for html in [
            &["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"][..],
            &["TEXT/HTML"],
            &["application/json;q=0.5", "text/html ; q=0.7"],
            &["application/json, text/html"],
        ] {
            assert!(prefers(html), "{html:?}");
        }
        for other in [
            &[][..],
            &["*/*"],
            &["application/json"],
            &["text/*"],
            &["application/json, text/html;q=0.9"],
            &["text/html;q=0"],
            &["text/html;q=x"],
            &["text/htmlx"],
        ] {
            assert!(!prefers(other), "{other:?}");
        }
    }

    #[test]
    fn a_host_is_text_and_no_markup() {
        assert_eq!(escaped("a<b>&'\""), "a&lt;b&gt;&amp;&#39;&quot;");
    }
}
