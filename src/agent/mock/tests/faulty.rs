//! The agent with each capability taken away and with each fault that shows in its messages. The
//! faults of the process are in `tests/it/mock_agent.rs`.

use super::*;

#[tokio::test]
async fn without_set_config_option_there_are_only_legacy_models() {
    let (mut client, session, new) =
        Client::with_session(&["--without", "set-config-option"]).await;
    assert!(new["configOptions"].is_null());
    let first = json!({"modelId": "mock", "name": "Mock"});
    assert_eq!(new["models"]["availableModels"][0], first);
    assert_eq!(new["models"]["currentModelId"], "mock");
    assert_eq!(
        client.set(&session, "model", "mock-fast").await.code(),
        -32601
    );

    let params = json!({"sessionId": session, "modelId": "mock-strong"});
    client.call("session/set_model", params).await.result();
    assert_eq!(client.prompt(&session, "model").await.text(), "mock-strong");
    let params = json!({"sessionId": session, "modelId": "x"});
    assert_eq!(
        client.call("session/set_model", params).await.code(),
        -32602
    );
    let switched = client.prompt(&session, "switch mock-fast").await;
    assert_eq!(switched.kinds()[0], "agent_message_chunk");
    assert_eq!(client.prompt(&session, "model").await.text(), "mock-fast");
}

#[tokio::test]
async fn without_a_choice_the_model_is_the_one_of_the_launch() {
    let flags = ["--without", "model-choice", "--model", "any/thing"];
    let (mut client, session, new) = Client::with_session(&flags).await;
    assert!(new["configOptions"].is_null() && new["models"].is_null());
    assert_eq!(client.set(&session, "model", "mock").await.code(), -32601);
    let params = json!({"sessionId": session, "modelId": "mock"});
    assert_eq!(
        client.call("session/set_model", params).await.code(),
        -32601
    );
    assert_eq!(client.prompt(&session, "model").await.text(), "any/thing");
}

#[tokio::test]
async fn other_models_can_be_offered() {
    let flags = [
        "--models",
        "v/a,v/strong",
        "--model",
        "v/strong",
        "--context",
        "9",
    ];
    let (mut client, session, new) = Client::with_session(&flags).await;
    assert_eq!(current(&new, "model"), Some("v/strong"));
    assert_eq!(current(&new, "effort"), Some("medium"));
    let answer = client.prompt(&session, "model").await;
    assert_eq!(answer.text(), "v/strong (medium)");
    assert_eq!(answer.updates[1]["size"], 9);

    let args = Cli::parse_from(["mock-agent", "--model", "nobody"]).args;
    let error = Agent::new(args, Outgoing::new().0, None).err().unwrap();
    assert!(
        error
            .to_string()
            .contains("known: mock, mock-fast, mock-strong")
    );
}

#[tokio::test]
async fn what_is_taken_away_is_not_announced_and_not_there() {
    let without = "load,resume,list,close,delete,modes,variants,images,usage,elicitation";
    let (mut client, session, new) =
        Client::with_session(&["--without", without, "--model", "mock-strong"]).await;
    let params = json!({"protocolVersion": 1});
    let initialized = client.call("initialize", params).await.result().clone();
    exact::<acp::InitializeResponse>(&initialized);
    let capabilities = &initialized["agentCapabilities"];
    assert_eq!(capabilities["loadSession"], false);
    assert_eq!(capabilities["promptCapabilities"]["image"], false);
    assert_eq!(capabilities["sessionCapabilities"], json!({}));
    assert!(new["modes"].is_null());
    assert_eq!(new["configOptions"].as_array().unwrap().len(), 1);

    for method in [
        "session/load",
        "session/resume",
        "session/list",
        "session/close",
        "session/delete",
        "session/set_mode",
    ] {
        assert_eq!(
            client.back(method, &session).await.code(),
            -32601,
            "{method}"
        );
    }
    for option in ["mode", "effort"] {
        assert_eq!(client.set(&session, option, "low").await.code(), -32602);
    }
    let image = json!([{"type": "image", "mimeType": "image/png", "data": ""}]);
    let params = json!({"sessionId": session, "prompt": image});
    assert_eq!(client.call("session/prompt", params).await.code(), -32602);
    let answer = client.prompt(&session, "question").await;
    assert_eq!(answer.text(), "this agent cannot ask questions");
    assert_eq!(answer.kinds(), ["agent_message_chunk"]);
    assert_eq!(answer.result(), &json!({"stopReason": "end_turn"}));
}

#[tokio::test]
async fn a_load_can_replay_late_or_fail() {
    let (mut client, session, _) = Client::with_session(&["--fault", "load-replays-late"]).await;
    client.prompt(&session, "echo x").await;
    let loaded = client.back("session/load", &session).await;
    assert!(loaded.updates.is_empty());
    let late = client.next().await;
    assert_eq!(late["params"]["update"]["content"]["text"], "echo x");
    assert_eq!(
        client.next().await["params"]["update"]["content"]["text"],
        "x"
    );

    let (mut client, session, _) = Client::with_session(&["--fault", "load-fails"]).await;
    assert_eq!(client.back("session/load", &session).await.code(), -32603);
}

