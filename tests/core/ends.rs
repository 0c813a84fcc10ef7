//! Ends that come from outside: abort, deletion, shutdown.

use std::time::Duration;

use baton::agent::scripted::Step;
use baton::opencode::message::{Message, MessageError};
use baton::opencode::{MessageId, SessionId};
use baton::session::{Answer, AtAbort, Error};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::support::{NEVER, Setup, World, answer, settle, text, unfinished, until, within};

type Waiting = (MessageId, oneshot::Receiver<Answer>);

/// A session with a turn in flight and two prompts that wait.
async fn busy(world: &World) -> (SessionId, Vec<Waiting>) {
    let id = world.ready("one/x").await;
    let mut waiting = Vec::new();
    for prompt in ["slow 60", "echo two", "echo three"] {
        let admitted = world.prompt(&id, prompt).await.expect("admitted");
        waiting.push((
            admitted.message.info.id().clone(),
            admitted.answer.expect("wanted"),
        ));
    }
    world.agent("one").until_asked("session/prompt", 1).await;
    until(async || world.messages(&id).await.len() == 4).await;
    (id, waiting)
}

fn is_aborted(error: &Option<MessageError>) -> bool {
    matches!(error, Some(MessageError::MessageAbortedError { .. }))
}

#[tokio::test(start_paused = true)]
async fn an_abort_answers_every_prompt_for_itself() {
    let world = World::new().await;
    let (id, waiting) = busy(&world).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.sessions.abort(&id, None).await.expect("aborted");
    for (prompt, receiver) in waiting {
        let answer = answer(receiver).await;
        assert_eq!(answer.message.parent_id, prompt);
        assert!(is_aborted(&answer.message.error), "{answer:?}");
    }
    world.quiet().await;
    let messages = world.messages(&id).await;
    assert_eq!((messages.len(), unfinished(&messages)), (6, 0));
    assert_eq!(world.agent("one").prompts(), ["slow 60"]);
    assert_eq!(world.told(&id, "session.idle").len(), 1);
    assert!(text(&world.ask(&id, "echo four").await.parts).contains("four"));
    // A session that is idle stays so.
    world
        .sessions
        .abort(&id, None)
        .await
        .expect("nothing to abort");
    assert_eq!(text(&world.ask(&id, "echo five").await.parts), "five");
}

#[tokio::test(start_paused = true)]
async fn an_abort_says_what_it_stops_and_may_leave_the_queue() {
    let world = World::new().await;
    let (id, mut waiting) = busy(&world).await;
    let kept = world.sessions.abort(&id, Some(AtAbort::Keep)).await;
    let kept = kept.expect("aborted");
    assert_eq!(kept.running.as_ref(), Some(&waiting[0].0));
    assert!(kept.dropped.is_empty(), "{kept:?}");
    let first = answer(waiting.remove(0).1).await;
    assert!(is_aborted(&first.message.error), "{first:?}");
    for ((prompt, receiver), said) in waiting.into_iter().zip(["two", "three"]) {
        let answer = answer(receiver).await;
        assert_eq!(answer.message.parent_id, prompt);
        assert_eq!(
            (text(&answer.parts).as_str(), &answer.message.error),
            (said, &None)
        );
    }

    let (id, waiting) = busy(&world).await;
    let dropped = world.sessions.abort(&id, None).await.expect("aborted");
    let prompts: Vec<_> = waiting.iter().map(|(prompt, _)| prompt.clone()).collect();
    assert_eq!(dropped.running.as_ref(), Some(&prompts[0]));
    assert_eq!(dropped.dropped, prompts[1..]);
    world.quiet().await;
    let nothing = world.sessions.abort(&id, None).await.expect("idle");
    assert!(
        nothing.running.is_none() && nothing.dropped.is_empty(),
        "{nothing:?}"
    );
}

