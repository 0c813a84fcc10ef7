//! A data directory that is not what it was: nothing is replaced by an empty one without a word.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::harness::{Server, model};

fn data(server: &Server) -> PathBuf {
    server.folder.path().join("data")
}

/// Runs `baton` on the data directory of a server that has ended.
fn baton(server: &Server, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_baton"))
        .args(arguments)
        .arg("--data-dir")
        .arg(data(server))
        .env("HOME", server.folder.path())
        .output()
        .expect("it ran")
}

fn said(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// A server with three sessions, one of them with an answer, that was killed.
async fn killed() -> Server {
    let mut server = Server::start().await;
    for _ in 0..2 {
        server.create().await;
    }
    let session = server.create().await;
    server
        .prompt(&session, "echo one", model("mock", "mock"))
        .await;
    server.kill().await;
    server
}

async fn sessions(server: &Server) -> usize {
    let list = server.get("/opencode/session").await;
    list.as_array().expect("a list").len()
}

/// The damage, the file of the directory that is damaged, and what is said about it.
type Case = (&'static str, fn(&Path), &'static str);

#[tokio::test]
async fn a_store_that_is_not_whole_is_not_opened_and_not_replaced() {
    let empty = |file: &Path| fs::write(file, "").expect("written");
    let gone = |file: &Path| fs::remove_file(file).expect("removed");
    let shorter = |file: &Path| {
        let bytes = fs::read(file).expect("read");
        fs::write(file, &bytes[..4_096]).expect("written");
    };
    let cases: [Case; 4] = [
        ("baton.sqlite", empty, "is empty"),
        ("baton.sqlite", gone, "is gone"),
        ("baton.sqlite", shorter, "has shrunk"),
        ("baton.sqlite-wal", gone, "is missing"),
    ];
    let mut server = killed().await;
    for (name, damage, expected) in cases {
        let file = data(&server).join(name);
        let whole = fs::read(&file).expect("read");
        damage(&file);
        let refused = baton(&server, &["serve", "--port", "0", "--agents", "mock"]);
        assert_eq!(refused.status.code(), Some(1), "{expected}");
        let text = said(&refused);
        assert!(
            text.contains(expected) && text.contains("baton check --repair"),
            "{text}"
        );
        let checked = baton(&server, &["check"]);
        assert_eq!(checked.status.code(), Some(1), "{}", said(&checked));
        fs::write(&file, whole).expect("put back");
    }
    // Nothing was changed by all of that.
    server.restart().await;
    assert_eq!(sessions(&server).await, 3);
    server.stop().await;
}

#[tokio::test]
async fn an_older_copy_is_known_and_can_be_accepted() {
    let mut server = Server::start().await;
    server.create().await;
    let copy = server.folder.path().join("copy");
    let made = baton(&server, &["backup", copy.to_str().unwrap()]);
    assert!(made.status.success(), "{}", said(&made));
    assert!(said(&made).contains("1 sessions"), "{}", said(&made));
    let again = baton(&server, &["backup", copy.to_str().unwrap()]);
    assert!(!again.status.success(), "an existing file was written over");
    let mode = fs::metadata(&copy).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    server.create().await;
    server.kill().await;
    server.restart().await;
    server.kill().await;

    for log in ["baton.sqlite-wal", "baton.sqlite-shm"] {
        fs::write(data(&server).join(log), "").expect("emptied");
    }
    fs::copy(&copy, data(&server).join("baton.sqlite")).expect("copied");
    let refused = baton(&server, &["serve", "--port", "0", "--agents", "mock"]);
    assert!(said(&refused).contains("older copy"), "{}", said(&refused));
    let repaired = baton(&server, &["check", "--repair"]);
    assert!(repaired.status.success(), "{}", said(&repaired));
    server.restart().await;
    assert_eq!(sessions(&server).await, 1);
    let checked = baton(&server, &["check"]);
    assert!(checked.status.success(), "{}", said(&checked));
    server.stop().await;
}

#[tokio::test]
async fn nothing_is_acknowledged_once_the_directory_is_gone() {
    for gone in ["data", "data/baton.sqlite", "data/baton.sqlite-wal"] {
        let mut server = Server::start().await;
        let session = server.create().await;
        let path = server.folder.path().join(gone);
        fs::rename(&path, server.folder.path().join("elsewhere")).expect("moved");
        let body = json!({ "title": "lost" });
        let path = format!("/opencode/session/{session}");
        let (status, error) = server.send(Method::PATCH, &path, Some(body)).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{gone}: {error}");
        assert!(
            error["data"]["message"]
                .as_str()
                .unwrap()
                .contains("removed"),
            "{error}"
        );
        assert_eq!(server.get(&path).await["title"], "test");
        server.kill().await;
    }
}

#[tokio::test]
async fn a_server_that_cannot_note_its_end_leaves_what_the_next_one_needs() {
    let mut server = Server::start().await;
    server.create().await;
    // As on a full disk: no new marker can be written.
    let in_the_way = data(&server).join("baton-data.json.new");
    fs::create_dir(&in_the_way).expect("made");
    server.terminate().await;
    fs::remove_dir(&in_the_way).expect("removed");
    server.restart().await;
    assert_eq!(sessions(&server).await, 1);
    server.stop().await;
}

#[tokio::test]
async fn a_damaged_row_costs_what_it_holds_and_is_set_aside() {
    let mut server = killed().await;
    let database = data(&server).join("baton.sqlite");
    let db = rusqlite::Connection::open(&database).expect("opens");
    db.execute_batch(
        "INSERT INTO project (id, body) VALUES ('p', '{');
         INSERT INTO backend (id, body) VALUES ('mock', 'x') ON CONFLICT DO UPDATE SET body = 'x';
         UPDATE session_body SET body = '{\"id\":' WHERE n = 2;
         UPDATE message SET body = 'nonsense' WHERE seq = 2;",
    )
    .expect("damaged");
    drop(db);
    // Another program that opened it has checkpointed and removed the log, which Baton cannot know.
    fs::write(data(&server).join("baton.sqlite-wal"), "").expect("written");
    server.restart().await;
    assert_eq!(sessions(&server).await, 2);
    server.terminate().await;

    let checked = baton(&server, &["check"]);
    let text = said(&checked);
    assert_eq!(checked.status.code(), Some(1), "{text}");
    for row in ["session_body 2: ", "message ses_", "project p: "] {
        assert!(text.contains(row), "{text}");
    }
    let repaired = baton(&server, &["check", "--repair"]);
    assert!(repaired.status.success(), "{}", said(&repaired));
    let checked = baton(&server, &["check"]);
    assert!(checked.status.success(), "{}", said(&checked));
    server.restart().await;
    assert_eq!(sessions(&server).await, 2);
    server.stop().await;
}

#[tokio::test]
async fn others_cannot_look_into_it() {
    let mut server = killed().await;
    let data = data(&server);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    for name in [
        "baton.sqlite",
        "baton.sqlite-wal",
        "baton.lock",
        "baton-data.json",
    ] {
        assert_eq!(mode(&data.join(name)), 0o600, "{name}");
        fs::set_permissions(data.join(name), fs::Permissions::from_mode(0o644)).unwrap();
    }
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
    server.restart().await;
    server
        .prompt(&server.create().await, "echo one", model("mock", "mock"))
        .await;
    let entries = fs::read_dir(&data)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let folders: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    assert!(!folders.is_empty());
    for folder in folders {
        assert_eq!(mode(&folder) & 0o077, 0, "{}", folder.display());
    }
    assert_eq!(mode(&data), 0o700);
    assert_eq!(mode(&data.join("baton.sqlite")), 0o600);
    server.kill().await;

    fs::set_permissions(&data, fs::Permissions::from_mode(0o1777)).unwrap();
    let refused = baton(&server, &["serve", "--port", "0", "--agents", "mock"]);
    assert!(
        said(&refused).contains("belongs to everybody"),
        "{}",
        said(&refused)
    );
}

#[tokio::test]
async fn the_database_itself_is_locked_too() {
    let server = Server::start().await;
    fs::remove_file(data(&server).join("baton.lock")).expect("removed");
    let second = baton(&server, &["serve", "--port", "0", "--agents", "mock"]);
    assert!(
        said(&second).contains("another baton uses"),
        "{}",
        said(&second)
    );
    let repair = baton(&server, &["check", "--repair"]);
    assert!(!repair.status.success(), "{}", said(&repair));
    server.stop().await;
}
