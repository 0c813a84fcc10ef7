//! What a request may carry: every field has a bound, which its error names, and what people send fits.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Options, Server};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

fn long(bytes: usize) -> String {
    "x".repeat(bytes)
}

/// Nested objects, with this many levels in all.
fn deep(levels: usize) -> Value {
    (1..levels).fold(json!({}), |inner, _| json!({ "a": inner }))
}

fn rules(count: usize, pattern: usize) -> Value {
    let rule = json!({"permission": "bash", "pattern": long(pattern), "action": "ask"});
    vec![rule; count].into()
}

fn texts(count: usize, bytes: usize) -> Value {
    vec![json!({"type": "text", "text": long(bytes)}); count].into()
}

fn file(bytes: usize) -> Value {
    json!({"type": "file", "mime": "text/plain", "filename": "a", "url": format!("data:,{}", long(bytes))})
}

/// Sends what is too large; the field and the setting have to be named.
async fn refused(
    server: &Server,
    method: &Method,
    path: &str,
    body: Value,
    field: &str,
    named: &str,
) {
    let (status, error) = server.send(method.clone(), path, Some(body)).await;
    assert_eq!(
        status,
        StatusCode::BAD_REQUEST,
        "{method} {path} {field}: {error}"
    );
    let message = error["data"]["message"]
        .as_str()
        .or(error["message"].as_str());
    let message = message.unwrap_or_default();
    assert!(message.contains(field), "{path} {field}: {message}");
    assert!(message.contains(named), "{path} {named}: {message}");
    assert!(
        message.len() < 500,
        "{path}: the error repeats what was sent"
    );
}

#[tokio::test]
async fn fields_of_sessions_that_are_too_large_are_refused_by_name() {
    let server = Server::start().await;
    let session = server.create().await;
    let before = server.get(&format!("/opencode/session/{session}")).await;
    let own = format!("/opencode/session/{session}");
    for (method, path) in [
        (Method::POST, "/opencode/session"),
        (Method::PATCH, own.as_str()),
    ] {
        for (body, field, setting) in [
            (
                json!({"title": long(4 * KIB + 1)}),
                "title",
                "limits.title_bytes",
            ),
            (
                json!({"title": long(40 * MIB)}),
                "title",
                "limits.title_bytes",
            ),
            (
                json!({"metadata": {"a": long(256 * KIB)}}),
                "metadata",
                "limits.metadata_bytes",
            ),
            (
                json!({"metadata": {"a": vec![0; 150_000]}}),
                "metadata",
                "limits.metadata_bytes",
            ),
            (
                json!({"metadata": deep(33)}),
                "metadata",
                "limits.metadata_depth",
            ),
            (
                json!({"permission": rules(1_001, 1)}),
                "permission",
                "limits.permission_rules",
            ),
            (
                json!({"permission": rules(1, 4 * KIB + 1)}),
                "pattern",
                "limits.pattern_bytes",
            ),
            (json!({"agent": long(257)}), "agent", "limits.name_bytes"),
            (
                json!({"variant": long(257)}),
                "variant",
                "limits.name_bytes",
            ),
            (
                json!({"model": {"providerID": "mock", "modelID": long(257)}}),
                "modelID",
                "limits.name_bytes",
            ),
            (
                json!({"model": {"providerID": long(257), "modelID": "m"}}),
                "providerID",
                "limits.name_bytes",
            ),
            (
                json!({"providerID": long(257), "modelID": "m"}),
                "providerID",
                "limits.name_bytes",
            ),
        ] {
            refused(&server, &method, path, body, field, setting).await;
        }
    }
    let parent = json!({"parentID": format!("ses_{}", long(200))});
    refused(
        &server,
        &Method::POST,
        "/opencode/session",
        parent,
        "parentID",
        "at most 128 bytes",
    )
    .await;
    assert_eq!(server.get(&own).await, before);
    let fits = json!({
        "title": long(4 * KIB), "metadata": {"deep": deep(31), "a": long(200 * KIB)}, "permission": rules(1_000, 200),
    });
    let made = server
        .ok(Method::POST, "/opencode/session", Some(fits.clone()))
        .await;
    assert_eq!(made["metadata"], fits["metadata"]);
    // Nothing to change: neither a revision nor a copy.
    let same =
        json!({"title": fits["title"], "metadata": {"a": fits["metadata"]["a"], "deep": deep(31)}});
    let id = made["id"].as_str().unwrap_or_default();
    let (status, again) = server.patch(id, same).await;
    assert_eq!(
        (status, &again["revision"]),
        (StatusCode::OK, &made["revision"])
    );
    server.stop().await;
}

