//! File systems that hang, for real: what asks one waits in the kernel. Every answer comes nevertheless, other
//! folders notice nothing, and the server ends in time.

mod mount;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::harness::{Options, Server};
use crate::places::git;
use mount::{Hanging, may_mount};

/// A request for what hangs has an answer after this time.
const ANSWERED: Duration = Duration::from_secs(25);
/// Others are answered at once.
const SOON: Duration = Duration::from_secs(2);
/// The server ends within this, with threads that hang.
const ENDS: Duration = Duration::from_secs(2);

fn folder(server: &Server, name: &str) -> PathBuf {
    let folder = server.folder.path().canonicalize().expect("it exists");
    let folder = folder.join(name);
    std::fs::create_dir_all(folder.join("src")).expect("folders");
    std::fs::write(folder.join("src/a.txt"), "a").expect("a file");
    folder
}

/// All that reads something in a directory.
fn paths(directory: &Path) -> Vec<String> {
    let directory = directory.display();
    let first = [
        "find/file?query=a",
        "find?pattern=a",
        "file?path=",
        "file/content?path=src/a.txt",
        "file/status?x=",
        "command?x=",
        "config?x=",
        "config/providers?x=",
        "agent?x=",
        "vcs?x=",
        "vcs/status?x=",
        "vcs/diff?mode=git",
        "project/current?x=",
        "path?x=",
        "session?x=",
        "session/status?x=",
    ];
    let first = first.map(|path| format!("/opencode/{path}&directory={directory}"));
    let second = ["find?query=a", "list?path=", "read/src/a.txt?x="];
    let second =
        second.map(|path| format!("/opencode/api/fs/{path}&location%5Bdirectory%5D={directory}"));
    first.into_iter().chain(second).collect()
}

/// What has nothing to do with it is answered at once.
async fn others_are_served(server: &Server, other: &Path) {
    for path in paths(other) {
        let begun = Instant::now();
        let (status, body) = server.send(Method::GET, &path, None).await;
        let took = begun.elapsed();
        assert!(took < SOON, "{path} took {took:?}: {status} {body}");
        assert!(!status.is_server_error(), "{path}: {status} {body}");
    }
}

async fn timed(request: reqwest::RequestBuilder) -> (String, StatusCode, Duration) {
    let begun = Instant::now();
    let answer = request.send().await.expect("an answer");
    (answer.url().to_string(), answer.status(), begun.elapsed())
}

#[tokio::test]
async fn a_directory_that_hangs_is_answered_for_and_holds_up_no_other() {
    if !may_mount("hanging::a_directory_that_hangs_is_answered_for_and_holds_up_no_other") {
        return;
    }
    let mut server = Server::start_with(Options {
        arguments: vec!["--agents".into(), "mock".into()],
        config: "[timeouts]\nsearch_s = 1\n".to_owned(),
    })
    .await;
    let other = folder(&server, "other");
    let hung = folder(&server, "hung");
    let partly = folder(&server, "partly");
    std::fs::create_dir(partly.join("hung")).expect("a folder");
    let mut sessions = Vec::new();
    for directory in [&hung, &partly] {
        git(directory, &["init", "-q", "-b", "main"]);
        let path = format!("/opencode/session?directory={}", directory.display());
        let session = server.ok(Method::POST, &path, Some(json!({}))).await;
        sessions.push(session["id"].as_str().expect("an id").to_owned());
    }
    let hanging = [Hanging::at(&hung), Hanging::at(&partly.join("hung"))];

    // More at once than the runtime has threads, had each one for itself.
    let mut asked = Vec::new();
    let few = paths(&partly);
    for path in paths(&hung).iter().cycle().take(600).chain(&few) {
        let request = server.client.get(format!("{}{path}", server.url));
        asked.push(tokio::spawn(timed(request)));
    }
    let command = json!({ "agent": "build", "command": "true" });
    for id in &sessions {
        server.prompt_async(id, "hello", json!({})).await;
        let path = format!("{}/opencode/session/{id}/shell", server.url);
        asked.push(tokio::spawn(timed(server.client.post(path).json(&command))));
    }
    for _ in 0..3 {
        others_are_served(&server, &other).await;
        // Nor do those wait who want nothing of the part that hangs.
        let path = format!(
            "/opencode/file/content?path=src/a.txt&directory={}",
            partly.display()
        );
        let begun = Instant::now();
        assert_eq!(server.get(&path).await["content"], "a");
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    }
    let mut slowest = Duration::ZERO;
    for asked in asked {
        let (path, status, took) = asked.await.expect("it ends");
        slowest = slowest.max(took);
        assert!(took < ANSWERED, "{path} took {took:?}: {status}");
        assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "{path}");
    }
    others_are_served(&server, &other).await;
    let begun = Instant::now();
    server.terminate().await;
    let took = begun.elapsed();
    println!("the slowest answer took {slowest:?}, the end {took:?}");
    assert!(took < ENDS, "{took:?}");
    assert!(server.processes().is_empty(), "{:?}", server.processes());
    // Before the folders are removed.
    drop(hanging);
}
