//! A turn whose end the store does not take for a while.

use std::sync::Arc;
use std::time::Duration;

use baton::agent::scripted::Step;
use baton::opencode::SessionId;
use baton::opencode::message::{Message, MessageError};
use baton::opencode::session::{PendingReason, RuntimeStatus};
use baton::session::Answer;
use baton::store::StoreError;
use tokio::sync::{Notify, oneshot};

use crate::support::{World, answer, at_once, settle, text, unfinished, until};

/// A session with an answer of which everything but its beginning has come while the disk was full, and with a
/// switch that waits for its end.
async fn stuck() -> (World, SessionId, oneshot::Receiver<Answer>) {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    let goes_on = Arc::new(Notify::new());
    world.agent("one").answer_next([
        Step::Say("hello".into()),
        Step::Wait(Arc::clone(&goes_on)),
        Step::Say(" world".into()),
    ]);
    let admitted = world.prompt(&id, "hi").await.expect("admitted");
    until(async || text(&world.messages(&id).await.last().expect("one").parts) == "hello").await;
    // Long enough for what has come to be stored.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let waiting = world.select(&id, "one/y").await.expect("stored");
    assert_eq!(
        waiting.runtime.pending.map(|p| p.reason),
        Some(PendingReason::Turn)
    );
    world.fill_disk();
    goes_on.notify_one();
    settle().await;
    (world, id, admitted.answer.expect("wanted"))
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_not_stored_is_not_published() {
    let (world, id, mut receiver) = stuck().await;
    assert!(matches!(
        receiver.try_recv(),
        Err(oneshot::error::TryRecvError::Empty)
    ));
    assert!(world.told(&id, "session.idle").is_empty());
    let completed =
        |event: &serde_json::Value| !event["properties"]["info"]["time"]["completed"].is_null();
    assert!(!world.told(&id, "message.updated").iter().any(completed));
    let info = at_once(world.info(&id)).await;
    assert_eq!(info.runtime.status, RuntimeStatus::Busy);
    assert_eq!(world.pending(&id).await, Some(PendingReason::Store));
    let messages = at_once(world.messages(&id)).await;
    let last = messages.last().expect("an answer");
    assert_eq!(
        (unfinished(&messages), text(&last.parts).as_str()),
        (1, "hello world")
    );
    let alone = at_once(world.sessions.message(&id, last.info.id())).await;
    assert_eq!(alone.expect("there").parts, last.parts);

    world.store.heal();
    let answered = answer(receiver).await;
    assert_eq!(text(&answered.parts), "hello world");
    assert_eq!(answered.message.error, None);
    // By then everybody can see it.
    assert_eq!(unfinished(&world.messages(&id).await), 0);
    assert_eq!(world.told(&id, "session.idle").len(), 1);
    assert_ne!(world.pending(&id).await, Some(PendingReason::Store));
    world.applied(&id, 2).await;
    assert_eq!(text(&world.ask(&id, "model").await.parts), "y");

    let before = world.messages(&id).await;
    let world = world.killed().await;
    assert_eq!(world.messages(&id).await, before);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_killed_meanwhile_loses_only_the_end() {
    let (world, id, receiver) = stuck().await;
    let world = world.killed().await;
    assert!(
        receiver.await.is_err(),
        "an answer that is not stored was given"
    );
    let messages = world.messages(&id).await;
    let Message::Assistant(last) = &messages.last().expect("an answer").info else {
        panic!("no answer")
    };
    assert!(
        matches!(last.error, Some(MessageError::MessageAbortedError { .. })),
        "{last:?}"
    );
    assert_eq!(text(&messages.last().expect("one").parts), "hello");
    assert_eq!(unfinished(&messages), 0);
    assert_eq!(world.info(&id).await.revision, 2);
    assert_eq!(text(&world.ask(&id, "model").await.parts), "y");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_meanwhile_does_stop() {
    let (world, id, receiver) = stuck().await;
    let stopping = world.sessions.shut_down();
    tokio::time::timeout(Duration::from_secs(10), stopping)
        .await
        .expect("stops");
    assert!(receiver.await.is_err());
    assert_eq!(world.info(&id).await.runtime.status, RuntimeStatus::Idle);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_has_recovered_is_no_longer_a_reason() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    // The answer cannot be begun at first.
    world
        .store
        .fail_nth(2, StoreError::Unavailable("full".into()));
    let admitted = world.prompt(&id, "slow 5").await.expect("stored");
    world.agent("one").until_asked("session/prompt", 1).await;
    let session = world.select(&id, "one/y").await.expect("stored");
    assert_eq!(
        session.runtime.pending.map(|p| p.reason),
        Some(PendingReason::Turn)
    );
    assert_eq!(
        answer(admitted.answer.expect("wanted")).await.message.error,
        None
    );
}