#[tokio::test]
async fn prompts_that_are_too_large_are_refused_by_name() {
    let server = Server::start().await;
    let session = server.create().await;
    let path = |route: &str| format!("/opencode/session/{session}/{route}");
    let file_too_large = json!([file(33 * MIB)]);
    for route in ["message", "prompt_async"] {
        for (body, field, setting) in [
            (
                json!({"parts": texts(257, 1)}),
                "parts",
                "limits.prompt_parts",
            ),
            (
                json!({"parts": texts(1, 4 * MIB + 1)}),
                "text",
                "limits.text_bytes",
            ),
            (
                json!({"parts": file_too_large}),
                "url",
                "limits.attachment_bytes",
            ),
            (
                json!({"parts": [file(17 * MIB), file(17 * MIB)]}),
                "parts",
                "limits.attachment_bytes",
            ),
            (
                json!({"parts": texts(1, 1), "system": long(4 * MIB + 1)}),
                "system",
                "limits.text_bytes",
            ),
            (
                json!({"parts": texts(1, 1), "messageID": format!("msg_{}", long(200))}),
                "messageID",
                "at most 128",
            ),
            (
                json!({"parts": [{"type": "text", "text": "x", "metadata": {"a": long(256 * KIB)}}]}),
                "metadata",
                "limits.metadata_bytes",
            ),
            (
                json!({"parts": [{"type": "agent", "name": long(257)}]}),
                "name",
                "limits.name_bytes",
            ),
        ] {
            refused(&server, &Method::POST, &path(route), body, field, setting).await;
        }
    }
    let arguments = json!({"command": "init", "arguments": long(4 * MIB + 1)});
    refused(
        &server,
        &Method::POST,
        &path("command"),
        arguments,
        "arguments",
        "limits.text_bytes",
    )
    .await;
    let name = json!({"command": long(257), "arguments": ""});
    refused(
        &server,
        &Method::POST,
        &path("command"),
        name,
        "command",
        "limits.name_bytes",
    )
    .await;
    let shell = json!({"agent": "build", "command": long(4 * MIB + 1)});
    refused(
        &server,
        &Method::POST,
        &path("shell"),
        shell,
        "command",
        "limits.text_bytes",
    )
    .await;
    assert_eq!(server.messages(&session).await.len(), 0);

    // A log that somebody has pasted.
    let body = json!({"parts": texts(1, 4 * MIB), "noReply": true});
    let stored = server.ok(Method::POST, &path("message"), Some(body)).await;
    let part = &stored["parts"][0];
    let place = format!(
        "message/{}/part/{}",
        part["messageID"].as_str().unwrap(),
        part["id"].as_str().unwrap()
    );
    let mut larger = part.clone();
    larger["text"] = long(4 * MIB + 1).into();
    refused(
        &server,
        &Method::PATCH,
        &path(&place),
        larger,
        "text",
        "limits.text_bytes",
    )
    .await;
    server.stop().await;
}

#[tokio::test]
async fn the_second_api_and_the_small_routes_have_the_same_bounds() {
    let server = Server::start().await;
    let session = server.create().await;
    let prompt = format!("/opencode/api/session/{session}/prompt");
    let agent = format!("/opencode/api/session/{session}/agent");
    let tags = vec![json!({"name": "a"}); 257];
    for (path, body, field, setting) in [
        (
            prompt.as_str(),
            json!({"prompt": {"text": long(4 * MIB + 1)}}),
            "text",
            "limits.text_bytes",
        ),
        (
            &prompt,
            json!({"prompt": {"text": "x", "agents": tags}}),
            "agents",
            "limits.prompt_parts",
        ),
        (
            &prompt,
            json!({"prompt": {"text": "x", "files": [{"uri": format!("data:,{}", long(33 * MIB))}]}}),
            "uri",
            "limits.attachment_bytes",
        ),
        (
            &agent,
            json!({"agent": long(257)}),
            "agent",
            "limits.name_bytes",
        ),
        (
            "/opencode/api/session",
            json!({"location": {"directory": long(4 * KIB + 1)}}),
            "directory",
            "limits.path_bytes",
        ),
        (
            "/opencode/tui/append-prompt",
            json!({"text": long(5 * MIB)}),
            "text",
            "limits.text_bytes",
        ),
        (
            "/opencode/tui/publish",
            json!({"type": "tui.toast.show", "properties": {"message": long(5 * MIB), "variant": "info"}}),
            "message",
            "limits.text_bytes",
        ),
        (
            "/opencode/log",
            json!({"service": "a", "level": "info", "message": long(5 * MIB)}),
            "message",
            "text_bytes",
        ),
    ] {
        refused(&server, &Method::POST, path, body, field, setting).await;
    }
    let config = json!({"model": format!("mock/{}", long(5 * KIB))});
    refused(
        &server,
        &Method::PATCH,
        "/opencode/config",
        config,
        "model",
        "limits.path_bytes",
    )
    .await;
    let place = format!("/opencode/session?directory={}", long(4 * KIB + 1));
    refused(
        &server,
        &Method::GET,
        &place,
        json!({}),
        "directory",
        "limits.path_bytes",
    )
    .await;
    server.stop().await;
}

