//! Bringing the agent after the selection: what is passed over, what is waited for, and who is told.

use std::sync::Arc;
use std::time::Duration;

use baton::agent::scripted::{Reaction, Script};
use baton::opencode::SessionId;
use baton::opencode::session::RuntimeStatus;
use baton::session::Error;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::support::{Setup, World, settle, text, until, within};

/// A switch that has nothing to wait for is over within this time.
const SOON: Duration = Duration::from_millis(20);

/// The models that an agent was asked to choose, in order.
fn chosen(script: &Script) -> Vec<String> {
    let mut models = Vec::new();
    for asked in script.asked_of("session/set_config_option") {
        if asked.params["configId"] == "model" {
            models.push(asked.params["value"].as_str().expect("a model").to_owned());
        }
    }
    models
}

async fn select(world: &World, id: &SessionId, model: &str) -> u64 {
    world.select(id, model).await.expect("stored").revision
}

#[tokio::test(start_paused = true)]
async fn a_picker_that_is_flicked_through_has_the_agent_follow_once() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    for model in [
        "one/y",
        "one/z",
        "two/a",
        "two/b",
        "one/strong",
        "one/x",
        "one/y",
        "one/z",
    ] {
        select(&world, &id, model).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let stopped = Instant::now();
    let session = world.applied(&id, 9).await;
    assert!(stopped.elapsed() < SOON, "{:?}", stopped.elapsed());
    assert_eq!(session.runtime.applied.expect("applied").model_id, "z");
    assert_eq!(chosen(&world.agent("one")), ["z"]);
    assert_eq!(world.agent("two").starts(), 0);
    let told = world.told(&id, "session.model_applied");
    let revisions: Vec<_> = told
        .iter()
        .map(|e| e["properties"]["revision"].as_u64())
        .collect();
    assert_eq!(revisions, [Some(1), Some(9)]);
    assert_eq!(text(&world.ask(&id, "model").await.parts), "z");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_switch_waits_for_the_agent_alone() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    for model in ["one/y", "one/z", "two/b"] {
        let began = Instant::now();
        let revision = select(&world, &id, model).await;
        world.applied(&id, revision).await;
        assert_eq!(began.elapsed(), Duration::ZERO, "{model}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_passed_over_is_not_started() {
    let world = World::new().await;
    let id = world.create("two/a").await;
    let revision = select(&world, &id, "one/y").await;
    world.applied(&id, revision).await;
    settle().await;
    assert_eq!(
        (world.agent("one").starts(), world.agent("two").starts()),
        (1, 0)
    );
}

/// A switch to `two/b` hangs at a call; it is given up at once for a backend that runs.
async fn given_up(method: &str) {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    let two = world.agent("two");
    two.react_next(method, Reaction::Never);
    select(&world, &id, "two/b").await;
    two.until_asked(method, 1).await;
    let began = Instant::now();
    let revision = select(&world, &id, "one/y").await;
    world.applied(&id, revision).await;
    assert!(began.elapsed() < SOON, "{method}: {:?}", began.elapsed());
    assert_eq!(text(&world.ask(&id, "model").await.parts), "y");
    assert!(began.elapsed() < SOON, "{method}: {:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_switch_that_is_passed_over_is_given_up_wherever_it_hangs() {
    for method in ["initialize", "session/new", "session/set_config_option"] {
        given_up(method).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_prompt_passes_over_a_switch_that_hangs() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    let two = world.agent("two");
    two.react_next("session/new", Reaction::Never);
    select(&world, &id, "two/b").await;
    two.until_asked("session/new", 1).await;
    let mut prompt = crate::support::text_prompt("model");
    prompt.wish = crate::support::wish("one/z");
    let by = crate::support::by(baton::opencode::event::Source::Message);
    let admitted = world
        .sessions
        .prompt(&id, prompt, by)
        .await
        .expect("admitted");
    let began = Instant::now();
    let answer = crate::support::answer(admitted.answer.expect("wanted")).await;
    assert_eq!(text(&answer.parts), "z");
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_switch_that_continues_during_a_revert_is_seen_to_continue() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    let said = world.ask(&id, "echo first").await.message.parent_id;
    let (one, late) = (world.agent("one"), Arc::new(Notify::new()));
    one.react_next(
        "session/set_config_option",
        Reaction::Wait(Arc::clone(&late)),
    );
    let revision = select(&world, &id, "one/y").await;
    until(async || chosen(&one) == ["y"]).await;
    let reverted = world.sessions.revert(&id, said, None).await;
    let runtime = reverted.expect("reverted").runtime;
    assert_eq!(runtime.status, RuntimeStatus::Switching);
    assert_eq!(
        world.info(&id).await.runtime.status,
        RuntimeStatus::Switching
    );
    late.notify_one();
    world.applied(&id, revision).await;
    assert_eq!(world.info(&id).await.runtime.status, RuntimeStatus::Idle);
}

#[tokio::test(start_paused = true)]
async fn a_choice_that_was_given_up_is_waited_for_before_the_next() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    let (one, late) = (world.agent("one"), Arc::new(Notify::new()));
    one.react_next(
        "session/set_config_option",
        Reaction::Wait(Arc::clone(&late)),
    );
    select(&world, &id, "one/y").await;
    until(async || chosen(&one) == ["y"]).await;
    let revision = select(&world, &id, "one/z").await;
    // An agent that deals with two at the same time would end with the one that it did last.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(chosen(&one), ["y"]);
    late.notify_one();
    world.applied(&id, revision).await;
    assert_eq!(chosen(&one), ["y", "z"]);
    assert_eq!(text(&world.ask(&id, "model").await.parts), "z");
}

#[tokio::test(start_paused = true)]
async fn one_that_goes_back_while_a_choice_is_outstanding_is_set_again() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    let one = world.agent("one");
    one.react_next(
        "session/set_config_option",
        Reaction::After(Duration::from_secs(1)),
    );
    select(&world, &id, "one/y").await;
    until(async || chosen(&one) == ["y"]).await;
    // As far as anybody knows the agent still has this one; but it is about to take the other.
    let revision = select(&world, &id, "one/x").await;
    world.applied(&id, revision).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(text(&world.ask(&id, "model").await.parts), "x");
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_when_the_selection_is_refused_and_goes_back() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    let refusal = Reaction::Fail {
        code: -32603,
        message: "no such luck".into(),
    };
    // In its native session, in the same opened again, and in a new one.
    for _ in 0..3 {
        let refused = refusal.clone();
        world
            .agent("one")
            .react_next("session/set_config_option", refused);
    }
    let revision = select(&world, &id, "one/y").await;
    let waited = within(world.sessions.wait_applied(&id, revision)).await;
    assert!(
        matches!(&waited, Err(Error::NotApplied(error)) if error.message().contains("luck")),
        "{waited:?}"
    );
    assert_eq!(world.selected(&id).await.as_deref(), Some("one/x"));
    world.applied(&id, revision + 1).await;
    let trail = world.switches(&id).await;
    assert!(
        trail[1].failure.is_some() && trail[2].transfer.is_some(),
        "{trail:?}"
    );
    assert_eq!(text(&world.ask(&id, "model").await.parts), "x");
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_when_the_selection_is_passed_over() {
    let world = Arc::new(World::new().await);
    let id = world.ready("one/x").await;
    world
        .agent("two")
        .react_next("session/new", Reaction::Never);
    let revision = select(&world, &id, "two/b").await;
    let waiting = tokio::spawn({
        let (world, id) = (Arc::clone(&world), id.clone());
        async move { world.sessions.wait_applied(&id, revision).await }
    });
    world.agent("two").until_asked("session/new", 1).await;
    select(&world, &id, "one/y").await;
    let waited = within(waiting)
        .await
        .expect("no panic")
        .expect("passed over");
    assert_eq!(
        waited.runtime.applied.as_ref().expect("applied").model_id,
        "y"
    );
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_with_the_session_and_with_the_server() {
    for stops in [false, true] {
        let world = Arc::new(World::new().await);
        let id = world.ready("one/x").await;
        world
            .agent("two")
            .react_next("session/new", Reaction::Never);
        let revision = select(&world, &id, "two/b").await;
        let waiting = tokio::spawn({
            let (world, id) = (Arc::clone(&world), id.clone());
            async move { world.sessions.wait_applied(&id, revision).await }
        });
        world.agent("two").until_asked("session/new", 1).await;
        match stops {
            true => world.sessions.shut_down().await,
            false => world.sessions.delete(&id).await.expect("deleted"),
        }
        let waited = within(waiting).await.expect("no panic");
        match stops {
            true => assert!(matches!(waited, Err(Error::ShutDown)), "{waited:?}"),
            false => assert!(matches!(waited, Err(Error::NotFound(_))), "{waited:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_for_whose_agent_there_is_no_room_waits_for_its_prompt() {
    let world = World::with(Setup {
        live_agents: 1,
        ..Setup::default()
    })
    .await;
    let busy = world.ready("one/x").await;
    let slow = world.prompt(&busy, "slow 30").await.expect("admitted");
    world.agent("one").until_asked("session/prompt", 1).await;
    let id = world.create("two/a").await;
    // A new title does not wish for another model.
    world.rename(&id, "Later").await.expect("stored");
    settle().await;
    assert!(world.told(&id, "session.model_failed").is_empty());
    assert_eq!(world.pending(&id).await, None);
    crate::support::answer(slow.answer.expect("wanted")).await;
    assert_eq!(text(&world.ask(&id, "model").await.parts), "a");
    assert!(world.switches(&id).await[0].transfer.is_some());
}

/// What UIs were shown.
fn shown(world: &World) -> Vec<String> {
    let toasts = world.events().into_iter();
    let toasts = toasts.filter(|event| event["type"] == "tui.toast.show");
    let said = toasts.map(|toast| {
        toast["properties"]["message"]
            .as_str()
            .expect("a message")
            .to_owned()
    });
    said.collect()
}

#[tokio::test(start_paused = true)]
async fn a_script_that_patches_in_a_loop_fills_no_screen() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    for round in 0..50 {
        let model = ["one/y", "one/z"][round % 2];
        let _revision = select(&world, &id, model).await;
    }
    let revision = world.info(&id).await.revision;
    world.applied(&id, revision).await;
    settle().await;
    assert_eq!(shown(&world).len(), 1, "{:?}", shown(&world));
}

#[tokio::test(start_paused = true)]
async fn a_start_that_takes_longer_than_a_second_is_shown() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    let two = world.agent("two");
    two.react_next("session/new", Reaction::Never);
    let selected = Instant::now();
    select(&world, &id, "two/b").await;
    until(async || !shown(&world).is_empty()).await;
    let took = selected.elapsed();
    let (least, most) = (Duration::from_secs(1), Duration::from_millis(1_300));
    assert!(least <= took && took <= most, "{took:?}");
    assert!(shown(&world)[0].contains("longer than a second"));
}
