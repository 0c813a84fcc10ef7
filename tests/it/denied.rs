//! Rules that forbid tools, or have them asked, hold also with an agent that does not ask; a backend that cannot keep them
//! refuses them.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Options, Server, answered, model, text_of};

fn rule(permission: &str, pattern: &str, action: &str) -> Value {
    json!({ "permission": permission, "pattern": pattern, "action": action })
}

/// Backends of the config file that are the mock agent: `deaf`, of which Baton knows no way to keep anything, and `told`,
/// which is told to do without commands and to ask before it edits.
async fn server() -> Server {
    let baton = env!("CARGO_BIN_EXE_baton");
    let command = [baton, "mock-agent"];
    Server::start_with(Options {
        config: format!(
            "[agents.deaf]\ncommand = {command:?}\n\
             [agents.told]\ncommand = {command:?}\n\
             denies = {{ bash = [\"--deny\", \"bash\"] }}\nasks = {{ edit = [\"--ask\", \"edit\"] }}\n"
        ),
        arguments: vec!["--agents".into(), "deaf,told,mock".into()],
    })
    .await
}

async fn create(server: &Server, body: Value) -> String {
    let made = server
        .ok(Method::POST, "/opencode/session", Some(body))
        .await;
    made["id"].as_str().unwrap().to_owned()
}

/// The files that the mock's `tool` has edited, removed at once.
fn edited(server: &Server) -> Vec<String> {
    let files = std::fs::read_dir(server.work()).unwrap();
    let mut names = Vec::new();
    for file in files.map(Result::unwrap) {
        let name = file.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && file.path().is_file() {
            std::fs::remove_file(file.path()).unwrap();
            names.push(name);
        }
    }
    names
}

fn tools_of(answer: &Value) -> usize {
    let parts = answer["parts"].as_array().unwrap();
    parts.iter().filter(|part| part["type"] == "tool").count()
}

