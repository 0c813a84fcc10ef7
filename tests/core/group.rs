//! Changes of one session that share a transaction.

use std::sync::Arc;
use std::time::Duration;

use baton::opencode::{Session, SessionId};
use baton::session::{Error, Update};
use baton::store::StoreError;
use tokio::task::JoinHandle;

use crate::support::{World, wish, within};

type Changing = JoinHandle<Result<Session, Error>>;

const DELAY: Duration = Duration::from_millis(100);

fn full() -> StoreError {
    StoreError::Unavailable("the disk is full".to_owned())
}

/// A session whose store takes its time over one change, so that those that follow have to wait for it and go
/// together. The store is as quick as ever after that one.
async fn occupied(world: &Arc<World>) -> (SessionId, Changing) {
    let id = world.create("").await;
    world.store.delay(DELAY);
    let first = start(world, &id, titled("first")).await;
    world.store.delay(Duration::ZERO);
    (id, first)
}

fn titled(title: &str) -> Update {
    Update {
        title: Some(title.to_owned()),
        ..Update::default()
    }
}

fn selecting(model: &str) -> Update {
    Update {
        wish: wish(model),
        ..Update::default()
    }
}

/// Sends a change, and lets it get as far as the list of those that wait.
async fn start(world: &Arc<World>, id: &SessionId, update: Update) -> Changing {
    let (world, id) = (Arc::clone(world), id.clone());
    let changing = tokio::spawn(async move { world.update(&id, update).await });
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    changing
}

async fn done(changing: Changing) -> Result<Session, Error> {
    within(changing).await.expect("no panic")
}

#[tokio::test(start_paused = true)]
async fn changes_that_wait_share_a_transaction() {
    let world = Arc::new(World::new().await);
    let (id, first) = occupied(&world).await;
    let commits = world.store.commits();
    let mut waiting = Vec::new();
    for n in 0..5 {
        waiting.push(start(&world, &id, titled(&format!("title {n}"))).await);
    }
    assert_eq!(done(first).await.expect("stored").revision, 2);
    for (n, changing) in waiting.into_iter().enumerate() {
        // Each sees the one before.
        let session = done(changing).await.expect("stored");
        assert_eq!(session.revision, 3 + n as u64);
        assert_eq!(session.title, format!("title {n}"));
    }
    assert_eq!(world.store.commits(), commits + 1);
    assert_eq!(world.told_revisions(&id), [1, 2, 3, 4, 5, 6, 7]);
}

#[tokio::test(start_paused = true)]
async fn of_a_group_that_is_not_stored_each_is_judged_alone() {
    for panics in [false, true] {
        let world = Arc::new(World::new().await);
        let (id, first) = occupied(&world).await;
        let commits = world.store.commits();
        let mut waiting = Vec::new();
        for title in ["a", "b", "c"] {
            waiting.push(start(&world, &id, titled(title)).await);
        }
        // The group, and of those that are tried alone the second.
        match panics {
            true => world.store.panic_nth(1),
            false => world.store.fail_nth(1, full()),
        }
        world.store.fail_nth(3, full());
        done(first).await.expect("stored");
        let mut results = Vec::new();
        for changing in waiting {
            results.push(done(changing).await);
        }
        assert_eq!(world.store.commits(), commits + 4);
        let revisions: Vec<_> = results
            .iter()
            .map(|r| r.as_ref().ok().map(|s| s.revision))
            .collect();
        assert_eq!(revisions, [Some(3), None, Some(4)], "{results:?}");
        assert!(matches!(
            results[1],
            Err(Error::Store(StoreError::Unavailable(_)))
        ));
        assert_eq!(world.info(&id).await.title, "c");
        assert_eq!(world.told_revisions(&id), [1, 2, 3, 4]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_stays_with_its_change() {
    let world = Arc::new(World::new().await);
    let (id, first) = occupied(&world).await;
    let good = start(&world, &id, titled("good")).await;
    let unknown = start(&world, &id, selecting("one/unknown")).await;
    let stale = Update {
        if_match: Some(2),
        ..titled("stale")
    };
    let stale = start(&world, &id, stale).await;
    let better = start(&world, &id, selecting("one/y")).await;
    done(first).await.expect("stored");
    assert_eq!(done(good).await.expect("stored").revision, 3);
    assert!(matches!(done(unknown).await, Err(Error::Select(_))));
    let stale = done(stale).await;
    assert!(
        matches!(stale, Err(Error::RevisionConflict { revision: 3, .. })),
        "{stale:?}"
    );
    let better = done(better).await.expect("stored");
    assert_eq!((better.revision, better.title.as_str()), (4, "good"));
}

#[tokio::test(start_paused = true)]
async fn nobody_is_refused_for_what_was_not_stored() {
    let world = Arc::new(World::new().await);
    let (id, first) = occupied(&world).await;
    let lost = start(&world, &id, titled("lost")).await;
    let matching = Update {
        if_match: Some(2),
        ..titled("found")
    };
    let matching = start(&world, &id, matching).await;
    // The group, and then the one whose revision the other one did not expect.
    world.store.fail_nth(1, full());
    world.store.fail_nth(2, full());
    done(first).await.expect("stored");
    assert!(matches!(done(lost).await, Err(Error::Store(_))));
    let session = done(matching).await.expect("it matches what is stored");
    assert_eq!((session.revision, session.title.as_str()), (3, "found"));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_hangs_up_takes_no_other_along() {
    let world = Arc::new(World::new().await);
    let (id, first) = occupied(&world).await;
    let mut waiting = Vec::new();
    for title in ["a", "b", "c"] {
        waiting.push(start(&world, &id, titled(title)).await);
    }
    // The one whose task commits for all, and one of those that wait.
    first.abort();
    waiting.remove(1).abort();
    for changing in waiting {
        done(changing).await.expect("stored");
    }
    // What was asked for happens, whether anybody still listens or not.
    let session = world.info(&id).await;
    assert_eq!((session.revision, session.title.as_str()), (5, "c"));
    assert_eq!(world.told_revisions(&id), [1, 2, 3, 4, 5]);
}

/// A caller that has begun a change and does not continue it, because something else comes first.
#[tokio::test(start_paused = true)]
async fn a_caller_that_waits_for_something_else_does_not_block_others() {
    let world = Arc::new(World::new().await);
    let id = world.create("").await;
    world.store.delay(DELAY);
    let mut first = Box::pin(world.update(&id, titled("first")));
    // It has begun, and from now on it is not polled.
    assert!(futures_util::poll!(first.as_mut()).is_pending());
    let second = start(&world, &id, titled("second")).await;
    assert_eq!(done(second).await.expect("stored").title, "second");
    assert_eq!(first.await.expect("stored").title, "first");
}
