//! What agents say outside of turns belongs to the answer that it goes on with.

use std::iter;
use std::time::Duration;

use baton::agent::scripted::{Reaction, Step};
use baton::opencode::message::{Message, Part, ToolPart, ToolState};
use baton::opencode::{MessageId, SessionId};
use baton::store::StoreError;
use serde_json::{Value, json};

use crate::support::{Setup, World, answer, settle, text};

const SOON: Duration = Duration::from_secs(5);

pub(crate) fn said(text: &str, id: Option<&str>) -> Step {
    let content = json!({"type": "text", "text": text});
    let mut update = json!({"sessionUpdate": "agent_message_chunk", "content": content});
    if let Some(id) = id {
        update["messageId"] = json!(id);
    }
    Step::Update(update)
}

pub(crate) fn call(kind: &str, id: &str, status: &str, output: Option<&str>) -> Step {
    let mut update = json!({"sessionUpdate": kind, "toolCallId": id, "title": "bash", "kind": "execute",
        "status": status, "rawInput": {"command": "make"}});
    if let Some(output) = output {
        update["rawOutput"] = json!({ "output": output });
    }
    Step::Update(update)
}

pub(crate) fn later(steps: impl IntoIterator<Item = Step>) -> Step {
    Step::Later(SOON, steps.into_iter().collect())
}

/// The texts of the answers, with their models.
pub(crate) async fn answers(world: &World, id: &SessionId) -> Vec<(String, String)> {
    let messages = world.messages(id).await;
    let answers = messages.iter().filter_map(|message| match &message.info {
        Message::Assistant(answer) => Some((answer.model_id.clone(), text(&message.parts))),
        Message::User(_) => None,
    });
    answers.collect()
}

pub(crate) async fn tools(world: &World, id: &SessionId) -> Vec<ToolPart> {
    let messages = world.messages(id).await;
    let parts = messages.into_iter().flat_map(|message| message.parts);
    let tools = parts.filter_map(|part| match part {
        Part::Tool(tool) => Some(tool),
        _ => None,
    });
    tools.collect()
}

pub(crate) async fn ask(
    world: &World,
    id: &SessionId,
    steps: impl IntoIterator<Item = Step>,
) -> MessageId {
    world.agent("one").answer_next(steps);
    world.ask(id, "go").await.message.id
}

/// The same, of an agent whose answer is that it waits, and which goes on with these steps.
pub(crate) async fn ask_waiting(
    world: &World,
    id: &SessionId,
    what: impl IntoIterator<Item = Step>,
) -> MessageId {
    let answer = iter::once(Step::Say("I wait.".into()));
    ask(world, id, answer.chain(what)).await
}

pub(crate) fn pair(model: &str, text: &str) -> (String, String) {
    (model.to_owned(), text.to_owned())
}

#[tokio::test(start_paused = true)]
async fn late_text_joins_its_answer_is_told_and_handed_over() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    let first = ask_waiting(&world, &id, [later([Step::Say("AMBER is done.".into())])]).await;
    settle().await;
    assert_eq!(
        answers(&world, &id).await,
        [pair("x", "I wait.AMBER is done.")]
    );
    // Two texts: the second has come long after the first.
    let messages = world.messages(&id).await;
    let texts = messages[1]
        .parts
        .iter()
        .filter(|part| matches!(part, Part::Text(_)));
    assert_eq!(texts.count(), 2);
    let told = serde_json::to_string(&world.events()).expect("JSON");
    assert!(told.contains("AMBER"), "{told}");
    assert!(world.messages(&id).await[1].info.id() == &first);

    world.select(&id, "two/a").await.expect("selected");
    world.ask(&id, "echo on").await;
    let given = world.agent("two").prompts();
    assert!(given[0].contains("AMBER"), "{given:?}");
}

#[tokio::test(start_paused = true)]
async fn a_piece_that_comes_just_behind_the_end_goes_on_with_its_text() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    let tail = Step::Later(Duration::from_millis(1), vec![Step::Say("lo".into())]);
    ask(&world, &id, [Step::Say("Hel".into()), tail]).await;
    settle().await;
    let messages = world.messages(&id).await;
    let texts: Vec<_> = messages[1]
        .parts
        .iter()
        .filter(|part| matches!(part, Part::Text(_)))
        .collect();
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert_eq!(text(&messages[1].parts), "Hello");
}

