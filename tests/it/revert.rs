//! Revert and unrevert: messages, files, and what agents still know.

use std::process::Command;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::handoff::pair;
use crate::harness::{Options, Server, answered, model, parts_of};

/// Makes the server's working directory a repository, with a file in it.
pub(crate) fn init_repository(server: &Server) {
    let status = Command::new("git")
        .args(["init", "--quiet"])
        .current_dir(server.work())
        .status();
    assert!(status.expect("git").success());
    std::fs::write(server.work().join("old.txt"), "old\n").unwrap();
}

fn file(server: &Server, name: &str) -> Option<String> {
    std::fs::read_to_string(server.work().join(name)).ok()
}

/// The ids of a session's prompts.
pub(crate) async fn prompts(server: &Server, session: &str) -> Vec<String> {
    let messages = server.messages(session).await;
    let prompts = messages.iter().filter(|m| m["info"]["role"] == "user");
    prompts
        .map(|m| m["info"]["id"].as_str().unwrap().to_owned())
        .collect()
}

pub(crate) async fn try_revert(server: &Server, session: &str, body: Value) -> (StatusCode, Value) {
    let path = format!("/opencode/session/{session}/revert");
    server.send(Method::POST, &path, Some(body)).await
}

pub(crate) async fn revert(server: &Server, session: &str, message: &str) -> Value {
    let (status, body) = try_revert(server, session, json!({ "messageID": message })).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body
}

async fn unrevert(server: &Server, session: &str) -> Value {
    let path = format!("/opencode/session/{session}/unrevert");
    server.ok(Method::POST, &path, None).await
}

#[tokio::test]
async fn an_agent_does_not_know_what_was_reverted() {
    let mut server = Server::start().await;
    let session = server.create().await;
    server
        .prompt(&session, "echo one", model("mock", "mock"))
        .await;
    for text in ["echo two", "echo three"] {
        server.prompt(&session, text, json!({})).await;
    }
    let native = server.say(&session, "session").await;
    let all = server.messages(&session).await;
    let second = prompts(&server, &session).await[1].clone();
    let mut events = server.events().await;
    let reverted = revert(&server, &session, &second).await;
    // Outside of a repository there is no snapshot.
    assert_eq!(reverted["revert"], json!({ "messageID": second }));
    events
        .until("session.diff", |p| p["diff"] == json!([]))
        .await;
    let told = events.until("session.updated", |_| true).await.properties;
    assert_eq!(told["info"]["revert"], reverted["revert"]);
    assert_eq!(server.messages(&session).await, all, "nothing is gone yet");

    // It stays reverted over a crash, and can be brought back after it.
    server.kill().await;
    server.restart().await;
    let path = format!("/opencode/session/{session}");
    assert_eq!(server.get(&path).await["revert"]["messageID"], second);
    assert_eq!(unrevert(&server, &session).await.get("revert"), None);
    assert_eq!(
        unrevert(&server, &session).await.get("revert"),
        None,
        "again"
    );
    assert_eq!(
        server.say(&session, "session").await,
        native,
        "it has all of it"
    );

    revert(&server, &session, &second).await;
    let mut events = server.events().await;
    let history = server.say(&session, "history").await;
    assert!(history.contains("[user]\n| echo one\n"), "{history}");
    for gone in ["two", "three"] {
        assert!(!history.contains(gone), "{gone} in {history}");
    }
    events.until("session.idle", |_| true).await;
    let kinds = events.kinds();
    let at = |kind: &str| kinds.iter().position(|k| *k == kind).expect(kind);
    assert!(at("message.removed") < at("session.updated"), "{kinds:?}");
    assert!(at("session.updated") < at("message.updated"), "{kinds:?}");
    let removed: Vec<_> = events
        .of("message.removed")
        .iter()
        .map(|p| p["messageID"].clone())
        .collect();
    let expected: Vec<_> = all[2..].iter().map(|m| m["info"]["id"].clone()).collect();
    assert_eq!(removed[..expected.len()], expected);
    assert!(
        !server
            .messages(&session)
            .await
            .iter()
            .any(|m| expected.contains(&m["info"]["id"]))
    );
    assert_eq!(server.get(&path).await.get("revert"), None);
    assert_ne!(server.say(&session, "session").await, native);

    // What is removed is gone for good.
    let left = server.messages(&session).await;
    server.kill().await;
    server.restart().await;
    assert_eq!(server.messages(&session).await, left);
    assert_eq!(unrevert(&server, &session).await.get("revert"), None);
    assert_eq!(server.messages(&session).await, left);
    server.stop().await;
}

