//! Which page a request came from, as far as its browser says.

use axum::extract::Request;
use axum::http::header::{ORIGIN, USER_AGENT};
use axum::http::{HeaderMap, Method};

use crate::http::cors;
use crate::http::error::Problem;

/// How the page that has asked and the server are related: <https://www.w3.org/TR/fetch-metadata/>.
const FETCH_SITE: &str = "sec-fetch-site";
/// What the request is part of: a navigation, or a request of a page.
const FETCH_MODE: &str = "sec-fetch-mode";
/// Where the answer goes: a window, a frame, a picture.
const FETCH_DEST: &str = "sec-fetch-dest";
/// The pages that other sites may link to. They show nothing until they ask for it themselves.
const LINKABLE: [&str; 4] = ["/", "/docs", "/docs/", "/docs/index.html"];
/// How every browser's name for itself begins.
const BROWSER: &[u8] = b"Mozilla/";

/// Refuses what a foreign page has its browser send, whether the page could read the answer or not.
///
/// # Errors
/// When it is refused, with what to do.
pub(super) fn check(configured: &[String], host: &str, request: &Request) -> Result<(), Problem> {
    let headers = request.headers();
    let origin = Origin::of(headers, configured, host);
    if let Origin::Foreign(origin) = origin {
        return Err(Problem::forbidden(format!(
            "Pages of {origin} may do nothing here. Add the origin to cors_origins in [server] of the config file to \
             allow it."
        )));
    }
    let from_elsewhere = headers
        .get_all(FETCH_SITE)
        .iter()
        .any(|site| site != "same-origin" && site != "none");
    if from_elsewhere && !matches!(origin, Origin::Allowed) && !is_visit(request) {
        return Err(Problem::forbidden(
            "Pages of other sites may only link to / and /docs. A page whose origin stands in cors_origins in [server] \
             of the config file may ask with fetch() in mode \"cors\".",
        ));
    }
    Ok(())
}

/// Whose page has sent a request.
enum Origin<'a> {
    /// The browser does not say, or there is none.
    Unsaid,
    /// One that may use the server.
    Allowed,
    /// Any other, including what is not an origin at all.
    Foreign(&'a str),
}

impl<'a> Origin<'a> {
    fn of(headers: &'a HeaderMap, configured: &[String], host: &str) -> Self {
        let mut origins = headers.get_all(ORIGIN).iter();
        let Some(origin) = origins.next() else {
            return Self::Unsaid;
        };
        let Some(origin) = origin.to_str().ok().filter(|_| origins.next().is_none()) else {
            return Self::Foreign("an unknown origin");
        };
        match cors::is_allowed(origin, configured) || is_same_origin(origin, host) {
            true => Self::Allowed,
            false => Self::Foreign(origin),
        }
    }
}

/// Whether somebody follows a link to one of the pages that may be linked to, in a window of their own.
fn is_visit(request: &Request) -> bool {
    let is = |name: &str, value: &str| {
        let mut values = request.headers().get_all(name).iter();
        values.next().is_some_and(|v| v == value) && values.next().is_none()
    };
    *request.method() == Method::GET
        && is(FETCH_MODE, "navigate")
        && is(FETCH_DEST, "document")
        && LINKABLE.contains(&request.uri().path())
}

/// Whether a request comes from a browser, as far as that can be known. Not `Sec-Fetch-Mode`: Node.js sends it, too.
pub fn is_of_a_browser(headers: &HeaderMap) -> bool {
    let says = |name: &str| headers.contains_key(name);
    let agent = headers.get(USER_AGENT).map(|agent| agent.as_bytes());
    says(FETCH_SITE)
        || says(FETCH_DEST)
        || says(ORIGIN.as_str())
        || agent.is_some_and(|agent| agent.starts_with(BROWSER))
}

