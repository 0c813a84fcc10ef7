//! The page: `GET /` in a browser, its files below `/ui/`, and what it asks in addition to OpenCode's API.
//!
//! ES modules exactly as stored here, without a framework and without a build step; `tests/clients/page` checks their
//! types against the OpenAPI document. The page is a client like any other: whatever it shows and does goes over the
//! documented API, but for Markdown, which the server renders.

mod markdown;

use std::time::Duration;

use axum::extract::Path;
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, VARY,
};
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::error::Problem;
use super::extract::Body;
use super::read::refusal;
use super::router::no_route;
use super::state::Shared;

/// Its text; `{host}` stands for the host under which the browser has found it.
const PAGE: &str = include_str!("index.html");
/// The page loads and asks only what is here. Pictures of a conversation are in `data:` URLs.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; form-action 'none'";
/// Shown as the address when the request does not name one.
const NO_HOST: &str = "127.0.0.1:2468";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

/// The files below `/ui/`: name, type, content.
const FILES: &[(&str, &str, &str)] = &[
    ("api.js", SCRIPT, include_str!("api.js")),
    ("aside.js", SCRIPT, include_str!("aside.js")),
    ("asks.js", SCRIPT, include_str!("asks.js")),
    ("base.css", STYLE, include_str!("base.css")),
    ("chain.js", SCRIPT, include_str!("chain.js")),
    ("code.css", STYLE, include_str!("code.css")),
    ("conversation.css", STYLE, include_str!("conversation.css")),
    ("conversation.js", SCRIPT, include_str!("conversation.js")),
    ("curl.js", SCRIPT, include_str!("curl.js")),
    ("dialogs.css", STYLE, include_str!("dialogs.css")),
    ("dom.js", SCRIPT, include_str!("dom.js")),
    ("events.js", SCRIPT, include_str!("events.js")),
    ("format.js", SCRIPT, include_str!("format.js")),
    ("icon.svg", PICTURE, include_str!("icon.svg")),
    ("import.js", SCRIPT, include_str!("import.js")),
    ("layout.css", STYLE, include_str!("layout.css")),
    ("limit.js", SCRIPT, include_str!("limit.js")),
    ("list.js", SCRIPT, include_str!("list.js")),
    ("main.js", SCRIPT, include_str!("main.js")),
    ("markdown.js", SCRIPT, include_str!("markdown.js")),
    ("mcp.js", SCRIPT, include_str!("mcp.js")),
    ("message.js", SCRIPT, include_str!("message.js")),
    ("panels.js", SCRIPT, include_str!("panels.js")),
    ("picker.js", SCRIPT, include_str!("picker.js")),
    ("prompt.js", SCRIPT, include_str!("prompt.js")),
    ("rows.js", SCRIPT, include_str!("rows.js")),
    ("session.js", SCRIPT, include_str!("session.js")),
    ("sessions.js", SCRIPT, include_str!("sessions.js")),
    ("sheet.js", SCRIPT, include_str!("sheet.js")),
    ("state.js", SCRIPT, include_str!("state.js")),
    ("status.js", SCRIPT, include_str!("status.js")),
    ("switches.js", SCRIPT, include_str!("switches.js")),
    ("tools.js", SCRIPT, include_str!("tools.js")),
    ("tour.js", SCRIPT, include_str!("tour.js")),
];

/// Texts that are rendered in one request.
const TEXTS_MAX: usize = 64;
/// All texts of a request, in bytes.
const TEXTS_MAX_BYTES: usize = 1024 * 1024;
/// Requests whose texts are rendered at one moment: it is work for the processor, of which others want some, too.
static RENDERING: Semaphore = Semaphore::const_new(2);
/// So long a request for HTML may take, with its waiting for others.
const RENDER_WITHIN: Duration = Duration::from_secs(10);

/// The page. Programs other than browsers get a 404, as everywhere.
pub fn routes() -> Router<Shared> {
    Router::new()
        .route("/", get(root))
        .route("/ui/{file}", get(file))
        .route("/ui/markdown", post(rendered))
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

async fn file(Path(name): Path<String>, uri: Uri, headers: HeaderMap) -> Response {
    let Some((_, kind, text)) = FILES.iter().find(|(known, ..)| *known == name) else {
        return no_route(uri, headers).await;
    };
    // Another Baton may answer at this address tomorrow, with other files.
    let about = [(CONTENT_TYPE, *kind), (CACHE_CONTROL, "no-store")];
    (about, *text).into_response()
}

/// Texts as HTML, in their order; null for one that is shown as it is, because it is too long or too deep.
#[derive(Debug, Serialize)]
struct Rendered {
    html: Vec<Option<String>>,
}

async fn rendered(Body(asked): Body<Texts>) -> Result<Json<Rendered>, Problem> {
    let texts = asked.bounded()?;
    let rendered = async {
        // Only a closed one has none, and nobody closes it.
        let _place = RENDERING.acquire().await;
        let html = move || texts.iter().map(|text| markdown::render(text)).collect();
        tokio::task::spawn_blocking(html).await
    };
    match tokio::time::timeout(RENDER_WITHIN, rendered).await {
        Ok(Ok(html)) => Ok(Json(Rendered { html })),
        Ok(Err(error)) => Err(Problem::unforeseen(&error)),
        Err(_late) => Err(Problem::crowded()),
    }
}

/// Texts to be rendered.
#[derive(Debug, Deserialize)]
struct Texts {
    /// Whatever is not as it should be is answered with all of its bounds.
    #[serde(default)]
    texts: Value,
}

impl Texts {
    fn bounded(self) -> Result<Vec<String>, Problem> {
        let bytes = |texts: &Vec<String>| texts.iter().map(String::len).sum::<usize>();
        let fits =
            |texts: &Vec<String>| texts.len() <= TEXTS_MAX && bytes(texts) <= TEXTS_MAX_BYTES;
        let texts = serde_json::from_value(self.texts).ok().filter(fits);
        texts.ok_or_else(|| {
            let message = format!(
                "Expected a list of at most {TEXTS_MAX} strings, {TEXTS_MAX_BYTES} bytes together"
            );
            refusal(&["texts"], message)
        })
    }
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

/// Whether somebody would rather have a page than JSON: only if they name HTML, as browsers do. `*/*` does not count.
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

/// A media range and its weight (RFC 9110, 12.5.1). An unreadable weight counts as absent.
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
