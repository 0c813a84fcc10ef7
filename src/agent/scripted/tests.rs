//! What a test of the session core can do with scripted agents, from the agents' side.

use std::time::Instant;

use serde_json::{Value, json};
use tokio::sync::Notify;

use super::*;
use crate::agent::Timeouts;
use crate::agent::client::{self, Opened, Opening, Reopen};
use crate::agent::connection::{CallError, Connection, Inbound};
use crate::agent::options::Kind;
use crate::agent::pool::{Agent, Pool, PoolLimits, StartError};
use crate::process::NoLedger;
use crate::registry::means::Means;
use crate::registry::{Status, probe};

const MINUTE: Duration = Duration::from_secs(60);

fn pool() -> (Arc<ScriptedAgents>, Arc<Pool>) {
    let agents = ScriptedAgents::new();
    let (limits, timeouts) = (PoolLimits::default(), Timeouts::default());
    let pool = Pool::with_starter(
        limits,
        timeouts,
        "/".into(),
        Arc::new(NoLedger),
        agents.clone(),
    );
    (agents, pool)
}

async fn open(pool: &Arc<Pool>, flags: &[&str]) -> (Arc<Agent>, Opened) {
    let launch = ScriptedAgents::spec("one", flags).launch("", "ses");
    let agent = pool.get(&launch).await.expect("starts");
    let opened = client::new_session(
        &agent.connection,
        Path::new("/"),
        &Opening::default(),
        MINUTE,
    )
    .await;
    (agent, opened.expect("opens"))
}

async fn ask(connection: &Connection, opened: &Opened, text: &str) {
    let block = json!({ "type": "text", "text": text });
    let sent = connection.prompt(&opened.native_session, vec![block]).await;
    sent.expect("sent");
}

/// What is said, and how it ends.
async fn answer(opened: &mut Opened) -> (String, Option<Inbound>) {
    let mut said = String::new();
    loop {
        match opened.inbox.recv().await {
            Some(Inbound::Update(update)) if update["sessionUpdate"] == "agent_message_chunk" => {
                said.push_str(update["content"]["text"].as_str().expect("text"));
            }
            Some(Inbound::Update(_)) => {}
            end => return (said, end),
        }
    }
}

