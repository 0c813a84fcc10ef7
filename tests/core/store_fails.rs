//! What cannot be stored is never seen, and is not in the way of what comes after it.

use std::sync::Arc;
use std::time::Duration;

use baton::opencode::MessageId;
use baton::opencode::message::Part;
use baton::opencode::request::PermissionReply;
use baton::session::{Error, Update};
use baton::store::StoreError;
use serde_json::json;
use tokio::time::Instant;

use crate::support::{World, at_once, settle, text, unfinished, until, within};

fn is_full<T: std::fmt::Debug>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::Store(StoreError::Unavailable(_))))
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_stored_is_never_seen() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    world.ask(&id, "echo hello").await;
    world.ask(&id, "echo again").await;
    let child = world.fork(&id).await.expect("forked").id;
    let messages = world.messages(&id).await;
    let (first, last) = (messages[0].info.id().clone(), messages[3].info.id().clone());
    let part = messages[3]
        .parts
        .iter()
        .find(|p| matches!(p, Part::Text(_)));
    let part = part.expect("a text").clone();
    settle().await;
    let ids = [id.clone(), child];
    let before = world.view(&ids).await;

    world.fill_disk();
    let commits = world.store.commits();
    let sessions = &world.sessions;
    assert!(is_full(&world.select(&id, "two/a").await));
    assert!(is_full(&world.rename(&id, "Another").await));
    assert!(is_full(&world.prompt(&id, "echo lost").await));
    assert!(is_full(&world.try_create("").await));
    assert!(is_full(&world.try_create("one/y").await));
    assert!(is_full(&world.fork(&id).await));
    assert!(is_full(&sessions.revert(&id, last.clone(), None).await));
    assert!(is_full(&sessions.delete_message(&id, &last).await));
    assert!(is_full(&sessions.save_part(&id, edited(&part)).await));
    assert!(is_full(&sessions.delete_part(&id, &last, part.id()).await));
    assert!(is_full(&sessions.delete(&id).await));
    // Each of them got as far as the store.
    assert_eq!(world.store.commits(), commits + 11);
    settle().await;
    assert_eq!(world.view(&ids).await, before);
    assert_eq!(world.agent("two").starts(), 0);

    world.store.heal();
    assert_eq!(
        world.select(&id, "one/y").await.expect("stored").revision,
        2
    );
    assert_eq!(
        world.rename(&id, "Another").await.expect("stored").revision,
        3
    );
    assert_eq!(text(&world.ask(&id, "model").await.parts), "y");
    world.fork(&id).await.expect("forked");
    sessions.save_part(&id, edited(&part)).await.expect("saved");
    sessions
        .delete_part(&id, &last, part.id())
        .await
        .expect("deleted");
    sessions
        .revert(&id, last.clone(), None)
        .await
        .expect("reverted");
    sessions.unrevert(&id).await.expect("brought back");
    sessions.delete_message(&id, &first).await.expect("deleted");
    assert_eq!(world.told_revisions(&id), [1, 2, 3]);
    assert_trail(&world, &id).await;
    sessions.delete(&id).await.expect("deleted");
    assert!(matches!(sessions.info(&id).await, Err(Error::NotFound(_))));
}

fn edited(part: &Part) -> Part {
    let Part::Text(part) = part else {
        panic!("no text")
    };
    let mut part = part.clone();
    part.text = "edited".to_owned();
    Part::Text(part)
}

/// The audit trail ends with what is selected.
async fn assert_trail(world: &World, id: &baton::opencode::SessionId) {
    let history = world.sessions.model_history(id).await.expect("a history");
    let last = history.switches.last().map(|switch| switch.current.clone());
    assert_eq!(last, history.selected);
}

