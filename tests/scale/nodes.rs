//! What each node answers about a session of another, and who goes on with it.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::cluster::{Cluster, LEASE};
use crate::database;

/// What is taken over is answered within this time after a lease.
const AFTER_LEASE: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_node_answers_and_the_owner_works() {
    let Some(server) = database::shared().await else {
        return;
    };
    let cluster = Cluster::start(server, 3).await;
    let session = cluster.create(0).await;
    let path = format!("/session/{session}");
    for node in 0..3 {
        assert_eq!(cluster.prompt(node, &session, "echo hello").await, "hello");
        let seen = cluster.ok(node, Method::GET, &path, None).await;
        assert_eq!(seen["runtime"]["status"], "idle");
    }
    let waited = format!("{path}?wait=true");
    let selected = json!({"providerID": "two", "modelID": "strong"});
    let patched = cluster.ok(2, Method::PATCH, &waited, Some(selected));
    let revision = patched.await["revision"].clone();
    assert_eq!(
        cluster.ok(1, Method::GET, &path, None).await["revision"],
        revision
    );
    let told = cluster.prompt(1, &session, "history").await;
    assert_eq!(told.matches("hello").count(), 6, "{told}");
    assert_eq!(
        cluster.owner(&session).await.expect("held").name,
        cluster.nodes[0].name
    );

    // What an agent asks is seen and answered everywhere.
    let asking = async { cluster.prompt(0, &session, "permission make").await };
    let answering = async {
        let request = loop {
            let asked = cluster.ok(2, Method::GET, "/permission", None).await;
            match asked[0]["id"].as_str() {
                Some(id) => break id.to_owned(),
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        };
        let busy = cluster.ok(1, Method::GET, "/session/status", None).await;
        assert_eq!(busy[&session]["type"], "busy");
        let reply = format!("/permission/{request}/reply");
        cluster
            .ok(1, Method::POST, &reply, Some(json!({"reply": "once"})))
            .await;
    };
    let (said, ()) = tokio::join!(asking, answering);
    assert!(said.contains("allow") || said.contains("once"), "{said}");

    let nodes = cluster.ok(1, Method::GET, "/node", None).await;
    let alive: Vec<_> = nodes["nodes"]
        .as_array()
        .expect("nodes")
        .iter()
        .map(|n| n["alive"] == true)
        .collect();
    assert_eq!(alive, [true; 3]);
    let whoever = cluster
        .ask(&cluster.nodes[0], Method::GET, "/opencode/node/asks", None)
        .await;
    assert_eq!(whoever.expect("an answer").0, StatusCode::FORBIDDEN);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_killed_is_followed_by_another_within_a_lease() {
    let Some(server) = database::shared().await else {
        return;
    };
    let cluster = Cluster::start(server, 3).await;
    let session = cluster.create(0).await;
    cluster.prompt(0, &session, "echo before").await;
    let prompt = json!({"parts": [{"type": "text", "text": "slow 60"}]});
    let path = format!("/session/{session}");
    let prompted = format!("{path}/prompt_async");
    let begun = cluster.ask(&cluster.nodes[0], Method::POST, &prompted, Some(prompt));
    assert_eq!(begun.await.expect("an answer").0, StatusCode::NO_CONTENT);
    let messages = format!("{path}/message");
    let last = async |node: usize| -> Value {
        let all = cluster.ok(node, Method::GET, &messages, None).await;
        all.as_array()
            .expect("messages")
            .last()
            .expect("one")
            .clone()
    };
    while !last(1).await.to_string().contains("tick") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    cluster.nodes[0].crash().await;
    let killed = Instant::now();
    // Nobody has asked for it: whoever looks sees that the answer has ended.
    let answer = loop {
        let answer = cluster
            .ask(&cluster.nodes[2], Method::GET, &messages, None)
            .await;
        let answer = answer.and_then(|(status, all)| {
            status
                .is_success()
                .then(|| all.as_array()?.last().cloned())
                .flatten()
        });
        match answer.filter(|answer| !answer["info"]["time"]["completed"].is_null()) {
            Some(answer) => break answer,
            None => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    assert!(
        killed.elapsed() < LEASE + AFTER_LEASE,
        "{:?}",
        killed.elapsed()
    );
    assert_eq!(answer["info"]["error"]["name"], "MessageAbortedError");
    let told = cluster.prompt(1, &session, "history").await;
    assert!(
        told.contains("before") && told.contains("slow 60"),
        "{told}"
    );
    cluster.nodes[0].launch().await;
    assert_eq!(cluster.prompt(0, &session, "echo after").await, "after");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_suspended_writes_nothing_over_what_came_after() {
    let Some(server) = database::shared().await else {
        return;
    };
    let cluster = Cluster::start(server, 2).await;
    let session = cluster.create(0).await;
    let path = format!("/session/{session}");
    let prompt = json!({"parts": [{"type": "text", "text": "slow 60"}]});
    let prompted = format!("{path}/message");
    let asking = cluster.ask(&cluster.nodes[0], Method::POST, &prompted, Some(prompt));
    let suspending = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        cluster.nodes[0].suspend();
        tokio::time::sleep(LEASE).await;
        let title = json!({"title": "taken over"});
        let until = Instant::now() + AFTER_LEASE;
        while !cluster
            .ask(&cluster.nodes[1], Method::PATCH, &path, Some(title.clone()))
            .await
            .is_some_and(|(status, _)| status.is_success())
        {
            assert!(Instant::now() < until, "it is not taken over in time");
        }
        assert_eq!(cluster.prompt(1, &session, "echo after").await, "after");
        // It is asked while it is suspended, and answers the moment that it goes on.
        let reading = cluster.ask(&cluster.nodes[0], Method::GET, &path, None);
        let resuming = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            cluster.nodes[0].resume();
        };
        let (read, ()) = tokio::join!(reading, resuming);
        let (status, read) = read.expect("an answer");
        let is_true = !status.is_success() || read["title"] == "taken over";
        assert!(is_true, "{status} {read}");
    };
    let (answer, ()) = tokio::join!(asking, suspending);
    // Whoever waits there is told that it has not ended as it should.
    let (status, answer) = answer.expect("an answer");
    assert!(
        !status.is_success() || !answer["info"]["error"].is_null(),
        "{status} {answer}"
    );
    let all = cluster
        .ok(0, Method::GET, &format!("{path}/message"), None)
        .await;
    let answers: Vec<_> = all
        .as_array()
        .expect("messages")
        .iter()
        .map(|m| m["info"]["role"].clone())
        .collect();
    assert_eq!(answers, ["user", "assistant", "user", "assistant"], "{all}");
    assert_eq!(
        cluster.ok(0, Method::GET, &path, None).await["title"],
        "taken over"
    );
    assert_eq!(cluster.prompt(0, &session, "echo again").await, "again");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_drains_ends_its_turns_and_sends_the_rest_on() {
    let Some(server) = database::shared().await else {
        return;
    };
    let cluster = Cluster::start(server, 2).await;
    let (busy, idle) = (cluster.create(0).await, cluster.create(0).await);
    let running = cluster.prompt(0, &busy, "slow 2");
    let draining = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let drained = cluster.ok(0, Method::POST, "/node/drain", None).await;
        assert_eq!(drained["sessions"], 1);
        let ready = cluster
            .ask(&cluster.nodes[0], Method::GET, "/node/ready", None)
            .await;
        assert_eq!(ready.expect("an answer").0, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(
            cluster.prompt(0, &idle, "echo elsewhere").await,
            "elsewhere"
        );
        assert_eq!(
            cluster.owner(&idle).await.expect("held").name,
            cluster.nodes[1].name
        );
        let made = cluster.create(0).await;
        assert_eq!(
            cluster.owner(&made).await.expect("held").name,
            cluster.nodes[1].name
        );
    };
    let (said, ()) = tokio::join!(running, draining);
    assert!(said.contains("tick 20"), "{said}");
    cluster.nodes[0].terminate().await;
    assert_eq!(cluster.prompt(1, &busy, "echo on").await, "on");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_session_goes_where_there_is_least_to_do_and_its_directory() {
    let Some(server) = database::shared().await else {
        return;
    };
    let cluster = Cluster::start_with(server, 2, "placement = \"spread\"", None).await;
    let busy = cluster.create(0).await;
    let running = cluster.prompt(0, &busy, "slow 3");
    let making = async {
        // A node says with its heartbeat how much it does.
        let says_so = async || {
            let nodes = cluster.ok(1, Method::GET, "/node", None).await;
            let all = nodes["nodes"].as_array().expect("nodes").clone();
            all.iter().any(|node| node["load"]["turns"] == 1)
        };
        while !says_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let made = cluster.create(0).await;
        assert_eq!(
            cluster.owner(&made).await.expect("held").name,
            cluster.nodes[1].name
        );
    };
    tokio::join!(running, making);
    let nowhere = "/session?directory=%2Fno%2Fsuch%2Fdirectory";
    let refused = cluster.ask(&cluster.nodes[0], Method::POST, nowhere, Some(json!({})));
    let (status, refused) = refused.await.expect("an answer");
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let message = refused["data"]["message"].as_str().expect("a message");
    assert!(
        message.contains("/no/such/directory") && message.contains("no other node"),
        "{message}"
    );
    cluster.stop().await;
}
