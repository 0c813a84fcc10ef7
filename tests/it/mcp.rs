//! `/mcp`: the servers that agents are given, as OpenCode's clients see and change them.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Options, Server};

/// A program that answers MCP's handshake.
const ANSWERS: &str = r#"read -r line; echo '{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{"name":"x","version":"1"}}}'; sleep 5"#;

async fn states(server: &Server) -> Value {
    server.get("/opencode/mcp").await
}

#[tokio::test]
async fn servers_are_listed_added_connected_and_disconnected() {
    let server = Server::start_with(Options {
        config: format!(
            "[mcp.files]\ncommand = [\"sh\", \"-c\", {ANSWERS:?}]\nenv = {{ SOME_TOKEN = \"hush-hush-hush\" }}\n\
             [mcp.gone]\ncommand = [\"no-such-program\"]\n[mcp.off]\nurl = \"http://127.0.0.1:9/mcp\"\nenabled = false\n"
        ),
        arguments: Vec::new(),
    })
    .await;
    let listed = states(&server).await;
    assert_eq!(listed["files"], json!({ "status": "connected" }));
    assert_eq!(listed["off"], json!({ "status": "disabled" }));
    assert_eq!(listed["gone"]["status"], "failed");
    assert!(
        listed["gone"]["error"]
            .as_str()
            .is_some_and(|e| e.contains("no-such-program"))
    );
    assert!(!listed.to_string().contains("hush"));

    let more = json!({ "name": "more", "config": { "type": "remote", "url": server.url, "headers": { "x": "y" } } });
    let listed = server.ok(Method::POST, "/opencode/mcp", Some(more)).await;
    assert_eq!(listed["more"], json!({ "status": "connected" }));
    for (step, status) in [("disconnect", "disabled"), ("connect", "connected")] {
        let path = format!("/opencode/mcp/more/{step}");
        assert_eq!(server.ok(Method::POST, &path, None).await, json!(true));
        assert_eq!(states(&server).await["more"]["status"], status);
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_server_is_named() {
    let server = Server::start().await;
    for (body, field) in [
        (json!({}), "[\"name\"]"),
        (
            json!({ "name": "a b", "config": { "type": "local", "command": ["a"] } }),
            "[\"name\"]",
        ),
        (json!({ "name": "a" }), "[\"config\"]"),
        (
            json!({ "name": "a", "config": { "type": "other" } }),
            "[\"config\"]",
        ),
        (
            json!({ "name": "a", "config": { "type": "local" } }),
            "[\"config\"][\"command\"]",
        ),
        (
            json!({ "name": "a", "config": { "type": "local", "command": [] } }),
            "[\"config\"][\"command\"]",
        ),
        (
            json!({ "name": "a", "config": { "type": "remote" } }),
            "[\"config\"][\"url\"]",
        ),
        (
            json!({ "name": "a", "config": { "type": "remote", "url": 5 } }),
            "[\"config\"][\"url\"]",
        ),
    ] {
        let (status, refused) = server
            .send(Method::POST, "/opencode/mcp", Some(body.clone()))
            .await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}: {refused}");
        assert!(
            refused.to_string().contains(&field.replace('"', "\\\"")),
            "{body}: {refused}"
        );
    }
    let (status, refused) = server
        .send(Method::POST, "/opencode/mcp/nobody/connect", None)
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{refused}");
    assert_eq!(states(&server).await, json!({}));
}

/// A clone does not decide which programs are run: what a project's own `opencode.json` names waits for its user.
#[tokio::test]
async fn what_a_project_brings_along_is_given_once_its_user_says_so() {
    let server = Server::start().await;
    let project = server.work().join("project");
    std::fs::create_dir_all(project.join(".git")).unwrap();
    std::fs::write(project.join(".git/HEAD"), "").unwrap();
    let entry = |command: &str| json!({ "mcp": { "brought": { "type": "local", "command": ["sh", "-c", command] } } });
    let write = |command: &str| {
        std::fs::write(project.join("opencode.json"), entry(command).to_string()).unwrap();
    };
    write(ANSWERS);
    let here = format!("directory={}", project.display());
    let listed = async || server.get(&format!("/opencode/mcp?{here}")).await["brought"].clone();
    assert_eq!(listed().await, json!({ "status": "disabled" }));
    assert_eq!(states(&server).await, json!({}));
    let connect = format!("/opencode/mcp/brought/connect?{here}");
    assert_eq!(server.ok(Method::POST, &connect, None).await, json!(true));
    assert_eq!(listed().await, json!({ "status": "connected" }));
    // What stands behind the name has changed since.
    write("exit 0");
    assert_eq!(listed().await, json!({ "status": "disabled" }));
    let elsewhere = "/opencode/mcp/brought/connect";
    let (status, _) = server.send(Method::POST, elsewhere, None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}
