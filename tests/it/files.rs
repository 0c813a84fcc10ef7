//! Files over HTTP: listed, read, found, compared, and mentioned in prompts.

use std::path::PathBuf;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Server, text_of};
use crate::places::git;

/// A server whose working directory is a repository with a few files.
async fn server() -> (Server, PathBuf) {
    let server = Server::start().await;
    let work = server.work().canonicalize().expect("it exists");
    for (path, text) in [
        (
            "src/main.rs",
            "fn main() {\n    hello();\n    // hello hello\n}\n",
        ),
        ("README.md", "# Read\nhello\n"),
        (".gitignore", "build/\n"),
        ("build/out.txt", "hello\n"),
        ("a b.txt", "spaced\n"),
    ] {
        let path = work.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        std::fs::write(path, text).expect("a file");
    }
    std::fs::write(work.join("data.bin"), b"\0\x01").expect("a file");
    std::fs::write(server.folder.path().join("secret.txt"), "secret").expect("a file");
    std::os::unix::fs::symlink("../secret.txt", work.join("out")).expect("a link");
    let pipe = std::process::Command::new("mkfifo")
        .arg(work.join("pipe"))
        .status();
    assert!(pipe.expect("mkfifo").success());
    git(&work, &["init", "-q", "-b", "main"]);
    git(&work, &["add", "-A"]);
    git(&work, &["commit", "-q", "-m", "first"]);
    (server, work)
}

async fn refused(server: &Server, path: &str) -> Value {
    let (status, error) = server.send(Method::GET, path, None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{path}: {error}");
    error
}

#[tokio::test]
async fn files_are_listed_and_read_inside_of_the_directory_alone() {
    let (server, work) = server().await;
    let listed = server.get("/opencode/file?path=").await;
    let shown: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|n| (n["path"].as_str().unwrap(), n["ignored"].as_bool().unwrap()))
        .collect();
    assert_eq!(
        shown,
        [
            (".git/", false),
            ("build/", true),
            ("src/", false),
            (".gitignore", false),
            ("a b.txt", false),
            ("data.bin", false),
            ("README.md", false),
        ]
    );
    let node = &server.get("/opencode/file?path=src").await[0];
    let absolute = work.join("src/main.rs");
    assert_eq!(
        *node,
        json!({ "name": "main.rs", "path": "src/main.rs", "absolute": absolute, "type": "file", "ignored": false })
    );

    let read = |path: &'static str| {
        let server = &server;
        async move {
            server
                .get(&format!("/opencode/file/content?path={path}"))
                .await
        }
    };
    assert_eq!(
        read("README.md").await,
        json!({ "type": "text", "content": "# Read\nhello" })
    );
    assert_eq!(read("a%20b.txt").await["content"], "spaced");
    assert_eq!(
        read("data.bin").await,
        json!({
            "type": "binary", "content": "AAE=", "encoding": "base64", "mimeType": "application/octet-stream",
        })
    );
    assert_eq!(read("nope").await, json!({ "type": "text", "content": "" }));
    for bad in [
        "out",
        "../secret.txt",
        "..%2fsecret.txt",
        "%2e%2e/secret.txt",
        "/etc/passwd",
        "pipe",
        "src",
        "a%00b",
    ] {
        let error = refused(&server, &format!("/opencode/file/content?path={bad}")).await;
        assert_eq!(error["name"], "BadRequest");
    }
    // The client itself resolves unencoded dots in the path.
    for bad in [
        "out",
        "..%2fsecret.txt",
        "%2fetc%2fpasswd",
        "/etc/passwd",
        "pipe",
        "src",
        "a%00b",
    ] {
        let error = refused(&server, &format!("/opencode/api/fs/read/{bad}")).await;
        assert_eq!(error["_tag"], "InvalidRequestError");
    }
    for bad in ["..", "/etc", "README.md"] {
        refused(&server, &format!("/opencode/file?path={bad}")).await;
        let error = refused(&server, &format!("/opencode/api/fs/list?path={bad}")).await;
        assert_eq!(error["_tag"], "InvalidRequestError");
    }
    let missing = refused(&server, "/opencode/file").await;
    assert_eq!(
        missing["data"],
        json!({ "message": "Missing key\n  at [\"path\"]", "kind": "Query" })
    );

    let (status, _) = server
        .send(Method::GET, "/opencode/api/fs/read/nope", None)
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let raw = server
        .request(Method::GET, "/opencode/api/fs/read/src/main.rs", None, &[])
        .await;
    assert_eq!(raw.headers()["content-security-policy"], "sandbox");
    assert!(raw.text().await.unwrap().starts_with("fn main"));
    server.stop().await;
}

