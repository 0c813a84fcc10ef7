//! A session is in memory once, however many ask for it and however soon it is let go.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use baton::opencode::SessionId;
use baton::store::StoreError;

use crate::support::{Setup, World};

const SESSIONS: usize = 12;
const CLIENTS: usize = 8;
const CHANGES: usize = 40;

/// Room for one session: another one that is asked for pushes it out.
fn cramped() -> Setup {
    Setup {
        loaded_sessions: 1,
        ..Setup::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_change_is_lost_between_leaving_and_coming_back() {
    let world = Arc::new(World::with(cramped()).await);
    let mut ids = Vec::new();
    for _ in 0..SESSIONS {
        ids.push(world.create("").await);
    }
    let ids: Arc<[SessionId]> = ids.into();
    let clients = (0..CLIENTS).map(|client| {
        let (world, ids) = (Arc::clone(&world), Arc::clone(&ids));
        tokio::spawn(async move {
            let mut revisions = Vec::new();
            for n in 0..CHANGES {
                // All of them go to the same one at about the same time.
                let id = &ids[n % SESSIONS];
                let changed = world.rename(id, &format!("{client} {n}")).await;
                revisions.push((n % SESSIONS, changed.expect("stored").revision));
            }
            revisions
        })
    });
    let mut acknowledged = BTreeSet::new();
    for client in clients {
        for change in client.await.expect("no panic") {
            assert!(
                acknowledged.insert(change),
                "a revision was given out twice: {change:?}"
            );
        }
    }
    for (n, id) in ids.iter().enumerate() {
        let changes = acknowledged
            .iter()
            .filter(|(session, _)| *session == n)
            .count() as u64;
        assert_eq!(world.stored_revision(id).await, Some(changes + 1));
        assert_eq!(world.info(id).await.revision, changes + 1);
        let told: Vec<_> = (1..=changes + 1).collect();
        assert_eq!(world.told_revisions(id), told);
    }
}

/// Those who wait while somebody else loads a session in vain load it once, all together.
#[tokio::test(start_paused = true)]
async fn one_that_could_not_be_loaded_is_loaded_once_by_those_who_wait() {
    let world = Arc::new(World::with(cramped()).await);
    let id = world.create("").await;
    let world = Arc::new(Arc::into_inner(world).expect("nobody else").killed().await);
    world.store.delay_reads(Duration::from_millis(10));
    world
        .store
        .fail_reads("session", StoreError::Unavailable("busy".into()));
    let failing = tokio::spawn(rename(&world, &id, 0));
    tokio::task::yield_now().await;
    world.store.heal();
    world.store.delay_reads(Duration::from_millis(10));
    let waiting = tokio::spawn(rename(&world, &id, 1));
    tokio::task::yield_now().await;
    assert!(failing.await.expect("no panic").is_err());
    // It comes while the other one is loading.
    let late = tokio::spawn(rename(&world, &id, 2));
    let (waiting, late) = (
        waiting.await.expect("no panic"),
        late.await.expect("no panic"),
    );
    let revisions = BTreeSet::from([waiting.expect("stored"), late.expect("stored")]);
    assert_eq!(revisions, BTreeSet::from([2, 3]));
}

fn rename(
    world: &Arc<World>,
    id: &SessionId,
    n: usize,
) -> impl Future<Output = Result<u64, baton::session::Error>> + use<> {
    let (world, id) = (Arc::clone(world), id.clone());
    async move { Ok(world.rename(&id, &format!("title {n}")).await?.revision) }
}

/// A caller that hangs up while a session is being loaded leaves nothing behind that blocks others.
#[tokio::test(start_paused = true)]
async fn who_hangs_up_while_loading_leaves_nothing_in_memory() {
    let world = World::with(Setup {
        loaded_sessions: 4,
        ..Setup::default()
    })
    .await;
    let mut ids = Vec::new();
    for _ in 0..24 {
        ids.push(world.create("").await);
    }
    let world = world.killed().await;
    world.store.delay_reads(Duration::from_millis(10));
    for id in &ids[4..] {
        let hangs_up = Duration::from_millis(1);
        assert!(
            tokio::time::timeout(hangs_up, world.info(id))
                .await
                .is_err()
        );
    }
    // There is room for these four.
    for _ in 0..3 {
        for id in &ids[..4] {
            world.info(id).await;
        }
    }
    let reads = world.store.reads("session");
    for id in &ids[..4] {
        world.info(id).await;
    }
    assert_eq!(world.store.reads("session"), reads);
}

#[tokio::test(start_paused = true)]
async fn what_is_at_work_stays_in_memory() {
    let world = World::with(cramped()).await;
    let id = world.ready("one/x").await;
    let slow = world.prompt(&id, "slow 2").await.expect("admitted");
    world.agent("one").until_asked("session/prompt", 1).await;
    for _ in 0..20 {
        world.create("").await;
    }
    assert_eq!(world.sessions.statuses(None).len(), 1);
    world.rename(&id, "At work").await.expect("stored");
    crate::support::answer(slow.answer.expect("wanted")).await;
    assert_eq!(world.info(&id).await.revision, 2);
    world.ask(&id, "echo on").await;
    // Its native session was not let go while it was asked for others.
    assert_eq!(world.agent("one").asked_of("session/new").len(), 1);
}