#[tokio::test]
async fn a_resume_can_lose_the_history() {
    let (mut client, session, _) = Client::with_session(&["--fault", "resume-loses-history"]).await;
    client.prompt(&session, "echo x").await;
    client.back("session/resume", &session).await.result();
    assert_eq!(
        client.prompt(&session, "history").await.text(),
        "model: mock"
    );
}

#[tokio::test]
async fn a_busy_agent_can_refuse_a_switch() {
    let (mut client, session, _) = Client::with_session(&["--fault", "refuses-busy-switch"]).await;
    let slow = client.send("session/prompt", prompt(&session, &["slow 600"]));
    client.next().await;
    assert_eq!(
        client.set(&session, "model", "mock-fast").await.code(),
        -32600
    );
    let cancel = json!({"method": "session/cancel", "params": {"sessionId": session}});
    client.give(cancel.to_string().as_bytes());
    client.response(slow).await;
    client.set(&session, "model", "mock-fast").await.result();
}

/// What a switch of the model does with a fault: what the reply shows and what answers.
async fn switch(fault: &str, model: &str) -> (Option<String>, String) {
    let (mut client, session, _) = Client::with_session(&["--fault", fault]).await;
    let set = client.set(&session, "model", model).await;
    let shown = current(set.result(), "model").map(str::to_owned);
    (shown, client.prompt(&session, "model").await.text())
}

#[tokio::test]
async fn a_switch_can_go_wrong_in_many_ways() {
    let both = |shown: &str, answers: &str| (Some(shown.to_owned()), answers.to_owned());
    assert_eq!(switch("accepts-any-model", "gpt").await, both("gpt", "gpt"));
    assert_eq!(
        switch("reports-other-model", "mock-fast").await,
        both("mock", "mock")
    );
    assert_eq!(
        switch("ignores-model", "mock-fast").await,
        both("mock-fast", "mock")
    );

    let (mut client, session, _) = Client::with_session(&["--fault", "set-model-error"]).await;
    assert_eq!(
        client.set(&session, "model", "mock-fast").await.code(),
        -32603
    );
    assert_eq!(client.prompt(&session, "model").await.text(), "mock");
}

#[tokio::test]
async fn an_agent_can_switch_itself_after_each_turn() {
    let (mut client, session, _) = Client::with_session(&["--fault", "switches-itself"]).await;
    for (model, next) in [("mock", "mock-fast"), ("mock-fast", "mock-strong")] {
        assert_eq!(client.prompt(&session, "model").await.text(), model);
        let announced = client.next().await;
        assert_eq!(current(&announced["params"]["update"], "model"), Some(next));
    }
}

#[tokio::test]
async fn a_turn_can_end_without_a_word() {
    let (mut client, session, _) = Client::with_session(&["--fault", "silent-end-turn"]).await;
    let answer = client.prompt(&session, "echo x").await;
    assert!(answer.updates.is_empty());
    assert_eq!(answer.result(), &json!({"stopReason": "end_turn"}));
}

#[tokio::test]
async fn a_session_can_need_a_login() {
    let mut client = Client::new(&["--fault", "auth-required"]);
    let params = json!({"protocolVersion": 1});
    let initialized = client.call("initialize", params).await.result().clone();
    exact::<acp::InitializeResponse>(&initialized);
    let params = json!({"cwd": "/", "mcpServers": []});
    let refused = client.call("session/new", params.clone()).await;
    assert_eq!(refused.code(), -32000);
    assert_eq!(
        refused.response["error"]["message"],
        "Authentication required"
    );
    let login = json!({"methodId": initialized["authMethods"][0]["id"]});
    client.call("authenticate", login).await.result();
    client.call("session/new", params).await.result();
}

#[tokio::test]
async fn a_slow_switch_holds_nothing_else_up() {
    let flags = ["--fault", "slow-switch", "--delay-ms", "300"];
    let (mut client, session, _) = Client::with_session(&flags).await;
    let params = json!({"sessionId": session, "configId": "model", "value": "mock-fast"});
    let switch = client.send("session/set_config_option", params);
    assert_eq!(client.prompt(&session, "model").await.text(), "mock");
    let switched = client.response(switch).await;
    assert_eq!(current(switched.result(), "model"), Some("mock-fast"));
    assert_eq!(client.prompt(&session, "model").await.text(), "mock-fast");
}

#[tokio::test]
async fn some_methods_can_stay_unanswered() {
    let flags = ["--never-answer", "session/load,session/set_mode"];
    let (mut client, session, _) = Client::with_session(&flags).await;
    let params = json!({"sessionId": session, "modeId": "plan"});
    client.send("session/set_mode", params);
    // Had it been answered, that answer would come before this one.
    assert_eq!(client.prompt(&session, "mode").await.text(), "build");
}