fn stop_reason(end: Option<Inbound>) -> Value {
    match end {
        Some(Inbound::PromptReply(Ok(reply))) => reply["stopReason"].clone(),
        other => panic!("no reply: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn answers_follow_the_script_and_an_hour_is_over_at_once() {
    let real = Instant::now();
    let (agents, pool) = pool();
    let script = agents.script("one");
    script.answer_next([
        Step::Say("hello".into()),
        Step::Sleep(60 * MINUTE),
        Step::Do("bash ls".into()),
        Step::Stop("refusal".into()),
    ]);
    let (agent, mut opened) = open(&pool, &[]).await;
    let began = tokio::time::Instant::now();
    ask(&agent.connection, &opened, "hi").await;
    let (said, end) = answer(&mut opened).await;
    assert_eq!(said, "helloran ls");
    assert_eq!(stop_reason(end), "refusal");
    assert!(began.elapsed() >= 60 * MINUTE);
    assert!(real.elapsed() < MINUTE);

    // Nothing was said about this prompt: it is a command of the mock.
    ask(&agent.connection, &opened, "echo two").await;
    let (said, end) = answer(&mut opened).await;
    assert_eq!(
        (said.as_str(), stop_reason(end)),
        ("two", json!("end_turn"))
    );
    assert_eq!(script.prompts(), ["hi", "echo two"]);
    let session = script.asked_of("session/prompt")[0].native_session.clone();
    assert_eq!(session, Some(opened.native_session));
    assert_eq!((script.starts(), agent.process.pid), (1, None));
    pool.shut_down().await;
}

#[tokio::test(start_paused = true)]
async fn a_permission_is_waited_for_and_a_cancel_is_heard() {
    let (agents, pool) = pool();
    let script = agents.script("one");
    let (agent, mut opened) = open(&pool, &[]).await;
    ask(&agent.connection, &opened, "permission ls").await;
    let (_, end) = answer(&mut opened).await;
    let Some(Inbound::Request { id, method, .. }) = end else {
        panic!("no request: {end:?}");
    };
    assert_eq!(method, "session/request_permission");
    let once = json!({ "outcome": { "outcome": "selected", "optionId": "once" } });
    let answered = agent.connection.respond(id, once.clone()).await;
    answered.expect("sent");
    let (said, _) = answer(&mut opened).await;
    assert_eq!(said, "permission granted: once");
    assert_eq!(script.asked_of("")[0].params, once);

    script.answer_next([Step::Say("so ".into()), Step::Hang]);
    ask(&agent.connection, &opened, "think").await;
    let params = json!({ "sessionId": opened.native_session });
    let cancelled = agent.connection.notify("session/cancel", params).await;
    cancelled.expect("sent");
    let (_, end) = answer(&mut opened).await;
    assert_eq!(stop_reason(end), "cancelled");
    script.until_asked("session/cancel", 1).await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_may_die_before_and_after_its_reply() {
    let (agents, pool) = pool();
    let script = agents.script("one");
    script.answer_next([Step::Say("last words".into()), Step::Die]);
    let (first, mut opened) = open(&pool, &[]).await;
    ask(&first.connection, &opened, "x").await;
    let (said, end) = answer(&mut opened).await;
    assert_eq!(said, "last words");
    assert!(end.is_none(), "{end:?}");
    assert!(first.obituary().await.contains("exit status: 70"));

    script.answer_next([Step::Fail {
        code: -32603,
        message: "overloaded".into(),
    }]);
    script.answer_next([Step::StopAndDie("end_turn".into())]);
    let (second, mut opened) = open(&pool, &[]).await;
    ask(&second.connection, &opened, "y").await;
    let (_, end) = answer(&mut opened).await;
    assert!(
        matches!(&end, Some(Inbound::PromptReply(Err(error))) if error.message == "overloaded"),
        "{end:?}"
    );
    ask(&second.connection, &opened, "z").await;
    let (_, end) = answer(&mut opened).await;
    assert_eq!(stop_reason(end), "end_turn");
    assert!(opened.inbox.recv().await.is_none());
    assert_eq!(script.starts(), 2);
}

#[tokio::test(start_paused = true)]
async fn requests_can_be_held_up_refused_and_never_answered() {
    let (agents, pool) = pool();
    let script = agents.script("one");
    script.react_next("initialize", Reaction::After(MINUTE / 2));
    let (agent, mut opened) = open(&pool, &["--models", "x,y"]).await;
    let connection = &agent.connection;
    let session = opened.native_session.clone();
    let set = "session/set_config_option";

    let go_on = Arc::new(Notify::new());
    script.react_next(set, Reaction::Wait(go_on.clone()));
    script.react_next(set, Reaction::Never);
    let (mut there, mut back) = (None, None);
    let switch = client::choose(
        connection,
        &mut there,
        &session,
        &mut opened.options,
        Kind::Model,
        "y",
        MINUTE,
    );
    let release = async {
        script.until_asked(set, 1).await;
        go_on.notify_one();
    };
    let (switched, ()) = tokio::join!(switch, release);
    switched.expect("switches");
    let back = client::choose(
        connection,
        &mut back,
        &session,
        &mut opened.options,
        Kind::Model,
        "x",
        MINUTE,
    );
    assert!(back.await.is_err());
    let wanted: Vec<_> = script.asked_of(set);
    let wanted: Vec<_> = wanted.iter().map(|asked| &asked.params["value"]).collect();
    assert_eq!(wanted, ["y", "x"]);

    script.react_next(
        "session/resume",
        Reaction::Fail {
            code: -32002,
            message: "gone".into(),
        },
    );
    let resumed = client::reopen_session(
        connection,
        Reopen::Resume,
        &session,
        Path::new("/"),
        &Opening::default(),
        MINUTE,
    )
    .await;
    assert!(matches!(resumed, Err(CallError::Rpc(error)) if error.message == "gone"));
}

#[tokio::test(start_paused = true)]
async fn a_new_session_has_to_have_an_id() {
    let (agents, pool) = pool();
    let (agent, _opened) = open(&pool, &[]).await;
    let replies = [
        (json!({}), "no sessionId"),
        (json!({ "sessionId": 5 }), "not a string"),
        (json!({ "sessionId": "" }), "empty"),
    ];
    for (reply, why) in replies {
        let script = agents.script("one");
        script.react_next("session/new", Reaction::Reply(reply.clone()));
        let opened = client::new_session(
            &agent.connection,
            Path::new("/"),
            &Opening::default(),
            MINUTE,
        )
        .await;
        let Err(CallError::Malformed { method, what }) = opened else {
            panic!("{opened:?}");
        };
        assert_eq!(method, "session/new");
        assert!(what.contains(why), "{what}");

        script.react_next("session/new", Reaction::Reply(reply));
        let status = probed(&agents, &[]).await.status;
        assert!(matches!(&status, Status::Unavailable(reason) if reason.contains(why)));
    }
}

async fn probed(agents: &ScriptedAgents, flags: &[&str]) -> probe::Found {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let spec = ScriptedAgents::spec("one", flags);
    let timeouts = Timeouts::default();
    let mut means = Means::new(&timeouts, &NoLedger, agents);
    probe::probe(&spec, None, scratch.path(), &mut means).await
}

#[tokio::test(start_paused = true)]
async fn a_probe_finds_what_the_flags_say() {
    let agents = ScriptedAgents::new();
    let found = probed(
        &agents,
        &["--models", "x,strong", "--without", "load,images"],
    )
    .await;
    assert_eq!(found.status, Status::Connected);
    let catalogue = found.catalogue.expect("a catalogue");
    let ids: Vec<_> = catalogue.models.iter().map(|m| m.id.as_str()).collect();
    assert_eq!(ids, ["x", "strong"]);
    assert_eq!(catalogue.plan_mode.as_deref(), Some("plan"));
    let can = catalogue.info.capabilities;
    assert!(can.resume && can.close && !can.load && !can.image);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_cannot_start_says_why() {
    let (agents, pool) = pool();
    let launch = ScriptedAgents::spec("one", &["--no-such-flag"]).launch("", "ses");
    let error = pool.get(&launch).await.expect_err("no such flag");
    assert!(matches!(&error, StartError::Spawn(why) if why.contains("--no-such-flag")));

    agents
        .script("one")
        .react_next("initialize", Reaction::Never);
    let launch = ScriptedAgents::spec("one", &[]).launch("", "ses");
    let error = pool.get(&launch).await.expect_err("never answers");
    assert!(matches!(&error, StartError::Handshake(why) if why.contains("initialize")));
    // The next one starts another.
    pool.get(&launch).await.expect("starts");
    assert_eq!(agents.script("one").starts(), 2);
}
