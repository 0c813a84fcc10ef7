//! Bytes that are no request, or nearly one: each ends soon with a refusal or a closed connection, none with a 5xx, and
//! the server goes on.
//!
//! `BATON_MALFORMED=20000 cargo test --test it malformed -- --nocapture` makes this many of them; with `BATON_SEED=2` others.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Options, Server};
use crate::rng::Rng;

/// Generated requests in the normal run.
const CASES: u64 = 400;
/// Nothing takes longer; the server's own deadlines are one second.
const PATIENCE: Duration = Duration::from_secs(15);
const GOOD: &str = "GET /global/health HTTP/1.1\r\nHost: localhost\r\n\r\n";
const LAST: &str = "GET /global/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

async fn server() -> Server {
    Server::start_with(Options {
        arguments: vec!["--agents".into(), "mock".into()],
        config: "[timeouts]\nheader_s = 1\nbody_s = 1\n".to_owned(),
    })
    .await
}

/// Sends bytes and reads until the server closes the connection.
async fn send(server: &Server, bytes: &[u8]) -> Vec<u8> {
    exchange(server, bytes, false).await
}

/// Sends several, all at the same time.
async fn send_all<'a>(server: &Server, requests: &'a [Vec<u8>]) -> Vec<(&'a [u8], Vec<u8>)> {
    let sending = requests
        .iter()
        .map(|bytes| async move { (bytes.as_slice(), send(server, bytes).await) });
    futures_util::future::join_all(sending).await
}

/// The same; with `end` the server is told that there are no more of them, which for it is a client that has gone.
async fn exchange(server: &Server, bytes: &[u8], end: bool) -> Vec<u8> {
    let address = server.url.strip_prefix("http://").expect("a URL");
    let stream = TcpStream::connect(address).await.expect("it listens");
    let (mut from, mut to) = stream.into_split();
    let mut answer = Vec::new();
    let writing = async {
        // It may be closed before all is sent.
        let _cut = to.write_all(bytes).await;
        if end {
            let _cut = to.shutdown().await;
        }
        to
    };
    let both = async { tokio::join!(writing, from.read_to_end(&mut answer)) };
    let ended = tokio::time::timeout(PATIENCE, both).await;
    assert!(
        ended.is_ok(),
        "it hangs with {:?}",
        String::from_utf8_lossy(bytes)
    );
    answer
}

/// The status codes of the answers; of bodies only those are looked into that could be taken for a head.
fn statuses(answer: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(answer);
    let heads = text
        .match_indices("HTTP/1.")
        .filter_map(|(at, _)| text.get(at + 9..at + 12)?.parse().ok());
    heads.collect()
}

fn no_server_error(sent: &[u8], answer: &[u8]) {
    let bad = statuses(answer).into_iter().find(|status| *status >= 500);
    assert!(
        bad.is_none(),
        "{bad:?} to {:?}: {}",
        String::from_utf8_lossy(sent),
        String::from_utf8_lossy(answer)
    );
}

async fn still_answers(server: &Server) {
    let answer = send(server, LAST.as_bytes()).await;
    assert_eq!(
        statuses(&answer),
        [200],
        "{}",
        String::from_utf8_lossy(&answer)
    );
}

