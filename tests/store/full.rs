//! A disk that is full for a while, by a limit on the size of files.
//!
//! The limit holds for a whole process, so a process of its own runs into it. The shell lets it ignore the signal that
//! comes with the limit, as it would by default end it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use baton::opencode::SessionId;
use baton::store::{Change, SessionQuery, SqliteStore, Store, StoreError};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::support::{Folder, body, commit, list, new_session, titled, use_session};

/// Where the process with the limit finds its folder.
const FOLDER_VARIABLE: &str = "BATON_TEST_STORE";
/// Size at which files end, in bytes.
const LIMIT_BYTES: u64 = 2 * 1024 * 1024;
/// Size of a session's title, in bytes: a few fill the files.
const TITLE_BYTES: usize = 40_000;
/// Commits that have to be enough to fill them.
const COMMITS_AT_MOST: usize = 1_000;

fn limit_to(bytes: Option<u64>) {
    let (_, hard) = getrlimit(Resource::RLIMIT_FSIZE).expect("read");
    setrlimit(Resource::RLIMIT_FSIZE, bytes.unwrap_or(hard), hard).expect("set");
}

fn run_in_a_process(folder: &Folder, test: &str) {
    let script = "trap '' XFSZ; exec \"$0\" --exact \"$1\" --ignored --nocapture";
    let output = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().expect("this program"))
        .arg(format!("full::{test}"))
        .env(FOLDER_VARIABLE, folder.file())
        .output()
        .expect("runs");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        printed.contains("1 passed"),
        "{printed}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn file() -> PathBuf {
    std::env::var_os(FOLDER_VARIABLE)
        .expect("run by another test")
        .into()
}

/// Writes sessions until the disk is full. Answers those that were committed and the batch that was not.
async fn fill(store: &dyn Store) -> (Vec<SessionId>, SessionId, Vec<Change>) {
    let mut committed = Vec::new();
    for _ in 0..COMMITS_AT_MOST {
        let id = SessionId::new();
        let batch = vec![new_session(&id, titled(&"x".repeat(TITLE_BYTES)))];
        match store.commit(batch.clone()).await {
            Ok(()) => committed.push(id),
            Err(StoreError::Unavailable(_)) => return (committed, id, batch),
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("the limit was not reached");
}

fn listed(path: &Path) -> PathBuf {
    path.with_extension("committed")
}

#[tokio::test]
#[ignore = "run in a process of its own by the next test"]
async fn fills_the_disk_and_goes_on() {
    let store = SqliteStore::open(&file()).expect("opens");
    limit_to(Some(LIMIT_BYTES));
    let (mut committed, refused, batch) = fill(&store).await;
    assert!(!committed.is_empty());
    // It stays readable, and stays full.
    assert_eq!(store.session(&refused).await.expect("reads"), None);
    let again = store.commit(batch.clone()).await;
    assert!(
        matches!(again, Err(StoreError::Unavailable(_))),
        "{again:?}"
    );
    limit_to(None);
    commit(&store, batch).await;
    committed.push(refused);
    assert_eq!(
        list(&store, SessionQuery::default()).await.len(),
        committed.len()
    );
    store.close();
    let store = SqliteStore::open(&file()).expect("opens again");
    assert_eq!(
        list(&store, SessionQuery::default()).await.len(),
        committed.len()
    );
}

#[tokio::test]
async fn commits_work_again_at_once_when_the_disk_has_room_again() {
    run_in_a_process(&Folder::new(), "fills_the_disk_and_goes_on");
}

#[tokio::test]
#[ignore = "run in a process of its own by the next test"]
async fn fills_the_disk_and_dies() {
    let store = SqliteStore::open(&file()).expect("opens");
    limit_to(Some(LIMIT_BYTES));
    let (committed, _, _) = fill(&store).await;
    limit_to(None);
    let ids: Vec<_> = committed.iter().map(SessionId::to_string).collect();
    fs::write(listed(&file()), ids.join("\n")).expect("written");
    // Not closed: its files stay as a crash leaves them.
    std::mem::forget(store);
}

#[tokio::test]
async fn a_commit_that_failed_is_not_there_after_a_crash() {
    let folder = Folder::new();
    run_in_a_process(&folder, "fills_the_disk_and_dies");
    let ids = fs::read_to_string(listed(&folder.file())).expect("read");
    let store = folder.open();
    let count = list(store.as_ref(), SessionQuery::default()).await.len();
    assert_eq!(count, ids.lines().count());
    for id in ids.lines() {
        let id = SessionId::parse(id).expect("an id");
        assert!(store.session(&id).await.expect("reads").is_some());
    }
}

#[tokio::test]
#[ignore = "run in a process of its own by the next test"]
async fn lists_and_opens_while_nothing_can_be_written() {
    let store = SqliteStore::open(&file()).expect("opens");
    let (first, second) = (SessionId::new(), SessionId::new());
    for id in [&first, &second] {
        commit(&store, vec![new_session(id, titled("a"))]).await;
    }
    commit(&store, vec![use_session(&first, 1, 7)]).await;
    limit_to(Some(1));
    // It cannot be sorted in, so the order is the one from before.
    let before = list(&store, SessionQuery::default()).await;
    assert_eq!(before, [body(&second), body(&first)]);
    // As after a kill.
    std::mem::forget(store);
    let store = SqliteStore::open(&file()).expect("opens all the same");
    assert_eq!(list(&store, SessionQuery::default()).await, before);
    limit_to(None);
    let after = list(&store, SessionQuery::default()).await;
    assert_eq!(after, [body(&first), body(&second)]);
}

#[tokio::test]
async fn a_full_disk_prevents_neither_starting_nor_reading_lists() {
    run_in_a_process(
        &Folder::new(),
        "lists_and_opens_while_nothing_can_be_written",
    );
}
