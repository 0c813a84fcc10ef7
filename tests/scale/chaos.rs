//! Clients at work while nodes are killed, suspended, drained and cut off, and the database is started anew: nothing that was
//! answered is lost, and no two nodes work on one session.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rand::prelude::*;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::cluster::{Cluster, LEASE, Node, Noted, text_of};
use crate::database::Server;
use crate::events::Follower;
use crate::history::{Doubtful, Operation, wrong};
use crate::real::{GOOSE, MODELS, Real};

/// Faults, unless the environment says how many.
const FAULTS: usize = 6;
/// Clients at work, each with sessions of its own and one that all share.
const CLIENTS: usize = 16;
/// Those of them whose sessions go to the real agent and back, where there is one.
const WITH_REAL: usize = 3;
/// Sessions that several clients change.
const SHARED: usize = 4;
/// Between two faults, so that something gets done.
const QUIET: Duration = Duration::from_millis(500);
/// A client tries a prompt again after this time.
const AGAIN: Duration = Duration::from_millis(50);
/// What is taken over is answered within this time after a lease.
const AFTER_LEASE: Duration = Duration::from_secs(2);
/// So long an agent goes on after its machine was suspended, until its node has noticed.
const NOTICED: Duration = Duration::from_secs(2);

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Kill,
    Suspend,
    Drain,
    Cut,
    Restart,
    Crash,
}

const ALL: [Fault; 6] = [
    Fault::Kill,
    Fault::Suspend,
    Fault::Drain,
    Fault::Cut,
    Fault::Restart,
    Fault::Crash,
];

/// What a client knows.
#[derive(Default)]
struct Known {
    /// Prompts that were answered, by session.
    answered: HashMap<String, Vec<String>>,
    operations: HashMap<String, Vec<Operation>>,
    doubtful: HashMap<String, Doubtful>,
    prompts: u64,
    /// Those of them that a real agent has answered.
    real: u64,
    changes: u64,
    refused: u64,
}

struct Chaos {
    cluster: Cluster,
    began: Instant,
    over: AtomicBool,
    number: AtomicU64,
    shared: Vec<String>,
    real: Option<Real>,
    known: Mutex<Known>,
}

/// What a client's session goes through.
const MOCKS: [(&str, &str); 3] = [("one", "fast"), ("two", "strong"), ("one", "strong")];
const REAL: [(&str, &str); 3] = [(GOOSE, MODELS[0]), ("one", "fast"), (GOOSE, MODELS[1])];

