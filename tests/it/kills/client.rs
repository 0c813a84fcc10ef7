//! A client that does this and that to its own sessions, one thing after the other, until there is no answer.

use std::fmt;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::ledger::{Field, Ledger, prompt_id, prompts};
use crate::harness::{PATIENCE, Server, text_of};
use crate::rng::Rng;

/// Sessions that a client has at a time.
const SESSIONS: usize = 3;
/// A session with this many prompts is deleted.
const PROMPTS: usize = 12;
const MODELS: [&str; 3] = ["mock", "mock-fast", "mock-strong"];

/// What was done.
#[derive(Debug, Default, Clone)]
pub(super) struct Done {
    pub acknowledged: u64,
    refused: u64,
    unanswered: u64,
    /// Sessions that were looked at after a kill.
    looked_at: u64,
    prompts: u64,
}

impl Done {
    pub(super) fn add(&mut self, other: &Self) {
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.unanswered += other.unanswered;
        self.looked_at += other.looked_at;
        self.prompts += other.prompts;
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} operations acknowledged, {} refused, {} without an answer; {} sessions and {} prompts found",
            self.acknowledged, self.refused, self.unanswered, self.looked_at, self.prompts
        )
    }
}

/// What became of a request.
enum Outcome {
    Acknowledged(Value),
    /// With a 4xx: it has changed nothing.
    Refused,
    /// The server is gone.
    Lost,
}

/// The server is gone, which ends the round.
struct Gone;

pub(super) struct Client {
    name: usize,
    rng: Rng,
    http: reqwest::Client,
    url: String,
    next: u64,
    done: Done,
    pub sessions: Vec<Ledger>,
    pub deleted: Vec<String>,
    /// Sessions that may have been made; their ids were never seen.
    pub lost_sessions: usize,
}

impl Client {
    pub(super) fn new(name: usize, rng: Rng) -> Self {
        Self {
            name,
            rng,
            http: reqwest::Client::new(),
            url: String::new(),
            next: 0,
            done: Done::default(),
            sessions: Vec::new(),
            deleted: Vec::new(),
            lost_sessions: 0,
        }
    }

    /// Goes on until the server is gone.
    pub(super) async fn run(mut self, url: String) -> Self {
        self.http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .build()
            .expect("a client");
        self.url = url;
        while self.step().await.is_ok() {}
        self
    }

    async fn step(&mut self) -> Result<(), Gone> {
        if self.sessions.len() < SESSIONS {
            return self.create().await;
        }
        let at = self.rng.below(self.sessions.len());
        if self.sessions[at].said.len() >= PROMPTS {
            return self.delete(at).await;
        }
        match self.rng.below(20) {
            0..4 => self.select(at).await,
            4..6 => self.rename(at).await,
            6 => self.archive(at).await,
            7..9 => self.only_store(at).await,
            9..11 => self.prompt(at).await,
            11..13 => self.prompt_later(at).await,
            13 => self.edit(at).await,
            14 => self.ask(at).await,
            15 => self.abort(at).await,
            16 => self.revert(at).await,
            17 => self.unrevert(at).await,
            18 => self.fork(at).await,
            _ => self.delete(at).await,
        }
    }

    async fn send(&mut self, method: Method, path: &str, body: Option<Value>) -> Outcome {
        let request = self.http.request(method, format!("{}{path}", self.url));
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let answer = async {
            let answer = request.send().await?;
            let (status, text) = (answer.status(), answer.text().await?);
            Ok::<_, reqwest::Error>((status, text))
        };
        let Ok((status, text)) = answer.await else {
            self.done.unanswered += 1;
            return Outcome::Lost;
        };
        assert!(!status.is_server_error(), "{status} {path}: {text}");
        if !status.is_success() {
            self.done.refused += 1;
            return Outcome::Refused;
        }
        self.done.acknowledged += 1;
        Outcome::Acknowledged(serde_json::from_str(&text).unwrap_or_default())
    }

