//! Agents with a model of their own, of the config file and of OpenCode's own files, as clients see them.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Options, Server, model, text_of};

/// `plan` thinks with one backend and `build` works with another, and `careful` is a third.
const CONFIG: &str = r#"
[profiles.plan]
model = "mock/mock-strong"
variant = "high"
description = "Thinks hard"

[profiles.build]
model = "mock2/mock2"

[profiles.careful]
model = "mock/mock-fast"
agent = "plan"
permission = { edit = "deny", bash = { "*" = "ask", "git *" = "allow" } }

[profiles.quiet]
model = "mock/mock-fast"
agent = "plan"
follow = false

[profiles.broken]
model = "mock/nope"
"#;

async fn start(config: &str) -> Server {
    Server::start_with(Options {
        config: config.to_owned(),
        arguments: vec!["--agents".into(), "mock,mock2".into()],
    })
    .await
}

fn write(server: &Server, file: &str, text: &str) {
    let path = server.work().join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

async fn listed(server: &Server, path: &str, name: &str) -> Value {
    let all = server.get(path).await;
    let all = all.as_array().or(all["data"].as_array());
    let mut all = all.expect("a list").iter();
    let is_it = |agent: &&Value| agent["name"] == name || agent["id"] == name;
    all.find(is_it).cloned().unwrap_or_default()
}

async fn selected(server: &Server, session: &str) -> Value {
    let info = server.get(&format!("/opencode/session/{session}")).await;
    json!([
        info["agent"],
        info["model"]["providerID"],
        info["model"]["id"],
        info["model"]["variant"]
    ])
}

#[tokio::test]
async fn agents_with_a_model_are_listed_as_opencode_lists_them() {
    let server = start(CONFIG).await;
    let agents = server.get("/opencode/agent").await;
    let names: Vec<_> = agents
        .as_array()
        .unwrap()
        .iter()
        .map(|a| &a["name"])
        .collect();
    assert_eq!(names[..2], ["build", "plan"]);
    let plan = listed(&server, "/opencode/agent", "plan").await;
    assert_eq!(
        plan["model"],
        json!({"providerID": "mock", "modelID": "mock-strong"})
    );
    assert_eq!(plan["variant"], "high");
    assert_eq!(plan["description"], "Thinks hard");
    assert_eq!(plan["mode"], "primary");
    let careful = listed(&server, "/opencode/agent", "careful").await;
    let rules = json!([
        {"permission": "edit", "pattern": "*", "action": "deny"},
        {"permission": "bash", "pattern": "*", "action": "ask"},
        {"permission": "bash", "pattern": "git *", "action": "allow"},
    ]);
    let given = careful["permission"].as_array().unwrap();
    assert_eq!(given.len(), 3);
    assert!(
        rules
            .as_array()
            .unwrap()
            .iter()
            .all(|rule| given.contains(rule)),
        "{careful}"
    );
    // What a client would take for its model, and what it would complain about.
    for name in ["quiet", "broken"] {
        let agent = listed(&server, "/opencode/agent", name).await;
        assert_eq!(
            (&agent["name"], &agent["model"]),
            (&json!(name), &Value::Null)
        );
    }
    let second = listed(&server, "/api/agent", "plan").await;
    let expected = json!({"id": "mock-strong", "providerID": "mock", "variant": "high"});
    assert_eq!(second["model"], expected);
}

#[tokio::test]
async fn every_way_to_name_an_agent_selects_its_model() {
    let server = start(CONFIG).await;
    let session = server.create().await;
    let mut events = server.events().await;
    let (status, patched) = server.patch(&session, json!({"agent": "plan"})).await;
    assert_eq!(status, StatusCode::OK, "{patched}");
    let plan = json!(["plan", "mock", "mock-strong", "high"]);
    assert_eq!(selected(&server, &session).await, plan);
    let changed = events.until("session.model_changed", |_| true).await;
    assert_eq!(changed.properties["current"]["agent"], "plan");
    // A message, with the model as the terminal UI sends it and without.
    let answer = server
        .prompt(&session, "mode", json!({"agent": "careful"}))
        .await;
    assert_eq!(text_of(&answer), "plan");
    assert_eq!(
        (&answer["info"]["agent"], &answer["info"]["modelID"]),
        (&json!("careful"), &json!("mock-fast"))
    );
    let mut sent = model("mock", "mock-strong");
    sent["agent"] = json!("plan");
    let answer = server.prompt(&session, "model", sent).await;
    assert_eq!(text_of(&answer), "mock-strong (high)");
    let answer = server
        .prompt(&session, "model", json!({"agent": "build"}))
        .await;
    assert_eq!(text_of(&answer), "mock2");
    // OpenCode 2.
    let path = format!("/api/session/{session}/agent");
    server
        .ok(Method::POST, &path, Some(json!({"agent": "plan"})))
        .await;
    assert_eq!(selected(&server, &session).await, plan);
    // A new session.
    let made = server
        .ok(
            Method::POST,
            "/opencode/session",
            Some(json!({"agent": "careful"})),
        )
        .await;
    let session = made["id"].as_str().unwrap();
    assert_eq!(
        selected(&server, session).await,
        json!(["careful", "mock", "mock-fast", "default"])
    );
    let answer = server
        .prompt(session, "mode", json!({"agent": "quiet"}))
        .await;
    assert_eq!(text_of(&answer), "plan");
    assert_eq!(answer["info"]["modelID"], "mock-fast");
    // The model of the same request wins.
    let body = json!({"agent": "plan", "providerID": "mock2", "modelID": "mock2"});
    let (status, patched) = server.patch(session, body).await;
    assert_eq!(status, StatusCode::OK, "{patched}");
    assert_eq!(
        selected(&server, session).await,
        json!(["plan", "mock2", "mock2", "default"])
    );
}

#[tokio::test]
async fn a_profile_whose_model_is_not_there_is_refused_with_what_to_do() {
    let server = start(CONFIG).await;
    let session = server.create().await;
    let (status, refused) = server.patch(&session, json!({"agent": "broken"})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{refused}");
    let said = refused.to_string();
    for part in ["model in [profiles.broken]", "nope", "Correct it there"] {
        assert!(said.contains(part), "{said}");
    }
}

#[tokio::test]
async fn opencodes_own_entries_are_agents_here() {
    let server = start("[profiles.mine]\nmodel = \"mock/mock\"\n").await;
    write(
        &server,
        "opencode.jsonc",
        r#"{ // of the project
            "agent": {
                "plan": {"model": "mock/mock-strong", "variant": "high"},
                "mine": {"model": "mock2/mock2"},
                "helper": {"mode": "subagent", "model": "mock/mock"},
            },
        }"#,
    );
    write(
        &server,
        ".opencode/agent/review.md",
        "---\ndescription: Reads\nmode: primary\nmodel: mock2\npermission:\n  edit: deny\n  bash: allow\n---\nYou review.\n",
    );
    let session = server.create().await;
    let answer = server
        .prompt(&session, "model", json!({"agent": "plan"}))
        .await;
    assert_eq!(text_of(&answer), "mock-strong (high)");
    let review = listed(&server, "/opencode/agent", "review").await;
    assert_eq!(
        review["model"],
        json!({"providerID": "mock2", "modelID": "mock2"})
    );
    // What a project brings along forbids, and allows nothing.
    let both = json!([
        {"permission": "edit", "pattern": "*", "action": "deny"},
        {"permission": "bash", "pattern": "*", "action": "ask"},
    ]);
    assert_eq!(review["permission"], both);
    let answer = server
        .prompt(&session, "edit notes.txt", json!({"agent": "review"}))
        .await;
    assert_eq!(answer["info"]["providerID"], "mock2");
    assert!(!server.work().join("notes.txt").exists());
    // The user's own configuration wins, and sub-agents are not offered.
    let mine = listed(&server, "/opencode/agent", "mine").await;
    assert_eq!(mine["model"]["modelID"], "mock");
    assert_eq!(
        listed(&server, "/opencode/agent", "helper").await,
        Value::Null
    );
    // What is changed there holds for the next one who names it.
    write(
        &server,
        "opencode.jsonc",
        r#"{"agent": {"plan": {"model": "mock/mock-fast"}}}"#,
    );
    let answer = server
        .prompt(&session, "model", json!({"agent": "plan"}))
        .await;
    assert_eq!(text_of(&answer), "mock-fast");
}
