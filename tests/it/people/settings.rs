//! What people set: what a session may spend, and the MCP servers.

use serde_json::{Value, json};

use super::{baton, command, ended};
use crate::harness::{Options, Server, model};

#[tokio::test]
async fn what_was_spent_is_shown_and_limited() {
    let server = Server::start().await;
    let session = server.create().await;
    let shown = baton(&server, &["limit", "last"]).await.well();
    assert_eq!(shown, "spent $0, 0 tokens, the server's own limit\n");
    server
        .prompt(&session, "echo one", model("mock", "mock"))
        .await;

    let to = ["limit", "last", "--cost", "$2.5", "--tokens", "2", "--hard"];
    let set = baton(&server, &to).await.well();
    let mut lines = set.lines();
    let first = lines.next().expect("a line");
    assert!(
        first.starts_with("spent $0.00")
            && first.contains(" of $2.50, ")
            && first.ends_with(" tokens of 2, an answer is stopped there"),
        "{set}"
    );
    assert!(
        set.contains("MODEL ") && set.contains("\nmock/mock "),
        "{set}"
    );
    let path = format!("/opencode/session/{session}");
    let limit = json!({ "cost": 2.5, "tokens": 2, "hard": true });
    assert_eq!(server.get(&path).await["limit"], limit);
    let shown = baton(&server, &["show", "last"]).await.well();
    assert!(shown.contains(first), "{shown}");
    let json = baton(&server, &["limit", "last", "--json"]).await.well();
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["limit"], limit);
    assert_eq!(json["usage"][0]["modelID"], "mock", "{json}");
    assert_eq!(json["uncounted"], json!([]), "{json}");

    let told = baton(&server, &["send", "last", "echo two"]).await.failed();
    assert!(told.contains("baton limit"), "{told}");
    let told = baton(&server, &["limit", "last", "--none"]).await.well();
    assert!(told.contains(" tokens, no limit\n"), "{told}");
    baton(&server, &["send", "last", "echo two"]).await.well();
    let told = baton(&server, &["limit", "last", "--default"]).await.well();
    assert!(told.contains(", the server's own limit\n"), "{told}");
    assert_eq!(server.get(&path).await["limit"], Value::Null);
    server.stop().await;
}

#[tokio::test]
async fn a_backend_that_reports_nothing_is_named() {
    let command = [
        env!("CARGO_BIN_EXE_baton"),
        "mock-agent",
        "--fault",
        "rate-limited",
    ];
    let server = Server::start_with(Options {
        config: format!("[agents.limited]\ncommand = {command:?}\n"),
        arguments: vec!["--agents".into(), "limited".into()],
    })
    .await;
    let session = server.create().await;
    server
        .prompt(&session, "echo one", model("limited", "mock"))
        .await;
    let shown = baton(&server, &["limit", "last"]).await.well();
    assert!(
        shown.contains("limited has reported no cost and no tokens: what it used does not count"),
        "{shown}"
    );
    server.stop().await;
}

#[tokio::test]
async fn mcp_servers_are_listed_and_changed() {
    let server = Server::start_with(Options {
        config: "[mcp.gone]\ncommand = [\"no-such-program\"]\n".to_owned(),
        arguments: Vec::new(),
    })
    .await;
    let listed = baton(&server, &["mcp"]).await.well();
    let row = listed.lines().nth(1).expect("a row");
    assert!(
        row.starts_with("gone  failed  ") && row.contains("no-such-program"),
        "{listed}"
    );
    let off = baton(&server, &["mcp", "disconnect", "gone"]).await.well();
    assert!(off.contains("gone  disabled"), "{off}");
    let on = baton(&server, &["mcp", "connect", "gone", "--json"])
        .await
        .well();
    let on: Value = serde_json::from_str(&on).expect("JSON");
    assert_eq!(on["gone"]["status"], "failed", "{on}");

    let far = format!("{}/mcp", server.url);
    let added = baton(&server, &["mcp", "add", "far", &far]).await.well();
    assert!(added.contains("far   connected"), "{added}");
    let program = ["mcp", "add", "near", "--", "sh", "-c", "exit 3"];
    let added = baton(&server, &program).await.well();
    assert!(
        added.contains("near  failed") && !added.contains("far"),
        "{added}"
    );
    let json = baton(&server, &["mcp", "--json"]).await.well();
    let json: Value = serde_json::from_str(&json).expect("JSON");
    let names: Vec<_> = json.as_object().expect("by name").keys().collect();
    assert_eq!(names, ["far", "gone", "near"]);
    let told = baton(&server, &["mcp", "add", "a b", "--", "sh"])
        .await
        .failed();
    assert!(told.contains("Expected a name"), "{told}");

    // What a project brings along is off until it is connected.
    let own = json!({ "mcp": { "own": { "type": "local", "command": ["no-such-program"] } } });
    std::fs::write(server.work().join("opencode.json"), own.to_string()).expect("written");
    let listed = baton(&server, &["mcp"]).await.well();
    assert!(listed.contains("own   disabled"), "{listed}");
    let elsewhere = server.folder.path().display().to_string();
    let listed = baton(&server, &["mcp", "--directory", &elsewhere])
        .await
        .well();
    assert!(!listed.contains("own "), "{listed}");
    let on = baton(&server, &["mcp", "connect", "own"]).await.well();
    assert!(on.contains("own   failed"), "{on}");

    // The server may be named in front of the action and behind it.
    for arguments in [
        ["mcp", "--url", &server.url, "connect", "far"],
        ["mcp", "connect", "far", "--url", &server.url],
    ] {
        let mut elsewhere = command(&server, &arguments);
        elsewhere.env("BATON_URL", "http://127.0.0.1:1");
        let told = ended(elsewhere).await.well();
        assert!(told.contains("far   connected"), "{told}");
    }
    server.stop().await;
}