    /// Reads; a session that is there has to be found.
    async fn get(&mut self, path: &str) -> Result<Value, Gone> {
        match self.send(Method::GET, path, None).await {
            Outcome::Acknowledged(value) => Ok(value),
            Outcome::Refused => panic!("{path} is not there"),
            Outcome::Lost => Err(Gone),
        }
    }

    fn path(&self, at: usize, rest: &str) -> String {
        format!("/opencode/session/{}{rest}", self.sessions[at].id)
    }

    async fn messages(&mut self, at: usize) -> Result<Vec<Value>, Gone> {
        let path = self.path(at, "/message");
        let messages = self.get(&path).await?;
        Ok(messages.as_array().expect("a list").clone())
    }

    /// A unique word.
    fn word(&mut self) -> String {
        self.next += 1;
        format!("c{}-{}", self.name, self.next)
    }

    async fn create(&mut self) -> Result<(), Gone> {
        let body = json!({ "title": self.word() });
        match self
            .send(Method::POST, "/opencode/session", Some(body))
            .await
        {
            Outcome::Acknowledged(session) => {
                let mut ledger = Ledger::new(&session);
                ledger.note(&session);
                self.sessions.push(ledger);
            }
            Outcome::Refused => panic!("a session was refused"),
            Outcome::Lost => {
                self.lost_sessions += 1;
                return Err(Gone);
            }
        }
        Ok(())
    }

    /// Sets one field of a session.
    async fn set<T: Clone>(
        &mut self,
        at: usize,
        body: Value,
        field: impl Fn(&mut Ledger) -> &mut Field<T>,
        value: T,
    ) -> Result<(), Gone> {
        let path = self.path(at, "");
        let outcome = self.send(Method::PATCH, &path, Some(body)).await;
        let ledger = &mut self.sessions[at];
        match outcome {
            Outcome::Acknowledged(session) => {
                field(ledger).sure = value;
                ledger.note(&session);
            }
            Outcome::Refused => panic!("{path}: it was refused"),
            Outcome::Lost => {
                field(ledger).maybe = Some(value);
                return Err(Gone);
            }
        }
        Ok(())
    }

    async fn select(&mut self, at: usize) -> Result<(), Gone> {
        let id = self.rng.word(&MODELS);
        let body = json!({ "providerID": "mock", "modelID": id });
        self.set(at, body, |ledger| &mut ledger.model, Some(id.to_owned()))
            .await
    }

    async fn rename(&mut self, at: usize) -> Result<(), Gone> {
        let title = self.word();
        self.set(
            at,
            json!({ "title": title }),
            |ledger| &mut ledger.title,
            title,
        )
        .await
    }

    async fn archive(&mut self, at: usize) -> Result<(), Gone> {
        let time = 1 + self.rng.below(1_000_000) as u64;
        let body = json!({ "time": { "archived": time } });
        self.set(at, body, |ledger| &mut ledger.archived, Some(time))
            .await
    }

    /// Sends a prompt; true if it was taken.
    async fn say(
        &mut self,
        at: usize,
        text: &str,
        route: &str,
        no_reply: bool,
    ) -> Result<bool, Gone> {
        let mut body = json!({ "parts": [{ "type": "text", "text": text }], "noReply": no_reply });
        // One in a few brings its model.
        let model = self
            .rng
            .chance(30)
            .then(|| self.rng.word(&MODELS).to_owned());
        let first = self.sessions[at]
            .model
            .sure
            .is_none()
            .then(|| MODELS[0].to_owned());
        let model = model.or(first);
        if let Some(id) = &model {
            body["model"] = json!({ "providerID": "mock", "modelID": id });
        }
        let path = self.path(at, route);
        let outcome = self.send(Method::POST, &path, Some(body)).await;
        let ledger = &mut self.sessions[at];
        match outcome {
            Outcome::Acknowledged(answer) => {
                // One that was aborted or has failed is not looked at further.
                let whole =
                    answer["info"]["role"] == "assistant" && answer["info"]["error"].is_null();
                ledger.took(text, whole.then(|| text_of(&answer)));
                if model.is_some() {
                    ledger.model.sure = model;
                }
                Ok(true)
            }
            Outcome::Refused => Ok(false),
            Outcome::Lost => {
                ledger.may_have_taken(text);
                if model.is_some() {
                    ledger.model.maybe = Some(model);
                }
                Err(Gone)
            }
        }
    }