/// Requests that must be refused, or closed without a word: never carried out.
const REFUSED: &[&str] = &[
    "GET\r\n\r\n",
    "GET /global/health\r\n\r\n",
    "GET /global/health HTTP/9.9\r\nHost: localhost\r\n\r\n",
    "GET /global/health HTTP/1.1 extra\r\nHost: localhost\r\n\r\n",
    "GET  /global/health  HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "G\0T /global/health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /global/health\0 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    " GET /global/health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}",
    "GET /global/health HTTP/1.1\r\n\r\n",
    "GET /global/health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
    "GET /global/health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "GET /global/health HTTP/1.1\r\nHost: local host\r\n\r\n",
    "GET /global/health HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "GET http://evil.example/global/health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /global/health HTTP/1.1\r\nHost : localhost\r\n\r\n",
    "GET /global/health HTTP/1.1\r\nHost: localhost\r\nbad name: x\r\n\r\n",
    "GET /global/health HTTP/1.1\r\nHost: localhost\r\n: x\r\n\r\n",
    "GET /global/health HTTP/1.1\r\nHost: localhost\r\nno-colon\r\n\r\n",
    "GET /global/health HTTP/1.1\r\nHost: localhost\r\nx: a\0b\r\n\r\n",
    "GET /global/health HTTP/1.1\r\nHost: localhost\r\nx: a\r\n folded\r\n\r\n",
    "GET /global/health HTTP/1.1\r\nHost: localhost\r\nx: a\rb\r\n\r\n",
    "CONNECT localhost:1 HTTP/1.1\r\nHost: localhost:1\r\n\r\n",
    "POST /opencode/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n{}",
    "POST /opencode/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: +2\r\n\r\n{}",
    "POST /opencode/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2, 3\r\n\r\n{}",
    "POST /opencode/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
    "POST /opencode/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999999999\r\n\r\n{}",
    "POST /opencode/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 18446744073709551615\r\n\r\n{}",
    "POST /opencode/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0x2\r\n\r\n{}",
    "POST /opencode/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\nContent-Type: application/json\r\n\r\n{}",
    "POST /opencode/session HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n{}",
    "POST /opencode/session HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked, gzip\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "POST /opencode/session HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "POST /opencode/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n{}\r\n0\r\n\r\n",
    "POST /opencode/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    "POST /opencode/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
    "POST /opencode/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}",
    "POST /opencode/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}xx\r\n0\r\n\r\n",
    "GET /opencode/session/%ff HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "GET /opencode/session/%zz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "GET /opencode/session/% HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "GET /opencode/session/%00 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "GET /opencode/session/ses_%2e%2e%2f HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "GET /opencode/file/content?path=%00 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "GET /opencode/file/content?path=%ff%fe HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "GET /opencode/file?path=../../.. HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "POST /opencode/session HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: 5\r\nConnection: close\r\n\r\n",
    "POST /opencode/session HTTP/1.1\r\nHost: localhost\r\nExpect: something\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
    "POST /opencode/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n\0\0",
];

const NO_TEXT: [&[u8]; 4] = [
    b"GET /\xff HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    b"GET /opencode/session HTTP/1.1\r\nHost: \xff\r\nConnection: close\r\n\r\n",
    b"\xff\xfe\0\0\r\n\r\n",
    b"GET /opencode/find/file?query=\xff HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
];

fn too_long() -> Vec<String> {
    let long = 1 << 20;
    vec![
        format!(
            "GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "x".repeat(long)
        ),
        format!(
            "GET /?{} HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "x=1&".repeat(long / 4)
        ),
        format!("{} / HTTP/1.1\r\nHost: localhost\r\n\r\n", "X".repeat(long)),
        format!(
            "GET / HTTP/1.1\r\nHost: localhost\r\nx: {}\r\n\r\n",
            "y".repeat(long)
        ),
        format!(
            "GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
            "x: y\r\n".repeat(1 << 16)
        ),
    ]
}

#[tokio::test]
async fn garbage_is_refused_or_the_connection_closed() {
    let server = server().await;
    let sessions = server.get("/opencode/session").await;
    let mut requests: Vec<Vec<u8>> = REFUSED
        .iter()
        .map(|request| request.as_bytes().to_vec())
        .collect();
    requests.extend(NO_TEXT.iter().map(|request| request.to_vec()));
    requests.extend(too_long().into_iter().map(String::into_bytes));
    for (request, answer) in send_all(&server, &requests).await {
        // 100 asks for the body, which does not come.
        let refused = statuses(&answer)
            .iter()
            .all(|status| (400..500).contains(status) || *status == 100);
        assert!(
            refused,
            "{:.100}: {}",
            String::from_utf8_lossy(request),
            String::from_utf8_lossy(&answer)
        );
    }
    assert_eq!(
        server.get("/opencode/session").await,
        sessions,
        "something was carried out"
    );
    still_answers(&server).await;
    server.stop().await;
}

