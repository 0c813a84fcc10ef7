//! What lies in a folder and is made to harm: pipes, devices and huge files where a file is read, and doors into
//! `/proc`. Every answer comes soon, memory stays small, and other folders notice nothing.

use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Options, Server, text_of};
use crate::places::git;

/// Nothing that is asked here takes longer, also on a busy machine.
const SOON: Duration = Duration::from_secs(8);
/// What the server may take of memory, in KiB.
const MEMORY_KIB: u64 = 400 * 1024;

fn pipe(path: &Path) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
    let _was_there = std::fs::remove_file(path);
    nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
}

/// The most memory that the server has had, in KiB.
fn peak_kib(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid()));
    let status = status.expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.expect("a peak").parse().expect("a number")
}

/// Asks for everything that reads something in a directory; each answer has to come soon, whatever it is.
async fn ask_everything(server: &Server, directory: &Path) {
    let directory = directory.display();
    for path in [
        "find/file?query=a",
        "find?pattern=a",
        "file?path=",
        "file/content?path=.gitignore",
        "file/status?x=",
        "command?x=",
        "config?x=",
        "vcs?x=",
        "vcs/status?x=",
        "vcs/diff?mode=git",
        "project/current?x=",
    ] {
        let begun = Instant::now();
        let path = format!("/opencode/{path}&directory={directory}");
        let (status, body) = server.send(Method::GET, &path, None).await;
        let took = begun.elapsed();
        assert!(took < SOON, "{path} took {took:?}: {body}");
        assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "{path}: {body}");
    }
    for path in ["find?query=a", "list?path="] {
        let path = format!("/opencode/api/fs/{path}&location%5Bdirectory%5D={directory}");
        let begun = Instant::now();
        server.send(Method::GET, &path, None).await;
        assert!(begun.elapsed() < SOON, "{path}");
    }
}

fn folder(server: &Server, name: &str) -> PathBuf {
    let folder = server.folder.path().canonicalize().expect("it exists");
    let folder = folder.join(name);
    std::fs::create_dir_all(folder.join("src")).expect("folders");
    std::fs::write(folder.join("src/a.txt"), "a").expect("a file");
    folder
}

async fn names(server: &Server, directory: &Path) -> Value {
    let path = format!(
        "/opencode/find/file?query=&type=file&directory={}",
        directory.display()
    );
    server.get(&path).await
}

#[tokio::test]
async fn pipes_and_devices_where_files_are_read_block_nothing() {
    let server = Server::start().await;
    let work = folder(&server, "hostile");
    git(&work, &["init", "-q", "-b", "main"]);
    git(&work, &["add", "-A"]);
    git(&work, &["commit", "-q", "-m", "first"]);
    std::fs::write(work.join("new.txt"), "new\n").expect("a file");
    symlink("/dev/zero", work.join(".ignore")).expect("a link");
    for name in [
        ".gitignore",
        "src/.gitignore",
        "src/.ignore",
        ".git/info/exclude",
        "opencode.json",
        ".opencode/opencode.json",
        ".opencode/command/pipe.md",
    ] {
        pipe(&work.join(name));
    }
    symlink("/dev/zero", work.join(".opencode/command/zero.md")).expect("a link");
    ask_everything(&server, &work).await;
    assert_eq!(names(&server, &work).await, json!(["new.txt", "src/a.txt"]));
    // Without a pipe that git itself would wait for, it still says what has changed.
    std::fs::remove_file(work.join(".git/info/exclude")).expect("removed");
    let path = format!("/opencode/vcs/status?directory={}", work.display());
    let status = server.get(&path).await;
    let files: Vec<_> = status
        .as_array()
        .expect("a list")
        .iter()
        .map(|f| &f["file"])
        .collect();
    assert_eq!(files, [".ignore", ".opencode/command/zero.md", "new.txt"]);

    let session = format!("/opencode/session?directory={}", work.display());
    let session = server.ok(Method::POST, &session, Some(json!({}))).await;
    let id = session["id"].as_str().expect("an id");
    let parts: Vec<Value> = [".gitignore", ".ignore", "src/a.txt"]
        .iter()
        .map(|name| {
            let url = format!("file://{}/{name}", work.display());
            json!({ "type": "file", "mime": "text/plain", "filename": name, "url": url })
        })
        .chain([json!({ "type": "text", "text": "hello" })])
        .collect();
    let begun = Instant::now();
    let path = format!("/opencode/session/{id}/message");
    let answer = server
        .ok(Method::POST, &path, Some(json!({ "parts": parts })))
        .await;
    assert!(!text_of(&answer).is_empty());
    assert!(begun.elapsed() < SOON * 2, "{:?}", begun.elapsed());

    for name in [
        ".git/HEAD",
        ".git/config",
        ".git/index",
        ".git/refs/heads/main",
    ] {
        let kept = std::fs::read(work.join(name)).expect("a file");
        pipe(&work.join(name));
        ask_everything(&server, &work).await;
        std::fs::remove_file(work.join(name)).expect("removed");
        symlink("/dev/zero", work.join(name)).expect("a link");
        ask_everything(&server, &work).await;
        std::fs::remove_file(work.join(name)).expect("removed");
        std::fs::write(work.join(name), kept).expect("a file");
    }
    assert!(peak_kib(&server) < MEMORY_KIB, "{}", peak_kib(&server));
    let begun = Instant::now();
    server.stop().await;
    assert!(begun.elapsed() < SOON);
}