    async fn only_store(&mut self, at: usize) -> Result<(), Gone> {
        let text = self.word();
        self.say(at, &text, "/message", true).await.map(drop)
    }

    async fn prompt(&mut self, at: usize) -> Result<(), Gone> {
        let text = format!("echo {}{}", self.word(), " on".repeat(self.rng.below(60)));
        self.say(at, &text, "/message", false).await.map(drop)
    }

    async fn prompt_later(&mut self, at: usize) -> Result<(), Gone> {
        let text = format!(
            "echo {}{}",
            self.word(),
            " and on".repeat(self.rng.below(300))
        );
        self.say(at, &text, "/prompt_async", false).await.map(drop)
    }

    /// A prompt whose tool changes a file.
    async fn edit(&mut self, at: usize) -> Result<(), Gone> {
        let text = format!("tool {}.txt", self.word());
        self.say(at, &text, "/prompt_async", false).await.map(drop)
    }

    /// A prompt that asks for a permission, and mostly gets it.
    async fn ask(&mut self, at: usize) -> Result<(), Gone> {
        let command = format!("npm run {}", self.word());
        let text = format!("permission {command}");
        if !self.say(at, &text, "/prompt_async", false).await? {
            return Ok(());
        }
        let reply = self.rng.word(&["once", "always", "reject", ""]);
        // It may be behind others in the queue; the wait for it has an end.
        for _ in 0..20 {
            let all = self.get("/opencode/permission").await?;
            let id = &self.sessions[at].id;
            let request = all
                .as_array()
                .expect("a list")
                .iter()
                .find(|r| r["sessionID"] == id.as_str());
            let Some(request) = request.filter(|_| !reply.is_empty()) else {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                continue;
            };
            let path = format!(
                "/opencode/permission/{}/reply",
                request["id"].as_str().expect("an id")
            );
            let asked = request["patterns"][0]
                .as_str()
                .expect("a pattern")
                .to_owned();
            let body = json!({ "reply": reply });
            match self.send(Method::POST, &path, Some(body)).await {
                Outcome::Acknowledged(_) if reply == "always" => {
                    self.sessions[at].allowed = Some(asked)
                }
                Outcome::Lost => return Err(Gone),
                _ => {}
            }
            break;
        }
        Ok(())
    }

    async fn abort(&mut self, at: usize) -> Result<(), Gone> {
        let path = self.path(at, "/abort");
        match self.send(Method::POST, &path, None).await {
            Outcome::Lost => Err(Gone),
            _ => Ok(()),
        }
    }

    async fn revert(&mut self, at: usize) -> Result<(), Gone> {
        let ledger = &self.sessions[at];
        if ledger.said.is_empty() || ledger.cut.sure.is_some() {
            return Ok(());
        }
        let text = self.rng.pick(&ledger.said).text.clone();
        let messages = self.messages(at).await?;
        let id = prompt_id(&messages, &text).unwrap_or_else(|| panic!("{text} is not there"));
        let path = self.path(at, "/revert");
        let body = json!({ "messageID": id });
        self.cut(at, &path, Some(body), Some(text)).await
    }

    async fn unrevert(&mut self, at: usize) -> Result<(), Gone> {
        let path = self.path(at, "/unrevert");
        self.cut(at, &path, None, None).await
    }