#[tokio::test]
async fn bounds_are_settings_and_counts_have_their_status() {
    let config = "[limits]\ntitle_bytes = 10\nsessions = 2\nstored_prompts = 1\nname_bytes = 30\n"
        .to_owned();
    let arguments = vec!["--agents".into(), "mock".into()];
    let server = Server::start_with(Options { config, arguments }).await;
    let session = server.create().await;
    let own = format!("/opencode/session/{session}");
    refused(
        &server,
        &Method::PATCH,
        &own,
        json!({"title": long(11)}),
        "title",
        "limits.title_bytes",
    )
    .await;
    refused(
        &server,
        &Method::PATCH,
        &own,
        json!({"agent": long(31)}),
        "agent",
        "limits.name_bytes",
    )
    .await;

    let body = json!({"parts": texts(1, 1), "noReply": true});
    let path = format!("{own}/message");
    server.ok(Method::POST, &path, Some(body.clone())).await;
    let (status, error) = server.send(Method::POST, &path, Some(body)).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{error}");
    assert_eq!(error["name"], "QueueFullError");

    server.create().await;
    for path in ["/opencode/session".to_owned(), format!("{own}/fork")] {
        let (status, error) = server.send(Method::POST, &path, Some(json!({}))).await;
        assert_eq!(status, StatusCode::INSUFFICIENT_STORAGE, "{error}");
        let message = error["data"]["message"].as_str().unwrap_or_default();
        assert!(message.contains("limits.sessions"), "{error}");
    }
    server.ok(Method::DELETE, &own, None).await;
    server.create().await;
    server.stop().await;
}

#[tokio::test]
async fn what_is_read_of_files_is_bounded_by_settings() {
    let config = "[limits]\nfile_bytes = 1000\nignore_bytes = 64\nsearch_files = 3\n";
    let server = Server::start_with(Options {
        arguments: vec!["--agents".into(), "mock".into()],
        config: config.to_owned(),
    })
    .await;
    let write = |name: &str, text: &str| {
        std::fs::write(server.work().join(name), text).expect("a file");
    };
    let found = async |query: &str| {
        let path = format!("/opencode/find/file?type=file&query={query}");
        let found = server.get(&path).await;
        found.as_array().map_or(0, Vec::len)
    };
    write("b", &long(1000));
    write("c", &long(1001));
    let read = async |name: &str| {
        let path = format!("/opencode/file/content?path={name}");
        server.send(Method::GET, &path, None).await
    };
    assert_eq!(read("b").await.0, StatusCode::OK);
    for path in ["file/content?path=c", "api/fs/read/c"] {
        let path = format!("/opencode/{path}");
        let (status, error) = server.send(Method::GET, &path, None).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}: {error}");
        assert!(error.to_string().contains("limits.file_bytes"), "{error}");
    }
    // A mention says the same to whom it is for.
    let session = server.create().await;
    let url = format!("file://{}/c", server.work().display());
    let file = json!({"type": "file", "mime": "text/plain", "filename": "c", "url": url});
    let body = json!({"parts": [file, {"type": "text", "text": "hello"}]});
    let path = format!("/opencode/session/{session}/message");
    server.ok(Method::POST, &path, Some(body)).await;
    let messages = server.get(&path).await.to_string();
    assert!(messages.contains("limits.file_bytes"), "{messages}");

    // Of two rules the second one is beyond what is read.
    write(".ignore", &format!("b\n{}\nc\n", "#".repeat(64)));
    assert_eq!((found("b").await, found("c").await), (0, 1));
    for name in ["d", "e", "f"] {
        write(name, "x");
    }
    assert_eq!(found("").await, 3);
    server.stop().await;
}
