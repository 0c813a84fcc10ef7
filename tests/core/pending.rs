//! What waits and what does not, where a selection comes from, and which models have answered.

use baton::agent::scripted::Reaction;
use baton::opencode::event::Source;
use baton::opencode::session::{PendingReason, RuntimeStatus};

use crate::support::{World, settle, text};

#[tokio::test(start_paused = true)]
async fn a_session_without_a_selection_waits_for_nothing_and_starts_nothing() {
    let world = World::new().await;
    let session = world.try_create("").await.expect("created");
    assert_eq!((session.runtime.pending, session.model), (None, None));
    settle().await;
    assert_eq!(world.pending(&session.id).await, None);
    assert_eq!(world.agent("one").starts(), 0);
    // Nothing to wait for.
    world.applied(&session.id, 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_names_a_model_has_its_agent_started() {
    let world = World::new().await;
    let session = world.try_create("one/y").await.expect("created");
    let id = session.id;
    let pending = session.runtime.pending.expect("it waits");
    assert_eq!(
        (pending.model_id.as_str(), pending.reason),
        ("y", PendingReason::Starting)
    );
    let entry = world.switches(&id).await.remove(0);
    assert_eq!(
        (entry.source, entry.transfer, entry.previous),
        (Source::Create, None, None)
    );
    assert_eq!((entry.revision, session.revision), (1, 1));

    let applied = world.applied(&id, 1).await;
    assert_eq!(
        (applied.runtime.status, applied.runtime.pending),
        (RuntimeStatus::Idle, None)
    );
    let trail = world.switches(&id).await;
    assert_eq!((trail.len(), trail[0].source), (1, Source::Create));
    assert!(
        trail[0].transfer.is_some() && trail[0].duration_ms.is_some(),
        "{trail:?}"
    );
    assert_eq!(world.agent("one").starts(), 1);
    assert!(world.agent("one").prompts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_change_waits_for_its_agent_or_for_the_turn() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    let reason = |session: baton::opencode::Session| session.runtime.pending.map(|p| p.reason);
    let session = world.select(&id, "one/y").await.expect("stored");
    assert_eq!(reason(session), Some(PendingReason::Starting));
    world.applied(&id, 2).await;
    assert_eq!(world.pending(&id).await, None);

    let slow = world.prompt(&id, "slow 5").await.expect("admitted");
    world.agent("one").until_asked("session/prompt", 1).await;
    let session = world.select(&id, "one/z").await.expect("stored");
    assert_eq!(reason(session), Some(PendingReason::Turn));
    // Back to what the turn has: nothing waits.
    let session = world.select(&id, "one/y").await.expect("stored");
    assert_eq!(reason(session), None);
    let session = world.select(&id, "one/z").await.expect("stored");
    assert_eq!(reason(session), Some(PendingReason::Turn));
    let answer = crate::support::answer(slow.answer.expect("wanted")).await;
    assert_eq!(answer.message.model_id, "y");
    world.applied(&id, 5).await;
    assert_eq!(text(&world.ask(&id, "model").await.parts), "z");
}

#[tokio::test(start_paused = true)]
async fn nothing_waits_after_a_restart_and_in_a_fork() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    world.ask(&id, "echo one").await;
    let fork = world.fork(&id).await.expect("forked");
    assert_eq!(fork.runtime.pending, None);
    settle().await;
    assert_eq!(world.pending(&fork.id).await, None);
    // A fork starts nothing until it is talked to.
    assert_eq!(world.agent("one").asked_of("session/new").len(), 1);

    let world = world.killed().await;
    for id in [&id, &fork.id] {
        assert_eq!(world.pending(id).await, None);
    }
    let listed = world
        .sessions
        .list(Default::default())
        .await
        .expect("a list");
    assert!(
        listed
            .iter()
            .all(|session| session.runtime.pending.is_none())
    );
    settle().await;
    assert_eq!(world.agent("one").starts(), 0);
    // A caller that waits for it has it applied, though.
    let applied = world.applied(&id, 1).await;
    assert_eq!(applied.runtime.applied.expect("applied").model_id, "x");
}

#[tokio::test(start_paused = true)]
async fn only_models_that_were_asked_are_counted() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    world.ask(&id, "echo one").await;
    let refusal = Reaction::Fail {
        code: -32603,
        message: "no".into(),
    };
    world.agent("two").react_next("session/new", refusal);
    let mut prompt = crate::support::text_prompt("echo two");
    prompt.wish = crate::support::wish("two/b");
    let by = crate::support::by(Source::Message);
    let admitted = world
        .sessions
        .prompt(&id, prompt, by)
        .await
        .expect("admitted");
    let failed = crate::support::answer(admitted.answer.expect("wanted")).await;
    assert!(failed.message.error.is_some());
    settle().await;
    let history = world.sessions.model_history(&id).await.expect("a history");
    let usage: Vec<_> = history
        .usage
        .iter()
        .map(|u| (u.model_id.as_str(), u.answers))
        .collect();
    assert_eq!(usage, [("x", 1)]);
    assert_eq!(history.selected.expect("selected").model_id, "x");
}
