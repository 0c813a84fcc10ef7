//! The agent with nothing wrong.

use super::*;

#[tokio::test]
async fn replies_have_the_shape_of_the_protocol() {
    let (mut client, session, new) = Client::with_session(&[]).await;
    exact::<acp::NewSessionResponse>(&new);
    assert_eq!(current(&new, "model"), Some("mock"));
    assert_eq!(current(&new, "effort"), None);

    let params = json!({"protocolVersion": 1});
    let initialized = client.call("initialize", params).await;
    exact::<acp::InitializeResponse>(initialized.result());

    let set = client.set(&session, "model", "mock-strong").await;
    exact::<acp::SetSessionConfigOptionResponse>(set.result());
    assert_eq!(current(set.result(), "model"), Some("mock-strong"));
    assert_eq!(current(set.result(), "effort"), Some("medium"));

    let loaded = client.back("session/load", &session).await;
    exact::<acp::LoadSessionResponse>(loaded.result());
    let resumed = client.back("session/resume", &session).await;
    exact::<acp::ResumeSessionResponse>(resumed.result());

    let asked = client.prompt(&session, "echo 12345678").await;
    exact::<acp::PromptResponse>(&json!({"stopReason": asked.result()["stopReason"]}));
    let usage = json!({"totalTokens": 5, "inputTokens": 3, "outputTokens": 2});
    assert_eq!(asked.result()["usage"], usage);

    let closed = client
        .call("session/close", json!({"sessionId": session}))
        .await;
    assert_eq!(closed.result(), &json!({}));
    assert_eq!(client.prompt(&session, "echo").await.code(), -32002);
}

#[tokio::test]
async fn a_switch_shows_in_the_next_answer_and_not_after_a_load() {
    let (mut client, session, _) = Client::with_session(&[]).await;
    assert_eq!(client.prompt(&session, "model").await.text(), "mock");
    client.set(&session, "model", "mock-strong").await.result();
    client.set(&session, "effort", "high").await.result();
    let params = json!({"sessionId": session, "modeId": "plan"});
    client.call("session/set_mode", params).await.result();
    assert_eq!(
        client.prompt(&session, "model").await.text(),
        "mock-strong (high)"
    );
    assert_eq!(client.prompt(&session, "mode").await.text(), "plan");
    let hello = client.prompt(&session, "hello").await;
    assert_eq!(hello.text(), "This is mock-strong. You said: hello");

    let loaded = client.back("session/load", &session).await;
    assert_eq!(loaded.updates.len(), 8);
    assert_eq!(loaded.updates[7]["content"]["text"], hello.text());
    assert_eq!(current(loaded.result(), "model"), Some("mock"));
    let asked = client.prompt(&session, "history").await;
    let lines = "model: mock\n1. user: model\n2. assistant [mock]: mock\n3. user: model\n\
                 4. assistant [mock-strong]: mock-strong (high)\n5. user: mode\n\
                 6. assistant [mock-strong]: plan\n7. user: hello\n\
                 8. assistant [mock-strong]: This is mock-strong. You said: hello";
    assert_eq!(asked.text(), lines);
}

#[tokio::test]
async fn the_blocks_before_the_command_are_context() {
    let (mut client, session, _) = Client::with_session(&[]).await;
    let blocks = json!([
        {"type": "text", "text": "line one\nline two"},
        {"type": "image", "mimeType": "image/png", "data": "AA=="},
        {"type": "resource_link", "name": "a.rs", "uri": "file:///a.rs"},
        {"type": "text", "text": " history "},
    ]);
    let params = json!({"sessionId": session, "prompt": blocks});
    let answer = client.call("session/prompt", params).await;
    assert_eq!(
        answer.text(),
        "model: mock\n1. user: line one\nline two\n2. user: [image image/png]\n\
         3. user: [resource_link a.rs]"
    );
}

#[tokio::test]
async fn wrong_requests_get_the_right_code() {
    let (mut client, session, _) = Client::with_session(&[]).await;
    for (method, params, code) in [
        ("no/such", json!({}), -32601),
        (
            "session/set_model",
            json!({"sessionId": session, "modelId": "mock"}),
            -32601,
        ),
        ("session/new", json!({"cwd": "/"}), -32602),
        ("session/new", json!({"cwd": "a", "mcpServers": []}), -32602),
        ("session/new", json!([1]), -32602),
        ("session/prompt", json!({"sessionId": session}), -32602),
        (
            "session/prompt",
            json!({"sessionId": session, "prompt": [{"type": 1}]}),
            -32602,
        ),
        ("session/prompt", prompt("nobody", &["x"]), -32002),
        (
            "session/load",
            json!({"sessionId": "../x", "cwd": "/", "mcpServers": []}),
            -32002,
        ),
        (
            "session/set_mode",
            json!({"sessionId": session, "modeId": "x"}),
            -32602,
        ),
    ] {
        assert_eq!(client.call(method, params).await.code(), code, "{method}");
    }
    for (option, value) in [
        ("model", "gpt"),
        ("effort", "high"),
        ("mode", ""),
        ("x", "y"),
    ] {
        let answer = client.set(&session, option, value).await;
        assert_eq!(answer.code(), -32602, "{option}");
    }
    // The session still works, and with the model that it had.
    assert_eq!(client.prompt(&session, "model").await.text(), "mock");
}

