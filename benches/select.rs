//! Throughput of the main operation: `select` in process, and PATCH over HTTP on loopback at 1 and 16
//! connections, beside `GET /global/health` in the same run.
//!
//! `cargo bench --bench select`; the figures mean something only relative to each other.

#![allow(missing_docs, reason = "criterion's macros make undocumented items")]
#![allow(clippy::expect_used, reason = "a measurement that cannot be made ends")]

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use baton::agent::Timeouts;
use baton::agent::pool::{Pool, PoolLimits};
use baton::agent::{quirks, spec};
use baton::command::Sources;
use baton::event::{Bus, RingLimits};
use baton::opencode::SessionId;
use baton::opencode::event::Source;
use baton::process::Ledger;
use baton::project::Projects;
use baton::registry::{ModelWish, Registry, Wish};
use baton::session::{
    AtAbort, Caller, Deps, FallbackSettings, NewSession, Sessions, Settings, Update, handoff,
};
use baton::shell::{Shell, ShellLimits};
use baton::snapshot::Snapshots;
use baton::store::{SqliteStore, Store};
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
    measurement::WallTime,
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::runtime::Runtime;

const BATON: &str = env!("CARGO_BIN_EXE_baton");
const CONNECTIONS: [usize; 2] = [1, 16];
const MEASURE: Duration = Duration::from_secs(4);

struct NoLedger;

impl Ledger for NoLedger {
    fn started(&self, _pid: u32, _started_at_s: u64, _backend: &str) {}
    fn ended(&self, _pid: u32) {}
}

fn mock(folder: &Path) -> spec::AgentSpec {
    let state = folder.join("mock");
    let all = quirks::builtins(BATON, &state, folder);
    all.into_iter()
        .find(|s| s.id == "mock")
        .expect("the mock agent is built in")
}

async fn sessions(folder: &Path) -> (Arc<Sessions>, Arc<Pool>) {
    let store: Arc<dyn Store> =
        Arc::new(SqliteStore::open(&folder.join("bench.sqlite")).expect("a store"));
    let ledger: Arc<dyn Ledger> = Arc::new(NoLedger);
    let timeouts = Timeouts::default();
    let registry = Registry::open(
        vec![mock(folder)],
        None,
        Arc::clone(&store),
        Arc::clone(&ledger),
        timeouts,
        folder.join("probe"),
    )
    .await;
    registry.probe_all().await;
    let shell = Shell::new(
        ShellLimits::default(),
        timeouts.end,
        baton::environment::Environment::default(),
        Arc::clone(&ledger),
    );
    let pool = Pool::new(PoolLimits::default(), timeouts, folder.to_owned(), ledger);
    let settings = Settings {
        sizes: baton::session::Sizes::default(),
        queue_prompts: 32,
        at_abort: AtAbort::Drop,
        pin_patches: false,
        loaded_sessions: 1_000,
        idle: PoolLimits::default().idle,
        budget: handoff::Budget::default(),
        timeouts,
    };
    let bus = Arc::new(Bus::new(RingLimits::default()));
    let projects = Projects::open(Arc::clone(&store)).await.expect("projects");
    let deps = Deps {
        store,
        bus,
        registry,
        pool: Arc::clone(&pool),
        snapshots: Arc::new(Snapshots::new(folder, false)),
        shell,
        commands: Sources::default(),
        projects,
        settings,
        fallback: FallbackSettings::default(),
    };
    (Sessions::open(deps).await.expect("sessions"), pool)
}

fn update(turn: u64) -> Update {
    let model_id = if turn.is_multiple_of(2) {
        "mock"
    } else {
        "mock-fast"
    };
    let model = Some(ModelWish {
        provider_id: "mock".into(),
        model_id: model_id.into(),
    });
    Update {
        wish: Wish {
            model,
            ..Wish::default()
        },
        ..Update::default()
    }
}

fn in_process(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a scratch directory");
    let (sessions, pool) = runtime.block_on(sessions(folder.path()));
    let caller = || Caller::nobody(Source::Patch);
    let new = NewSession {
        directory: folder.path().to_string_lossy().into_owned(),
        ..NewSession::default()
    };
    let id: SessionId = runtime
        .block_on(sessions.create(new, caller()))
        .expect("a session")
        .id;
    let mut group = criterion.benchmark_group("select");
    group
        .measurement_time(MEASURE)
        .throughput(Throughput::Elements(1));
    group.bench_function("in process", |bencher| {
        bencher.to_async(&runtime).iter_custom(|rounds| {
            let (sessions, id) = (Arc::clone(&sessions), id.clone());
            async move {
                let started = Instant::now();
                for turn in 0..rounds {
                    sessions
                        .update(&id, update(turn), caller())
                        .await
                        .expect("a change");
                }
                started.elapsed()
            }
        });
    });
    group.finish();
    runtime.block_on(async {
        sessions.shut_down().await;
        pool.shut_down().await;
    });
}

