//! `GET /session/{id}/model`: what each model has cost, and who changed the selection.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::handoff::pair;
use crate::harness::{Server, model};

async fn history_of(server: &Server, session: &str) -> Value {
    let path = format!("/opencode/session/{session}/model");
    server.get(&path).await
}

/// Counts answers, tokens and cost of each model in the messages of a session.
async fn counted(server: &Server, session: &str) -> Vec<(String, u64, [u64; 5], f64)> {
    let mut all: Vec<(String, u64, [u64; 5], f64)> = Vec::new();
    for message in server.messages(session).await {
        let info = &message["info"];
        if info["role"] != "assistant" {
            continue;
        }
        let name = name_of(info);
        let at = all.iter().position(|u| u.0 == name).unwrap_or_else(|| {
            all.push((name, 0, [0; 5], 0.0));
            all.len() - 1
        });
        all[at].1 += 1;
        for (sum, n) in all[at].2.iter_mut().zip(tokens_of(info)) {
            *sum += n;
        }
        all[at].3 += info["cost"].as_f64().unwrap();
    }
    all
}

fn name_of(info: &Value) -> String {
    let part = |key: &str| info[key].as_str().unwrap().to_owned();
    format!("{}/{}", part("providerID"), part("modelID"))
}

fn tokens_of(info: &Value) -> [u64; 5] {
    let paths = [
        "/input",
        "/output",
        "/reasoning",
        "/cache/read",
        "/cache/write",
    ];
    paths.map(|path| info["tokens"].pointer(path).unwrap().as_u64().unwrap())
}

#[tokio::test]
async fn the_usage_of_each_model_adds_up() {
    let mut server = pair(&["--models", "x,y"], "").await;
    let session = server.create().await;
    for (text, wish) in [
        ("echo one two three four", model("mock", "mock")),
        ("big 4", json!({})),
        ("echo five six seven eight", model("mock", "mock-fast")),
        ("history", model("second", "x")),
        ("error", json!({})),
        ("tool a.txt", model("mock", "mock")),
    ] {
        server.prompt(&session, text, wish).await;
    }
    let told = history_of(&server, &session).await;
    let usage = told["usage"].as_array().unwrap();
    let expected = counted(&server, &session).await;
    let names: Vec<_> = expected.iter().map(|u| (u.0.as_str(), u.1)).collect();
    assert_eq!(
        names,
        [("mock/mock", 3), ("mock/mock-fast", 1), ("second/x", 2)]
    );
    assert_eq!(usage.len(), expected.len(), "{told}");
    for (entry, (name, answers, tokens, cost)) in usage.iter().zip(&expected) {
        assert_eq!(name_of(entry), *name);
        assert_eq!(entry["answers"], *answers, "{name}");
        assert_eq!(tokens_of(entry), *tokens, "{name}");
        assert!(tokens[1] > 0, "{name} has answered something");
        assert!(
            (entry["cost"].as_f64().unwrap() - cost).abs() < 1e-9,
            "{name}"
        );
    }
    let whole = server.get(&format!("/opencode/session/{session}")).await;
    let sum = |key: &str| -> u64 {
        let each = usage.iter().map(|u| u["tokens"][key].as_u64().unwrap());
        each.sum()
    };
    assert_eq!(whole["tokens"]["input"], sum("input"));
    assert_eq!(whole["tokens"]["output"], sum("output"));

    // What was deleted was paid for.
    let messages = server.messages(&session).await;
    let last = messages.last().unwrap()["info"]["id"].as_str().unwrap();
    let path = format!("/opencode/session/{session}/message/{last}");
    server.ok(Method::DELETE, &path, None).await;
    assert_eq!(history_of(&server, &session).await["usage"], told["usage"]);
    server.kill().await;
    server.restart().await;
    assert_eq!(history_of(&server, &session).await["usage"], told["usage"]);
    server.stop().await;
}

