//! `baton copy`: everything gets there, once, also after an interruption.

use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use baton::opencode::{PartId, SessionId};
use baton::store::copy::{CopyError, Place, Sum, copy, is_unfinished};
use baton::store::data_dir::{DataDir, DataDirError};
use baton::store::postgres::{Opening, PostgresStore, StoreUrl};
use baton::store::{
    Change, Durability, Keys, MessageRange, ProcessRow, SessionKeys, SessionOrder, SessionQuery,
    Store,
};
use tempfile::TempDir;
use tokio::process::Command;

use crate::database;
use crate::support::{body, commit, key, list, open_url, put_message, save_part, use_session};

/// Sessions that are copied.
const SESSIONS: u64 = 2_500;
/// The body of some messages, in bytes: not all of them go into one page.
const LARGE_BYTES: usize = 3 * 1024 * 1024;

fn directory(folder: &TempDir, name: &str) -> Place {
    Place::Directory(folder.path().join(name))
}

fn database(url: &str) -> Place {
    Place::Database(Box::new(StoreUrl::parse(url).expect("a URL")))
}

fn path(place: &Place) -> &Path {
    match place {
        Place::Directory(path) => path,
        Place::Database(_) => panic!("no directory"),
    }
}

/// Goes on whatever is told.
fn on(_: baton::store::copy::Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn id(number: u64) -> SessionId {
    SessionId::parse(&format!("ses_{number:020}")).expect("an id")
}

fn odd(number: u64) -> String {
    [
        "plain",
        "",
        "a\0b",
        "\u{1}0\u{10ffff}",
        "Größe 🦀",
        "{\"a\":\"\\ud800\"}",
    ][usize::try_from(number % 6).expect("small")]
    .to_owned()
}

fn session(number: u64) -> Vec<Change> {
    let keys = SessionKeys {
        project: format!("p{}", number % 7),
        directory: format!("/d/{}", odd(number % 11)),
        path: odd(number),
        parent: (number % 5 == 4).then(|| id(number - 1)),
        title: format!("Title {number} {}", odd(number)),
        created: number / 10,
        updated: number / 3,
        archived: number.is_multiple_of(9).then_some(number),
        restoring: number == 77,
    };
    let message = baton::store::MessageKey {
        id: baton::opencode::MessageId::parse(&format!("msg_{number:026}")).expect("an id"),
        ..key(1, 1)
    };
    vec![
        Change::PutSession {
            id: id(number),
            expected: None,
            revision: number + 1,
            keys: Keys::All(keys),
            body: body(&id(number)),
        },
        put_message(&id(number), &message, &odd(number)),
        save_part(&id(number), &message.id, &PartId::new(), &odd(number + 1)),
        Change::PutSwitch {
            session: id(number),
            revision: number,
            body: odd(number + 2),
        },
        Change::PutBinding {
            session: id(number),
            backend: odd(number % 3),
            body: format!("{{\"native_session\":\"native-{number}\"}}"),
        },
    ]
}

/// A data directory with something of everything.
async fn fill(place: &Place, sessions: u64) {
    let data = DataDir::claim(path(place)).expect("free");
    let store = data.open_store(Durability::Process).expect("opens");
    let numbers: Vec<u64> = (0..sessions).collect();
    for numbers in numbers.chunks(500) {
        let batch = numbers.iter().flat_map(|number| session(*number));
        commit(&store, batch.collect()).await;
    }
    let large: Vec<_> = (2..9_u8)
        .map(|seq| {
            put_message(
                &id(3),
                &key(seq.into(), 1),
                &char::from(b'a' + seq).to_string().repeat(LARGE_BYTES),
            )
        })
        .collect();
    let rest = vec![
        Change::PutHandover {
            session: id(1),
            turn: 2,
            revision: 3,
            body: odd(2),
        },
        Change::PutBackend {
            id: "mock".into(),
            body: odd(3),
        },
        Change::PutSetting {
            name: odd(2),
            body: odd(4),
        },
        Change::PutProject {
            id: "p".into(),
            body: odd(5),
        },
        Change::PutProcess(ProcessRow {
            pid: 1,
            started_at_s: 2,
            boot_id: "boot".into(),
            backend: "mock".into(),
        }),
        Change::AddSpending {
            day: "2026-11-27".into(),
            cost: 0.25,
            tokens: 7,
        },
        // Lists do not know it yet.
        use_session(&id(5), 6, 9_000),
    ];
    let growing = baton::store::MessageKey {
        id: baton::opencode::MessageId::parse(&format!("msg_{:026}", 2)).expect("an id"),
        ..key(1, 1)
    };
    let growing = vec![
        Change::PutMessage {
            session: id(2),
            key: growing.clone(),
            open: true,
            body: odd(6),
        },
        Change::PutPart {
            session: id(2),
            message: growing.id.clone(),
            place: 0,
            id: PartId::new(),
            body: r#"{"text":"begins"}"#.into(),
        },
        Change::GrowPart {
            session: id(2),
            message: growing.id,
            place: 0,
            at: 6,
            text: odd(7),
        },
    ];
    commit(&store, large).await;
    commit(&store, growing).await;
    commit(&store, rest).await;
    store.close();
}

/// What a store answers.
async fn answers(store: &dyn Store) -> Vec<String> {
    let mut answers = Vec::new();
    for order in [
        SessionOrder::Used,
        SessionOrder::Newest,
        SessionOrder::Oldest,
    ] {
        for search in [None, Some("a\0B"), Some("title 7"), Some("🦀")] {
            let query = SessionQuery {
                order,
                search: search.map(str::to_owned),
                ..SessionQuery::default()
            };
            answers.push(list(store, query).await.join(","));
        }
    }
    for number in [0, 2, 3, 5, 77] {
        answers.push(format!(
            "{:?}",
            store.session(&id(number)).await.expect("reads")
        ));
        let messages = store.messages(&id(number), MessageRange::default()).await;
        answers.push(format!("{:?}", messages.expect("reads")));
        answers.push(format!(
            "{:?}",
            store.switches(&id(number)).await.expect("reads")
        ));
        answers.push(format!(
            "{:?}",
            store.family(&id(number)).await.expect("reads")
        ));
        let native = format!("native-{number}");
        answers.push(format!(
            "{:?}",
            store.bound(&odd(number % 3), &native).await.expect("reads")
        ));
    }
    answers.push(format!("{:?}", store.restoring().await.expect("reads")));
    answers.push(format!(
        "{:?}",
        store.handovers(&id(1), 3).await.expect("reads")
    ));
    answers.push(format!("{:?}", store.backends().await.expect("reads")));
    answers.push(format!("{:?}", store.projects().await.expect("reads")));
    let setting = async |name: &str| store.setting(name).await.expect("reads");
    answers.push(format!("{:?}", setting(&odd(2)).await));
    answers.push(format!("{:?}", setting("spent 2026-11-27").await));
    answers.push(
        format!("{:?}", store.processes().await.expect("reads")).replace("[ProcessRow", "process"),
    );
    answers
}

async fn answers_of(place: &Place) -> Vec<String> {
    let data = DataDir::claim(path(place)).expect("free");
    assert!(!data.was_left_unclean());
    let store = data.open_store(Durability::Process).expect("opens");
    let mut answers = answers(&store).await;
    // Processes are not copied.
    answers.pop();
    store.close();
    answers
}

fn rows(sums: &[(&'static str, Sum)], table: &str) -> u64 {
    let sum = sums.iter().find(|(name, _)| *name == table);
    sum.expect("the table").1.rows
}

#[tokio::test]
async fn everything_gets_there_and_back() {
    let Some(url) = database::url().await else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let (from, back) = (directory(&folder, "from"), directory(&folder, "back"));
    fill(&from, SESSIONS).await;
    let before = answers_of(&from).await;
    let there = copy(&from, &database(&url), on).await.expect("copied");
    assert_eq!(rows(&there, "session"), SESSIONS);
    assert_eq!(rows(&there, "message"), SESSIONS + 7);
    assert_eq!(rows(&there, "setting"), 2);
    assert_eq!(rows(&there, "growth"), 1);
    let store = open_url(&url).await;
    let mut now = answers(&store).await;
    assert_eq!(now.pop().as_deref(), Some("[]"));
    assert!(now == before, "PostgreSQL answers what SQLite does");
    // New ones come after those that were copied.
    let new = SessionId::new();
    let keys = SessionKeys::default();
    commit(&store, vec![crate::support::new_session(&new, keys)]).await;
    let query = SessionQuery {
        order: SessionOrder::Oldest,
        used_before: Some(1),
        ..SessionQuery::default()
    };
    let oldest = list(&store, query).await;
    assert_eq!(oldest.last(), Some(&body(&new)));
    commit(&store, vec![Change::DeleteSession { id: new }]).await;
    store.close().await;
    let again = copy(&database(&url), &back, on).await.expect("copied");
    assert_eq!(again, there);
    assert!(
        answers_of(&back).await == before,
        "SQLite answers what it did"
    );
}

#[tokio::test]
async fn an_interrupted_copy_goes_on_and_is_nothing_else_until_then() {
    let Some(url) = database::url().await else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let (from, back) = (directory(&folder, "from"), directory(&folder, "back"));
    let other = directory(&folder, "other");
    fill(&from, SESSIONS).await;
    fill(&other, 10).await;
    let whole = copy(&from, &directory(&folder, "whole"), on)
        .await
        .expect("copied");
    for (from, to) in [(&from, &database(&url)), (&database(&url), &back)] {
        for pages in [1, 3, 7] {
            let mut left = pages;
            let stopped = copy(from, to, |_| {
                left -= 1;
                if left == 0 {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
            let stopped = stopped.await.expect_err("interrupted");
            assert!(matches!(stopped, CopyError::Interrupted), "{stopped}");
        }
        let refused = copy(&other, to, on).await.expect_err("another one");
        assert!(refused.to_string().contains("a copy of"), "{refused}");
        let store: Box<dyn Store> = match to {
            Place::Database(_) => Box::new(open_url(&url).await),
            Place::Directory(path) => {
                let file = path.join("baton.sqlite");
                Box::new(baton::store::SqliteStore::open(&file).expect("opens"))
            }
        };
        let unfinished = is_unfinished(store.as_ref()).await.expect("reads");
        assert_eq!(unfinished, Some(from.to_string()));
        store.close().await;
        let mut pages = 0;
        let copied = copy(from, to, |_| {
            pages += 1;
            ControlFlow::Continue(())
        });
        assert_eq!(copied.await.expect("goes on"), whole);
        assert!(pages > 0);
    }
    assert_eq!(answers_of(&back).await, answers_of(&from).await);
}

#[tokio::test]
async fn a_copy_that_was_killed_goes_on() {
    let Some(url) = database::url().await else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let from = directory(&folder, "from");
    fill(&from, SESSIONS * 4).await;
    let command = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_baton"));
        command
            .arg("copy")
            .arg(path(&from))
            .arg(&url)
            .env("HOME", folder.path());
        command.kill_on_drop(true);
        command
    };
    let output = async || -> Output { command().output().await.expect("runs") };
    let client = database::client(&url).await;
    let mut kills = 0;
    for wanted in [1, 4_000, 8_000] {
        let mut child = command().stdout(Stdio::null()).spawn().expect("starts");
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let sql = "SELECT to_regclass('baton.session') IS NOT NULL";
            let made: bool = client.query_one(sql, &[]).await.expect("reads").get(0);
            let count = "SELECT count(*) FROM baton.session";
            if made
                && client
                    .query_one(count, &[])
                    .await
                    .expect("reads")
                    .get::<_, i64>(0)
                    >= wanted
            {
                break;
            }
            assert!(Instant::now() < until, "it copies");
        }
        kills += usize::from(child.try_wait().expect("there").is_none());
        child.kill().await.expect("killed");
    }
    assert!(kills > 0, "it was in the middle at least once");
    let output = output().await;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
    let line = said
        .lines()
        .find(|line| line.starts_with("session"))
        .expect("the table");
    assert_eq!(line.split_whitespace().nth(1), Some("10000"), "{said}");
    assert!(
        said.contains("both were read again and are the same"),
        "{said}"
    );
    assert!(!said.contains("the%20password"), "{said}");
}

#[tokio::test]
async fn what_must_not_be_copied_is_refused() {
    let Some(url) = database::url().await else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let (from, to) = (directory(&folder, "from"), directory(&folder, "to"));
    let nothing = copy(&from, &database(&url), on)
        .await
        .expect_err("nothing there");
    assert!(matches!(nothing, CopyError::Nothing(_)), "{nothing}");
    assert!(!path(&from).exists(), "it was not made");
    fill(&from, 10).await;
    let same = copy(&from, &from, on).await.expect_err("the same");
    assert!(matches!(same, CopyError::Same(_)), "{same}");
    // A server runs on one of them.
    let data = DataDir::claim(path(&from)).expect("free");
    let used = copy(&from, &database(&url), on).await.expect_err("in use");
    assert!(
        matches!(used, CopyError::DataDir(DataDirError::InUse(_))),
        "{used}"
    );
    drop(data);
    let alone = Opening {
        alone: true,
        ..Opening::new(StoreUrl::parse(&url).expect("a URL"), "node")
    };
    let server = PostgresStore::open(alone).await.expect("opens");
    let used = copy(&from, &database(&url), on).await.expect_err("in use");
    assert!(
        used.to_string().contains("another baton uses the database"),
        "{used}"
    );
    server.close().await;
    // There is something in it.
    fill(&to, 10).await;
    let full = copy(&from, &to, on).await.expect_err("not empty");
    assert!(matches!(full, CopyError::NotEmpty(..)), "{full}");
    copy(&from, &database(&url), on).await.expect("copied");
    let full = copy(&from, &database(&url), on)
        .await
        .expect_err("not empty");
    assert!(matches!(full, CopyError::NotEmpty(..)), "{full}");
}

#[tokio::test]
async fn what_has_changed_in_the_meantime_is_noticed() {
    let Some(url) = database::url().await else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let from = directory(&folder, "from");
    fill(&from, 1_500).await;
    let stopped = copy(&from, &database(&url), |_| ControlFlow::Break(())).await;
    assert!(matches!(stopped, Err(CopyError::Interrupted)));
    let data = DataDir::claim(path(&from)).expect("free");
    let store = data.open_store(Durability::Process).expect("opens");
    commit(&store, vec![use_session(&id(7), 8, 5)]).await;
    store.close();
    drop(data);
    let differs = copy(&from, &database(&url), on)
        .await
        .expect_err("another one");
    assert!(
        matches!(differs, CopyError::Differs("session", ..)),
        "{differs}"
    );
}