#[tokio::test]
async fn only_the_agents_that_have_seen_it_begin_anew() {
    let server = pair(&["--models", "x,y"], "").await;
    let session = server.create().await;
    let mock = || model("mock", "mock");
    let second = || model("second", "x");
    server.prompt(&session, "echo one", mock()).await;
    let native = server.prompt(&session, "session", mock()).await;
    server.prompt(&session, "echo two", second()).await;
    // It has failed in this turn, and knows its prompt all the same.
    server.prompt(&session, "error", second()).await;
    let other = server.prompt(&session, "session", second()).await;
    let third = prompts(&server, &session).await[2].clone();
    revert(&server, &session, &third).await;

    let history = server.prompt(&session, "history", second()).await;
    let text = crate::harness::text_of(&history);
    assert!(
        text.contains("| echo one") && !text.contains("echo two"),
        "{text}"
    );
    assert!(
        text.contains("[earlier conversation of this session]"),
        "{text}"
    );
    let now = server.prompt(&session, "session", second()).await;
    assert_ne!(
        crate::harness::text_of(&now),
        crate::harness::text_of(&other)
    );
    let now = server.prompt(&session, "session", mock()).await;
    assert_eq!(
        crate::harness::text_of(&now),
        crate::harness::text_of(&native)
    );
    server.stop().await;
}