/// A server of its own process, as in real use.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    async fn start(folder: &Path) -> Self {
        let mut command = Command::new(BATON);
        command
            .args(["serve", "--port", "0", "--agents", "mock", "--data-dir"])
            .arg(folder.join("data"));
        command
            .current_dir(folder)
            .env("HOME", folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let mut child = command.spawn().expect("baton starts");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
        let line = lines
            .next_line()
            .await
            .expect("stdout")
            .expect("a first line");
        let address = line
            .strip_prefix("baton listening on http://")
            .expect("the first line")
            .to_owned();
        Self { child, address }
    }

    async fn stop(mut self) {
        let pid = i32::try_from(self.child.id().expect("running")).expect("a pid");
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(pid),
            nix::sys::signal::Signal::SIGTERM,
        )
        .expect("SIGTERM");
        self.child.wait().await.expect("it ends");
    }
}

/// A keep-alive connection that does no more than it has to, so that it is the server that is measured.
struct Connection {
    stream: BufReader<TcpStream>,
    address: String,
}

impl Connection {
    async fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("TCP_NODELAY");
        Self {
            stream: BufReader::new(stream),
            address: address.to_owned(),
        }
    }

    async fn send(&mut self, method: &str, path: &str, body: &str) -> Vec<u8> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        self.stream
            .write_all(request.as_bytes())
            .await
            .expect("sent");
        let mut line = String::new();
        let (mut length, mut first) = (0, String::new());
        loop {
            line.clear();
            self.stream.read_line(&mut line).await.expect("an answer");
            if first.is_empty() {
                first.clone_from(&line);
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).await.expect("a body");
        assert!(
            first.starts_with("HTTP/1.1 200"),
            "{first}{}",
            String::from_utf8_lossy(&answer)
        );
        answer
    }
}

/// Time for `rounds` requests, shared by so many connections.
async fn load(
    address: &str,
    connections: usize,
    rounds: u64,
    request: impl Fn(u64) -> (&'static str, String, String),
) -> Duration {
    let request = &request;
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(Connection::open(address).await);
    }
    let share = rounds.div_ceil(connections as u64);
    let started = Instant::now();
    let work = open
        .into_iter()
        .enumerate()
        .map(|(number, mut connection)| async move {
            for round in 0..share {
                // Neighbours differ, so that nearly every request changes something.
                let (method, path, body) = request(round + number as u64);
                connection.send(method, &path, &body).await;
            }
        });
    futures_util::future::join_all(work).await;
    started
        .elapsed()
        .mul_f64(rounds as f64 / (share * connections as u64) as f64)
}

fn bench_load(
    group: &mut BenchmarkGroup<'_, WallTime>,
    runtime: &Runtime,
    name: &str,
    address: &str,
    request: impl Fn(u64) -> (&'static str, String, String),
) {
    for connections in CONNECTIONS {
        group.bench_with_input(
            BenchmarkId::new(name, connections),
            &connections,
            |bencher, &connections| {
                bencher
                    .to_async(runtime)
                    .iter_custom(|rounds| load(address, connections, rounds, &request));
            },
        );
    }
}

fn over_http(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a scratch directory");
    let server = runtime.block_on(Server::start(folder.path()));
    let session = runtime.block_on(async {
        let mut connection = Connection::open(&server.address).await;
        let answer = connection.send("POST", "/opencode/session", "{}").await;
        let answer: serde_json::Value = serde_json::from_slice(&answer).expect("JSON");
        let id = answer["id"].as_str().expect("an id").to_owned();
        // The first switch starts the agent; it is not what is measured.
        let path = format!("/opencode/session/{id}?wait=true");
        connection
            .send(
                "PATCH",
                &path,
                r#"{"providerID":"mock","modelID":"mock-strong"}"#,
            )
            .await;
        id
    });
    let mut group = criterion.benchmark_group("http");
    group
        .measurement_time(MEASURE)
        .sample_size(20)
        .throughput(Throughput::Elements(1));
    bench_load(&mut group, &runtime, "GET health", &server.address, |_| {
        ("GET", "/global/health".into(), String::new())
    });
    bench_load(
        &mut group,
        &runtime,
        "PATCH model",
        &server.address,
        |round| {
            let model = if round.is_multiple_of(2) {
                "mock"
            } else {
                "mock-fast"
            };
            let body = format!(r#"{{"providerID":"mock","modelID":"{model}"}}"#);
            ("PATCH", format!("/opencode/session/{session}"), body)
        },
    );
    group.finish();
    runtime.block_on(server.stop());
}

criterion_group!(benches, in_process, over_http);
criterion_main!(benches);