#[tokio::test]
async fn every_switch_is_in_the_audit_trail_for_good() {
    let mut server = pair(&["--models", "x,y", "--fault", "set-model-error"], "").await;
    let session = server.create().await;
    let path = format!("/opencode/session/{session}");
    let empty = history_of(&server, &session).await;
    assert_eq!(empty["switches"], json!([]));
    assert_eq!(
        (&empty["selected"], &empty["applied"]),
        (&Value::Null, &Value::Null)
    );

    // A message, a PATCH by a client, one that fails and is taken back, the agent itself, and a no-op.
    server
        .prompt(&session, "echo one", model("mock", "mock"))
        .await;
    let wish = json!({ "providerID": "second", "modelID": "x" });
    let waiting = format!("{path}?wait=true");
    let headers = [("x-client-id", "tester")];
    let answer = server
        .request(Method::PATCH, &waiting, Some(wish.clone()), &headers)
        .await;
    assert_eq!(answer.status(), StatusCode::OK);
    server.ok(Method::PATCH, &waiting, Some(wish)).await;
    let wish = json!({ "providerID": "second", "modelID": "y" });
    let (status, _) = server.send(Method::PATCH, &waiting, Some(wish)).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    server.prompt(&session, "echo two", json!({})).await;
    let mut events = server.events().await;
    server
        .prompt(&session, "switch mock-fast", model("mock", "mock"))
        .await;
    events
        .until("session.model_applied", |p| {
            p["current"]["modelID"] == "mock-fast"
        })
        .await;

    let told = history_of(&server, &session).await;
    let switches = told["switches"].as_array().unwrap();
    let seen: Vec<_> = switches
        .iter()
        .map(|s| {
            let part = |value: &Value| value.as_str().unwrap_or("none").to_owned();
            [
                part(&s["source"]),
                part(&s["previous"]["modelID"]),
                part(&s["current"]["modelID"]),
                part(&s["client"]),
                part(&s["transfer"]["kind"]),
            ]
        })
        .collect();
    let expected = [
        ["message", "none", "mock", "none", "none"],
        ["patch", "mock", "x", "tester", "transcript"],
        ["patch", "x", "y", "none", "none"],
        ["revert", "y", "x", "none", "transcript"],
        ["message", "x", "mock", "none", "catch_up"],
        ["agent", "mock", "mock-fast", "none", "native"],
    ];
    assert_eq!(seen, expected.map(|row| row.map(str::to_owned)), "{told:#}");
    assert_eq!(
        switches[0]["transfer"],
        json!({ "kind": "none", "messages": 0, "bytes": 0, "elided": 0 })
    );
    assert_eq!(switches[1]["transfer"]["messages"], 2);
    assert_eq!(switches[2]["transfer"], Value::Null);
    let failure = &switches[2]["failure"];
    assert_eq!(failure["name"], "APIError", "{failure}");
    let why = failure["data"]["message"].as_str().unwrap();
    assert!(why.contains("\"y\"") && why.contains("second"), "{why}");
    let mut before = (0, 0);
    for (at, switch) in switches.iter().enumerate() {
        assert!(switch["durationMs"].is_u64(), "{at}: {switch}");
        assert_eq!(switch["failure"].is_null(), at != 2, "{at}: {switch}");
        let now = (
            switch["revision"].as_u64().unwrap(),
            switch["time"].as_u64().unwrap(),
        );
        assert!(now.0 > before.0 && now.1 >= before.1, "{at}: {switch}");
        before = now;
    }
    assert_eq!(told["revision"], before.0);
    assert_eq!(told["selected"]["modelID"], "mock-fast");
    assert_eq!(told["applied"], told["selected"]);

    server.kill().await;
    server.restart().await;
    let after = history_of(&server, &session).await;
    for field in ["switches", "usage", "revision", "selected"] {
        assert_eq!(after[field], told[field], "{field}");
    }
    assert_eq!(after["applied"], Value::Null, "no agent runs yet");
    let (status, error) = server
        .send(Method::GET, "/opencode/session/ses_none/model", None)
        .await;
    assert!(status.is_client_error(), "{status}: {error}");
    server.stop().await;
}
