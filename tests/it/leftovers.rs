//! What is no longer needed does not stay among the conversations that agents keep for their users.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Options, PATIENCE, Server, model};

const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A server with one backend. Its agent is the mock, which keeps its native sessions in the folder `kept`, and is started
/// through a program that writes what it is asked to delete into the file `deleted`, as OpenCode's has a command for it, and
/// all that the agent reads and says into `asked` and `said`.
async fn server(backend: &str, arguments: &str) -> (Server, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let program = write_program(&folder, arguments);
    let config = format!("[agents.{backend}]\ncommand = [{program:?}, \"acp\"]\n");
    let arguments = vec!["--agents".into(), backend.to_owned()];
    let server = Server::start_with(Options { config, arguments }).await;
    (server, folder)
}

/// Writes the agent's program, which gives the mock these arguments.
fn write_program(folder: &TempDir, arguments: &str) -> PathBuf {
    let program = folder.path().join("agent");
    let baton = env!("CARGO_BIN_EXE_baton");
    let at = folder.path().display();
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = acp ]; then tee -a {at}/asked | {baton} mock-agent --state-dir {at}/kept {arguments} | tee -a {at}/said; fi\n\
         [ \"$1 $2\" = 'session delete' ] && echo \"$3\" >>{at}/deleted\n"
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    program
}

/// The native sessions that the agent has been told to delete by a command line.
fn deleted(folder: &TempDir) -> BTreeSet<String> {
    let text = std::fs::read_to_string(folder.path().join("deleted")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Those that it has been told to delete by the protocol.
fn deleted_in_protocol(folder: &TempDir) -> BTreeSet<String> {
    let asked = lines(folder, "asked");
    let deleted = asked.iter().filter(|m| m["method"] == "session/delete");
    deleted.filter_map(|m| id_in(&m["params"])).collect()
}

fn is_asked_to_switch(folder: &TempDir) -> bool {
    let asked = lines(folder, "asked");
    let mut methods = asked.iter().filter_map(|m| m["method"].as_str());
    methods.any(|method| method.starts_with("session/set_"))
}

/// Those that it has opened.
fn opened(folder: &TempDir) -> BTreeSet<String> {
    let said = lines(folder, "said");
    said.iter().filter_map(|m| id_in(&m["result"])).collect()
}

fn id_in(value: &Value) -> Option<String> {
    value["sessionId"].as_str().map(str::to_owned)
}

/// The messages in one of the files; of the last one perhaps only half is there.
fn lines(folder: &TempDir, file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.path().join(file)).unwrap_or_default();
    let messages = text.lines().map(serde_json::from_str);
    messages.filter_map(Result::ok).collect()
}

/// Those that it keeps.
fn kept(folder: &TempDir) -> BTreeSet<String> {
    let files = std::fs::read_dir(folder.path().join("kept"));
    let names = files.into_iter().flatten().flatten();
    let stems = names.map(|file| Path::new(&file.file_name()).with_extension(""));
    stems.map(|stem| stem.display().to_string()).collect()
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let held = async {
        while !holds() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    let held = tokio::time::timeout(PATIENCE, held).await;
    assert!(held.is_ok(), "{what}");
}

async fn delete(server: &Server, session: &str) {
    let path = format!("/opencode/session/{session}");
    server.ok(Method::DELETE, &path, None).await;
}

#[tokio::test]
async fn a_start_leaves_no_native_session() {
    let (server, folder) = server("opencode", "--without delete").await;
    until("the probe's is deleted", || deleted(&folder).len() == 1).await;
    server.stop().await;
}

#[tokio::test]
async fn a_stop_right_after_a_probe_waits_for_what_is_deleted() {
    let (server, folder) = server("opencode", "--without delete").await;
    let connected = async {
        loop {
            let list = server.get("/opencode/provider").await;
            if list["connected"] == json!(["opencode"]) {
                return;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    tokio::time::timeout(PATIENCE, connected).await.unwrap();
    server.stop().await;
    assert_eq!(deleted(&folder).len(), 1);
}

#[tokio::test]
async fn what_a_stop_in_the_middle_of_a_probe_leaves_is_deleted_by_the_next_start() {
    for (backend, without) in [("opencode", "--without delete"), ("keeper", "")] {
        for is_killed in [false, true] {
            // Its first switch would take a minute.
            let slow = format!("{without} --fault slow-switch --delay-ms 60000");
            let (mut server, folder) = server(backend, &slow).await;
            until("it is asked to switch", || is_asked_to_switch(&folder)).await;
            let left = opened(&folder);
            match is_killed {
                true => server.kill().await,
                false => server.terminate().await,
            }
            let gone = || {
                deleted(&folder)
                    .union(&deleted_in_protocol(&folder))
                    .cloned()
                    .collect()
            };
            let before: BTreeSet<String> = gone();
            assert!(before.is_empty(), "{backend}: {before:?}");

            write_program(&folder, without);
            server.restart().await;
            until("what was left is deleted", || left.is_subset(&gone())).await;
            // And what the second start has opened itself.
            until("nothing is left", || opened(&folder).is_subset(&gone())).await;
            server.stop().await;
        }
    }
}

#[tokio::test]
async fn a_deleted_session_takes_its_native_one_along() {
    for (backend, without) in [("opencode", "--without delete"), ("keeper", "")] {
        let (mut server, folder) = server(backend, without).await;
        let gone = |native: &BTreeSet<String>| match backend {
            "opencode" => native.is_subset(&deleted(&folder)),
            _ => native.is_disjoint(&kept(&folder)),
        };
        let session = server.create().await;
        let other = server.create().await;
        server
            .prompt(&session, "echo hi", model(backend, "mock"))
            .await;
        let native = kept(&folder);
        assert_eq!(native.len(), 1);
        server
            .prompt(&other, "echo hi", model(backend, "mock"))
            .await;
        let others: BTreeSet<_> = kept(&folder).difference(&native).cloned().collect();
        assert_eq!(others.len(), 1);
        delete(&server, &session).await;
        until("it is gone", || gone(&native)).await;

        // Also one that no agent has open, and no other's.
        server.terminate().await;
        server.restart().await;
        assert!(!gone(&others));
        server.get(&format!("/opencode/session/{other}")).await;
        delete(&server, &other).await;
        until("it is gone after a restart", || gone(&others)).await;
        server.stop().await;
    }
}

#[tokio::test]
async fn a_native_session_that_another_session_has_stays() {
    let (server, folder) = server(
        "keeper",
        "--fault id-by-directory --without resume --without load",
    )
    .await;
    let session = server.create().await;
    server
        .prompt(&session, "echo hi", model("keeper", "mock"))
        .await;
    let native = kept(&folder);
    let other = server.create().await;
    server
        .prompt(&other, "echo hi", model("keeper", "mock"))
        .await;
    delete(&server, &session).await;
    assert_eq!(kept(&folder), native);
    server.say(&other, "echo still").await;
    assert_eq!(kept(&folder), native);
    server.stop().await;
}
