//! Under which name a request was sent.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::header::HOST;

use crate::http::error::{BadKind, Problem};

/// The one host that a request names.
///
/// # Errors
/// When it names none, several, or something that is not a host: what it means would be for everybody on its way to
/// guess, and a proxy may guess otherwise than Baton.
pub fn of(request: &Request) -> Result<&str, Problem> {
    let bad = |message: &str| Err(Problem::bad(BadKind::Headers, message));
    let mut hosts = request.headers().get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return bad("A request needs exactly one Host header\n  at [\"host\"]");
    };
    let Some(host) = host.to_str().ok().filter(|host| is_host(host)) else {
        return bad("Expected HOST or HOST:PORT\n  at [\"host\"]");
    };
    match request.uri().authority() {
        Some(target) if !target.as_str().eq_ignore_ascii_case(host) => {
            bad("The request's target names another host than its Host header\n  at [\"host\"]")
        }
        _ => Ok(host),
    }
}

/// Whether a text is `HOST` or `HOST:PORT`, with an IPv6 address in brackets.
fn is_host(text: &str) -> bool {
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if address.parse::<std::net::Ipv6Addr>().is_ok() => ("v6", port),
            _ => return false,
        },
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~%!$&'()*+,;=".contains(c);
    let port_fits = match port.strip_prefix(':') {
        Some(number) => number.is_empty() || is_port(number),
        None => port.is_empty(),
    };
    !name.is_empty() && name.chars().all(plain) && port_fits
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// Whether a `Host` names this server.
pub(super) fn is_ours(host: &str, listening: &str) -> bool {
    let name = without_port(host);
    let name = name.strip_suffix('.').unwrap_or(name);
    is_loopback(name)
        || name.eq_ignore_ascii_case(listening)
        || name.to_ascii_lowercase().ends_with(".localhost")
}

/// Whether the authority of an origin is this machine: no user, and no empty port.
pub fn is_local(authority: &str) -> bool {
    is_host(authority) && !authority.ends_with(':') && is_loopback(without_port(authority))
}

/// Whether a host can only be reached from this machine.
pub fn is_loopback(host: &str) -> bool {
    let bare = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host);
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // The colons of an IPv6 address are in brackets.
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn only_our_own_names_are_ours() {
        for good in [
            "localhost",
            "LOCALHOST:2468",
            "localhost.:80",
            "baton.localhost:1",
            "127.0.0.1:2468",
            "127.5.5.5",
            "[::1]:2468",
            "[::1]",
        ] {
            assert!(is_ours(good, "127.0.0.1"), "{good}");
        }
        for bad in [
            "evil.example:2468",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "192.168.1.5:2468",
            "",
            "?",
        ] {
            assert!(!is_ours(bad, "127.0.0.1"), "{bad}");
        }
    }

    fn host_of(target: &str, hosts: &[&str]) -> Option<String> {
        let mut request = Request::builder().uri(target);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let request = request.body(Body::empty()).expect("a request");
        of(&request).ok().map(str::to_owned)
    }

    #[test]
    fn a_request_names_exactly_one_host() {
        for host in [
            "box",
            "box:1",
            "box:",
            "127.0.0.1:65535",
            "[::1]",
            "[::1]:80",
            "a.b-c_d",
        ] {
            assert_eq!(host_of("/x", &[host]).as_deref(), Some(host));
        }
        for bad in [
            "", ":80", "a b", "a/b", "user@a", "a:b", "a:1:2", "a:65536", "[::1", "[x]", "[::1]x",
            "[::1]:x", "é", "a,b c", "http://a",
        ] {
            assert_eq!(host_of("/x", &[bad]), None, "{bad}");
        }
        assert_eq!(host_of("/x", &[]), None);
        assert_eq!(host_of("/x", &["a", "a"]), None);
    }

    #[test]
    fn the_target_names_no_other_host() {
        assert!(host_of("http://Box:1/x", &["box:1"]).is_some());
        for other in [
            "http://evil/x",
            "http://box/x",
            "http://user@box:1/x",
            "http://box:2/x",
        ] {
            assert_eq!(host_of(other, &["box:1"]), None, "{other}");
        }
    }
}
