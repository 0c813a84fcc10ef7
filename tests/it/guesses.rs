//! Attacks on the password by trying.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use reqwest::{Client, Method, StatusCode};
use tokio::task::JoinSet;

use crate::harness::{Log, Options, PATIENCE, Server};

const PASSWORD: &str = "the-right-password";
/// Wrong passwords that are tried one after the other: enough for the waits to grow.
const TRIED: usize = 7;

async fn server() -> (Server, tempfile::NamedTempFile) {
    let options = Options {
        arguments: vec!["--agents".into(), "mock".into()],
        ..Options::default()
    };
    let log = tempfile::NamedTempFile::new().expect("a file");
    let to = Log::EverythingTo(log.reopen().expect("open"));
    let server = Server::start_among(options, to, &[("BATON_PASSWORD", PASSWORD)]).await;
    (server, log)
}

/// A client at one of this machine's own addresses.
fn client_at(address: [u8; 4]) -> Client {
    let client = Client::builder().local_address(IpAddr::from(address));
    client.timeout(PATIENCE).build().expect("a client")
}

async fn sign_in(client: &Client, url: &str, password: &str) -> (StatusCode, Duration) {
    let began = Instant::now();
    let request = client.request(Method::GET, format!("{url}/global/health"));
    let answer = request
        .bearer_auth(password)
        .send()
        .await
        .expect("an answer");
    (answer.status(), began.elapsed())
}

#[tokio::test]
async fn only_who_guesses_waits() {
    let (server, log) = server().await;
    let mallory = client_at([127, 0, 0, 1]);
    let began = Instant::now();
    for n in 0..TRIED {
        let (status, _) = sign_in(&mallory, &server.url, &format!("wrong-{n}")).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
    // 100, 200 and 400 ms, whatever the machine adds.
    assert!(
        began.elapsed() >= Duration::from_millis(700),
        "{:?}",
        began.elapsed()
    );
    let held_back = sign_in(&mallory, &server.url, "wrong").await.1;
    assert!(held_back >= Duration::from_millis(800), "{held_back:?}");

    // While many attempts of that address wait, others notice nothing.
    let mut flood = JoinSet::new();
    for n in 0..200 {
        let (client, url) = (mallory.clone(), server.url.clone());
        flood.spawn(async move { sign_in(&client, &url, &format!("guess-{n}")).await.0 });
    }
    let first = flood.join_next().await.expect("one").expect("no panic");
    assert_eq!(
        first,
        StatusCode::TOO_MANY_REQUESTS,
        "more than may wait are not looked at"
    );
    let alice = client_at([127, 0, 0, 2]);
    let (status, took) = sign_in(&alice, &server.url, PASSWORD).await;
    assert_eq!(status, StatusCode::OK);
    assert!(took < held_back, "{took:?}");
    flood.abort_all();
    while flood.join_next().await.is_some() {}

    // The right password from the guessing address is let in after a moment, and then at once.
    let bob = client_at([127, 0, 0, 1]);
    let signed_in = async {
        loop {
            match sign_in(&bob, &server.url, PASSWORD).await {
                (StatusCode::TOO_MANY_REQUESTS, _) => tokio::task::yield_now().await,
                (status, _) => return status,
            }
        }
    };
    let status = tokio::time::timeout(PATIENCE, signed_in).await;
    assert_eq!(status.expect("not locked out"), StatusCode::OK);
    server.stop().await;

    let text = std::fs::read_to_string(log.path()).expect("a log");
    let told = text.matches("a sign-in has failed").count();
    assert_eq!(told, 1, "once per address and minute: {text}");
    assert!(
        text.contains("127.0.0.1") && !text.contains("wrong-"),
        "{text}"
    );
}

#[tokio::test]
async fn asking_without_a_password_is_not_a_guess() {
    let (server, log) = server().await;
    let client = client_at([127, 0, 0, 1]);
    for _ in 0..50 {
        let asked = client
            .get(format!("{}/global/health", server.url))
            .send()
            .await;
        assert_eq!(asked.expect("an answer").status(), StatusCode::UNAUTHORIZED);
    }
    assert_eq!(
        sign_in(&client, &server.url, PASSWORD).await.0,
        StatusCode::OK
    );
    server.stop().await;
    let text = std::fs::read_to_string(log.path()).expect("a log");
    assert!(!text.contains("sign-in"), "{text}");
}
