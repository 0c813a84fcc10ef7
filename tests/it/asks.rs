//! Permissions and questions: from the agent to the client and back.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Events, Server, answered, model, parts_of, text_of};

/// Answers a permission request.
async fn reply(server: &Server, id: &Value, reply: &str) -> (StatusCode, Value) {
    let path = format!("/opencode/permission/{}/reply", id.as_str().unwrap());
    let body = json!({ "reply": reply });
    server.send(Method::POST, &path, Some(body)).await
}

/// The same by OpenCode's older route.
async fn respond(server: &Server, session: &str, id: &Value, reply: &str) -> (StatusCode, Value) {
    let id = id.as_str().unwrap();
    let path = format!("/opencode/session/{session}/permissions/{id}");
    let body = json!({ "response": reply });
    server.send(Method::POST, &path, Some(body)).await
}

/// Sends a prompt, answers what it asks with `once`, and returns what the agent says then.
async fn ask_once(server: &Server, events: &mut Events, session: &str, prompt: &str) -> String {
    let waiting = server.prompt_later(session, prompt, json!({}));
    let asked = events.until("permission.asked", |_| true).await;
    let (status, _) = reply(server, &asked.properties["id"], "once").await;
    assert_eq!(status, StatusCode::OK);
    text_of(&answered(waiting).await.1)
}

#[tokio::test]
async fn a_permission_is_asked_listed_and_given() {
    let server = Server::start().await;
    let session = server.create().await;
    let mut events = server.events().await;
    let waiting = server.prompt_later(&session, "permission rm -rf build", model("mock", "mock"));
    let asked = events.until("permission.asked", |_| true).await.properties;
    assert_eq!(
        (
            &asked["sessionID"],
            &asked["permission"],
            &asked["patterns"]
        ),
        (&json!(session), &json!("bash"), &json!(["rm -rf build"]))
    );
    assert_eq!(asked["always"], json!(["rm *"]));
    let list = server.get("/opencode/permission").await;
    assert_eq!(list, json!([asked]));
    assert_eq!(
        server.get("/opencode/session/status").await[&session]["type"],
        "busy"
    );
    // As in OpenCode: a call runs from the moment that its permission is asked for.
    let messages = server.messages(&session).await;
    assert_eq!(messages[1]["info"]["id"], asked["tool"]["messageID"]);
    let call = parts_of(&messages[1], "tool")[0];
    assert_eq!(call["callID"], asked["tool"]["callID"]);
    assert_eq!(call["state"]["status"], "running");

    let (status, answer) = reply(&server, &asked["id"], "once").await;
    assert_eq!((status, answer), (StatusCode::OK, json!(true)));
    let replied = events.until("permission.replied", |_| true).await;
    let expected = json!({ "sessionID": session, "requestID": asked["id"], "reply": "once" });
    assert_eq!(replied.properties, expected);
    let (_, answer) = answered(waiting).await;
    assert_eq!(text_of(&answer), "permission granted: once");
    let call = parts_of(&answer, "tool")[0];
    assert_eq!(call["state"]["status"], "completed");
    assert_eq!(server.get("/opencode/permission").await, json!([]));
    let (status, error) = reply(&server, &asked["id"], "once").await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{error}");
    server.stop().await;
}

