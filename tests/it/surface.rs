//! What OpenCode's clients ask at their start, the configuration, the terminal UI's control, and the log.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Options, Server, model, parts_of, text_of};

async fn send(server: &Server, method: Method, route: &str, body: Value) -> (StatusCode, Value) {
    let body = (!body.is_null()).then_some(body);
    server
        .send(method, &format!("/opencode{route}"), body)
        .await
}

#[tokio::test]
async fn what_has_no_meaning_here_answers_as_opencode_does_without_it() {
    let server = Server::start().await;
    for (route, expected) in [
        ("/mcp", json!({})),
        ("/lsp", json!([])),
        ("/formatter", json!([])),
        ("/skill", json!([])),
        ("/provider/auth", json!({})),
        (
            "/experimental/capabilities",
            json!({ "backgroundSubagents": false }),
        ),
        (
            "/experimental/console",
            json!({ "consoleManagedProviders": [], "switchableOrgCount": 0 }),
        ),
        ("/experimental/console/orgs", json!({ "orgs": [] })),
        ("/experimental/resource", json!({})),
        ("/experimental/tool/ids", json!([])),
        ("/experimental/tool?provider=mock&model=mock", json!([])),
        ("/experimental/workspace", json!([])),
        ("/experimental/workspace/status", json!([])),
        ("/experimental/workspace/adapter", json!([])),
        ("/experimental/worktree", json!([])),
    ] {
        let answer = server.get(&format!("/opencode{route}")).await;
        assert_eq!(answer, expected, "{route}");
    }
    let (status, refused) = send(
        &server,
        Method::GET,
        "/experimental/tool?provider=mock",
        Value::Null,
    )
    .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(
        refused["data"]["message"]
            .as_str()
            .unwrap()
            .contains("[\"model\"]"),
        "{refused}"
    );
    server.stop().await;
}