#[tokio::test]
async fn a_denied_tool_does_not_run_until_the_rule_is_gone() {
    let server = server().await;
    let session = create(&server, json!({ "permission": [rule("*", "*", "deny")] })).await;
    for prompt in ["tool", "bash make", "read 1"] {
        let answer = server.prompt(&session, prompt, model("mock", "mock")).await;
        assert_eq!(tools_of(&answer), 0, "{answer}");
        assert!(text_of(&answer).starts_with("there is no tool"), "{answer}");
    }
    assert!(edited(&server).is_empty());
    let (status, _) = server
        .patch(&session, json!({ "permission": [rule("*", "*", "allow")] }))
        .await;
    assert_eq!(status, StatusCode::OK);
    let answer = server.prompt(&session, "tool", json!({})).await;
    assert_eq!(
        (tools_of(&answer), edited(&server).len()),
        (1, 1),
        "{answer}"
    );
    // It is still the same conversation.
    let history = server.say(&session, "history").await;
    assert!(history.contains("bash make"), "{history}");
    let (status, _) = server
        .patch(
            &session,
            json!({ "permission": [rule("edit", "*", "deny")] }),
        )
        .await;
    assert_eq!(status, StatusCode::OK);
    server.prompt(&session, "tool", json!({})).await;
    assert!(edited(&server).is_empty());
    let ran = server.prompt(&session, "bash make", json!({})).await;
    assert_eq!(tools_of(&ran), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_prompts_tools_are_the_sessions_rules_from_then_on() {
    let server = server().await;
    let session = create(
        &server,
        json!({ "permission": [rule("bash", "*", "deny")] }),
    )
    .await;
    let mut more = model("mock", "mock");
    more["tools"] = json!({ "edit": false, "write": true, "read": true });
    server.prompt(&session, "tool", more).await;
    assert!(edited(&server).is_empty());
    let shown = server.get(&format!("/opencode/session/{session}")).await;
    let expected = [rule("edit", "*", "deny"), rule("read", "*", "allow")];
    assert_eq!(shown["permission"], json!(expected));
    // They stay with a prompt that says nothing, and another one's take their place.
    server.prompt(&session, "tool", json!({})).await;
    assert!(edited(&server).is_empty());
    server
        .prompt(&session, "tool", json!({ "tools": { "bash": false } }))
        .await;
    assert_eq!(edited(&server).len(), 1);
    let answer = server
        .prompt(&session, "bash make", json!({ "tools": { "*": false } }))
        .await;
    assert_eq!(tools_of(&answer), 0, "{answer}");
    for (tools, said) in [
        (json!({ "bash": "no" }), "[\"tools\"][\"bash\"]"),
        (json!(["bash"]), "[\"tools\"]"),
    ] {
        let (status, body) = server
            .try_prompt(&session, "echo x", json!({ "tools": tools }))
            .await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(body.to_string().replace('\\', "").contains(said), "{body}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_a_waiting_prompt_has_forbidden_is_forbidden_in_its_turn() {
    let server = server().await;
    let session = create(&server, json!({})).await;
    server
        .prompt_async(&session, "slow 1", model("mock", "mock"))
        .await;
    server
        .prompt_async(&session, "tool", json!({ "tools": { "edit": false } }))
        .await;
    server
        .prompt_async(&session, "tool last", json!({ "tools": { "edit": true } }))
        .await;
    server.until_idle(&session).await;
    assert_eq!(edited(&server), ["last"]);
    server.stop().await;
}

#[tokio::test]
async fn a_rule_about_some_uses_has_the_agent_ask_and_answers_it() {
    let server = server().await;
    let rules = [
        rule("bash", "*", "allow"),
        rule("bash", "rm *", "deny"),
        rule("edit", "*", "ask"),
    ];
    let session = create(&server, json!({ "permission": rules })).await;
    let said = server
        .prompt(&session, "bash rm -rf x", model("mock", "mock"))
        .await;
    assert_eq!(text_of(&said), "permission rejected");
    assert_eq!(server.say(&session, "bash ls").await, "ran ls");
    let mut events = server.events().await;
    let waiting = server.prompt_later(&session, "tool", json!({}));
    let asked = events.until("permission.asked", |_| true).await.properties;
    assert_eq!(asked["permission"], "edit");
    let path = format!(
        "/opencode/permission/{}/reply",
        asked["id"].as_str().unwrap()
    );
    server
        .ok(Method::POST, &path, Some(json!({ "reply": "reject" })))
        .await;
    assert_eq!(text_of(&answered(waiting).await.1), "permission rejected");
    assert!(edited(&server).is_empty());
    server.stop().await;
}

#[tokio::test]
async fn a_backend_that_cannot_keep_a_rule_refuses_it_and_nothing_changes() {
    let server = server().await;
    let deny = [rule("bash", "*", "deny")];
    let refused = |(status, body): (StatusCode, Value), field: &str| {
        let text = body.to_string().replace('\\', "");
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        for part in [
            "Backend \"deaf\"",
            "do without bash",
            "no such rule",
            "told, mock",
            field,
        ] {
            assert!(text.contains(part), "no {part:?} in {text}");
        }
    };
    // Only those that are known to run are named as a way out.
    for provider in ["told", "mock"] {
        let other = create(&server, json!({})).await;
        server
            .prompt(&other, "echo hi", model(provider, "mock"))
            .await;
    }
    // In a session that has the backend: the rules are refused, however they come.
    let session = create(
        &server,
        json!({ "model": { "providerID": "deaf", "id": "mock" } }),
    )
    .await;
    let path = format!("/opencode/session/{session}");
    let before = server.get(&path).await;
    refused(
        server
            .patch(&session, json!({ "title": "x", "permission": deny }))
            .await,
        "[\"permission\"]",
    );
    refused(
        server
            .try_prompt(&session, "tool", json!({ "tools": { "bash": false } }))
            .await,
        "[\"tools\"]",
    );
    let body = json!({ "permission": deny, "model": { "providerID": "deaf", "id": "mock" } });
    let made = server
        .request(Method::POST, "/opencode/session", Some(body), &[])
        .await;
    let made = (made.status(), made.json().await.unwrap());
    refused(made, "[\"permission\"]");
    let now = server.get(&path).await;
    for field in ["revision", "title", "permission", "model"] {
        assert_eq!(now[field], before[field], "{field}");
    }
    assert!(server.messages(&session).await.is_empty() && edited(&server).is_empty());
    // In a session that has the rules: the backend is refused.
    let ruled = create(&server, json!({ "permission": deny })).await;
    server
        .prompt(&ruled, "echo hi", model("told", "mock"))
        .await;
    let selected = server.get(&format!("/opencode/session/{ruled}")).await["model"].clone();
    let to_deaf = json!({ "providerID": "deaf", "modelID": "mock" });
    refused(server.patch(&ruled, to_deaf).await, "[\"model\"]");
    refused(
        server
            .try_prompt(&ruled, "bash make", model("deaf", "mock"))
            .await,
        "[\"model\"]",
    );
    let now = server.get(&format!("/opencode/session/{ruled}")).await;
    assert_eq!(now["model"], selected);
    assert_eq!(server.messages(&ruled).await.len(), 2);
    // It keeps exactly what the config file tells it.
    let answer = server.prompt(&ruled, "bash make", json!({})).await;
    assert_eq!(tools_of(&answer), 0, "{answer}");
    let (status, body) = server
        .patch(
            &ruled,
            json!({ "permission": [rule("bash", "x *", "ask")] }),
        )
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
    // Another switch is fine, and the rule holds there, too.
    server.select(&ruled, "mock", "mock-fast").await;
    let answer = server.prompt(&ruled, "bash make", json!({})).await;
    assert_eq!(
        (tools_of(&answer), answer["info"]["providerID"].as_str()),
        (0, Some("mock"))
    );
    server.stop().await;
}

#[tokio::test]
async fn rules_that_are_about_no_tool_of_an_agent_refuse_nothing() {
    let server = server().await;
    let names = [
        "question",
        "todowrite",
        "task",
        "skill",
        "doom_loop",
        "external_directory",
        "plan_exit",
    ];
    let mut rules: Vec<_> = names.iter().map(|name| rule(name, "*", "deny")).collect();
    rules.push(rule("bash", "*", "allow"));
    let session = create(&server, json!({ "permission": rules })).await;
    let answer = server
        .prompt(&session, "bash make", model("deaf", "mock"))
        .await;
    assert_eq!(text_of(&answer), "ran make");
    server.stop().await;
}
