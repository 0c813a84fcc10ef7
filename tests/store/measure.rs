//! How long lists, searches and commits take with few and with many sessions. Run it by hand:
//! `cargo test --release --test store measure -- --ignored --nocapture`

use std::path::Path;
use std::time::{Duration, Instant};

use baton::opencode::SessionId;
use baton::store::{Change, Keys, SessionKeys, SessionOrder, SessionQuery, Store};

use crate::support::{Folder, commit, list, postgres};

/// Sessions that are written in one batch.
const BATCH: u64 = 1_000;
/// Sessions that there are.
const SIZES: [u64; 2] = [20, 100_000];
/// How often each query is run.
const RUNS: u32 = 20;
/// Size of a session's body, in bytes.
const BODY_BYTES: usize = 2_000;

fn id(number: u64) -> SessionId {
    SessionId::parse(&format!("ses_{number:020}")).expect("an id")
}

fn put(number: u64, expected: Option<u64>, updated: u64) -> Change {
    let keys = SessionKeys {
        project: format!("project-{}", number % 50),
        directory: format!("/projects/project-{}", number % 50),
        path: String::new(),
        parent: (number % 3 == 2).then(|| id(number - 1)),
        title: format!("Refactor the parser of module {number:06} for speed"),
        created: number,
        updated,
        archived: number.is_multiple_of(10).then_some(number),
        restoring: false,
    };
    Change::PutSession {
        id: id(number),
        expected,
        revision: expected.unwrap_or(0) + 1,
        keys: Keys::All(keys),
        body: "x".repeat(BODY_BYTES),
    }
}

async fn time(what: &str, store: &dyn Store, query: SessionQuery) {
    let found = list(store, query.clone()).await.len();
    let begun = Instant::now();
    for _ in 0..RUNS {
        list(store, query.clone()).await;
    }
    println!("  {what}: {found} found, {:?}", begun.elapsed() / RUNS);
}

async fn queries(store: &dyn Store, sessions: u64) {
    let limited = || SessionQuery {
        limit: Some(50),
        ..SessionQuery::default()
    };
    let project = || SessionQuery {
        project: Some("project-7".to_owned()),
        roots: true,
        without_archived: true,
        ..limited()
    };
    let search = |needle: &str| SessionQuery {
        search: Some(needle.to_owned()),
        ..limited()
    };
    time("most recently used", store, limited()).await;
    time("roots of a project, not archived", store, project()).await;
    let oldest = SessionQuery {
        order: SessionOrder::Oldest,
        directory: Some("/projects/project-7".to_owned()),
        ..limited()
    };
    time("oldest of a directory", store, oldest).await;
    let deep = SessionQuery {
        after: Some(id(sessions / 2)),
        ..limited()
    };
    time("behind the one in the middle", store, deep).await;
    let old = SessionQuery {
        used_before: Some(sessions / 2),
        after: Some(id(sessions - 1)),
        ..limited()
    };
    time("used before the middle", store, old).await;
    time("all match", store, search("PARSER")).await;
    time("one matches, the oldest", store, search("module 000003")).await;
    time("none matches", store, search("compiler")).await;
    time(
        "none matches, every trigram does",
        store,
        search("parser for"),
    )
    .await;
    time("none matches, two letters", store, search("zz")).await;
    let within = SessionQuery {
        search: Some("000007".to_owned()),
        ..project()
    };
    time("one matches in a project", store, within).await;
}

async fn commits(store: &dyn Store, sessions: u64) {
    let mut times = Vec::new();
    for turn in 0..2_000 {
        let number = turn * 37 % sessions;
        let row = store.session(&id(number)).await.expect("reads");
        let revision = row.expect("there").revision;
        let begun = Instant::now();
        commit(store, vec![put(number, Some(revision), sessions + turn)]).await;
        times.push(begun.elapsed());
    }
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 1_000];
    println!(
        "  one commit after the other: half {:?}, 99 % {:?}, 99.9 % {:?}, slowest {:?}",
        at(500),
        at(990),
        at(999),
        at(1_000)
    );
}

/// Writes without a pause for a while and says how large the log has become, and how long the slowest took.
async fn load(log: &Path, store: &dyn Store) {
    let begun = Instant::now();
    let (mut count, mut largest, mut slowest) = (0_u64, 0, Duration::ZERO);
    while begun.elapsed() < Duration::from_secs(20) {
        let group = Instant::now();
        let setting = |name: u64| {
            store.commit(vec![Change::PutSetting {
                name: format!("setting {}", name * 7919 % 20_000),
                body: "x".repeat(BODY_BYTES),
            }])
        };
        let waiting: Vec<_> = (count..count + 64).map(setting).collect();
        for commit in waiting {
            commit.await.expect("commits");
        }
        count += 64;
        slowest = slowest.max(group.elapsed());
        largest = largest.max(std::fs::metadata(log).map_or(0, |log| log.len()));
    }
    println!(
        "  64 at once without a pause: {} a second, slowest group {slowest:?}, log {} MiB at most",
        count / begun.elapsed().as_secs(),
        largest >> 20
    );
}

fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) >> 10
}

/// Fills a store and measures.
async fn fill_and_measure(sessions: u64, log: &Path, store: &dyn Store) {
    let begun = Instant::now();
    for first in (0..sessions).step_by(BATCH as usize) {
        let batch = first..(first + BATCH).min(sessions);
        commit(store, batch.map(|n| put(n, None, n)).collect()).await;
    }
    println!("{sessions} sessions, written in {:?}", begun.elapsed());
    queries(store, sessions).await;
    commits(store, sessions).await;
    load(log, store).await;
    println!("  resident {} MiB", resident_mib());
}

#[tokio::test]
#[ignore = "a measurement"]
async fn measure() {
    for sessions in SIZES {
        let folder = Folder::new();
        let store = folder.open();
        let log = folder.file().with_extension("sqlite-wal");
        fill_and_measure(sessions, &log, store.as_ref()).await;
        let size = std::fs::metadata(folder.file()).map_or(0, |file| file.len());
        println!("  file {} MiB", size >> 20);
        store.close();
        let begun = Instant::now();
        let store = folder.open();
        println!("  opened again in {:?}", begun.elapsed());
        store.close();
    }
}

#[tokio::test]
#[ignore = "a measurement"]
async fn measure_postgres() {
    for sessions in SIZES {
        let Some(store) = postgres().await else {
            return;
        };
        fill_and_measure(sessions, Path::new("none"), store.as_ref()).await;
        store.close().await;
    }
}