#[tokio::test]
async fn no_line_is_too_strange() {
    let mut client = Client::new(&[]);
    let deep = "[".repeat(100_000);
    for (line, code) in [
        (&b"{"[..], -32700),
        (b"\xff\xfe", -32700),
        (deep.as_bytes(), -32700),
        (b"[]", -32600),
        (b"1", -32600),
        (b"{}", -32600),
        (br#"{"id": [], "method": "initialize"}"#, -32600),
        (br#"{"id": 1}"#, -32600),
        (
            br#"{"id": null, "method": "initialize", "params": 3}"#,
            -32602,
        ),
    ] {
        client.give(line);
        assert_eq!(client.next().await["error"]["code"], code, "{line:?}");
    }
    // These are answered with nothing; the next answer belongs to the next request.
    for line in [
        &b"  "[..],
        br#"{"method": "what/ever"}"#,
        br#"{"method": "session/cancel", "params": {"sessionId": 5}}"#,
        br#"{"id": "x", "result": 1}"#,
    ] {
        client.give(line);
    }
    let answer = client
        .call("initialize", json!({"protocolVersion": 1}))
        .await;
    assert_eq!(answer.result()["protocolVersion"], 1);
}

#[tokio::test]
async fn a_turn_keeps_its_model_and_its_session_is_busy_until_it_ends() {
    let (mut client, session, _) = Client::with_session(&[]).await;
    let slow = client.send("session/prompt", prompt(&session, &["slow 600"]));
    assert_eq!(
        client.next().await["params"]["update"]["content"]["text"],
        "tick 1 "
    );

    // The ticks go on while the client asks for other things.
    let refused = client.send("session/prompt", prompt(&session, &["echo"]));
    assert_eq!(client.response(refused).await.code(), -32600);
    assert_eq!(client.back("session/load", &session).await.code(), -32600);
    let set = client.set(&session, "model", "mock-fast").await;
    assert_eq!(current(set.result(), "model"), Some("mock-fast"));
    let params = json!({"cwd": "/", "mcpServers": []});
    let other = client.call("session/new", params).await.result()["sessionId"].clone();
    let other = client.prompt(other.as_str().unwrap(), "model").await;
    assert!(other.text().contains("mock"), "{}", other.text());

    client.give(
        json!({"method": "session/cancel", "params": {"sessionId": session}})
            .to_string()
            .as_bytes(),
    );
    let cancelled = client.response(slow).await;
    assert_eq!(cancelled.result()["stopReason"], "cancelled");
    let history = client.prompt(&session, "history").await.text();
    assert!(
        history.starts_with("model: mock-fast\n1. user: slow 600\n2. assistant [mock]: tick 1")
    );
}

#[tokio::test]
async fn a_tool_edits_a_file_and_in_plan_mode_it_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let mut client = Client::new(&[]);
    let params = json!({"cwd": directory.path(), "mcpServers": []});
    let new = client.call("session/new", params).await.result().clone();
    let session = new["sessionId"].as_str().unwrap();

    let first = client.prompt(session, "tool a.txt").await;
    assert_eq!(first.text(), "edited a.txt");
    let kinds = [
        "agent_thought_chunk",
        "tool_call",
        "tool_call_update",
        "tool_call_update",
    ];
    assert_eq!(&first.kinds()[..4], kinds);
    assert_eq!(first.updates[3]["content"][0]["oldText"], Value::Null);
    let second = client.prompt(session, "tool a.txt").await;
    assert_eq!(second.updates[3]["status"], "completed");
    assert_eq!(
        second.updates[3]["content"][0]["oldText"],
        "edited by mock\n"
    );
    assert_eq!(
        second.updates[3]["content"][0]["newText"],
        "edited by mock\nedited by mock\n"
    );
    assert_eq!(
        second.updates[3]["content"][1]["content"]["text"],
        "wrote 15 bytes to a.txt"
    );

    client.set(session, "mode", "plan").await.result();
    let planned = client.prompt(session, "tool b.txt").await;
    assert_eq!(planned.text(), "plan mode is read-only");
    assert_eq!(planned.updates[2]["status"], "failed");
    assert!(!directory.path().join("b.txt").exists());
    let outside = client.prompt(session, "tool ../b.txt").await;
    assert!(outside.text().starts_with("cannot edit"));
}

#[tokio::test]
async fn other_tools_and_texts() {
    let (mut client, session, _) = Client::with_session(&[]).await;
    let bash = client.prompt(&session, "bash ls -l").await;
    assert_eq!(bash.text(), "ran ls -l");
    assert_eq!(
        bash.updates[2]["content"][0]["content"]["text"],
        "mock output of: ls -l"
    );
    let read = client.prompt(&session, "read 100").await;
    let output = read.updates[2]["content"][0]["content"]["text"].as_str();
    assert_eq!(output.unwrap().len(), 100 * 1024);
    let planned = client.prompt(&session, "plan").await;
    assert_eq!(planned.updates[0]["entries"].as_array().unwrap().len(), 3);
    assert_eq!(
        client.prompt(&session, "big 3").await.text().len(),
        3 * 1024
    );
    assert_eq!(client.prompt(&session, "echo a\nb").await.text(), "a\nb");
    assert_eq!(client.prompt(&session, "session").await.text(), session);
    assert_eq!(
        client.prompt(&session, "env NO_SUCH_VARIABLE").await.text(),
        "(unset)"
    );
    let switched = client.prompt(&session, "switch mock-fast").await;
    assert_eq!(switched.text(), "switched myself to mock-fast");
    assert_eq!(current(&switched.updates[0], "model"), Some("mock-fast"));
    assert_eq!(client.prompt(&session, "model").await.text(), "mock-fast");
}

#[tokio::test]
async fn the_ways_to_fail() {
    let (mut client, session, _) = Client::with_session(&[]).await;
    let error = client.prompt(&session, "error").await;
    assert_eq!(error.text(), "about to fail");
    let expected = json!({
        "code": -32603, "message": "mock failure", "data": {"details": "requested by the prompt"},
    });
    assert_eq!(error.response["error"], expected);
    let silent = client.prompt(&session, "error silent").await;
    assert_eq!(silent.result(), &json!({"stopReason": "end_turn"}));
    assert!(silent.updates.is_empty());
    let text = client.prompt(&session, "error text").await;
    assert_eq!(text.text(), "API Error: 400 mock failure");
    assert_eq!(text.result()["stopReason"], "end_turn");
}

#[tokio::test]
async fn the_client_is_asked() {
    let (mut client, session, _) = Client::with_session(&[]).await;
    for (option, text, status) in [
        ("once", "permission granted: once", "completed"),
        ("always", "permission granted: always", "completed"),
        ("reject", "permission rejected", "failed"),
    ] {
        client.answer = json!({"outcome": {"outcome": "selected", "optionId": option}});
        let answer = client.prompt(&session, "permission make clean").await;
        assert_eq!(answer.text(), text);
        let call = answer
            .updates
            .iter()
            .rfind(|update| update["toolCallId"].is_string());
        assert_eq!(call.unwrap()["status"], status);
        assert_eq!(
            answer.requests[0]["params"]["toolCall"]["title"],
            "make clean"
        );
    }
    client.answer = json!({"outcome": {"outcome": "cancelled"}});
    let cancelled = client.prompt(&session, "permission").await;
    assert_eq!(cancelled.text(), "permission cancelled");

    for (answer, text) in [
        (
            json!({"action": "accept", "content": {"color": "red"}}),
            "you chose Red",
        ),
        (json!({"action": "decline"}), "question declined"),
        (json!({"action": "cancel"}), "question cancelled"),
    ] {
        client.answer = answer;
        assert_eq!(client.prompt(&session, "question").await.text(), text);
    }
    client
        .call("initialize", json!({"protocolVersion": 1}))
        .await;
    let mute = client.prompt(&session, "question").await;
    assert_eq!(mute.text(), "the client cannot ask questions");
}

#[tokio::test]
async fn a_turn_that_waits_for_the_client_can_be_cancelled() {
    let (mut client, session, _) = Client::with_session(&[]).await;
    let asking = client.send("session/prompt", prompt(&session, &["permission"]));
    while client.next().await["method"] != "session/request_permission" {}
    let cancel = json!({"method": "session/cancel", "params": {"sessionId": session}});
    client.give(cancel.to_string().as_bytes());
    let cancelled = client.response(asking).await;
    assert_eq!(cancelled.result()["stopReason"], "cancelled");
    // An answer that comes too late belongs to nobody.
    let late = json!({"id": 0, "result": {"outcome": {"outcome": "cancelled"}}});
    client.give(late.to_string().as_bytes());
    assert_eq!(client.prompt(&session, "echo x").await.text(), "x");
}

#[tokio::test]
async fn slash_commands_are_told_and_taken_at_the_beginning_of_a_prompt_only() {
    let (mut client, session, _) =
        Client::with_session(&["--commands", "shout,count,deploy"]).await;
    let answer = client.prompt(&session, "/shout hear me").await;
    assert_eq!(answer.text(), "HEAR ME");
    let names: Vec<_> = (client.commands.as_array().unwrap().iter())
        .map(|command| command["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["shout", "count", "deploy"]);
    let deployed = client.prompt(&session, "/deploy now").await;
    assert_eq!(deployed.text(), "/deploy was run by mock with: now");
    // Behind anything else it is a text like any other.
    let params = prompt(&session, &["before", "/count"]);
    let answer = client.call("session/prompt", params).await;
    assert_eq!(answer.text(), "This is mock. You said: /count");
    assert_eq!(
        client.prompt(&session, "/count").await.text(),
        "7 before this"
    );
    client.commands = Value::Null;
    client.back("session/resume", &session).await.result();
    client.prompt(&session, "echo x").await;
    assert_eq!(client.commands.as_array().unwrap().len(), 3);
}
