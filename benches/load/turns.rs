//! What Baton adds to an agent's own time: to prompts, to their chunks, to switches and handovers.

use std::path::Path;
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hyper::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Size;
use crate::acp::Direct;
use crate::baton::{Agent, Baton, said_to};
use crate::client::{self, Connection, Load, Template};
use crate::fanout::{Events, Readers};
use crate::fill;
use crate::measured::{Measured, Spread};
use crate::report::{Report, Wanted};
use crate::rows::{self, READERS};
use crate::server::{Server, call};

/// Readers of events beside a prompt.
const BESIDE: usize = 10;
/// Between two chunks of which it is measured how long each is on its way, in milliseconds.
const CHUNK_PAUSE_MS: u64 = 5;
/// Switches a second in other sessions, while one session's agent floods.
const SWITCHES_A_SECOND: f64 = 200.0;
/// What an agent sends in a millisecond while that is measured.
const CHUNKS_A_MS: u32 = 100;
/// So many times the usual length.
const PACED_ROUNDS: u32 = 3;
/// How long the agents think between which is switched, in milliseconds: as long as the fastest models.
const THINK_MS: &str = "100";
/// How long the agent takes that is switched to cold, in milliseconds: as long as the fastest agents.
const START_MS: &str = "500";
/// Time between a switch and the prompt after it, for what is to be warm by then.
const WARM: Duration = Duration::from_millis(300);
/// Folders in the large working directory.
const FOLDERS: u32 = 20;

/// A session of a Baton, and what it tells.
struct Talk {
    session: String,
    events: Events,
    connection: Connection,
}

impl Talk {
    async fn in_session(baton: &Baton, session: &str, directory: &Path) -> Self {
        let path = format!("/opencode/event?directory={}", directory.display());
        Self {
            session: session.to_owned(),
            events: Events::open(baton.address(), &path).await,
            connection: Connection::open(baton.address()).await,
        }
    }

    async fn new(baton: &Baton) -> Self {
        let session = baton.spoken(None).await;
        Self::in_session(baton, &session, baton.folder()).await
    }

    fn template(&self, method: Method, more: &str, body: Value) -> Template {
        let path = format!("/opencode/session/{}{more}", self.session);
        Template::new(method, path, Some(body))
    }