#[tokio::test]
async fn huge_files_of_rules_and_deep_folders_cost_little() {
    let server = Server::start().await;
    let work = folder(&server, "huge");
    git(&work, &["init", "-q", "-b", "main"]);
    let few = format!(
        "{}/some/*name?.{{many,parts}}\n",
        "/some/name.txt\n".repeat(20)
    );
    let block = few.repeat(3_000);
    for (name, blocks) in [
        (".gitignore", 64),
        (".ignore", 2),
        ("src/.gitignore", 2),
        (".git/info/exclude", 2),
    ] {
        let mut file = std::fs::File::create(work.join(name)).expect("a file");
        for _ in 0..blocks {
            file.write_all(block.as_bytes()).expect("written");
        }
    }
    std::fs::write(work.join("one-line"), "x").expect("a file");
    let mut deep = work.join("deep");
    for _ in 0..300 {
        deep.push("d");
    }
    std::fs::create_dir_all(&deep).expect("folders");
    ask_everything(&server, &work).await;
    let found = names(&server, &work).await.to_string();
    assert!(
        found.contains("src/a.txt") && found.contains("one-line"),
        "{found}"
    );
    assert!(peak_kib(&server) < MEMORY_KIB, "{}", peak_kib(&server));
    server.stop().await;
}