/// Two readers that disagree about where a request ends would let somebody hide one in another. Whatever is answered
/// here, the hidden request is not.
#[tokio::test]
async fn no_request_hides_in_another() {
    let server = server().await;
    let hidden = "POST /opencode/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
    // Of the two the standard says that Transfer-Encoding counts, so what follows is a request like any other.
    let is_told = |headers: &str| {
        headers.contains("Transfer-Encoding: chunked") && headers.contains("Content-Length")
    };
    let shapes = [
        (
            "Content-Length: 0\r\nTransfer-Encoding: chunked",
            "0\r\n\r\n",
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 500",
            "0\r\n\r\n",
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
            "0\r\n\r\n",
        ),
        ("Transfer-Encoding: xchunked", "0\r\n\r\n"),
        ("Transfer-Encoding : chunked", "0\r\n\r\n"),
        ("Transfer-Encoding: \u{b}chunked", "0\r\n\r\n"),
        ("Content-Length: 0\r\nContent-Length: 6", "0\r\n\r\n"),
        ("Content-Length: 0, 6", "0\r\n\r\n"),
        ("Content-Length:\r\n 6", "0\r\n\r\n"),
        ("X: y\nContent-Length: 300", ""),
        ("Transfer-Encoding: chunked", "0;ext=\"\r\n\r\n\"\r\n"),
        ("Transfer-Encoding: chunked", "0\r\nX: y"),
        ("Transfer-Encoding: chunked", "10000000000000000\r\n"),
    ];
    let bytes = |(headers, body): &(&str, &str)| {
        let outer =
            format!("GET /global/health HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n\r\n{body}");
        format!("{outer}{hidden}").into_bytes()
    };
    let requests: Vec<_> = shapes.iter().map(bytes).collect();
    let mut seen = 0;
    for ((headers, _), (sent, answer)) in shapes.iter().zip(send_all(&server, &requests).await) {
        no_server_error(sent, &answer);
        let answered = statuses(&answer);
        let hidden = answered.get(1).is_some_and(|status| *status < 400);
        assert!(
            !hidden || is_told(headers),
            "{headers:?}: {}",
            String::from_utf8_lossy(&answer)
        );
        seen += answered.len();
    }
    assert!(seen >= shapes.len() / 2, "nothing was answered");
    still_answers(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn requests_before_a_bad_one_are_answered() {
    let server = server().await;
    for bad in [
        "NONSENSE\r\n\r\n",
        "GET / HTTP/1.1\r\n: x\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
    ] {
        let bytes = format!("{GOOD}{GOOD}{bad}{GOOD}");
        let answered = statuses(&send(&server, bytes.as_bytes()).await);
        assert_eq!(answered[..2], [200, 200], "{bad:?}");
        assert!(
            answered[2..]
                .iter()
                .all(|status| (400..500).contains(status)),
            "{answered:?}"
        );
    }
    // A client that waits with its body, and then sends it.
    let address = server.url.strip_prefix("http://").expect("a URL");
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let head = "POST /opencode/session HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Type: application/json\r\n\
                Content-Length: 2\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut go_on = [0; 25];
    let read = tokio::time::timeout(PATIENCE, stream.read_exact(&mut go_on)).await;
    read.expect("in time").expect("an answer");
    assert!(go_on.starts_with(b"HTTP/1.1 100"));
    stream.write_all(b"{}").await.expect("sent");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    read.expect("in time").expect("an answer");
    assert_eq!(statuses(&answer), [200]);
    server.stop().await;
}

/// What is put into requests.
const PIECES: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    "\0",
    " ",
    "\t",
    ":",
    "%",
    "%00",
    "%ff",
    "%2f..",
    "/",
    "?",
    "#",
    "&",
    "=",
    "HTTP/1.1",
    "HTTP/1.0",
    "HTTP/2.0",
    "Host: x\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip\r\n",
    "Expect: 100-continue\r\n",
    "Connection: close\r\n",
    "Connection: upgrade\r\nUpgrade: websocket\r\n",
    "Upgrade: h2c\r\n",
    "0\r\n\r\n",
    "5\r\n",
    "fffffffff\r\n",
    "{}",
    "{\"title\":",
    "Content-Type: application/json\r\n",
    "Origin: null\r\n",
    "Last-Event-ID: x\r\n",
    "If-Match: *\r\n",
    "Accept-Encoding: gzip\r\n",
    "directory=/",
    "é",
    "x-opencode-directory: %zz\r\n",
    "Range: bytes=0-1\r\n",
    "GET ",
    "POST ",
    "PATCH ",
    "DELETE ",
    "OPTIONS ",
];
const TARGETS: [&str; 14] = [
    "/global/health",
    "/opencode/session",
    "/opencode/session/ses_1",
    "/opencode/session/ses_1/message",
    "/opencode/file/content?path=a",
    "/opencode/file?path=.",
    "/opencode/find/file?query=a",
    "/opencode/find?pattern=(",
    "/opencode/config",
    "/opencode/provider",
    "/opencode/permission/per_1/reply",
    "/opencode/path?directory=%2e",
    "/opencode/api/session?cursor=e30",
    "/metrics",
];

fn generated(rng: &mut Rng) -> Vec<u8> {
    let method = *rng.pick(&[
        "GET", "GET", "POST", "PATCH", "PUT", "DELETE", "OPTIONS", "HEAD", "TRACE", "get", "X",
    ]);
    let target = *rng.pick(&TARGETS);
    let mut request =
        format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    if rng.chance(50) {
        let body = *rng.pick(&[
            "{}",
            "{\"title\":\"x\"}",
            "[",
            "",
            "{\"parts\":[{\"type\":\"text\",\"text\":\"x\"}],\"noReply\":true}",
        ]);
        request.push_str("Content-Type: application/json\r\n");
        match rng.below(3) {
            0 => request.push_str(&format!(
                "Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
                body.len()
            )),
            _ => request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len())),
        }
    } else {
        request.push_str("\r\n");
    }
    let mut bytes = request.into_bytes();
    for _ in 0..=rng.below(4) {
        let at = rng.below(bytes.len() + 1);
        match rng.below(6) {
            0 => drop(bytes.drain(at..bytes.len().min(at + 1 + rng.below(6)))),
            1 => bytes.insert(at, u8::try_from(rng.below(256)).expect("a byte")),
            2 if rng.chance(30) => bytes.truncate(at),
            _ => drop(bytes.splice(at..at, rng.pick(PIECES).bytes())),
        }
    }
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_sent_the_server_goes_on() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let cases = number("BATON_MALFORMED").unwrap_or(CASES);
    let mut rng = Rng::new(number("BATON_SEED").unwrap_or(1));
    let (server, began) = (server().await, Instant::now());
    let mut counted: BTreeMap<String, u64> = BTreeMap::new();
    let mut left = cases;
    while left > 0 {
        let some: Vec<_> = (0..left.min(200))
            .map(|_| (generated(&mut rng), rng.chance(10)))
            .collect();
        left -= some.len() as u64;
        let sending = some
            .iter()
            .map(|(bytes, end)| exchange(&server, bytes, *end));
        let answers = futures_util::future::join_all(sending).await;
        for ((bytes, _), answer) in some.iter().zip(&answers) {
            no_server_error(bytes, answer);
            let first = statuses(answer)
                .first()
                .map_or("closed".to_owned(), u16::to_string);
            *counted.entry(first).or_default() += 1;
        }
    }
    println!("{cases} requests in {:?}: {counted:?}", began.elapsed());
    assert!(counted.keys().len() > 3, "{counted:?}");
    still_answers(&server).await;
    server.stop().await;
}
