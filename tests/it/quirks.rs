//! What real agents were seen doing that is against the grain of the protocol, imitated by the mock agent:
//! sessions go on all the same.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Options, Server, answered, model, text_of};

/// A server whose backend `odd` is a mock agent with these arguments and further settings.
pub(crate) async fn server_with(arguments: &[&str], settings: &str) -> Server {
    let baton = env!("CARGO_BIN_EXE_baton");
    let folder = tempfile::tempdir().expect("state directory");
    let state = folder.keep();
    let mut command = vec![baton, "mock-agent", "--state-dir", state.to_str().unwrap()];
    command.extend(arguments);
    Server::start_with(Options {
        config: format!("[agents.odd]\ncommand = {command:?}\n{settings}"),
        arguments: vec!["--agents".into(), "odd".into()],
    })
    .await
}

/// A server whose built-in backend, of which a quirk is known, is a mock agent with that fault.
async fn server_with_known(id: &str, fault: &str) -> Server {
    let baton = env!("CARGO_BIN_EXE_baton");
    let folder = tempfile::tempdir().expect("state directory");
    let state = folder.keep();
    let state = ["--state-dir", state.to_str().expect("a path")];
    let command = [&[baton, "mock-agent"], &state[..], &["--fault", fault]].concat();
    Server::start_with(Options {
        config: format!("[agents.{id}]\ncommand = {command:?}\n"),
        arguments: vec!["--agents".into(), id.into()],
    })
    .await
}

fn kill(pids: &[u32]) {
    for pid in pids {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(*pid).expect("a pid"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("killed");
    }
}

#[tokio::test]
async fn a_reopened_session_that_lacks_the_model_is_replaced_by_a_new_one() {
    let server = server_with(&["--fault", "reopens-with-other-ids"], "").await;
    let session = server.create().await;
    server
        .prompt(&session, "echo one", model("odd", "mock-fast"))
        .await;
    let killed = server.processes();
    kill(&killed);

    let after = server.prompt(&session, "history", json!({})).await;
    assert_eq!(after["info"]["error"], json!(null), "{after}");
    let text = text_of(&after);
    assert!(text.starts_with("model: mock-fast"), "{text}");
    assert!(
        text.contains("echo one"),
        "it was handed the conversation: {text}"
    );
    assert!(server.processes().iter().all(|pid| !killed.contains(pid)));
    // The new native session has taken the old one's place: nothing is handed over a second time.
    let native = server.prompt(&session, "history", json!({})).await;
    assert_eq!(
        text_of(&native).matches("user: history").count(),
        1,
        "{native}"
    );
    server.stop().await;
}

#[tokio::test]
async fn sessions_that_would_close_each_other_have_a_process_each() {
    let fault = ["--fault", "closes-other-sessions"];
    let server = server_with(&fault, "one_session_per_process = true\n").await;
    let first = server.create().await;
    server
        .prompt(&first, "echo one", model("odd", "mock"))
        .await;
    let mut events = server.events().await;
    let running = server.prompt_later(&first, "slow 2", json!({}));
    events.until("message.part.delta", |_| true).await;

    let second = server.create().await;
    let beside = server
        .prompt(&second, "echo two", model("odd", "mock-fast"))
        .await;
    assert_eq!(text_of(&beside), "two");
    let (_, whole) = answered(running).await;
    assert_eq!(whole["info"]["error"], json!(null), "{whole}");
    assert_eq!(server.processes().len(), 2);
    let history = text_of(&server.prompt(&first, "history", json!({})).await);
    assert!(
        history.contains("echo one") && !history.contains("echo two"),
        "{history}"
    );
    server.stop().await;
}

#[tokio::test]
async fn an_agent_that_keeps_its_first_model_gets_a_new_native_session_for_another() {
    let server = server_with_known("cline", "keeps-first-model").await;
    let session = server.create().await;
    let asked = async |text: &str, name: Option<&str>| {
        let chosen = name.map_or(json!({}), |name| model("cline", name));
        let answer = server.prompt(&session, text, chosen).await;
        assert_eq!(answer["info"]["error"], json!(null), "{answer}");
        (answer["info"]["modelID"].clone(), text_of(&answer))
    };
    asked("echo AMBER", Some("mock")).await;
    for name in ["mock-fast", "mock"] {
        // Chosen before its first prompt, in a native session of its own, which knows what was before.
        let (answered, said) = asked("model", Some(name)).await;
        assert_eq!((answered, said.as_str()), (json!(name), name));
        let (answered, known) = asked("history", None).await;
        assert_eq!(answered, json!(name));
        assert!(known.contains("echo AMBER"), "{known}");
    }
    // Opened again, it would answer with the first model: so it is not.
    kill(&server.processes());
    let (answered, said) = asked("model", Some("mock-fast")).await;
    assert_eq!((answered, said.as_str()), (json!("mock-fast"), "mock-fast"));
    server.stop().await;
}

#[tokio::test]
async fn tokens_of_all_turns_are_booked_once() {
    let server = server_with_known("vibe", "counts-all-tokens").await;
    let session = server.create().await;
    let mut booked = Vec::new();
    for turn in 0..4 {
        if turn == 2 {
            kill(&server.processes());
        }
        let text = format!("echo {}", "four".repeat(100));
        let answer = server.prompt(&session, &text, model("vibe", "mock")).await;
        assert_eq!(answer["info"]["error"], json!(null), "{answer}");
        booked.push(answer["info"]["tokens"]["output"].as_u64());
    }
    assert_eq!(booked, [Some(100); 4]);
    server.stop().await;
}

#[tokio::test]
async fn tokens_that_are_counted_for_each_choice_of_a_model_are_booked_once() {
    let server = server_with_known("hermes", "counts-tokens-of-model").await;
    let session = server.create().await;
    let mut booked = Vec::new();
    for (turn, name) in ["mock", "mock", "mock-fast", "mock", "mock", "mock"]
        .iter()
        .enumerate()
    {
        if turn == 5 {
            kill(&server.processes());
        }
        // Each says more than all before, so that a restarted count is not smaller.
        let said = "four".repeat(100 * 3_usize.pow(u32::try_from(turn).unwrap()));
        let answer = server
            .prompt(&session, &format!("echo {said}"), model("hermes", name))
            .await;
        assert_eq!(answer["info"]["error"], json!(null), "{answer}");
        booked.push(answer["info"]["tokens"]["output"].as_u64().unwrap());
    }
    assert_eq!(booked, [100, 300, 900, 2_700, 8_100, 24_300]);
    server.stop().await;
}

#[tokio::test]
async fn a_greeting_is_not_an_answer() {
    let server = server_with(&["--fault", "greets"], "").await;
    let session = server.create().await;
    let answer = server
        .prompt(&session, "echo one", model("odd", "mock"))
        .await;
    assert_eq!(text_of(&answer), "one");
    server.stop().await;
}

#[tokio::test]
async fn a_server_stops_soon_when_an_agent_ignores_a_cancel() {
    let mut server = server_with(&["--fault", "ignores-cancel"], "").await;
    let session = server.create().await;
    let mut events = server.events().await;
    server
        .prompt_async(&session, "slow 60", model("odd", "mock"))
        .await;
    events.until("message.part.delta", |_| true).await;
    let started = Instant::now();
    server.terminate().await;
    // `timeouts.cancel_s` is ten seconds, by which time service managers have often killed it.
    let took = started.elapsed();
    assert!(took < Duration::from_secs(8), "it took {took:?}");
    assert_eq!(server.processes(), Vec::<u32>::new());
}