    async fn send(&mut self, template: &Template) -> Value {
        let (status, body) = self.connection.send(template).await;
        let text = String::from_utf8_lossy(&body);
        assert!(status.is_success(), "{}: {status}: {text}", template.path);
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// Asks for an answer and waits for it. Answers how long that took, in milliseconds.
    async fn prompt(&mut self, text: &str) -> f64 {
        let body = json!({"parts": [{"type": "text", "text": text}]});
        let template = self.template(Method::POST, "/message", body);
        let begun = Instant::now();
        let answer = self.send(&template).await;
        let took = ms(begun);
        assert!(answer["info"]["error"].is_null(), "{answer}");
        took
    }

    /// Asks for an answer and waits for its first text. Answers how long that took, in milliseconds.
    async fn first_token(&mut self, body: Value) -> f64 {
        let template = self.template(Method::POST, "/prompt_async", body);
        let begun = Instant::now();
        self.send(&template).await;
        let session = self.session.clone();
        self.events.until("message.part.delta", &session).await;
        let took = ms(begun);
        self.events.until("session.idle", &session).await;
        took
    }

    async fn switch(&mut self, provider: &str, model: &str, query: &str) -> f64 {
        let body = json!({"providerID": provider, "modelID": model});
        let template = self.template(Method::PATCH, query, body);
        let begun = Instant::now();
        self.send(&template).await;
        ms(begun)
    }
}

fn ms(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1_000.0
}

fn median(values: Vec<f64>) -> f64 {
    Spread::of(values).median
}

/// Prompts and switches of an agent that runs.
pub(crate) async fn warm(report: &mut Report, size: Size) {
    let baton = Baton::start(Vec::new()).await;
    let mut talk = Talk::new(&baton).await;
    let mut direct = Direct::start(&[], baton.folder()).await;
    let (mut own, mut quiet) = (Vec::new(), Vec::new());
    for _ in 0..size.turns {
        let begun = Instant::now();
        direct.prompt("echo one two three", |_| ()).await;
        own.push(ms(begun));
        quiet.push(talk.prompt("echo one two three").await);
    }
    let elsewhere = Rc::new(|_: &[u8]| ());
    let readers = Readers::open(baton.address(), "/opencode/event", BESIDE, elsewhere).await;
    let mut read = Vec::new();
    for _ in 0..size.turns {
        read.push(talk.prompt("echo one two three").await);
    }
    drop(readers);
    let own = median(own);
    let name = "prompt on a warm backend, over the agent's own time";
    report.figure("prompt, the agent alone", own, "ms", Wanted::Nothing);
    let wanted = Wanted::AtMost(2.0);
    report.figure(name, median(quiet) - own, "ms", wanted);
    let name = format!("the same with {BESIDE} readers of events");
    report.figure(name, median(read) - own, "ms", wanted);

    let (mut own, mut switched) = (Vec::new(), Vec::new());
    for n in 0..size.turns {
        let model = ["mock-fast", "mock"][n as usize % 2];
        let begun = Instant::now();
        direct.switch(model).await;
        own.push(ms(begun));
        switched.push(talk.switch("mock", model, "?wait=true").await);
    }
    let own = median(own);
    report.figure("switch, the agent alone", own, "ms", Wanted::Nothing);
    report.figure(
        "switch on a live native session, until it is applied, over the agent's own time",
        median(switched) - own,
        "ms",
        Wanted::AtMost(0.5),
    );
    Box::new(baton).stop().await;
}

/// Chunks, from the agent's writing to the client's socket.
pub(crate) async fn chunks(report: &mut Report, size: Size) {
    let baton = Baton::prepared(&[]).await;
    let mut talk = Talk::new(&baton).await;
    let mut direct = Direct::start(&[], baton.folder()).await;
    let few = format!("stamp {} {CHUNK_PAUSE_MS}", size.turns);
    let mut own = Measured::new(size.duration);
    direct.prompt(&few, |line| note(line, &mut own)).await;
    let through = stamped(&mut talk, &few).await;
    assert_eq!(own.count(), u64::from(size.turns), "each is counted");
    assert_eq!(through.latencies.count(), own.count(), "none is lost");
    report.figure(
        "a chunk from the agent's stdout to the reader, the agent alone, p50",
        own.quantile_ms(0.5),
        "ms",
        Wanted::Nothing,
    );
    for (name, quantile, wanted) in [
        ("p50", 0.5, Wanted::AtMost(0.2)),
        ("p99", 0.99, Wanted::Nothing),
    ] {
        let added = through.latencies.quantile_ms(quantile) - own.quantile_ms(quantile);
        let name = format!("a chunk from the agent's stdout to the client's socket, added, {name}");
        report.figure(name, added, "ms", wanted);
    }

    let many = format!("stamp {}", size.chunks);
    let (mut own, begun) = (Measured::new(size.duration), Instant::now());
    direct.prompt(&many, |line| note(line, &mut own)).await;
    let own_rate = f64::from(size.chunks) / begun.elapsed().as_secs_f64();
    let through = stamped(&mut talk, &many).await;
    let name = |what: &str| format!("{} chunks of one agent: {what}", size.chunks);
    report.figure(name("the agent alone"), own_rate, "/s", Wanted::Nothing);
    let rate = f64::from(size.chunks) / through.seconds;
    let wanted = Wanted::AtLeast(100_000.0);
    report.figure(name("through the server"), rate, "/s", wanted);
    let came = through.latencies.count();
    let lost = u64::from(size.chunks).saturating_sub(came) as f64;
    let wanted = Wanted::AtMost(0.0);
    report.figure(
        name("lost on the way to the client"),
        lost,
        "chunks",
        wanted,
    );
    let path = format!("/opencode/session/{}/message?limit=1", talk.session);
    let stored = call(baton.address(), Method::GET, &path, None).await;
    let stored = stored.to_string().matches(' ').count();
    assert!(stored >= size.chunks as usize, "{stored} are stored");

    // At the rate that is asked for, and no faster: the processors are shared.
    let paced = format!("stamp {} 1 {CHUNKS_A_MS}", PACED_ROUNDS * size.chunks);
    let sessions = baton.sessions().iter().take(READERS);
    let others = Load {
        rate: Some(SWITCHES_A_SECOND),
        ..Load::each(sessions.map(|s| rows::switches(&baton, s)).collect())
    };
    let duration = PACED_ROUNDS * size.duration;
    let others = client::run_beside(baton.address(), others, duration);
    let (through, others) = tokio::join!(stamped(&mut talk, &paced), others);
    let name = |what: &str| {
        format!(
            "{} chunks a second of one agent: {what}",
            CHUNKS_A_MS * 1_000
        )
    };
    let rate = f64::from(PACED_ROUNDS * size.chunks) / through.seconds;
    report.figure(name("through the server"), rate, "/s", Wanted::Nothing);
    let (p99, wanted) = (others.quantile_ms(0.99), Wanted::AtMost(5.0));
    let what = format!("p99 of {SWITCHES_A_SECOND} switches a second in other sessions meanwhile");
    report.figure(name(&what), p99, "ms", wanted);
    Box::new(baton).stop().await;
}

/// What came of chunks that say when they were made.
struct Stamped {
    latencies: Measured,
    seconds: f64,
}

async fn stamped(talk: &mut Talk, text: &str) -> Stamped {
    let body = json!({"parts": [{"type": "text", "text": text}]});
    let template = talk.template(Method::POST, "/prompt_async", body);
    let mut latencies = Measured::new(Duration::from_secs(1));
    let begun = Instant::now();
    talk.send(&template).await;
    let idle = "\"type\":\"session.idle\"";
    loop {
        let event = talk.events.next().await.expect("it goes on");
        let event = String::from_utf8_lossy(&event);
        if event.contains("\"type\":\"message.part.delta\"") {
            note(&event, &mut latencies);
        } else if event.contains(idle) && event.contains(&talk.session) {
            let seconds = begun.elapsed().as_secs_f64();
            return Stamped { latencies, seconds };
        }
    }
}

/// Notes how old each time in a line is, in which some chunks may stand together.
fn note(line: &str, latencies: &mut Measured) {
    let text = ["\"delta\":\"", "\"text\":\""].iter();
    let Some((_, text)) = text.filter_map(|name| line.split_once(name)).next() else {
        return;
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.expect("it is later").as_micros();
    for stamp in text.split(['"', ' ']).map_while(|word| word.parse().ok()) {
        let us = u64::try_from(now.saturating_sub(stamp)).expect("it is not long ago");
        latencies.note(Duration::from_micros(us));
    }
}

/// Switches to another backend.
pub(crate) async fn to_another(report: &mut Report, size: Size) {
    let think = ["--think-ms", THINK_MS];
    let mut agents: Vec<_> = ["first", "second"]
        .map(|id| Agent::new(id, &[&["--models", id], &think[..]].concat()))
        .into();
    let slow = [
        "--models",
        "cold",
        "--fault",
        "slow-start",
        "--delay-ms",
        START_MS,
    ];
    let colds: Vec<_> = (0..size.rounds).map(|n| format!("cold{n}")).collect();
    agents.extend(colds.iter().map(|id| Agent::new(id, &slow)));
    let cold = agents.last().expect("one").arguments.clone();
    let baton = Baton::start(agents).await;
    // Once the backends were asked what they offer.
    call(baton.address(), Method::GET, "/opencode/provider", None).await;
    let said = |provider: &str| said_to(provider, provider, "echo one two three");
    let mut talk = Talk::new(&baton).await;
    for provider in ["first", "second"] {
        talk.first_token(said(provider)).await;
    }
    let (mut stayed, mut switched) = (Vec::new(), Vec::new());
    for n in 0..size.switches {
        let provider = ["first", "second"][n as usize % 2];
        talk.switch(provider, provider, "").await;
        tokio::time::sleep(WARM).await;
        switched.push(talk.first_token(said(provider)).await);
        tokio::time::sleep(WARM).await;
        stayed.push(talk.first_token(said(provider)).await);
    }
    let (stayed, switched) = (median(stayed), median(switched));
    let name =
        format!("first token after a switch to a warm backend that thinks for {THINK_MS} ms");
    report.figure(
        format!("{name}, over the same without a switch"),
        switched / stayed,
        "×",
        Wanted::AtMost(1.05),
    );
    let later = switched - stayed;
    report.figure(format!("{name}: later by"), later, "ms", Wanted::Nothing);

    let (mut own, mut through) = (Vec::new(), Vec::new());
    for provider in &colds {
        let (begun, mut first) = (Instant::now(), None);
        let mut direct = Direct::start(&cold, baton.folder()).await;
        let heard = |_: &str| first = first.or_else(|| Some(ms(begun)));
        direct.prompt("echo one two three", heard).await;
        own.push(first.expect("a chunk"));
        let mut talk = Talk::new(&baton).await;
        let begun = Instant::now();
        talk.switch(provider, "cold", "").await;
        let body = said_to(provider, "cold", "echo one two three");
        talk.first_token(body.clone()).await;
        // Until the first text and not until its end, which comes within a millisecond.
        through.push(ms(begun));
    }
    let (own, through) = (median(own), median(through));
    let name = format!("first token after a switch to a backend that takes {START_MS} ms to start");
    report.figure(
        format!("{name}, over the agent alone"),
        through / own,
        "×",
        Wanted::AtMost(1.05),
    );
    report.figure(
        format!("{name}: later by"),
        through - own,
        "ms",
        Wanted::Nothing,
    );
    Box::new(baton).stop().await;
}

/// The handover of a long conversation.
pub(crate) async fn handover(report: &mut Report, size: Size) {
    let baton = Baton::start(Vec::new()).await;
    let like = baton.spoken(None).await;
    let (mut short, mut long) = (Vec::new(), Vec::new());
    let baton = baton
        .edited(|db| {
            short = fill::alike(db, &like, size.rounds, 2);
            long = fill::alike(db, &like, size.rounds, size.messages);
        })
        .await;
    Talk::new(&baton).await.prompt("echo warm").await;
    let (mut few, mut many) = (Vec::new(), Vec::new());
    for (short, long) in short.iter().zip(&long) {
        for (session, took) in [(short, &mut few), (long, &mut many)] {
            let mut talk = Talk::in_session(&baton, session, baton.folder()).await;
            // So that what is measured is the handover, and not the reading of the session.
            call(
                baton.address(),
                Method::GET,
                &format!("/opencode/session/{session}"),
                None,
            )
            .await;
            took.push(talk.first_token(said_to("mock", "mock", "echo on")).await);
        }
    }
    let name = format!("handover of {} messages, over that of 2", size.messages);
    let value = median(many) - median(few);
    report.figure(name, value, "ms", Wanted::AtMost(30.0));
    Box::new(baton).stop().await;
}

/// What the snapshot of a large working directory costs a turn.
pub(crate) async fn snapshot(report: &mut Report, size: Size) {
    let (small, large) = (repository(1), repository(size.files));
    let baton = Baton::start(Vec::new()).await;
    let mut outcomes = Vec::new();
    for folder in [&small, &large] {
        let session = baton.spoken(Some(folder.path())).await;
        let mut talk = Talk::in_session(&baton, &session, folder.path()).await;
        // The first one brings everything in.
        talk.first_token(said_to("mock", "mock", "echo one")).await;
        let (cpu, mut first) = (baton.process().cpu_ms(), Vec::new());
        for _ in 0..size.switches {
            first.push(talk.first_token(said_to("mock", "mock", "echo one")).await);
        }
        let cpu = (baton.process().cpu_ms() - cpu) / f64::from(size.switches);
        outcomes.push((median(first), cpu));
    }
    let (few, many) = (outcomes[0], outcomes[1]);
    let name = |what: &str| format!("snapshot of {} files, nothing changed: {what}", size.files);
    let value = many.0 - few.0;
    report.figure(
        name("first token later by"),
        value,
        "ms",
        Wanted::AtMost(2.0),
    );
    let value = many.1 - few.1;
    report.figure(
        name("CPU of a turn more"),
        value,
        "ms",
        Wanted::AtMost(20.0),
    );
    Box::new(baton).stop().await;
}

fn repository(files: u32) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for n in 0..files {
        let inner = folder.path().join(format!("folder-{}", n % FOLDERS));
        std::fs::create_dir_all(&inner).expect("a folder");
        std::fs::write(inner.join(format!("file-{n}")), format!("line {n}\n")).expect("written");
    }
    let made = Command::new("git")
        .args(["init", "--quiet"])
        .arg(folder.path())
        .status();
    assert!(made.expect("git").success(), "git makes a repository");
    folder
}