#[tokio::test]
async fn files_come_and_go_with_the_messages() {
    let mut server = Server::start().await;
    init_repository(&server);
    let session = server.create().await;
    let first = server
        .prompt(&session, "tool old.txt", model("mock", "mock-fast"))
        .await;
    let start = &parts_of(&first, "step-start")[0]["snapshot"];
    let finish = &parts_of(&first, "step-finish")[0]["snapshot"];
    let patch = parts_of(&first, "patch")[0];
    assert!(
        start.is_string() && finish.is_string() && start != finish,
        "{first}"
    );
    assert_eq!(patch["hash"], *start);
    let old_path = server.work().canonicalize().unwrap().join("old.txt");
    assert_eq!(patch["files"], json!([old_path]));

    let mut events = server.events().await;
    let second = server.prompt(&session, "tool new.txt", json!({})).await;
    assert_eq!(parts_of(&second, "step-start")[0]["snapshot"], *finish);
    let diff = events.until("session.diff", |_| true).await.properties["diff"].clone();
    let line = |file: &str, status: &str| json!([file, status, 1, 0]);
    let lines = |diff: &Value| -> Vec<Value> {
        let each = diff.as_array().unwrap().iter();
        each.map(|d| json!([d["file"], d["status"], d["additions"], d["deletions"]]))
            .collect()
    };
    let both = [line("new.txt", "added"), line("old.txt", "modified")];
    assert_eq!(lines(&diff), both);
    let path = format!("/opencode/session/{session}");
    assert_eq!(server.get(&format!("{path}/diff")).await, diff);
    assert_eq!(
        server.get(&path).await["summary"],
        json!({ "additions": 2, "deletions": 0, "files": 2 })
    );
    let ids = prompts(&server, &session).await;
    let of_second = server
        .get(&format!("{path}/diff?messageID={}", ids[1]))
        .await;
    assert_eq!(lines(&of_second), [line("new.txt", "added")]);
    assert_eq!(
        server.messages(&session).await[2]["info"]["summary"]["diffs"],
        of_second
    );
    assert_eq!(
        server.get(&format!("{path}/diff?messageID=msg_none")).await,
        json!([])
    );
    let text = of_second[0]["patch"].as_str().unwrap();
    assert!(
        text.starts_with("Index: new.txt\n")
            && text.ends_with("@@ -0,0 +1,1 @@\n+edited by mock-fast\n"),
        "{text}"
    );

    server.prompt(&session, "echo nothing", json!({})).await;
    let (old, new) = (file(&server, "old.txt"), file(&server, "new.txt"));
    std::fs::write(server.work().join("mine.txt"), "mine").unwrap();
    // Back to before the second prompt; then before the first; then only before the second again.
    let reverted = revert(&server, &session, &ids[1]).await;
    assert_eq!(
        (file(&server, "old.txt"), file(&server, "new.txt")),
        (old.clone(), None)
    );
    let diff = reverted["revert"]["diff"].as_str().unwrap();
    assert!(
        diff.starts_with("diff --git a/new.txt b/new.txt\ndeleted file")
            && !diff.contains("old.txt"),
        "{diff}"
    );
    assert_eq!(reverted["summary"]["files"], 1);
    let snapshot = reverted["revert"]["snapshot"].clone();
    let further = revert(&server, &session, &ids[0]).await;
    assert_eq!(
        further["revert"]["snapshot"], snapshot,
        "the way back leads to where it began"
    );
    assert_eq!(
        (file(&server, "old.txt"), file(&server, "new.txt")),
        (Some("old\n".into()), None)
    );
    revert(&server, &session, &ids[1]).await;
    assert_eq!(
        (file(&server, "old.txt"), file(&server, "new.txt")),
        (old.clone(), None)
    );
    std::fs::write(server.work().join("mine.txt"), "mine, changed").unwrap();
    server.kill().await;
    server.restart().await;
    let back = unrevert(&server, &session).await;
    assert_eq!(back.get("revert"), None);
    assert_eq!(
        (file(&server, "old.txt"), file(&server, "new.txt")),
        (old.clone(), new)
    );
    assert_eq!(
        file(&server, "mine.txt").as_deref(),
        Some("mine, changed"),
        "it was none of the agent's"
    );

    // For good.
    revert(&server, &session, &ids[1]).await;
    server.prompt(&session, "echo on", json!({})).await;
    assert_eq!(
        (file(&server, "old.txt"), file(&server, "new.txt")),
        (old, None)
    );
    let diff = server.get(&format!("{path}/diff")).await;
    assert_eq!(diff[0]["file"], "mine.txt");
    // The user's own repository was never written to.
    assert!(!server.work().join(".git/index").exists());
    server.stop().await;
}

#[tokio::test]
async fn files_that_cannot_be_restored_leave_everything_as_it_is() {
    let server = Server::start().await;
    init_repository(&server);
    let session = server.create().await;
    server
        .prompt(&session, "tool a.txt", model("mock", "mock"))
        .await;
    let id = prompts(&server, &session).await[0].clone();
    // The snapshots are gone.
    std::fs::remove_dir_all(server.folder.path().join("data/snapshot")).unwrap();
    let before = server.get(&format!("/opencode/session/{session}")).await;
    let (status, body) = try_revert(&server, &session, json!({ "messageID": id })).await;
    assert_eq!(
        (status, &body["name"]),
        (StatusCode::INTERNAL_SERVER_ERROR, &json!("UnknownError"))
    );
    assert!(
        body["data"]["message"]
            .as_str()
            .unwrap()
            .contains("could not be restored"),
        "{body}"
    );
    let after = server.get(&format!("/opencode/session/{session}")).await;
    assert_eq!(before, after);
    assert!(file(&server, "a.txt").is_some());
    // Turns go on without.
    let answer = server.prompt(&session, "tool a.txt", json!({})).await;
    assert_eq!(answer["info"]["error"], Value::Null);
    server.stop().await;
}