#[tokio::test]
async fn what_shows_the_system_or_baton_itself_is_not_served() {
    let server = Server::start_with(Options {
        arguments: vec!["--agents".into(), "mock".into()],
        ..Options::default()
    })
    .await;
    let root = server.folder.path().canonicalize().expect("it exists");
    let work = folder(&server, "doors");
    symlink("/proc", work.join("proc")).expect("a link");
    symlink("/proc/self/environ", work.join("environ")).expect("a link");
    symlink("../data", work.join("data")).expect("a link");
    let data = root.join("data");
    let (root, data, work) = (root.display(), data.display(), work.display());
    for (directory, path) in [
        ("/proc/self".to_owned(), "environ".to_owned()),
        ("/proc/self/task/..".to_owned(), "environ".to_owned()),
        ("/".to_owned(), "proc/self/environ".to_owned()),
        ("/".to_owned(), "/proc/self/environ".to_owned()),
        ("/".to_owned(), "proc//self/./environ".to_owned()),
        ("/".to_owned(), "tmp/../proc/self/environ".to_owned()),
        ("/".to_owned(), "proc/thread-self/environ".to_owned()),
        (
            "/".to_owned(),
            "proc/self/root/proc/self/environ".to_owned(),
        ),
        ("/".to_owned(), "proc/self/fd/0".to_owned()),
        ("/".to_owned(), "proc/self/cwd/src/a.txt".to_owned()),
        ("/proc/self/root".to_owned(), "proc/self/environ".to_owned()),
        ("/dev".to_owned(), "null".to_owned()),
        ("/dev/fd".to_owned(), "0".to_owned()),
        ("/sys".to_owned(), "kernel/notes".to_owned()),
        ("/".to_owned(), "sys/kernel/notes".to_owned()),
        (work.to_string(), "environ".to_owned()),
        (work.to_string(), "proc/self/environ".to_owned()),
        (work.to_string(), "data/baton.sqlite".to_owned()),
        (root.to_string(), "data/baton.sqlite".to_owned()),
        (root.to_string(), "doors/data/baton.sqlite".to_owned()),
        (root.to_string(), format!("{data}/baton.sqlite")),
        (data.to_string(), "baton.sqlite".to_owned()),
    ] {
        let content = format!("/opencode/file/content?directory={directory}&path={path}");
        let (status, body) = server.send(Method::GET, &content, None).await;
        // A name that does not exist has an empty answer, as in OpenCode.
        let empty = body["content"] == "" && path.starts_with("proc/self/");
        assert!(
            status == StatusCode::BAD_REQUEST || empty,
            "{content}: {status} {body}"
        );
        let encoded = path.trim_start_matches('/').replace("..", "%2e%2e");
        let second = format!("/opencode/api/fs/read/{encoded}?location%5Bdirectory%5D={directory}");
        let (status, body) = server.send(Method::GET, &second, None).await;
        assert!(status.is_client_error(), "{second}: {status} {body}");
    }
    for directory in ["/proc/self".to_owned(), "/sys".to_owned(), data.to_string()] {
        for path in ["file?path=", "find/file?query=e", "find?pattern=PATH"] {
            let path = format!("/opencode/{path}&directory={directory}");
            let (status, body) = server.send(Method::GET, &path, None).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{path}: {body}");
        }
    }
    // Around the data, everything else is found.
    let found = names(&server, Path::new(&root.to_string()))
        .await
        .to_string();
    assert!(
        found.contains("doors/src/a.txt") && !found.contains("data/"),
        "{found}"
    );

    let session = server.create().await;
    let part = json!({ "type": "file", "mime": "text/plain", "filename": "e", "url": "file:///proc/self/environ" });
    let body = json!({ "parts": [part, { "type": "text", "text": "hello" }] });
    let path = format!("/opencode/session/{session}/message");
    server.ok(Method::POST, &path, Some(body)).await;
    let messages = server.get(&path).await.to_string();
    assert!(!messages.contains("BATON_TEST_RUN="), "{messages}");
    server.stop().await;
}

#[tokio::test]
async fn searches_in_one_folder_hold_up_no_other_and_no_small_file() {
    let server = Server::start().await;
    let busy = folder(&server, "busy");
    let other = folder(&server, "other");
    let text = format!("{}\n", "a".repeat(200)).repeat(50_000);
    for number in 0..12 {
        std::fs::write(busy.join(format!("{number}.txt")), &text).expect("a file");
    }
    // It matches nothing, and needs a look at every byte of 120 MB.
    let search = format!(
        "{}/opencode/find?pattern=(a%7Ca)%2Bb%5B0-9%5D&directory={}",
        server.url,
        busy.display()
    );
    let searches: Vec<_> = (0..12)
        .map(|_| tokio::spawn(server.client.get(&search).send()))
        .collect();
    tokio::task::yield_now().await;
    for directory in [&busy, &other] {
        let begun = Instant::now();
        let path = format!(
            "/opencode/file/content?path=src/a.txt&directory={}",
            directory.display()
        );
        assert_eq!(server.get(&path).await["content"], "a");
        assert!(
            begun.elapsed() < Duration::from_secs(2),
            "{:?}",
            begun.elapsed()
        );
    }
    assert!(searches.iter().any(|search| !search.is_finished()));
    for search in searches {
        search.abort();
    }
    let begun = Instant::now();
    server.stop().await;
    assert!(begun.elapsed() < SOON);
}