#[tokio::test(start_paused = true)]
async fn an_approval_that_is_not_stored_leaves_its_request_open() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    let admitted = world.prompt(&id, "permission ls").await.expect("admitted");
    until(async || world.sessions.permissions(None).len() == 1).await;
    let asked = world.sessions.permissions(None).remove(0);

    world.fill_disk();
    let reply = || {
        world
            .sessions
            .reply_permission(&asked.id, PermissionReply::Always)
    };
    assert!(is_full(&reply().await));
    settle().await;
    assert_eq!(
        world.sessions.permissions(None),
        std::slice::from_ref(&asked)
    );
    assert!(world.told(&id, "permission.replied").is_empty());
    assert!(world.agent("one").asked_of("").is_empty());

    world.store.heal();
    reply().await.expect("stored");
    let answer = crate::support::answer(admitted.answer.expect("wanted")).await;
    assert_eq!(text(&answer.parts), "permission granted: once");
    // It is remembered: the user is not asked again.
    world.ask(&id, "permission ls").await;
    assert_eq!(world.told(&id, "permission.asked").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn reads_wait_for_no_commit() {
    let world = World::new().await;
    let ids = [world.create("").await, world.create("").await];
    world.store.delay(Duration::from_secs(5));
    let change = world.rename(&ids[0], "Slow");
    tokio::pin!(change);
    assert!(futures_util::poll!(&mut change).is_pending());
    tokio::task::yield_now().await;
    let before = at_once(world.view(&ids)).await;
    assert_eq!(before["sessions"][0][0]["revision"], 1);
    within(change).await.expect("stored");
    assert_eq!(world.info(&ids[0]).await.revision, 2);
}

#[tokio::test(start_paused = true)]
async fn sessions_do_not_wait_for_each_other() {
    let world = Arc::new(World::new().await);
    let mut ids = Vec::new();
    for _ in 0..8 {
        ids.push(world.create("").await);
    }
    let delay = Duration::from_secs(5);
    world.store.delay(delay);
    let began = Instant::now();
    let changes = ids.iter().map(|id| world.rename(id, "Slow"));
    let changed = within(futures_util::future::join_all(changes)).await;
    assert!(changed.iter().all(Result::is_ok));
    assert!(began.elapsed() < 2 * delay, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_panics_has_failed_once() {
    let world = World::new().await;
    let id = world.create("").await;
    world.store.panic_nth(1);
    let failed = world.rename(&id, "Panic").await;
    assert!(
        matches!(failed, Err(Error::Store(StoreError::Database(_)))),
        "{failed:?}"
    );
    assert_eq!(world.info(&id).await.revision, 1);
    assert_eq!(world.rename(&id, "Calm").await.expect("stored").revision, 2);
}

/// One story, in which the n-th commit fails or panics: whichever it is, what is told at the end is the same.
#[tokio::test(start_paused = true)]
async fn whichever_commit_fails_the_story_ends_the_same() {
    let untroubled = story(None).await;
    let commits = untroubled.1;
    assert!(commits > 10, "{commits}");
    for n in 1..=commits {
        for panics in [false, true] {
            let (told, _) = story(Some((n, panics))).await;
            assert_eq!(told, untroubled.0, "commit {n}, panics: {panics}");
        }
    }
}

/// Two turns with a switch between them. A client that gets an error tries again, once.
async fn story(fault: Option<(u64, bool)>) -> (serde_json::Value, u64) {
    let world = World::new().await;
    match fault {
        Some((n, true)) => world.store.panic_nth(n),
        Some((n, false)) => world
            .store
            .fail_nth(n, StoreError::Unavailable("full".into())),
        None => {}
    }
    let id = match world.try_create("one/x").await {
        Ok(session) => session.id,
        Err(_) => world.create("one/x").await,
    };
    world.applied(&id, 1).await;
    let mut answers = Vec::new();
    for (model, prompt) in [("one/x", "plan"), ("two/b", "model")] {
        if world.select(&id, model).await.is_err() {
            world.select(&id, model).await.expect("stored");
        }
        let revision = world.info(&id).await.revision;
        world.applied(&id, revision).await;
        let admitted = match world.prompt(&id, prompt).await {
            Ok(admitted) => admitted,
            Err(_) => world.prompt(&id, prompt).await.expect("stored"),
        };
        let answer = crate::support::answer(admitted.answer.expect("wanted")).await;
        assert_eq!(answer.message.error, None);
        answers.push(text(&answer.parts));
    }
    settle().await;
    let info = world.info(&id).await;
    assert_eq!(unfinished(&world.messages(&id).await), 0);
    assert_eq!(info.runtime.pending, None);
    let closed: Vec<_> = world.switches(&id).await;
    let closed: Vec<_> = closed.iter().map(|s| s.transfer.is_some()).collect();
    let history = world.sessions.model_history(&id).await.expect("a history");
    let usage: Vec<_> = history.usage.iter().map(|u| u.answers).collect();
    let told = json!({
        "answers": answers,
        "revisions": world.told_revisions(&id),
        "messages": world.messages(&id).await.len(),
        "closed": closed,
        "usage": usage,
        "applied": info.runtime.applied,
        "todos": world.sessions.todos(&id).await.expect("todos"),
        "ended": world.told(&id, "session.idle").len(),
        "changed": world.told(&id, "session.model_changed").len(),
        "told applied": world.told(&id, "session.model_applied").len(),
    });
    (told, world.store.commits())
}

#[tokio::test(start_paused = true)]
async fn an_update_without_an_effect_needs_no_store() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    world.fill_disk();
    let commits = world.store.commits();
    let same = world.select(&id, "one/x").await.expect("nothing to store");
    assert_eq!(same.revision, 1);
    world
        .update(&id, Update::default())
        .await
        .expect("nothing to store");
    assert_eq!(world.store.commits(), commits);
}

#[tokio::test(start_paused = true)]
async fn two_prompts_with_one_id_are_one() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    let message_id = MessageId::new();
    let prompt = || {
        let mut prompt = crate::support::text_prompt("echo one");
        prompt.message_id = Some(message_id.clone());
        let by = crate::support::by(baton::opencode::event::Source::Message);
        world.sessions.prompt(&id, prompt, by)
    };
    world.store.delay(Duration::from_millis(10));
    let (first, second) = within(futures_util::future::join(prompt(), prompt())).await;
    let refused = [&first, &second]
        .into_iter()
        .filter(|admitted| matches!(admitted, Err(Error::DuplicateMessage(_))));
    assert_eq!(refused.count(), 1, "{first:?} {second:?}");
    world.quiet().await;
    assert_eq!(world.messages(&id).await.len(), 2);
}