#[tokio::test]
async fn a_revert_that_a_crash_cuts_off_is_finished_by_the_next_start() {
    let mut server = Server::start().await;
    init_repository(&server);
    let session = server.create().await;
    server
        .prompt(&session, "tool new.txt", model("mock", "mock"))
        .await;
    server.prompt(&session, "tool old.txt", json!({})).await;
    let written = file(&server, "old.txt");
    let ids = prompts(&server, &session).await;
    revert(&server, &session, &ids[1]).await;
    server.kill().await;
    // As if the server had been killed between the commit and the files.
    std::fs::write(server.work().join("old.txt"), written.unwrap()).unwrap();
    let store = server.folder.path().join("data/baton.sqlite");
    let store = rusqlite::Connection::open(store).unwrap();
    let body: String = store
        .query_row("SELECT body FROM session_body", [], |row| row.get(0))
        .unwrap();
    let mut state: Value = serde_json::from_str(&body).unwrap();
    let (from, to) = (
        state["revert"]["snapshot"].clone(),
        state["past"]["reverted_tree"].clone(),
    );
    assert!(from.is_string() && to.is_string(), "{state}");
    state["past"]["restoring"] = json!({ "from": from, "to": to });
    store
        .execute("UPDATE session_body SET body = ?1", [state.to_string()])
        .unwrap();
    store
        .execute("UPDATE session SET restoring = 1", [])
        .unwrap();
    drop(store);
    // It has brought the log back and removed it; Baton takes a missing log for a loss.
    std::fs::write(server.folder.path().join("data/baton.sqlite-wal"), "").unwrap();
    server.restart().await;
    // Turns wait for it.
    server.prompt(&session, "echo on", json!({})).await;
    assert_eq!(file(&server, "old.txt").as_deref(), Some("old\n"));
    assert!(file(&server, "new.txt").is_some());
    server.stop().await;
}

#[tokio::test]
async fn snapshots_can_be_switched_off() {
    let options = Options {
        config: "snapshot = false".to_owned(),
        arguments: vec!["--agents".into(), "mock".into()],
    };
    let server = Server::start_with(options).await;
    init_repository(&server);
    let session = server.create().await;
    let answer = server
        .prompt(&session, "tool a.txt", model("mock", "mock"))
        .await;
    assert_eq!(parts_of(&answer, "step-start")[0].get("snapshot"), None);
    assert!(parts_of(&answer, "patch").is_empty());
    let id = prompts(&server, &session).await[0].clone();
    let reverted = revert(&server, &session, &id).await;
    assert_eq!(reverted["revert"], json!({ "messageID": id }));
    assert!(file(&server, "a.txt").is_some());
    assert!(!server.folder.path().join("data/snapshot").exists());
    server.stop().await;
}