/// Whether an origin is the server's own.
fn is_same_origin(origin: &str, host: &str) -> bool {
    let authority = ["http://", "https://"]
        .iter()
        .find_map(|scheme| origin.strip_prefix(scheme));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    const CONFIGURED: &str = "https://tools.example";

    fn passes(method: &str, path: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).expect("a request");
        check(&[CONFIGURED.to_owned()], "box:2468", &request).is_ok()
    }

    #[test]
    fn what_is_no_browser_passes() {
        for method in ["GET", "POST", "DELETE"] {
            assert!(passes(method, "/session", &[]));
            // Node.js sends this.
            assert!(passes(method, "/session", &[(FETCH_MODE, "cors")]));
        }
    }

    #[test]
    fn pages_of_the_server_and_allowed_ones_pass() {
        for method in ["GET", "POST"] {
            assert!(passes(method, "/session", &[(FETCH_SITE, "same-origin")]));
            assert!(passes(method, "/session", &[(FETCH_SITE, "none")]));
            assert!(passes(method, "/session", &[("origin", "http://box:2468")]));
            for origin in [
                CONFIGURED,
                "http://localhost:3000",
                "https://app.opencode.ai",
            ] {
                for site in ["cross-site", "same-site"] {
                    let headers = [("origin", origin), (FETCH_SITE, site), (FETCH_MODE, "cors")];
                    assert!(passes(method, "/session", &headers), "{origin} {site}");
                }
            }
        }
    }

    #[test]
    fn foreign_pages_do_not_pass_whatever_they_ask() {
        for method in ["GET", "HEAD", "POST", "OPTIONS"] {
            for path in ["/", "/docs", "/session", "/event"] {
                for site in [
                    "cross-site",
                    "same-site",
                    "CROSS-SITE",
                    "",
                    "cross-site, none",
                ] {
                    for (mode, dest) in [
                        ("no-cors", "image"),
                        ("cors", "empty"),
                        ("navigate", "iframe"),
                    ] {
                        let headers = [(FETCH_SITE, site), (FETCH_MODE, mode), (FETCH_DEST, dest)];
                        assert!(
                            !passes(method, path, &headers),
                            "{method} {path} {headers:?}"
                        );
                    }
                }
                let origin = [("origin", "https://evil.example")];
                assert!(!passes(method, path, &origin), "{method} {path}");
            }
        }
        let both = [(FETCH_SITE, "same-origin"), (FETCH_SITE, "cross-site")];
        assert!(!passes("GET", "/session", &both));
    }

    #[test]
    fn a_link_may_lead_to_the_pages_only() {
        let link = [
            (FETCH_SITE, "cross-site"),
            (FETCH_MODE, "navigate"),
            (FETCH_DEST, "document"),
        ];
        for path in LINKABLE {
            assert!(passes("GET", path, &link), "{path}");
            assert!(!passes("POST", path, &link), "{path}");
        }
        for path in [
            "/session",
            "/opencode/event",
            "/docs/swagger-ui.css",
            "//",
            "/tui/control/next",
        ] {
            assert!(!passes("GET", path, &link), "{path}");
        }
    }

    #[test]
    fn what_is_no_origin_is_foreign() {
        for origin in [
            "",
            "null",
            "box:2468",
            "box",
            "ftp://box:2468",
            "http://box:2468/",
            "http://box:2468/x",
            "http://box",
            "http://user@localhost",
            "http://localhost:3000/",
            "http://localhost:3000, http://localhost:3000",
            "http://localhost:99999",
            "http://localhost:",
            "http://localhost?x",
            "HTTP//localhost",
            "\u{e9}",
        ] {
            for method in ["GET", "POST"] {
                assert!(
                    !passes(method, "/session", &[("origin", origin)]),
                    "{origin:?}"
                );
            }
        }
        let twice = [
            ("origin", "http://localhost:1"),
            ("origin", "http://localhost:1"),
        ];
        assert!(!passes("GET", "/session", &twice));
    }

    #[test]
    fn browsers_are_told_from_other_programs() {
        let of = |name: &'static str, value: &'static str| {
            let value = axum::http::HeaderValue::from_static(value);
            is_of_a_browser(&HeaderMap::from_iter([(
                name.parse().expect("a name"),
                value,
            )]))
        };
        assert!(of(FETCH_SITE, "same-origin") && of(FETCH_DEST, "empty"));
        assert!(of("origin", "http://localhost:1") && of("user-agent", "Mozilla/5.0 (X11)"));
        assert!(!of(FETCH_MODE, "cors") && !of("user-agent", "Bun/1.2") && !of("accept", "*/*"));
    }
}