    async fn cut(
        &mut self,
        at: usize,
        path: &str,
        body: Option<Value>,
        cut: Option<String>,
    ) -> Result<(), Gone> {
        match self.send(Method::POST, path, body).await {
            Outcome::Acknowledged(session) => {
                self.sessions[at].note(&session);
                self.sessions[at].cut.sure = cut;
            }
            Outcome::Refused => {}
            Outcome::Lost => {
                self.sessions[at].cut.maybe = Some(cut);
                return Err(Gone);
            }
        }
        Ok(())
    }

    /// A copy, which takes the place of another session.
    async fn fork(&mut self, at: usize) -> Result<(), Gone> {
        let path = self.path(at, "/fork");
        match self.send(Method::POST, &path, Some(json!({}))).await {
            Outcome::Acknowledged(session) => {
                let mut fork = Ledger::new(&session);
                fork.note(&session);
                self.sessions.push(fork);
                let last = self.sessions.len() - 1;
                // What was seen of it is there from now on.
                let seen = self.messages(last).await;
                let texts = match &seen {
                    Ok(messages) => prompts(messages),
                    Err(Gone) => self.kept(at),
                };
                texts
                    .iter()
                    .for_each(|text| self.sessions[last].took(text, None));
                seen?;
                self.delete(self.rng.clone().below(last)).await
            }
            Outcome::Refused => Ok(()),
            Outcome::Lost => {
                self.lost_sessions += 1;
                Err(Gone)
            }
        }
    }

    /// What a copy of a session has.
    fn kept(&self, at: usize) -> Vec<String> {
        let ledger = &self.sessions[at];
        let all = ledger.said.iter().map(|said| said.text.clone());
        all.take_while(|text| Some(text) != ledger.cut.sure.as_ref())
            .collect()
    }

    async fn delete(&mut self, at: usize) -> Result<(), Gone> {
        let path = self.path(at, "");
        match self.send(Method::DELETE, &path, None).await {
            Outcome::Acknowledged(_) => {
                let gone = self.sessions.remove(at);
                self.deleted.push(gone.id);
                Ok(())
            }
            Outcome::Refused => panic!("{path}: it cannot be deleted"),
            Outcome::Lost => {
                self.sessions[at].dying = true;
                Err(Gone)
            }
        }
    }

    /// Looks at everything after a kill.
    pub(super) async fn look(&mut self, server: &Server) -> Done {
        let mut done = std::mem::take(&mut self.done);
        let mut kept = Vec::new();
        for mut ledger in std::mem::take(&mut self.sessions) {
            let path = format!("/opencode/session/{}", ledger.id);
            let (status, session) = server.send(Method::GET, &path, None).await;
            if ledger.dying && status == StatusCode::NOT_FOUND {
                self.deleted.push(ledger.id);
                continue;
            }
            assert_eq!(status, StatusCode::OK, "{path} is lost: {session}");
            let messages = server.messages(&ledger.id).await;
            ledger.look(&session, &messages);
            ledger.dying = false;
            done.looked_at += 1;
            done.prompts += ledger.said.len() as u64;
            if let Some(command) = ledger.allowed.take() {
                allowed_for_good(server, &mut ledger, &command).await;
            }
            kept.push(ledger);
        }
        self.sessions = kept;
        if let Some(last) = self.deleted.last() {
            let path = format!("/opencode/session/{last}");
            let (status, session) = server.send(Method::GET, &path, None).await;
            assert_eq!(
                status,
                StatusCode::NOT_FOUND,
                "{last} was deleted: {session}"
            );
        }
        done
    }
}

/// What was allowed for good before the kill is not asked again, whatever comes after it.
async fn allowed_for_good(server: &Server, ledger: &mut Ledger, command: &str) {
    let text = format!("permission {command} -- again");
    let said = server.say(&ledger.id, &text).await;
    assert!(said.contains("granted"), "{command}: {said}");
    ledger.took(&text, Some(said));
    let session = server
        .get(&format!("/opencode/session/{}", ledger.id))
        .await;
    ledger.note(&session);
}