#[tokio::test]
async fn a_part_of_an_answer_can_be_reverted() {
    let server = Server::start().await;
    init_repository(&server);
    let session = server.create().await;
    let answer = server
        .prompt(&session, "tool a.txt", model("mock", "mock"))
        .await;
    let text = parts_of(&answer, "text")[0];
    let message = &answer["info"]["id"];
    let body = json!({ "messageID": message, "partID": text["id"] });
    let (_, reverted) = try_revert(&server, &session, body).await;
    assert_eq!(
        (
            &reverted["revert"]["messageID"],
            &reverted["revert"]["partID"]
        ),
        (message, &text["id"])
    );
    let mut events = server.events().await;
    let history = server.say(&session, "history").await;
    assert!(
        history.contains("Edit a.txt") && !history.contains("| edited a.txt"),
        "{history}"
    );
    let removed = events
        .until("message.part.removed", |_| true)
        .await
        .properties;
    assert_eq!(
        (&removed["partID"], &removed["messageID"]),
        (&text["id"], message)
    );
    let messages = server.messages(&session).await;
    let kinds: Vec<_> = messages[1]["parts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["type"].clone())
        .collect();
    assert_eq!(kinds, ["step-start", "reasoning", "tool"]);
    server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_reverted_changes_nothing() {
    let server = Server::start().await;
    let session = server.create().await;
    server
        .prompt(&session, "echo one", model("mock", "mock"))
        .await;
    let id = prompts(&server, &session).await[0].clone();
    let path = format!("/opencode/session/{session}");
    let before = (server.get(&path).await, server.messages(&session).await);
    for (body, status, said) in [
        (json!({}), 400, "[\"messageID\"]"),
        (json!({ "messageID": 5 }), 400, "[\"messageID\"]"),
        (json!({ "messageID": "ses_1" }), 400, "msg"),
        (json!({ "messageID": id, "partID": "x" }), 400, "prt"),
        (json!({ "message_id": id }), 400, "Did you mean"),
        (json!({ "messageID": "msg_none" }), 404, "msg_none"),
        (
            json!({ "messageID": id, "partID": "prt_none" }),
            404,
            "prt_none",
        ),
    ] {
        let (got, error) = try_revert(&server, &session, body).await;
        assert_eq!(got.as_u16(), status, "{error}");
        assert!(
            error["data"]["message"].as_str().unwrap().contains(said),
            "{error}"
        );
    }
    let (status, _) = try_revert(&server, "ses_none", json!({ "messageID": id })).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(
        (server.get(&path).await, server.messages(&session).await),
        before
    );

    let mut events = server.events().await;
    let waiting = server.prompt_later(&session, "slow 60", json!({}));
    events.until("message.part.delta", |_| true).await;
    let (status, error) = try_revert(&server, &session, json!({ "messageID": id })).await;
    assert_eq!(
        (status, &error["_tag"]),
        (StatusCode::CONFLICT, &json!("SessionBusyError"))
    );
    let unrevert = format!("{path}/unrevert");
    let (status, _) = server.send(Method::POST, &unrevert, None).await;
    assert_eq!(status, StatusCode::CONFLICT);
    server.abort(&session).await;
    answered(waiting).await;
    revert(&server, &session, &id).await;
    // A message that wants no answer begins no turn, and forgets what is reverted all the same.
    server
        .prompt(&session, "noted", json!({ "noReply": true }))
        .await;
    let texts: Vec<_> = server
        .messages(&session)
        .await
        .iter()
        .map(|m| m["parts"][0]["text"].clone())
        .collect();
    assert_eq!(texts, ["noted"]);
    server.stop().await;
}

#[tokio::test]
async fn reverts_and_prompts_at_the_same_time_leave_one_truth() {
    let server = Server::start().await;
    init_repository(&server);
    let session = server.create().await;
    server
        .prompt(&session, "echo first", model("mock", "mock"))
        .await;
    for round in 0..6 {
        let ids = prompts(&server, &session).await;
        let last = ids.last().unwrap().clone();
        let text = format!("tool r{round}.txt");
        let prompt = server.prompt_later(&session, &text, json!({}));
        let path = format!("/opencode/session/{session}");
        let body = Some(json!({ "messageID": last }));
        let revert_path = format!("{path}/revert");
        let patch = server.patch(&session, json!({ "title": format!("round {round}") }));
        let revert = server.send(Method::POST, &revert_path, body);
        let ((reverted, error), (patched, _)) = tokio::join!(revert, patch);
        assert!(matches!(reverted.as_u16(), 200 | 404 | 409), "{error}");
        assert_eq!(patched, StatusCode::OK);
        assert_eq!(answered(prompt).await.0, StatusCode::OK);
        // What is listed and not reverted is what the agent knows, in its order.
        let state = server.get(&path).await;
        let history = server.say(&session, "history").await;
        assert_eq!(server.get(&path).await["title"], format!("round {round}"));
        let messages = server.messages(&session).await;
        let asked = messages.iter().filter(|m| m["info"]["role"] == "user");
        for message in asked {
            let text = message["parts"][0]["text"].as_str().unwrap();
            assert!(
                text == "history" || history.contains(text),
                "{text} in {history}; {state}"
            );
        }
        for other in 0..=round {
            let text = format!("tool r{other}.txt");
            let listed = messages.iter().any(|m| m["parts"][0]["text"] == text);
            assert_eq!(history.contains(&text), listed, "{text} in {history}");
            assert_eq!(
                file(&server, &format!("r{other}.txt")).is_some(),
                listed,
                "{text}"
            );
        }
    }
    server.stop().await;
}