impl Chaos {
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).expect("short")
    }

    /// One of the nodes, whatever state it is in: as a proxy does that knows nothing of them.
    fn any(&self) -> &Node {
        self.cluster.nodes.choose(&mut rand::rng()).expect("nodes")
    }

    /// A client: it prompts and switches a session of its own, and changes and reads one that others have, too.
    async fn client(self: Arc<Self>, number: usize) {
        let through = match &self.real {
            Some(_) if number < WITH_REAL => REAL,
            _ => MOCKS,
        };
        let Some(own) = self.create().await else {
            return;
        };
        while !self.over.load(Ordering::Relaxed) {
            self.prompt(&own).await;
            let other = self.shared.choose(&mut rand::rng()).expect("sessions");
            self.change(other).await;
            self.read(other).await;
            self.switch(&own, through).await;
        }
    }

    async fn create(&self) -> Option<String> {
        while !self.over.load(Ordering::Relaxed) {
            let body = json!({"model": {"providerID": "one", "id": "fast"}});
            let made = self
                .cluster
                .ask(self.any(), Method::POST, "/session", Some(body))
                .await;
            if let Some((StatusCode::OK, made)) = made {
                return Some(made["id"].as_str().expect("an id").to_owned());
            }
            tokio::time::sleep(AGAIN).await;
        }
        None
    }

    async fn prompt(&self, session: &str) {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let text = match number % 5 {
            0 => format!("permission {session} {number}"),
            1 => format!("slow 0.3 {session} {number}"),
            // The mock does as the first line says, the stub LLM of a real agent as the last one.
            _ => format!("echo this\nSAY {session} {number}"),
        };
        let body = json!({"parts": [{"type": "text", "text": text}]});
        let path = format!("/session/{session}/message");
        let node = self.any();
        let asking = self.cluster.ask(node, Method::POST, &path, Some(body));
        let answer = tokio::select! {
            answer = asking => answer,
            () = self.allow(session) => unreachable!("it goes on until the prompt is answered"),
        };
        let mut known = self.known.lock().await;
        match answer {
            Some((StatusCode::OK, answer)) if answer["info"]["error"].is_null() => {
                let info = &answer["info"];
                let is_real = info["providerID"] == GOOSE;
                if text.starts_with("echo") {
                    let said = match is_real {
                        true => format!(
                            "[{}] {session} {number}",
                            info["modelID"].as_str().expect("a model")
                        ),
                        false => text["echo ".len()..].to_owned(),
                    };
                    assert_eq!(text_of(&answer), said, "{answer}");
                }
                known.prompts += 1;
                known.real += u64::from(is_real);
                let answered = known.answered.entry(session.to_owned()).or_default();
                answered.push(text);
            }
            _ => known.refused += 1,
        }
    }

    /// Gives every permission that a session's agent asks for, at whatever node.
    async fn allow(&self, session: &str) {
        loop {
            tokio::time::sleep(AGAIN).await;
            let asked = self
                .cluster
                .ask(self.any(), Method::GET, "/permission", None)
                .await;
            let asked = asked.map(|(_, asked)| asked).unwrap_or_default();
            for request in asked.as_array().into_iter().flatten() {
                if request["sessionID"] == session {
                    let reply = format!(
                        "/permission/{}/reply",
                        request["id"].as_str().expect("an id")
                    );
                    let body = json!({"reply": "once"});
                    let _or_later = self
                        .cluster
                        .ask(self.any(), Method::POST, &reply, Some(body))
                        .await;
                }
            }
        }
    }

    async fn change(&self, session: &str) {
        let title = format!("title {}", self.number.fetch_add(1, Ordering::Relaxed));
        let (path, body) = (format!("/session/{session}"), json!({"title": title}));
        let sent = self.now();
        let answer = self
            .cluster
            .ask(self.any(), Method::PATCH, &path, Some(body))
            .await;
        let answered = self.now();
        let mut known = self.known.lock().await;
        match answer {
            Some((StatusCode::OK, answer)) => {
                known.changes += 1;
                let operation = operation(sent, answered, Some(title), &answer);
                known
                    .operations
                    .entry(session.to_owned())
                    .or_default()
                    .push(operation);
            }
            // Whether it was written is not known: the answer may have been lost on its way.
            _ => {
                known.refused += 1;
                known
                    .doubtful
                    .entry(session.to_owned())
                    .or_default()
                    .push(title);
            }
        }
    }

    async fn read(&self, session: &str) {
        let sent = self.now();
        let path = format!("/session/{session}");
        let answer = self.cluster.ask(self.any(), Method::GET, &path, None).await;
        if let Some((StatusCode::OK, answer)) = answer {
            let operation = operation(sent, self.now(), None, &answer);
            let mut known = self.known.lock().await;
            known
                .operations
                .entry(session.to_owned())
                .or_default()
                .push(operation);
        }
    }

    async fn switch(&self, session: &str, through: [(&str, &str); 3]) {
        let (provider, model) = through.choose(&mut rand::rng()).expect("some");
        let body = json!({"providerID": provider, "modelID": model});
        let path = format!("/session/{session}");
        let answer = self
            .cluster
            .ask(self.any(), Method::PATCH, &path, Some(body))
            .await;
        let mut known = self.known.lock().await;
        match answer {
            Some((StatusCode::OK, _)) => known.changes += 1,
            _ => known.refused += 1,
        }
    }

    /// Lets one thing go wrong, and mends it.
    async fn go_wrong(&self, server: &Server, fault: Fault) {
        let node = self.any();
        eprintln!(
            "{:>6.1} s: {fault:?} {}",
            self.began.elapsed().as_secs_f64(),
            node.name
        );
        match fault {
            Fault::Kill => {
                let held = self.held_by(node).await;
                node.crash().await;
                self.are_taken_over(node, &held).await;
                node.launch().await;
            }
            Fault::Suspend => {
                node.suspend();
                tokio::time::sleep(LEASE + Duration::from_secs(1)).await;
                node.resume();
            }
            Fault::Drain => {
                node.terminate().await;
                node.launch().await;
            }
            Fault::Cut => {
                node.way.cut();
                tokio::time::sleep(LEASE + Duration::from_secs(1)).await;
                node.way.mend();
            }
            Fault::Restart => {
                server.stop();
                server.go_on().await;
            }
            Fault::Crash => {
                server.crash();
                server.go_on().await;
            }
        }
        tokio::time::sleep(QUIET).await;
    }

    async fn held_by(&self, node: &Node) -> Vec<String> {
        let sql = "SELECT l.session FROM baton.lease l JOIN baton.node n ON n.id = l.node WHERE n.url = $1";
        let rows = self
            .cluster
            .database()
            .await
            .query(sql, &[&node.url()])
            .await;
        rows.expect("reads").iter().map(|row| row.get(0)).collect()
    }

    /// What a node had that is gone is changed at another one in time.
    async fn are_taken_over(&self, gone: &Node, held: &[String]) {
        let until = Instant::now() + LEASE + AFTER_LEASE;
        let other = self
            .cluster
            .nodes
            .iter()
            .find(|node| node.name != gone.name)
            .expect("another");
        for session in held.iter().take(5) {
            let path = format!("/session/{session}");
            let change = || Some(json!({"metadata": {"taken": "over"}}));
            while !self
                .cluster
                .ask(other, Method::PATCH, &path, change())
                .await
                .is_some_and(|(status, _)| status.is_success())
            {
                assert!(
                    Instant::now() < until,
                    "{session} of {} was not taken over",
                    gone.name
                );
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

fn operation(sent: u64, answered: u64, wrote: Option<String>, answer: &Value) -> Operation {
    Operation {
        sent,
        answered,
        wrote,
        saw: answer["title"].as_str().expect("a title").to_owned(),
        revision: answer["revision"].as_u64().expect("a revision"),
    }
}

/// So many faults, each kind as often as every other, in random order.
fn faults() -> Vec<Fault> {
    let count = std::env::var("BATON_FAULTS").ok();
    let count = count.map_or(FAULTS, |count| {
        count.parse().expect("BATON_FAULTS: a number")
    });
    let mut faults: Vec<_> = ALL.into_iter().cycle().take(count).collect();
    faults.shuffle(&mut rand::rng());
    faults
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_answered_is_lost_and_no_two_nodes_work_on_a_session() {
    // A server of its own: it is stopped and started.
    let Some(server) = Server::start(&[]).await else {
        return;
    };
    let real = Real::start().await;
    let cluster = Cluster::start_with(&server, 3, "", real.as_ref()).await;
    let mut shared = Vec::new();
    for number in 0..SHARED {
        shared.push(cluster.create(number % 3).await);
    }
    let chaos = Arc::new(Chaos {
        cluster,
        began: Instant::now(),
        over: AtomicBool::new(false),
        number: AtomicU64::new(0),
        shared,
        real,
        known: Mutex::default(),
    });
    let followers: Vec<_> = (0..3).map(|_| Follower::start(&chaos.cluster)).collect();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| tokio::spawn(Arc::clone(&chaos).client(number)))
        .collect();
    tokio::time::sleep(QUIET).await;
    for fault in faults() {
        chaos.go_wrong(&server, fault).await;
    }
    chaos.over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("no panic");
    }
    let known = std::mem::take(&mut *chaos.known.lock().await);
    eprintln!(
        "{} prompts ({} by a real agent), {} changes answered; {} refused or lost",
        known.prompts, known.real, known.changes, known.refused
    );
    assert!(known.prompts > 0 && known.changes > 0);
    assert!(known.real > 0 || chaos.real.is_none());
    nothing_is_lost(&chaos, &known).await;
    for (session, operations) in &known.operations {
        let doubtful = known.doubtful.get(session).cloned().unwrap_or_default();
        assert_eq!(wrong(operations, &doubtful), None, "{session}");
    }
    let answered: HashSet<_> = known.answered.values().flatten().cloned().collect();
    nobody_works_twice(&chaos.cluster.journal(), &answered);
    for follower in followers {
        follower.has_seen_all(&chaos.cluster).await;
    }
    let chaos = Arc::into_inner(chaos).expect("the clients are gone");
    chaos.cluster.stop().await;
}

/// Every prompt that was answered is there once, with its answer.
async fn nothing_is_lost(chaos: &Chaos, known: &Known) {
    for (session, answered) in &known.answered {
        let path = format!("/session/{session}/message");
        let all = chaos.cluster.ok(0, Method::GET, &path, None).await;
        let all = all.as_array().expect("messages");
        let mut prompts: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
        for message in all
            .iter()
            .filter(|message| message["info"]["role"] == "user")
        {
            prompts
                .entry(text_of(message))
                .or_default()
                .push(&message["info"]["id"]);
        }
        let ended: BTreeSet<String> = all
            .iter()
            .filter(|m| {
                m["info"]["role"] == "assistant" && !m["info"]["time"]["completed"].is_null()
            })
            .map(|m| m["info"]["parentID"].to_string())
            .collect();
        for text in answered {
            let ids = prompts.get(text).map(Vec::as_slice).unwrap_or_default();
            assert_eq!(ids.len(), 1, "{text}");
            assert!(ended.contains(&ids[0].to_string()), "{text} has no answer");
        }
        let open = all.iter().filter(|m| {
            m["info"]["role"] == "assistant" && m["info"]["time"]["completed"].is_null()
        });
        assert_eq!(open.count(), 0, "{session} has answers that never end");
    }
}

/// Agents have begun with each prompt at most once, in the order of the prompts, and with none before that of another node was over,
/// or its machine was suspended. A prompt without an answer may have been on its way for long: it is not known when it was begun.
fn nobody_works_twice(journal: &[Noted], answered: &HashSet<String>) {
    let mut begun: HashSet<&str> = HashSet::new();
    let mut last: HashMap<String, (u64, usize)> = HashMap::new();
    let mut open: HashMap<String, (usize, String, u64)> = HashMap::new();
    for noted in journal {
        let mut words = noted.prompt.split_whitespace().rev();
        let (Some(Ok(number)), Some(session)) = (words.next().map(str::parse::<u64>), words.next())
        else {
            continue;
        };
        if noted.begins {
            assert!(begun.insert(&noted.prompt), "{noted:?} was begun already");
            if answered.contains(&noted.prompt)
                && let Some((before, node)) = last.insert(session.to_owned(), (number, noted.node))
            {
                assert!(before < number, "{noted:?} after {before} of node {node}");
            }
            open.insert(
                session.to_owned(),
                (noted.node, noted.prompt.clone(), noted.at),
            );
        } else if let Some((node, prompt, began)) = open.get(session)
            && *node != noted.node
        {
            // What a machine was at that was suspended ends once it goes on.
            let late = noted.at.saturating_sub(*began);
            assert!(
                Duration::from_millis(late) < LEASE + NOTICED,
                "{noted:?} was still going on {late} ms after node {node} had begun {prompt}"
            );
        }
    }
}