#[tokio::test(start_paused = true)]
async fn late_text_joins_the_old_backends_answer_and_the_new_one_is_told() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    let slow = Step::Later(Duration::from_secs(60), vec![Step::Say("AMBER".into())]);
    ask_waiting(&world, &id, [slow]).await;
    world.select(&id, "two/a").await.expect("selected");
    world.ask(&id, "echo between").await;
    tokio::time::sleep(Duration::from_secs(70)).await;
    assert_eq!(
        answers(&world, &id).await,
        [pair("x", "I wait.AMBER"), pair("a", "between")]
    );
    // It has seen the answer, and not yet this.
    world.ask(&id, "echo on").await;
    let given = world.agent("two").prompts();
    assert!(
        !given[0].contains("AMBER") && given[1].contains("AMBER"),
        "{given:?}"
    );
    assert!(!given[1].contains("I wait."), "{given:?}");
    world.ask(&id, "echo again").await;
    assert!(!world.agent("two").prompts()[2].contains("AMBER"));
    // The one that has said it knows it.
    world.select(&id, "one/x").await.expect("selected");
    world.ask(&id, "echo back").await;
    let own = world.agent("one").prompts();
    assert!(!own.last().expect("a prompt").contains("AMBER"), "{own:?}");
}

#[tokio::test(start_paused = true)]
async fn late_text_is_taken_while_another_backend_works() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    ask_waiting(&world, &id, [later([Step::Say("AMBER".into())])]).await;
    world.select(&id, "two/a").await.expect("selected");
    world.agent("two").answer_next([Step::Hang]);
    let running = world.prompt(&id, "go").await.expect("admitted");
    settle().await;
    assert_eq!(answers(&world, &id).await[0], pair("x", "I wait.AMBER"));
    world.sessions.abort(&id, None).await.expect("aborted");
    answer(running.answer.expect("wanted")).await;
}

#[tokio::test(start_paused = true)]
async fn the_agents_ids_decide_in_the_next_turn() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    let steps = [
        said("one", Some("m1")),
        call("tool_call", "t1", "in_progress", None),
    ];
    ask(&world, &id, steps).await;
    let steps = [
        said(" more", Some("m1")),
        said("two", Some("m2")),
        call("tool_call_update", "t1", "completed", Some("built")),
    ];
    ask(&world, &id, steps).await;
    settle().await;
    assert_eq!(
        answers(&world, &id).await,
        [pair("x", "one more"), pair("x", "two")]
    );
    let tools = tools(&world, &id).await;
    assert_eq!(tools.len(), 1, "{tools:?}");
    assert!(matches!(&tools[0].state, ToolState::Completed { output, .. } if output == "built"));
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_uses_its_ids_again_is_answered_all_the_same() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    for word in ["one", "two", "three"] {
        let steps = [
            said(word, Some("m")),
            call("tool_call", "t", "completed", Some(word)),
        ];
        let steps = if word == "two" {
            steps[..1].to_vec()
        } else {
            steps.to_vec()
        };
        ask(&world, &id, steps).await;
    }
    assert_eq!(
        answers(&world, &id).await,
        [pair("x", "one"), pair("x", "two"), pair("x", "three")]
    );
    assert_eq!(tools(&world, &id).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_late_end_of_a_tool_call_changes_the_stored_call() {
    for broken in [false, true] {
        let world = World::new().await;
        let id = world.ready("one/x").await;
        let ends = call("tool_call_update", "t", "completed", Some("it is AMBER"));
        let mut steps = vec![call("tool_call", "t", "in_progress", None), later([ends])];
        steps.extend(broken.then(|| Step::Fail {
            code: -32603,
            message: "broken".into(),
        }));
        ask(&world, &id, steps).await;
        let before = tools(&world, &id).await.remove(0);
        settle().await;
        let after = tools(&world, &id).await.remove(0);
        assert_eq!(before.id, after.id);
        let ToolState::Completed { output, input, .. } = &after.state else {
            panic!("{after:?}")
        };
        assert_eq!(
            (output.as_str(), &input["command"]),
            ("it is AMBER", &json!("make"))
        );
        world.select(&id, "two/a").await.expect("selected");
        world.ask(&id, "echo on").await;
        let given = world.agent("two").prompts();
        assert!(
            given[0].contains("AMBER") && !given[0].contains("not told"),
            "{given:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_after_an_abort_joins_the_aborted_answer() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    let steps = [
        Step::Say("begun".into()),
        later([Step::Say(" and AMBER".into())]),
        Step::Hang,
    ];
    world.agent("one").answer_next(steps);
    let running = world.prompt(&id, "go").await.expect("admitted");
    world.agent("one").until_asked("session/prompt", 1).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.sessions.abort(&id, None).await.expect("aborted");
    let aborted = answer(running.answer.expect("wanted")).await;
    assert!(aborted.message.error.is_some());
    settle().await;
    assert_eq!(answers(&world, &id).await, [pair("x", "begun and AMBER")]);
}

#[tokio::test(start_paused = true)]
async fn a_replay_and_a_greeting_are_no_late_text() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    ask(&world, &id, [Step::Say("first".into())]).await;
    let world = world.stopped().await;
    let script = world.agent("one");
    // The agent of this server knows nothing of it: a load that replays, and goes on replaying for long.
    script.react_next("session/list", Reaction::Reply(json!({"sessions": []})));
    script.react_next("session/load", Reaction::Reply(json!({})));
    world.ask(&id, "echo second").await;
    assert_eq!(
        answers(&world, &id).await,
        [pair("x", "first"), pair("x", "second")]
    );
}

#[tokio::test(start_paused = true)]
async fn late_text_of_a_deleted_message_is_dropped() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    let first = ask_waiting(&world, &id, [later([Step::Say("AMBER".into())])]).await;
    world
        .sessions
        .delete_message(&id, &first)
        .await
        .expect("deleted");
    settle().await;
    assert!(answers(&world, &id).await.is_empty());
    assert_eq!(text(&world.ask(&id, "echo on").await.parts), "on");
}

