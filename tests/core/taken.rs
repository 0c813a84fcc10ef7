//! A session that another server takes: nothing more of it is done here, and nothing is answered that was not stored.

use std::sync::Arc;
use std::time::Duration;

use baton::nodes::DEFAULT_LEASE;
use baton::nodes::beat::Pulse;
use baton::opencode::SessionId;
use baton::session::{Beating, Error, Place};
use baton::store::StoreError;

use crate::support::{Setup, World, answer, settle, text};

async fn world() -> World {
    World::with(Setup {
        shared: true,
        ..Setup::default()
    })
    .await
}

fn is_taken<T: std::fmt::Debug>(result: &Result<T, Error>, id: &SessionId) -> bool {
    matches!(result, Err(Error::Store(StoreError::TakenOver(taken))) if taken == id)
}

/// As a request does that changes a session.
async fn hold(world: &World, id: &SessionId) {
    let place = world.sessions.place_to_change(id).await.expect("a place");
    // It is in a directory that is not there.
    assert!(
        matches!(place, Place::Here | Place::Anywhere(_)),
        "{place:?}"
    );
    world.sessions.nodes().hold(id, false).await.expect("held");
}

/// All that can go on does, and the store goes on with what it is at.
async fn no_time_passes() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_that_is_refused_is_answered_so_and_the_session_is_read_anew() {
    let world = world().await;
    let id = world.ready("one/x").await;
    world.rename(&id, "Before").await.expect("stored");
    let taken = StoreError::TakenOver(id.clone());
    world.store.fail_nth(1, taken);
    assert!(is_taken(&world.rename(&id, "Lost").await, &id));
    settle().await;
    assert!(!world.sessions.nodes().holds(&id));
    // Whoever only looks sees what is stored; nothing can be changed before it is held again.
    assert_eq!(world.info(&id).await.title, "Before");
    hold(&world, &id).await;
    assert_eq!(
        world.rename(&id, "After").await.expect("stored").title,
        "After"
    );
    assert_eq!(text(&world.ask(&id, "echo again").await.parts), "again");
}

#[tokio::test(start_paused = true)]
async fn what_waits_when_the_session_is_lost_is_not_answered_as_stored() {
    let world = Arc::new(world().await);
    let id = world.ready("one/x").await;
    let before = world.info(&id).await.revision;
    // One is on its way to the store; the others wait, and the loss among them.
    world.store.delay(Duration::from_millis(100));
    let change = |number: usize| {
        let (world, id) = (Arc::clone(&world), id.clone());
        tokio::spawn(async move { world.rename(&id, &format!("Title {number}")).await })
    };
    let first = change(0);
    no_time_passes().await;
    let second = change(1);
    no_time_passes().await;
    Beating(Arc::clone(&world.sessions)).are_taken(vec![id.clone()]);
    no_time_passes().await;
    let third = change(2);
    let results = futures_util::future::join_all([first, second, third]).await;
    let results: Vec<_> = results.into_iter().map(|r| r.expect("no panic")).collect();
    settle().await;
    let stored = world.stored_revision(&id).await.expect("there");
    let last = results
        .iter()
        .flatten()
        .map(|session| session.revision)
        .max();
    assert_eq!(last.unwrap_or(before), stored, "{results:?}");
    assert!(
        results.iter().any(|result| is_taken(result, &id)),
        "{results:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_in_memory_is_not_shown_when_another_may_have_the_session() {
    let world = world().await;
    let id = world.ready("one/x").await;
    let place = || world.sessions.place_to_read(&id);
    // Nobody beats here: as if the machine had been suspended, and asked the moment that it goes on.
    tokio::time::sleep(DEFAULT_LEASE * 2).await;
    assert!(!world.sessions.nodes().is_sure());
    assert_eq!(place().await.expect("here"), Place::Here);
    assert!(world.sessions.nodes().holds(&id), "nobody has taken it");
    world.others.taken.lock().push(id.clone());
    assert_eq!(place().await.expect("as far as is known"), Place::Here);
    // It is only looked at now, as it is stored.
    assert!(!world.sessions.nodes().holds(&id));
    assert_eq!(world.info(&id).await.id, id);
    world.others.taken.lock().clear();
    hold(&world, &id).await;
    assert_eq!(
        world.rename(&id, "Again").await.expect("stored").title,
        "Again"
    );
}

#[tokio::test(start_paused = true)]
async fn a_turn_of_a_session_that_is_lost_is_stopped() {
    let world = world().await;
    let id = world.ready("one/x").await;
    let admitted = world.prompt(&id, "slow 60").await.expect("admitted");
    world.agent("one").until_asked("session/prompt", 1).await;
    let commits = world.store.commits();
    Beating(Arc::clone(&world.sessions)).are_taken(vec![id.clone()]);
    let ended = answer(admitted.answer.expect("wanted")).await;
    assert!(ended.message.error.is_some());
    settle().await;
    assert_eq!(world.agent("one").asked_of("session/cancel").len(), 1);
    // The other server has marked the answer as interrupted, or will.
    assert_eq!(world.store.commits(), commits);
    world.quiet().await;
}
