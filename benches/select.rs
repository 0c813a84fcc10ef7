//! Throughput of the main operation, in process. What it is over HTTP, `cargo bench --bench load` says.
//!
//! `cargo bench --bench select`; the figures mean something only relative to each other.

#![allow(missing_docs, reason = "criterion's macros make undocumented items")]
#![allow(clippy::expect_used, reason = "a measurement that cannot be made ends")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use baton::agent::Timeouts;
use baton::agent::pool::{Pool, PoolLimits};
use baton::agent::{quirks, spec};
use baton::command::Sources;
use baton::event::{Bus, RingLimits};
use baton::mcp::McpServers;
use baton::nodes::Nodes;
use baton::opencode::SessionId;
use baton::opencode::event::Source;
use baton::opencode::handoff::HandoffMode;
use baton::process::Ledger;
use baton::project::Projects;
use baton::registry::{ModelWish, Registry, Wish};
use baton::session::{
    AtAbort, Caller, Deps, FallbackSettings, NewSession, Sessions, Settings, Update, handoff,
};
use baton::shell::{Shell, ShellLimits};
use baton::snapshot::Snapshots;
use baton::store::{SqliteStore, Store};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;

const BATON: &str = env!("CARGO_BIN_EXE_baton");
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
        handoff: HandoffMode::Transcript,
        timeouts,
    };
    let bus = Arc::new(Bus::new(RingLimits::default()));
    let projects = Projects::open(Arc::clone(&store)).await.expect("projects");
    let deps = Deps {
        nodes: Nodes::alone(),
        store,
        bus,
        registry,
        pool: Arc::clone(&pool),
        snapshots: Arc::new(Snapshots::new(folder, false)),
        spending: Default::default(),
        mcp: McpServers::new(Default::default(), Arc::new(NoLedger)),
        shell,
        commands: Sources::default(),
        profiles: baton::profile::Sources::default(),
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

criterion_group!(benches, in_process);
criterion_main!(benches);