#[tokio::test(start_paused = true)]
async fn late_text_waits_for_a_store_that_fails_for_a_while() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    ask_waiting(&world, &id, [later([Step::Say("AMBER".into())])]).await;
    world
        .store
        .fail_all(StoreError::Unavailable("locked".into()));
    settle().await;
    assert_eq!(answers(&world, &id).await, [pair("x", "I wait.")]);
    world.store.heal();
    settle().await;
    assert_eq!(answers(&world, &id).await, [pair("x", "I wait.AMBER")]);
}

#[tokio::test(start_paused = true)]
async fn a_flood_between_turns_is_bounded_like_an_answer() {
    let mut setup = Setup::default();
    setup.sizes.answer_bytes = 10_000;
    let world = World::with(setup).await;
    let id = world.ready("one/x").await;
    let much: Vec<_> = (0..200).map(|_| Step::Say("x".repeat(1_000))).collect();
    let thoughts: Vec<_> = (0..20).map(|_| Step::Think("y".repeat(1_000))).collect();
    ask(
        &world,
        &id,
        [Step::Say("I wait.".into()), later(much), later(thoughts)],
    )
    .await;
    settle().await;
    let all = text(&world.messages(&id).await[1].parts);
    assert!(all.len() < 10_500, "{}", all.len());
    assert_eq!(all.matches("cut off here").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_cost_of_late_work_is_its_answers() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    let usage = |total: f64| {
        Step::Update(
            json!({"sessionUpdate": "usage_update", "used": 1, "size": 1000,
        "cost": {"amount": total, "currency": "USD"}}),
        )
    };
    ask(&world, &id, [Step::Say("a".into()), Step::Sleep(SOON)]).await;
    let before = world.info(&id).await.cost;
    ask(
        &world,
        &id,
        [Step::Say("b".into()), later([usage(before + 3.0)])],
    )
    .await;
    let answered = world.info(&id).await.cost;
    settle().await;
    let after = world.info(&id).await.cost;
    let total = before + 3.0;
    assert!((after - total).abs() < 1e-9, "{before} {answered} {after}");
    let usage: Value = serde_json::to_value(
        world
            .sessions
            .model_history(&id)
            .await
            .expect("history")
            .usage,
    )
    .expect("JSON");
    assert!(
        (usage[0]["cost"].as_f64().expect("a cost") - total).abs() < 1e-9,
        "{usage}"
    );
    // So is how full its model's context is.
    assert_eq!(usage[0]["context"], json!({"used": 1, "size": 1000}));
}