#[tokio::test]
async fn files_and_text_are_found() {
    let (server, work) = server().await;
    assert_eq!(
        server.get("/opencode/find/file?query=main").await,
        json!(["src/main.rs"])
    );
    assert_eq!(
        server
            .get("/opencode/find/file?query=src&type=directory")
            .await,
        json!(["src/"])
    );
    assert_eq!(
        server.get("/opencode/find/file?query=&limit=1").await,
        json!(["a b.txt"])
    );
    assert_eq!(server.get("/opencode/find/file?query=out").await, json!([]));
    for bad in [
        "query=r&limit=0",
        "query=r&limit=201",
        "query=r&type=x",
        "query=r&dirs=x",
        "limit=1",
    ] {
        refused(&server, &format!("/opencode/find/file?{bad}")).await;
    }
    let found = server.get("/opencode/find?pattern=hel%2Bo").await;
    assert_eq!(found.as_array().unwrap().len(), 3, "{found}");
    assert_eq!(
        found[1],
        json!({
            "path": { "text": "src/main.rs" }, "lines": { "text": "    hello();\n" }, "line_number": 2, "absolute_offset": 12,
            "submatches": [{ "match": { "text": "hello" }, "start": 4, "end": 9 }],
        })
    );
    refused(&server, "/opencode/find?pattern=(").await;
    refused(&server, "/opencode/find").await;
    refused(&server, "/opencode/find?pattern=x&directory=/nope").await;
    assert_eq!(server.get("/opencode/find/symbol?query=x").await, json!([]));

    let source = work.join("src");
    let location = format!("location%5Bdirectory%5D={}", source.display());
    let found = server
        .get(&format!("/opencode/api/fs/find?query=main&{location}"))
        .await;
    assert_eq!(
        found["data"],
        json!([{ "path": "main.rs", "type": "file" }])
    );
    assert_eq!(found["location"]["directory"], json!(source));
    assert_eq!(found["location"]["project"]["directory"], json!(work));
    let listed = server
        .get(&format!("/opencode/api/fs/list?{location}"))
        .await;
    assert_eq!(listed["data"], found["data"]);
    let error = refused(
        &server,
        "/opencode/api/fs/find?query=x&location%5Bdirectory%5D=/nope",
    )
    .await;
    assert_eq!(error["_tag"], "InvalidRequestError");
    server.stop().await;
}

#[tokio::test]
async fn changes_are_listed_and_patches_applied() {
    let (server, work) = server().await;
    assert_eq!(
        server.get("/opencode/vcs").await,
        json!({ "branch": "main", "default_branch": "main" })
    );
    assert_eq!(server.get("/opencode/vcs/status").await, json!([]));
    std::fs::write(work.join("README.md"), "# Read\nhello changed\nmore\n").unwrap();
    std::fs::write(work.join("new.txt"), "new\nfile\n").unwrap();
    std::fs::remove_file(work.join("a b.txt")).unwrap();
    let status = server.get("/opencode/vcs/status").await;
    assert_eq!(
        status,
        json!([
            { "file": "a b.txt", "additions": 0, "deletions": 1, "status": "deleted" },
            { "file": "new.txt", "additions": 2, "deletions": 0, "status": "added" },
            { "file": "README.md", "additions": 2, "deletions": 1, "status": "modified" },
        ])
    );
    let files = server.get("/opencode/file/status").await;
    assert_eq!(
        files[1],
        json!({ "path": "new.txt", "added": 2, "removed": 0, "status": "added" })
    );
    let inner = format!("/opencode/vcs/status?directory={}/src", work.display());
    assert_eq!(server.get(&inner).await, json!([]));
    let diff = server.get("/opencode/vcs/diff?mode=git&context=0").await;
    assert!(
        diff[2]["patch"]
            .as_str()
            .unwrap()
            .contains("@@ -2 +2,2 @@\n-hello\n+hello changed\n+more\n"),
        "{diff}"
    );
    assert_eq!(
        server.get("/opencode/vcs/diff?mode=branch").await,
        json!([])
    );
    refused(&server, "/opencode/vcs/diff").await;
    refused(&server, "/opencode/vcs/diff?mode=x").await;

    // The patch of one server applies to another worktree.
    let raw = server
        .request(Method::GET, "/opencode/vcs/diff/raw", None, &[])
        .await;
    let patch = raw.text().await.unwrap();
    let copy = server.folder.path().canonicalize().unwrap().join("copy");
    git(
        &work,
        &[
            "worktree",
            "add",
            "-q",
            "-b",
            "other",
            copy.to_str().unwrap(),
        ],
    );
    let apply = format!("/opencode/vcs/apply?directory={}", copy.display());
    let applied = server
        .ok(Method::POST, &apply, Some(json!({ "patch": patch })))
        .await;
    assert_eq!(applied, json!({ "applied": true }));
    assert_eq!(
        std::fs::read_to_string(copy.join("new.txt")).unwrap(),
        "new\nfile\n"
    );
    assert!(!copy.join("a b.txt").exists());
    let changed = server
        .get(&format!(
            "/opencode/vcs/diff?mode=branch&directory={}",
            copy.display()
        ))
        .await;
    assert_eq!(changed.as_array().unwrap().len(), 3);
    let (status, error) = server
        .send(Method::POST, &apply, Some(json!({ "patch": patch })))
        .await;
    assert_eq!(
        (status, &error["data"]["reason"]),
        (StatusCode::BAD_REQUEST, &json!("not-clean"))
    );
    let outside = format!(
        "/opencode/vcs/apply?directory={}",
        server.folder.path().display()
    );
    let (_, error) = server
        .send(Method::POST, &outside, Some(json!({ "patch": patch })))
        .await;
    assert_eq!(
        (&error["name"], &error["data"]["reason"]),
        (&json!("VcsApplyError"), &json!("non-git"))
    );
    server.stop().await;
}

