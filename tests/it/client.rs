//! A client that does to one session whatever its dice say, and checks every answer that it gets.

use std::sync::Arc;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::concurrency::consistent;
use crate::harness::Server;

/// What each client does, in number.
const OPERATIONS: usize = 200;
/// A wish: model, variant.
const WISHES: [(&str, Option<&str>); 4] = [
    ("mock", None),
    ("mock-fast", None),
    ("mock-strong", Some("low")),
    ("mock-strong", Some("high")),
];
/// The title that a refused PATCH would have set.
pub(crate) const REFUSED: &str = "refused";

/// Numbers that are always the same for the same seed (xorshift64*).
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap() % limit
    }
}

/// One client and what it has seen.
pub(crate) struct Client {
    server: Arc<Server>,
    path: String,
    dice: Dice,
    revision: u64,
    /// Prompts that were taken.
    pub prompts: usize,
    /// Prompts that found the queue full.
    pub full: usize,
}

impl Client {
    /// A client of the session at this path.
    pub(crate) fn new(server: Arc<Server>, path: String, seed: u64) -> Self {
        let dice = Dice::new(seed);
        Self {
            server,
            path,
            dice,
            revision: 0,
            prompts: 0,
            full: 0,
        }
    }

    /// Does it all.
    pub(crate) async fn run(mut self) -> Self {
        for _ in 0..OPERATIONS {
            match self.dice.below(1000) {
                0..450 => self.patch_model().await,
                450..520 => {
                    let agent = ["build", "plan"][self.dice.below(2)];
                    self.patch(json!({ "agent": agent })).await;
                }
                520..600 => {
                    let title = format!("title {}", self.dice.below(1_000_000));
                    self.patch(json!({ "title": title })).await;
                }
                600..660 => self.refused().await,
                660..900 => {
                    let session = self.server.get(&self.path).await;
                    self.note(&session);
                }
                900..970 => self.read_messages().await,
                970..985 => self.prompt_async().await,
                985..999 => self.prompt().await,
                _ if self.dice.below(4) > 0 => {}
                _ => {
                    let path = format!("{}/abort", self.path);
                    self.server.ok(Method::POST, &path, None).await;
                }
            }
        }
        self
    }

    fn wish(&mut self) -> (&'static str, Option<&'static str>) {
        WISHES[self.dice.below(WISHES.len())]
    }

    /// What a client sees never goes backwards.
    fn note(&mut self, session: &Value) {
        let revision = consistent(session);
        assert!(
            revision >= self.revision,
            "{revision} after {}",
            self.revision
        );
        self.revision = revision;
    }

    async fn patch(&mut self, body: Value) -> Value {
        let session = self.server.ok(Method::PATCH, &self.path, Some(body)).await;
        self.note(&session);
        session
    }

    async fn patch_model(&mut self) {
        let (id, variant) = self.wish();
        let mut body = json!({ "providerID": "mock", "modelID": id });
        if let Some(variant) = variant {
            body["variant"] = json!(variant);
        }
        let session = self.patch(body).await;
        // The answer is the session as this request has left it, whatever comes after it.
        assert_eq!(session["model"]["id"], id);
        assert_eq!(session["model"]["variant"], variant.unwrap_or("default"));
    }

    async fn refused(&mut self) {
        let wish = json!({ "providerID": "mock", "modelID": "nope" });
        let (status, error) = match self.dice.below(3) {
            0 => {
                let body = json!({ "title": REFUSED, "providerID": "mock", "modelID": "nope" });
                self.server
                    .send(Method::PATCH, &self.path, Some(body))
                    .await
            }
            1 => {
                let body = json!({ "title": REFUSED, "agent": "nope" });
                self.server
                    .send(Method::PATCH, &self.path, Some(body))
                    .await
            }
            _ => {
                let body = json!({ "parts": [{ "type": "text", "text": REFUSED }], "model": wish });
                let path = format!("{}/message", self.path);
                self.server.send(Method::POST, &path, Some(body)).await
            }
        };
        // A full queue is found out before what is wrong with the prompt.
        let full = status == StatusCode::TOO_MANY_REQUESTS;
        assert!(full || status == StatusCode::BAD_REQUEST, "{error}");
    }

    async fn read_messages(&mut self) {
        let list = self
            .server
            .get(&format!("{}/message?limit=5", self.path))
            .await;
        let list = list.as_array().expect("a list");
        assert!(!list.is_empty() && list.len() <= 5);
        for message in list.iter().filter(|m| m["info"]["role"] == "assistant") {
            assert_eq!(message["info"]["providerID"], "mock");
        }
    }

    /// A prompt that half of the time brings a model of its own.
    fn body(&mut self, text: &str) -> Value {
        let mut body = json!({ "parts": [{ "type": "text", "text": text }] });
        if self.dice.below(2) == 0 {
            let (id, variant) = self.wish();
            body["model"] = json!({ "providerID": "mock", "modelID": id });
            body["variant"] = json!(variant);
        }
        body
    }

    fn count(&mut self, status: StatusCode, answer: &Value) -> bool {
        if status == StatusCode::TOO_MANY_REQUESTS {
            self.full += 1;
            return false;
        }
        assert!(status.is_success(), "{status}: {answer}");
        self.prompts += 1;
        true
    }

    async fn prompt_async(&mut self) {
        let body = self.body("echo one two three");
        let path = format!("{}/prompt_async", self.path);
        let (status, answer) = self.server.send(Method::POST, &path, Some(body)).await;
        self.count(status, &answer);
    }

    async fn prompt(&mut self) {
        let body = self.body("model");
        let path = format!("{}/message", self.path);
        let (status, answer) = self.server.send(Method::POST, &path, Some(body)).await;
        if self.count(status, &answer) {
            assert_eq!(answer["info"]["role"], "assistant");
            assert!(answer["info"]["time"]["completed"].is_u64());
        }
    }
}
