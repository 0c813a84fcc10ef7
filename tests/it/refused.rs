//! What is refused has changed nothing. The bodies are those of `tests/corpus` with changes in them.
//!
//! `BATON_REFUSED=5000 cargo test --test it refused -- --nocapture` tries this many; with `BATON_SEED=2` others.

use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;

use crate::harness::{PATIENCE, Server, model};
use crate::rng::Rng;

/// Bodies in the normal run.
const CASES: u64 = 200;
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "null",
    "true",
    "-1",
    "1e400",
    "1.5",
    "\"\"",
    "\\ud800",
    "{}",
    "[]",
    "\"x\"",
    "\"title\":5,",
    "\"title\":\"changed\",",
    "\"metadata\":[],",
    "\"provider_id\":1,",
    "\"time\":{\"archived\":-1},",
    "\"permission\":[{}],",
    "\"noReply\":true,",
    "\"model\":{\"providerID\":\"nope\",\"modelID\":\"x\"},",
    "\"agent\":\"nope\",",
    "\"variant\":7,",
    "\"messageID\":\"x\",",
    "\"parts\":[],",
];

fn corpus(file: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/corpus")
        .join(file);
    let text = std::fs::read_to_string(path).expect("the corpus");
    text.lines()
        .filter(|line| line.starts_with('{'))
        .map(str::to_owned)
        .collect()
}

fn changed(rng: &mut Rng, bodies: &[String]) -> String {
    let mut body: Vec<char> = rng.pick(bodies).chars().collect();
    for _ in 0..rng.below(4) {
        // Mostly between two fields, where it stays JSON.
        let between: Vec<usize> = (1..body.len())
            .filter(|at| "{,[".contains(body[at - 1]))
            .collect();
        let at = match between.is_empty() || rng.chance(30) {
            true => rng.below(body.len() + 1),
            false => *rng.pick(&between),
        };
        match rng.chance(20) {
            true => drop(body.drain(at..body.len().min(at + 1 + rng.below(6)))),
            false => drop(body.splice(at..at, rng.pick(PIECES).chars())),
        }
    }
    body.into_iter().collect()
}

/// All that a session has, as clients see it.
async fn all(server: &Server, session: &str) -> Value {
    let path = format!("/opencode/session/{session}");
    let (mut info, messages) = (
        server.get(&path).await,
        server.get(&format!("{path}/message")).await,
    );
    // What an agent does by itself.
    info.as_object_mut().expect("an object").remove("runtime");
    serde_json::json!([info, messages])
}

/// Waits until nothing is at work any more: the agent has confirmed what was selected, or has answered.
async fn until_settled(server: &Server, session: &str) {
    let (path, began) = (format!("/opencode/session/{session}"), Instant::now());
    loop {
        let info = server.get(&path).await;
        if info["runtime"]["status"] == "idle" && info["runtime"]["pending"].is_null() {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{info}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_is_refused_has_changed_nothing() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let cases = number("BATON_REFUSED").unwrap_or(CASES);
    let mut rng = Rng::new(number("BATON_SEED").unwrap_or(1));
    let server = Server::start().await;
    let session = server.create().await;
    server
        .prompt(&session, "echo one", model("mock", "mock"))
        .await;
    let (updates, prompts) = (corpus("updates.txt"), corpus("prompts.txt"));
    let path = format!("/opencode/session/{session}");
    let (mut refused, mut before) = (0, all(&server, &session).await);
    for _ in 0..cases {
        let (method, path, body) = match rng.chance(50) {
            true => (Method::PATCH, path.clone(), changed(&mut rng, &updates)),
            // The route that answers at once.
            false => (
                Method::POST,
                format!("{path}/prompt_async"),
                changed(&mut rng, &prompts),
            ),
        };
        let request = server
            .client
            .request(method, format!("{}{path}", server.url));
        let request = request
            .header("content-type", "application/json")
            .body(body.clone());
        let answer = request.send().await.expect("an answer");
        let (status, text) = (answer.status(), answer.text().await.expect("a body"));
        assert!(!status.is_server_error(), "{status} to {body}: {text}");
        if status.is_client_error() {
            refused += 1;
            assert_eq!(
                all(&server, &session).await,
                before,
                "{body} was refused: {text}"
            );
        } else {
            until_settled(&server, &session).await;
            before = all(&server, &session).await;
        }
    }
    println!("{refused} of {cases} were refused, and changed nothing");
    assert!(refused * 4 > cases && refused < cases, "{refused}");
    server.stop().await;
}