#[tokio::test]
async fn a_mentioned_file_reaches_the_agent() {
    let (server, work) = server().await;
    let session = server.create().await;
    let url = |path: &str| format!("file://{}/{path}", work.display());
    let file = |url: String, mime: &str| json!({ "type": "file", "mime": mime, "filename": "f", "url": url });
    let prompt =
        |part: Value, text: &str| json!({ "parts": [part, { "type": "text", "text": text }] });
    let send = |body: Value| {
        let (server, path) = (&server, format!("/opencode/session/{session}/message"));
        async move { server.send(Method::POST, &path, Some(body)).await }
    };
    let (status, answer) = send(prompt(
        file(url("src/main.rs?start=2&end=2"), "text/plain"),
        "history",
    ))
    .await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let messages = server.messages(&session).await;
    let parts = messages[0]["parts"].as_array().unwrap();
    assert_eq!(parts.len(), 4, "{parts:?}");
    assert_eq!(
        (&parts[0]["synthetic"], &parts[1]["synthetic"]),
        (&json!(true), &json!(true))
    );
    assert!(
        parts[1]["text"]
            .as_str()
            .unwrap()
            .contains("\n2:     hello();\n")
    );
    assert_eq!(parts[2]["url"], url("src/main.rs?start=2&end=2"));
    assert!(text_of(&answer).contains("2:     hello();"), "{answer}");

    let (_, answer) = send(prompt(file(url("src"), "text/plain"), "history")).await;
    assert!(text_of(&answer).contains("main.rs"), "{answer}");
    for (unreadable, why) in [
        ("nope", "no nope"),
        ("data.bin", "binary"),
        ("pipe", "not a regular file"),
    ] {
        let (status, answer) = send(prompt(file(url(unreadable), "text/plain"), "history")).await;
        assert_eq!(status, StatusCode::OK);
        assert!(
            text_of(&answer).contains("Read tool failed"),
            "{why}: {answer}"
        );
    }
    // What is elsewhere is for the agent to read, or not.
    let (_, answer) = send(prompt(file(url("out"), "text/plain"), "history")).await;
    assert!(text_of(&answer).contains("[resource_link f]"), "{answer}");
    assert!(!text_of(&answer).contains("1: secret"), "{answer}");
    let (status, error) = send(prompt(
        file("file://src/main.rs".into(), "text/plain"),
        "history",
    ))
    .await;
    assert_eq!(
        (status, &error["name"]),
        (StatusCode::BAD_REQUEST, &json!("BadRequest"))
    );
    assert!(
        error["data"]["message"]
            .as_str()
            .unwrap()
            .contains("[\"parts\"][0][\"url\"]"),
        "{error}"
    );
    server.stop().await;
}
