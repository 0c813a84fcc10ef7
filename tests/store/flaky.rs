//! The store that fails on demand does what it is told, and nothing else.

use std::sync::Arc;
use std::time::Duration;

use baton::opencode::SessionId;
use baton::store::flaky::FlakyStore;
use baton::store::{SessionKeys, Store, StoreError};

use crate::support::{commit, memory, new_session, put_session};

const DELAY: Duration = Duration::from_secs(3);

fn new(id: &SessionId) -> Vec<baton::store::Change> {
    vec![new_session(id, SessionKeys::default())]
}

#[tokio::test]
async fn single_commits_fail_and_panic() {
    let store = Arc::new(FlakyStore::new(memory()));
    let ids: Vec<_> = (0..4).map(|_| SessionId::new()).collect();
    store.fail_nth(2, StoreError::Unavailable("full".into()));
    store.panic_nth(3);
    commit(store.as_ref(), new(&ids[0])).await;
    let failed = store.commit(new(&ids[1])).await;
    assert!(matches!(failed, Err(StoreError::Unavailable(_))));
    let panicking = tokio::spawn(store.commit(new(&ids[2])));
    assert!(panicking.await.is_err_and(|error| error.is_panic()));
    commit(store.as_ref(), new(&ids[3])).await;
    assert_eq!(store.commits(), 4);
    for (id, there) in ids.iter().zip([true, false, false, true]) {
        assert_eq!(store.session(id).await.expect("reads").is_some(), there);
    }
}

#[tokio::test]
async fn all_fail_until_it_is_healed() {
    let store = FlakyStore::new(memory());
    store.fail_all(StoreError::Database("damaged".into()));
    for _ in 0..3 {
        let failed = store.commit(new(&SessionId::new())).await;
        assert!(matches!(failed, Err(StoreError::Database(_))));
    }
    store.heal();
    commit(&store, new(&SessionId::new())).await;
    assert_eq!(store.commits(), 4);
}

#[tokio::test(start_paused = true)]
async fn delayed_commits_keep_their_order() {
    let store = FlakyStore::new(memory());
    let id = SessionId::new();
    let begun = tokio::time::Instant::now();
    store.delay(DELAY);
    let first = store.commit(new(&id));
    store.heal();
    // Undelayed, but must not overtake the one before; and neither is awaited for now.
    let second = store.commit(vec![put_session(&id, Some(1), 2, SessionKeys::default())]);
    assert!(store.session(&id).await.expect("reads").is_none());
    second.await.expect("commits");
    assert_eq!(begun.elapsed(), DELAY);
    first.await.expect("commits");
    let third = put_session(&id, Some(2), 3, SessionKeys::default());
    commit(&store, vec![third]).await;
    assert_eq!(begun.elapsed(), DELAY);
}