/// A turn whose agent has fallen silent, in a world that ends those after ten minutes; and when the agent was given its
/// prompt.
async fn silent(world: &World, prompt: &str) -> (SessionId, oneshot::Receiver<Answer>, Instant) {
    let id = world.ready("one/x").await;
    let admitted = world.prompt(&id, prompt).await.expect("admitted");
    // In small steps: what is read from the disk meanwhile takes real time.
    while world.agent("one").prompts().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // In steps of a second: there are three hundred of them.
    let began = Instant::now();
    while world.told(&id, "session.silent").is_empty() {
        assert!(began.elapsed() < NEVER);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!((299..302).contains(&began.elapsed().as_secs()));
    (id, admitted.answer.expect("wanted"), began)
}

#[tokio::test(start_paused = true)]
async fn a_silent_turn_is_reported_and_ended_where_that_is_set() {
    let ends = Setup {
        silent_end: Some(Duration::from_secs(400)),
        ..Setup::default()
    };
    let world = World::with(ends).await;
    world.agent("one").answer_next([Step::Hang]);
    let (id, receiver, began) = silent(&world, "hang").await;
    let told = world.told(&id, "session.silent");
    let told = &told[0]["properties"];
    let turn = world.info(&id).await.runtime.turn.expect("in flight");
    assert_eq!(told["since"].as_u64(), turn.silent_since);
    let ends_at = turn.silent_since.map(|since| since + 400_000);
    assert_eq!(told["endsAt"].as_u64(), ends_at);
    let answer = answer(receiver).await;
    assert!(
        (399..420).contains(&began.elapsed().as_secs()),
        "{:?}",
        began.elapsed()
    );
    let Some(MessageError::APIError { message, .. }) = &answer.message.error else {
        panic!("{answer:?}");
    };
    assert!(
        message.contains("400 s") && message.contains("silent_end_s"),
        "{message}"
    );
    assert_eq!(world.told(&id, "session.silent").len(), 1);
    // It goes on, and the next prompt is answered.
    assert_eq!(text(&world.ask(&id, "echo five").await.parts), "five");
    assert_eq!(world.info(&id).await.runtime.turn, None);
}

#[tokio::test(start_paused = true)]
async fn a_silent_turn_goes_on_for_ever_where_nothing_is_set() {
    let world = World::new().await;
    world.agent("one").answer_next([Step::Hang]);
    let (id, mut receiver, _) = silent(&world, "hang").await;
    assert_eq!(
        world.told(&id, "session.silent")[0]["properties"].get("endsAt"),
        None
    );
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(receiver.try_recv().is_err());
    assert_eq!(world.told(&id, "session.silent").len(), 1);
    world.sessions.abort(&id, None).await.expect("aborted");
    assert!(is_aborted(&answer(receiver).await.message.error));
}

#[tokio::test(start_paused = true)]
async fn the_deletion_of_a_session_is_its_last_event() {
    let world = World::new().await;
    let (id, mut waiting) = busy(&world).await;
    world.sessions.delete(&id).await.expect("deleted");
    assert!(matches!(
        world.sessions.info(&id).await,
        Err(Error::NotFound(_))
    ));
    assert!(world.sessions.statuses(None).is_empty());
    assert!(
        world
            .sessions
            .list(Default::default())
            .await
            .expect("a list")
            .is_empty()
    );
    // How far it got, for who waits for the turn in flight; nothing for the others.
    let last = answer(waiting.remove(0).1).await;
    assert!(is_aborted(&last.message.error), "{last:?}");
    for (_, receiver) in waiting {
        assert!(within(receiver).await.is_err());
    }
    settle().await;
    assert_eq!(world.agent("one").asked_of("session/cancel").len(), 1);
    assert_eq!(world.agent("one").asked_of("session/delete").len(), 1);
    assert_deleted_last(&world, &id);
    assert!(matches!(
        world.prompt(&id, "echo six").await,
        Err(Error::NotFound(_))
    ));
    let world = world.killed().await;
    assert!(matches!(
        world.sessions.info(&id).await,
        Err(Error::NotFound(_))
    ));
}

fn assert_deleted_last(world: &World, id: &SessionId) {
    let mut events = world.events();
    events.retain(|event| crate::support::is_about(event, id));
    let kinds: Vec<_> = events
        .iter()
        .map(|event| event["type"].as_str().expect("a type"))
        .collect();
    assert_eq!(kinds.last(), Some(&"session.deleted"), "{kinds:?}");
}

#[tokio::test(start_paused = true)]
async fn a_deletion_takes_back_what_was_asked() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    world.prompt(&id, "permission ls").await.expect("admitted");
    until(async || world.sessions.permissions(None).len() == 1).await;
    world.sessions.delete(&id).await.expect("deleted");
    settle().await;
    assert!(world.sessions.permissions(None).is_empty());
    assert_eq!(world.told(&id, "permission.replied").len(), 1);
    assert_deleted_last(&world, &id);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_leaves_nobody_waiting() {
    let world = World::new().await;
    let (id, mut waiting) = busy(&world).await;
    let stopping = world.sessions.shut_down();
    tokio::time::timeout(Duration::from_secs(5), stopping)
        .await
        .expect("stops");
    let (prompt, receiver) = waiting.remove(0);
    let last = answer(receiver).await;
    assert_eq!(last.message.parent_id, prompt);
    let error = last.message.error.expect("an error");
    assert!(error.message().contains("stopped"), "{error:?}");
    for (_, receiver) in waiting {
        assert!(within(receiver).await.is_err());
    }
    assert!(matches!(
        world.prompt(&id, "echo seven").await,
        Err(Error::ShutDown)
    ));

    let world = world.stopped().await;
    let messages = world.messages(&id).await;
    assert_eq!((messages.len(), unfinished(&messages)), (4, 0));
    let stored = messages.iter().find_map(|message| match &message.info {
        Message::Assistant(answer) => Some(answer.error.clone()),
        Message::User(_) => None,
    });
    assert_eq!(stored, Some(Some(error)));
    assert_eq!(text(&world.ask(&id, "echo eight").await.parts), "eight");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_ignores_a_cancel_is_not_waited_for() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    world
        .agent("one")
        .react_next("session/prompt", baton::agent::scripted::Reaction::Never);
    let admitted = world.prompt(&id, "hi").await.expect("admitted");
    world.agent("one").until_asked("session/prompt", 1).await;
    world.sessions.abort(&id, None).await.expect("aborted");
    let last = answer(admitted.answer.expect("wanted")).await;
    assert!(is_aborted(&last.message.error), "{last:?}");
    world.agent("one").answer_next([Step::Say("well".into())]);
    assert_eq!(text(&world.ask(&id, "again").await.parts), "well");
}
