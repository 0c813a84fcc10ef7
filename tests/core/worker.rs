//! A worker that panics, and what agents do to one.

use baton::agent::scripted::Step;
use baton::opencode::SessionId;
use baton::opencode::message::MessageError;
use baton::opencode::session::RuntimeStatus;

use crate::support::{Setup, World, settle, text, unfinished, until, within};

/// The session is as if nothing had happened, and takes the next prompt.
async fn assert_usable(world: &World, id: &SessionId) {
    settle().await;
    assert!(world.sessions.statuses(None).is_empty());
    let info = world.info(id).await;
    assert_eq!(
        (info.runtime.status, info.runtime.pending),
        (RuntimeStatus::Idle, None)
    );
    assert_eq!(unfinished(&world.messages(id).await), 0);
    world.store.heal();
    assert_eq!(text(&world.ask(id, "echo alive").await.parts), "alive");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_panics_fails_its_turn_and_is_replaced() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    world.ask(&id, "echo one").await;
    // What is handed over is read by the worker.
    world.store.panic_reads("messages");
    let failed = world.ask(&id, "echo two").await;
    let Some(MessageError::UnknownError { message }) = &failed.message.error else {
        panic!("no error: {failed:?}")
    };
    assert!(message.contains("mistake"), "{message}");
    // What waits comes next.
    let failed = world.ask(&id, "echo three").await;
    assert!(failed.message.error.is_some());
    assert_eq!(world.told(&id, "session.error").len(), 2);
    world.store.heal();
    assert_usable(&world, &id).await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_panics_fails_its_switch() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    world.ask(&id, "echo one").await;
    world.store.panic_reads("messages");
    let session = world.select(&id, "one/y").await.expect("stored");
    let waited = within(world.sessions.wait_applied(&id, session.revision)).await;
    assert!(
        matches!(waited, Err(baton::session::Error::NotApplied(_))),
        "{waited:?}"
    );
    world.store.heal();
    until(async || world.selected(&id).await.as_deref() == Some("one/x")).await;
    assert_usable(&world, &id).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_panics_while_it_reports_a_panic_leaves_nothing_busy() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    // A server that has started since has nothing in memory.
    let world = world.killed().await;
    // Whatever the worker reads, it panics, also while what is left of a switch is cleared up.
    world.store.panic_reads("messages");
    world.store.panic_reads("switch");
    let waited = within(world.sessions.wait_applied(&id, 1)).await;
    assert!(
        matches!(waited, Err(baton::session::Error::NotApplied(_))),
        "{waited:?}"
    );
    assert!(
        world.store.reads("switch") > 0,
        "it has panicked there, too"
    );
    let failed = world.ask(&id, "echo two").await;
    assert!(failed.message.error.is_some());
    world.store.heal();
    assert_usable(&world, &id).await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_cannot_read_says_so() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    world.ask(&id, "echo one").await;
    let unreadable = || baton::store::StoreError::Database("unreadable".into());
    world.store.fail_reads("messages", unreadable());
    world.store.fail_reads("switch", unreadable());
    let failed = world.ask(&id, "echo two").await;
    let error = failed.message.error.expect("an error");
    assert!(error.message().contains("unreadable"), "{error:?}");
    world.store.heal();
    assert_usable(&world, &id).await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_dies_fails_its_turn_only() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    world
        .agent("one")
        .answer_next([Step::Say("so far".into()), Step::Die]);
    let failed = world.ask(&id, "hi").await;
    assert!(failed.message.error.is_some());
    assert_eq!(text(&failed.parts), "so far");
    assert_usable(&world, &id).await;
    // The next agent was told what had been said.
    assert!(world.agent("one").prompts()[1].contains("so far"));
}

#[tokio::test(start_paused = true)]
async fn a_worker_without_work_leaves_and_comes_back() {
    let world = World::with(Setup {
        idle: std::time::Duration::from_secs(30),
        ..Setup::default()
    })
    .await;
    let id = world.ready("one/x").await;
    world.ask(&id, "echo one").await;
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    assert_usable(&world, &id).await;
    assert_eq!(world.agent("one").starts(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_read_in_several_pieces_is_handed_over_whole_and_in_order() {
    /// Two messages each, so that the store is asked twice.
    const TURNS: usize = 600;
    let world = World::new().await;
    let id = world.ready("one/x").await;
    for turn in 0..TURNS {
        world.ask(&id, &format!("echo turn-{turn}.")).await;
    }
    let reads = world.store.reads("messages");
    let session = world.select(&id, "two/b").await.expect("stored");
    world.applied(&id, session.revision).await;
    world.ask(&id, "echo and now").await;
    assert_eq!(world.store.reads("messages"), reads + 2);
    let prompts = world.agent("two").prompts();
    let said: Vec<usize> = prompts[0]
        .split("turn-")
        .skip(1)
        .filter_map(|rest| rest.split('.').next()?.parse().ok())
        .collect();
    // Each is there twice: as the prompt, and as what was answered.
    let all: Vec<usize> = (0..TURNS).flat_map(|turn| [turn, turn]).collect();
    assert_eq!(said, all);
}

#[tokio::test(start_paused = true)]
async fn what_was_said_is_handed_over_once() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    world.ask(&id, "echo a secret").await;
    let reads = world.store.reads("messages");
    let session = world.select(&id, "two/b").await.expect("stored");
    world.applied(&id, session.revision).await;
    world.ask(&id, "echo and now").await;
    // It is read and rendered for the numbers of the switch, and kept for the prompt.
    assert_eq!(world.store.reads("messages"), reads + 1);
    let prompts = world.agent("two").prompts();
    assert_eq!(prompts.len(), 1);
    assert!(
        prompts[0].contains("a secret") && prompts[0].ends_with("echo and now"),
        "{prompts:?}"
    );

    // Back to where it was: only what was missed goes along.
    let session = world.select(&id, "one/x").await.expect("stored");
    world.applied(&id, session.revision).await;
    world.ask(&id, "echo back").await;
    let prompts = world.agent("one").prompts();
    assert!(
        prompts[1].contains("and now") && !prompts[1].contains("a secret"),
        "{prompts:?}"
    );
}