#[tokio::test]
async fn credentials_are_refused_with_what_to_do() {
    let server = Server::start().await;
    for method in [Method::PUT, Method::DELETE] {
        let (status, refused) = send(
            &server,
            method,
            "/auth/mock",
            json!({ "type": "api", "key": "k" }),
        )
        .await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_eq!(refused["name"], "BadRequest");
        assert!(
            refused["data"]["message"]
                .as_str()
                .unwrap()
                .contains("baton agents"),
            "{refused}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn a_changed_default_is_what_new_sessions_start_with_also_after_a_crash() {
    let mut server = Server::start().await;
    // A model here is one that somebody has set; terminal UIs keep their own choice when there is none.
    assert_eq!(server.get("/opencode/config").await.get("model"), None);
    let old = server.create().await;
    server.prompt(&old, "echo one", model("mock", "mock")).await;
    let mut events = server.events().await;
    let body = json!({ "model": "mock/mock-strong", "default_agent": "plan", "username": "me" });
    let config = server
        .ok(Method::PATCH, "/opencode/config", Some(body))
        .await;
    assert_eq!(
        (&config["model"], &config["default_agent"]),
        (&json!("mock/mock-strong"), &json!("plan"))
    );
    assert_eq!(
        config.get("username"),
        None,
        "nothing is acknowledged that was not stored"
    );
    events
        .until("server.instance.disposed", |p| p["directory"].is_string())
        .await;
    assert_eq!(
        server.get("/opencode/config/providers").await["default"]["mock"],
        "mock-strong"
    );
    assert_eq!(server.get("/opencode/agent").await[0]["name"], "plan");

    server.kill().await;
    server.restart().await;
    assert_eq!(server.get("/opencode/global/config").await, config);
    let new = server.create().await;
    let answer = server.prompt(&new, "echo two", json!({})).await;
    assert_eq!(
        (&answer["info"]["modelID"], &answer["info"]["agent"]),
        (&json!("mock-strong"), &json!("plan"))
    );
    let kept = server.prompt(&old, "echo three", json!({})).await;
    assert_eq!(
        kept["info"]["modelID"], "mock",
        "a session with a selection keeps it"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_default_that_cannot_be_had_is_refused_and_changes_nothing() {
    let server = Server::start().await;
    let before = server.get("/opencode/config").await;
    let mut events = server.events().await;
    for (body, name) in [
        (json!({ "model": 5 }), "BadRequest"),
        (json!({ "model": "mock-strong" }), "BadRequest"),
        (json!([]), "BadRequest"),
        (json!({ "defaultAgent": "plan" }), "BadRequest"),
        (
            json!({ "model": "mock/nope" }),
            "ProviderModelNotFoundError",
        ),
        (
            json!({ "model": "nope/mock" }),
            "ProviderModelNotFoundError",
        ),
        (
            json!({ "model": "mock/mock-strong", "default_agent": "nope" }),
            "AgentNotFoundError",
        ),
        (json!({ "default_agent": "mock" }), "AgentNotFoundError"),
    ] {
        for route in ["/config", "/global/config"] {
            let (status, refused) = send(&server, Method::PATCH, route, body.clone()).await;
            assert_eq!(
                (status, &refused["name"]),
                (StatusCode::BAD_REQUEST, &json!(name)),
                "{body}: {refused}"
            );
        }
    }
    // What means nothing here, and null, change nothing and are no mistake.
    for body in [
        json!({}),
        json!({ "model": null }),
        json!({ "theme": "dark" }),
    ] {
        let (status, config) = send(&server, Method::PATCH, "/config", body).await;
        assert_eq!((status, &config), (StatusCode::OK, &before));
    }
    assert_eq!(server.get("/opencode/config").await, before);
    let session = server.create().await;
    events
        .until("session.created", |p| p["sessionID"] == session)
        .await;
    assert!(
        !events.kinds().contains(&"server.instance.disposed"),
        "{:?}",
        events.kinds()
    );
    server.stop().await;
}

#[tokio::test]
async fn the_configuration_wins_over_an_older_choice_of_a_client() {
    let arguments = |default: &str| {
        let arguments = ["--agents", "mock", "--default-model", default];
        arguments.map(String::from).to_vec()
    };
    let mut server = Server::start_with(Options {
        arguments: arguments("mock/mock"),
        ..Options::default()
    })
    .await;
    let body = json!({ "model": "mock/mock-strong" });
    server
        .ok(Method::PATCH, "/opencode/config", Some(body))
        .await;
    server.terminate().await;
    server.restart().await;
    assert_eq!(
        server.get("/opencode/config").await["model"],
        "mock/mock-strong"
    );
    server.terminate().await;
    server.restart_with(arguments("mock/mock-fast")).await;
    assert_eq!(
        server.get("/opencode/config").await["model"],
        "mock/mock-fast"
    );
    server.stop().await;
}

#[tokio::test]
async fn terminal_uis_are_driven_by_events_and_by_polls() {
    let server = Server::start().await;
    let session = server.create().await;
    let mut events = server.events().await;
    let execute = |command: &str| ("tui.command.execute", json!({ "command": command }));
    for (route, body, (kind, properties)) in [
        (
            "append-prompt",
            json!({ "text": "abc" }),
            ("tui.prompt.append", json!({ "text": "abc" })),
        ),
        ("open-help", Value::Null, execute("help.show")),
        ("open-sessions", Value::Null, execute("session.list")),
        ("open-themes", Value::Null, execute("session.list")),
        ("open-models", Value::Null, execute("model.list")),
        ("submit-prompt", Value::Null, execute("prompt.submit")),
        ("clear-prompt", Value::Null, execute("prompt.clear")),
        (
            "execute-command",
            json!({ "command": "messages_half_page_up" }),
            execute("session.half.page.up"),
        ),
        (
            "show-toast",
            json!({ "message": "m", "variant": "info" }),
            (
                "tui.toast.show",
                json!({ "message": "m", "variant": "info", "duration": 5000 }),
            ),
        ),
        (
            "publish",
            json!({ "type": "tui.command.execute", "properties": { "command": "theme.switch" } }),
            execute("theme.switch"),
        ),
        (
            "select-session",
            json!({ "sessionID": session }),
            ("tui.session.select", json!({ "sessionID": session })),
        ),
    ] {
        let path = format!("/tui/{route}");
        let (status, answer) = send(&server, Method::POST, &path, body.clone()).await;
        assert_eq!((status, answer), (StatusCode::OK, json!(true)), "{route}");
        let event = events.until(kind, |_| true).await;
        assert_eq!(event.properties, properties, "{route}");
        let polled = server.get("/opencode/tui/control/next").await;
        assert_eq!(polled["path"], path);
        if route == "append-prompt" || route == "open-help" {
            assert_eq!(polled["body"], body);
        }
    }
    let (status, answer) = send(
        &server,
        Method::POST,
        "/tui/control/response",
        json!({ "a": 1 }),
    )
    .await;
    assert_eq!((status, answer), (StatusCode::OK, json!(true)));
    server.stop().await;
}

#[tokio::test]
async fn a_poll_waits_for_the_next_command_and_ends_with_the_server() {
    let mut server = Server::start().await;
    let poll = |server: &Server| {
        let request = server
            .client
            .get(format!("{}/opencode/tui/control/next", server.url));
        tokio::spawn(async move { request.send().await.expect("an answer") })
    };
    let waiting = poll(&server);
    let body = json!({ "text": "x" });
    server
        .ok(
            Method::POST,
            "/opencode/tui/append-prompt",
            Some(body.clone()),
        )
        .await;
    let polled: Value = waiting.await.expect("no panic").json().await.expect("JSON");
    assert_eq!(
        polled,
        json!({ "path": "/tui/append-prompt", "body": body })
    );
    let waiting = poll(&server);
    // The poll is there before the server is told to stop: its connection was accepted first.
    server.get("/opencode/global/health").await;
    server.terminate().await;
    let status = waiting.await.expect("no panic").status();
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn wrong_commands_for_terminal_uis_are_refused_and_reach_nobody() {
    let server = Server::start().await;
    let mut events = server.events().await;
    for (route, body, status) in [
        ("append-prompt", json!({}), 400),
        ("append-prompt", json!({ "text": 5 }), 400),
        (
            "append-prompt",
            json!({ "text": "x".repeat(1024 * 1024 + 1) }),
            400,
        ),
        ("execute-command", json!({ "command": "nonsense" }), 400),
        ("execute-command", json!({}), 400),
        (
            "show-toast",
            json!({ "message": "m", "variant": "loud" }),
            400,
        ),
        ("show-toast", json!({ "variant": "info" }), 400),
        (
            "show-toast",
            json!({ "message": "m", "variant": "info", "duration": 0 }),
            400,
        ),
        (
            "publish",
            json!({ "type": "session.idle", "properties": { "sessionID": "ses_1" } }),
            400,
        ),
        ("publish", json!({ "type": "tui.toast.show" }), 400),
        (
            "publish",
            json!({ "type": "tui.toast.show", "properties": { "message": "m" } }),
            400,
        ),
        (
            "publish",
            json!({ "type": "tui.command.execute", "properties": { "command": "a b" } }),
            400,
        ),
        ("select-session", json!({ "sessionID": "x" }), 400),
        ("select-session", json!({ "sessionID": "ses_missing" }), 404),
        ("control/response", Value::Null, 400),
    ] {
        let (got, answer) = send(&server, Method::POST, &format!("/tui/{route}"), body).await;
        assert_eq!(got.as_u16(), status, "{route}: {answer}");
        assert!(answer["data"]["message"].is_string(), "{route}: {answer}");
    }
    let session = server.create().await;
    events
        .until("session.created", |p| p["sessionID"] == session)
        .await;
    let of_tui = events
        .kinds()
        .into_iter()
        .filter(|kind| kind.starts_with("tui."));
    assert_eq!(of_tui.count(), 0);
    server.stop().await;
}

#[tokio::test]
async fn a_dispose_ends_idle_agents_and_sessions_go_on() {
    let server = Server::start().await;
    let session = server.create().await;
    let first = server.prompt(&session, "pid", model("mock", "mock")).await;
    let busy = server.create().await;
    let mut events = server.events().await;
    for route in ["/instance/dispose", "/global/dispose"] {
        let before = text_of(&server.prompt(&session, "pid", json!({})).await);
        server
            .ok(Method::POST, &format!("/opencode{route}"), None)
            .await;
        let after = text_of(&server.prompt(&session, "pid", json!({})).await);
        assert_ne!(before, after, "{route}: the process is another one");
    }
    events.until("server.instance.disposed", |_| true).await;
    assert!(
        text_of(&first).contains(char::is_numeric),
        "the mock agent tells its process id"
    );

    // A turn in flight is left alone.
    let waiting = server.prompt_later(&busy, "slow 10", model("mock", "mock"));
    events
        .until("message.part.delta", |p| p["sessionID"] == busy)
        .await;
    server
        .ok(Method::POST, "/opencode/global/dispose", None)
        .await;
    let (status, answer) = crate::harness::answered(waiting).await;
    assert_eq!(
        (status, &answer["info"]["error"]),
        (StatusCode::OK, &Value::Null),
        "{answer}"
    );
    assert!(!parts_of(&answer, "text").is_empty());
    server.stop().await;
}

#[tokio::test]
async fn a_clients_log_entry_is_checked() {
    let server = Server::start().await;
    let entry =
        json!({ "service": "tui", "level": "info", "message": "a\nb", "extra": { "n": 1 } });
    let (status, answer) = send(&server, Method::POST, "/log", entry).await;
    assert_eq!((status, answer), (StatusCode::OK, json!(true)));
    for (body, field) in [
        (json!({ "level": "info", "message": "m" }), "service"),
        (
            json!({ "service": "s", "level": "loud", "message": "m" }),
            "level",
        ),
        (json!({ "service": "s", "level": "info" }), "message"),
        (
            json!({ "service": "s", "level": "info", "message": "m", "extra": 5 }),
            "extra",
        ),
    ] {
        let (status, refused) = send(&server, Method::POST, "/log", body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        let message = refused["data"]["message"].as_str().unwrap();
        assert!(message.contains(&format!("[\"{field}\"]")), "{message}");
    }
    server.stop().await;
}

#[tokio::test]
async fn the_sessions_of_all_directories_are_listed_in_pages() {
    let server = Server::start().await;
    let mut ids = Vec::new();
    for folder in ["a", "b"] {
        let directory = server.work().join(folder);
        std::fs::create_dir(&directory).unwrap();
        let path = format!("/opencode/session?directory={}", directory.display());
        let session = server.ok(Method::POST, &path, Some(json!({}))).await;
        ids.push(session["id"].clone());
    }
    let all = server.get("/opencode/experimental/session").await;
    assert_eq!(all.as_array().unwrap().len(), 2);
    assert_eq!(all[0]["project"]["id"], all[0]["projectID"]);
    let one = server.get("/opencode/experimental/session?limit=1").await;
    assert_eq!(one.as_array().unwrap().len(), 1);
    let archived = json!({ "time": { "archived": 1 } });
    server.patch(ids[0].as_str().unwrap(), archived).await;
    let left = server.get("/opencode/experimental/session").await;
    assert_eq!(
        (left.as_array().unwrap().len(), &left[0]["id"]),
        (1, &ids[1])
    );
    let all = server
        .get("/opencode/experimental/session?archived=true")
        .await;
    assert_eq!(all.as_array().unwrap().len(), 2);
    server.stop().await;
}