#[tokio::test]
async fn a_permission_is_refused_by_either_route() {
    let server = Server::start().await;
    let session = server.create().await;
    let mut events = server.events().await;
    for legacy in [false, true] {
        let waiting = server.prompt_later(&session, "permission", json!({}));
        let asked = events.until("permission.asked", |_| true).await;
        let id = &asked.properties["id"];
        let (status, answer) = match legacy {
            true => respond(&server, &session, id, "reject").await,
            false => reply(&server, id, "reject").await,
        };
        assert_eq!((status, answer), (StatusCode::OK, json!(true)));
        let (_, answer) = answered(waiting).await;
        assert_eq!(text_of(&answer), "permission rejected");
        let state = &parts_of(&answer, "tool")[0]["state"];
        assert_eq!(
            (&state["status"], &state["error"]),
            (&json!("error"), &json!("rejected by the user"))
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn always_answers_what_matches_from_then_on() {
    let server = Server::start().await;
    let (session, other) = (server.create().await, server.create().await);
    let mut events = server.events().await;
    let waiting = server.prompt_later(&session, "permission git status", model("mock", "mock"));
    let asked = events.until("permission.asked", |_| true).await;
    let id = &asked.properties["id"];
    let (status, _) = respond(&server, &session, id, "always").await;
    assert_eq!(status, StatusCode::OK);
    let replied = events.until("permission.replied", |_| true).await;
    assert_eq!(replied.properties["reply"], "always");
    // The agent itself is told "once": what it remembers could reach other sessions.
    let (_, answer) = answered(waiting).await;
    assert_eq!(text_of(&answer), "permission granted: once");

    let granted = "permission granted: once";
    let (once, again) = ("permission git status -s", "permission git status .");
    assert_eq!(server.say(&session, once).await, granted);
    server.select(&session, "mock", "mock-strong").await;
    assert_eq!(server.say(&session, again).await, granted);

    for command in [
        "permission git status; rm -rf /",
        "permission git status $(rm -rf /)",
        "permission git status | sh",
        "permission git status\nrm -rf /",
        "permission git log",
        "permission git",
        "permission rm x",
    ] {
        let said = ask_once(&server, &mut events, &session, command).await;
        assert_eq!(said, granted, "{command}");
    }
    // Another session has promised nothing.
    ask_once(&server, &mut events, &other, "permission git status").await;
    assert_eq!(events.of("permission.asked").len(), 9);
    server.stop().await;
}

#[tokio::test]
async fn always_outlives_the_server() {
    let mut server = Server::start().await;
    let session = server.create().await;
    let mut events = server.events().await;
    let waiting = server.prompt_later(&session, "permission git status", json!({}));
    let asked = events.until("permission.asked", |_| true).await;
    reply(&server, &asked.properties["id"], "always").await;
    answered(waiting).await;
    server.kill().await;
    server.restart().await;
    let said = server.say(&session, "permission git status -s").await;
    assert_eq!(said, "permission granted: once");
    server.stop().await;
}

#[tokio::test]
async fn the_rules_of_a_session_answer_by_themselves() {
    let server = Server::start().await;
    let session = server.create().await;
    let mut events = server.events().await;
    let rule = |pattern: &str, action: &str| json!({ "permission": "bash", "pattern": pattern, "action": action });
    let rules = json!([rule("git *", "allow"), rule("git push*", "deny")]);
    let (status, patched) = server.patch(&session, json!({ "permission": rules })).await;
    assert_eq!((status, &patched["permission"]), (StatusCode::OK, &rules));

    let said = server.say(&session, "permission git log").await;
    assert_eq!(said, "permission granted: once");
    let said = server.say(&session, "permission git push origin").await;
    assert_eq!(said, "permission rejected");
    ask_once(&server, &mut events, &session, "permission make").await;
    // The last rule that matches decides, and a later PATCH adds to the rules.
    let body = json!({ "permission": [rule("git log", "deny"), rule("git status", "ask")] });
    let (status, patched) = server.patch(&session, body).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(patched["permission"].as_array().unwrap().len(), 4);
    let said = server.say(&session, "permission git log").await;
    assert_eq!(said, "permission rejected");
    ask_once(&server, &mut events, &session, "permission git status").await;
    assert_eq!(events.of("permission.asked").len(), 2);
    server.stop().await;
}

#[tokio::test]
async fn an_abort_takes_a_permission_request_back() {
    let server = Server::start().await;
    let session = server.create().await;
    let mut events = server.events().await;
    for prompt in ["permission make", "question"] {
        let waiting = server.prompt_later(&session, prompt, json!({}));
        let (asked, taken_back, list) = match prompt {
            "question" => ("question.asked", "question.rejected", "question"),
            _ => ("permission.asked", "permission.replied", "permission"),
        };
        let asked = events.until(asked, |_| true).await;
        server.abort(&session).await;
        let id = &asked.properties["id"];
        events.until(taken_back, |p| p["requestID"] == *id).await;
        let (_, answer) = answered(waiting).await;
        assert_eq!(answer["info"]["error"]["name"], "MessageAbortedError");
        assert_eq!(parts_of(&answer, "tool")[0]["state"]["status"], "error");
        assert_eq!(server.get(&format!("/opencode/{list}")).await, json!([]));
    }
    assert_eq!(server.say(&session, "echo on").await, "on");
    server.stop().await;
}

#[tokio::test]
async fn a_question_is_answered() {
    let server = Server::start().await;
    let session = server.create().await;
    let mut events = server.events().await;
    let waiting = server.prompt_later(&session, "question", json!({}));
    let asked = events.until("question.asked", |_| true).await.properties;
    assert_eq!(server.get("/opencode/question").await, json!([asked]));
    let question = &asked["questions"][0];
    assert_eq!(
        (&question["question"], &question["header"]),
        (&json!("Which color?"), &json!("Color"))
    );
    let labels: Vec<_> = question["options"]
        .as_array()
        .unwrap()
        .iter()
        .map(|option| option["label"].as_str().unwrap())
        .collect();
    assert_eq!(labels, ["Red", "Blue"]);

    let path = format!("/opencode/question/{}/reply", asked["id"].as_str().unwrap());
    for wrong in [
        json!({ "answers": [["Green"]] }),
        json!({ "answers": [] }),
        json!({ "answers": [["Red"], ["Blue"]] }),
        json!({ "answers": ["Red"] }),
        json!({ "answers": "Red" }),
        json!({}),
    ] {
        let (status, error) = server.send(Method::POST, &path, Some(wrong.clone())).await;
        assert_eq!(
            (status, &error["name"]),
            (StatusCode::BAD_REQUEST, &json!("BadRequest")),
            "{wrong}"
        );
        assert_eq!(server.get("/opencode/question").await, json!([asked]));
    }
    let body = json!({ "answers": [["Blue"]] });
    assert_eq!(
        server.ok(Method::POST, &path, Some(body.clone())).await,
        true
    );
    let replied = events.until("question.replied", |_| true).await.properties;
    assert_eq!(replied["requestID"], asked["id"]);
    assert_eq!(replied["answers"], body["answers"]);
    let (_, answer) = answered(waiting).await;
    assert_eq!(text_of(&answer), "you chose Blue");
    let (status, _) = server.send(Method::POST, &path, Some(body)).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(server.get("/opencode/question").await, json!([]));
    server.stop().await;
}

#[tokio::test]
async fn a_question_is_dismissed() {
    let server = Server::start().await;
    let session = server.create().await;
    let mut events = server.events().await;
    let waiting = server.prompt_later(&session, "question", json!({}));
    let asked = events.until("question.asked", |_| true).await.properties;
    let path = format!(
        "/opencode/question/{}/reject",
        asked["id"].as_str().unwrap()
    );
    assert_eq!(server.ok(Method::POST, &path, None).await, true);
    let rejected = events.until("question.rejected", |_| true).await;
    assert_eq!(rejected.properties["requestID"], asked["id"]);
    let (_, answer) = answered(waiting).await;
    assert_eq!(text_of(&answer), "question declined");
    let (status, _) = server.send(Method::POST, &path, None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    server.stop().await;
}

#[tokio::test]
async fn wrong_answers_leave_a_permission_request_waiting() {
    let server = Server::start().await;
    let (session, other) = (server.create().await, server.create().await);
    let mut events = server.events().await;
    let waiting = server.prompt_later(&session, "permission", json!({}));
    let asked = events.until("permission.asked", |_| true).await.properties;
    let id = &asked["id"];
    for wrong in ["maybe", "Once", ""] {
        let (status, error) = reply(&server, id, wrong).await;
        assert_eq!(
            (status, &error["name"]),
            (StatusCode::BAD_REQUEST, &json!("BadRequest"))
        );
        let (status, _) = respond(&server, &session, id, wrong).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
    }
    let (status, _) = respond(&server, &other, id, "once").await;
    assert_eq!(status, StatusCode::NOT_FOUND, "it is not that session's");
    let (status, error) = reply(&server, &json!("per_missing"), "once").await;
    assert_eq!(
        (status, &error["name"]),
        (StatusCode::NOT_FOUND, &json!("NotFoundError"))
    );
    assert_eq!(server.get("/opencode/permission").await, json!([asked]));
    assert_eq!(reply(&server, id, "once").await.0, StatusCode::OK);
    answered(waiting).await;
    server.stop().await;
}

#[tokio::test]
async fn what_was_allowed_for_good_while_building_is_asked_again_while_planning() {
    let server = Server::start().await;
    let session = server.create().await;
    let mut events = server.events().await;
    let waiting = server.prompt_later(&session, "permission rm a", model("mock", "mock"));
    let asked = events.until("permission.asked", |_| true).await;
    reply(&server, &asked.properties["id"], "always").await;
    answered(waiting).await;
    server.patch(&session, json!({ "agent": "plan" })).await;
    let said = ask_once(&server, &mut events, &session, "permission rm b").await;
    assert!(said.contains("granted"), "{said}");
    server.stop().await;
}
