//! What agents ask outside of turns, what they begin there, and who listens to them.

use std::time::Duration;

use baton::agent::scripted::{Reaction, Step};
use baton::opencode::message::{Message, ToolState};
use baton::opencode::request::PermissionReply;

use crate::late::{answers, ask, ask_waiting, call, later, pair, tools};
use crate::support::{Setup, World, settle, text, until, within};

#[tokio::test(start_paused = true)]
async fn a_tool_call_between_turns_ends_with_its_process() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    let begins = call("tool_call", "t", "in_progress", None);
    let dies = Step::Later(Duration::from_secs(60), vec![Step::Die]);
    ask(
        &world,
        &id,
        [Step::Say("go on".into()), later([begins]), dies],
    )
    .await;
    settle().await;
    let running = tools(&world, &id).await.remove(0);
    assert!(
        matches!(running.state, ToolState::Running { .. }),
        "{running:?}"
    );
    tokio::time::sleep(Duration::from_secs(70)).await;
    let ended = tools(&world, &id).await.remove(0);
    assert!(matches!(ended.state, ToolState::Error { .. }), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_tool_call_between_turns_ends_with_a_killed_server() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    let begins = call("tool_call", "t", "in_progress", None);
    ask(&world, &id, [Step::Say("go on".into()), later([begins])]).await;
    settle().await;
    let world = world.killed().await;
    let messages = world.messages(&id).await;
    let Message::Assistant(answer) = &messages[1].info else {
        panic!("no answer")
    };
    assert_eq!(answer.error, None, "the answer itself had ended");
    let ended = tools(&world, &id).await.remove(0);
    assert!(matches!(ended.state, ToolState::Error { .. }), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_permission_is_asked_between_turns() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    ask_waiting(
        &world,
        &id,
        [later([Step::Do("permission make all".into())])],
    )
    .await;
    settle().await;
    let asked = world.sessions.permissions(None);
    assert_eq!(asked.len(), 1, "{asked:?}");
    let shown = serde_json::to_string(&asked[0]).expect("JSON");
    assert!(shown.contains("make all"), "{shown}");
    let running = tools(&world, &id).await.remove(0);
    assert!(
        matches!(running.state, ToolState::Running { .. }),
        "{running:?}"
    );
    // A turn that comes and goes does not take it back.
    assert_eq!(text(&world.ask(&id, "echo two").await.parts), "two");
    assert_eq!(world.sessions.permissions(None).len(), 1);
    let reply = world
        .sessions
        .reply_permission(&asked[0].id, PermissionReply::Once);
    reply.await.expect("replied");
    settle().await;
    assert_eq!(
        answers(&world, &id).await,
        [
            pair("x", "I wait."),
            pair("x", "twopermission granted: once")
        ],
        "what has no id goes to the last answer"
    );
    let ended = tools(&world, &id).await.remove(0);
    assert!(
        matches!(ended.state, ToolState::Completed { .. }),
        "{ended:?}"
    );
    assert!(world.sessions.permissions(None).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_permission_between_turns_ends_with_the_session_or_the_process() {
    for dies in [false, true] {
        let world = World::new().await;
        let id = world.ready("one/x").await;
        let die = Step::Later(Duration::from_secs(60), vec![Step::Die]);
        let asks = later([Step::Do("permission make".into())]);
        ask_waiting(&world, &id, [asks, die]).await;
        settle().await;
        assert_eq!(world.sessions.permissions(None).len(), 1);
        if dies {
            tokio::time::sleep(Duration::from_secs(70)).await;
        } else {
            world.sessions.delete(&id).await.expect("deleted");
            settle().await;
            let replies = world.agent("one").asked_of("");
            let last = replies.last().expect("an answer");
            assert_eq!(last.params["outcome"]["outcome"], "cancelled", "{last:?}");
        }
        assert!(world.sessions.permissions(None).is_empty(), "dies: {dies}");
    }
}

#[tokio::test(start_paused = true)]
async fn late_text_is_taken_after_the_worker_has_left() {
    let setup = Setup {
        idle: Duration::from_secs(30),
        ..Setup::default()
    };
    let world = World::with(setup).await;
    let id = world.ready("one/x").await;
    let slow = Step::Later(
        Duration::from_secs(120),
        vec![
            Step::Say("AMBER".into()),
            Step::Do("permission make".into()),
        ],
    );
    ask_waiting(&world, &id, [slow]).await;
    tokio::time::sleep(Duration::from_secs(130)).await;
    until(async || answers(&world, &id).await == [pair("x", "I wait.AMBER")]).await;
    assert_eq!(world.sessions.permissions(None).len(), 1);
    // The next prompt finds its native session.
    let asked = world.sessions.permissions(None);
    let reply = world
        .sessions
        .reply_permission(&asked[0].id, PermissionReply::Reject);
    reply.await.expect("replied");
    let known = text(&world.ask(&id, "history").await.parts);
    assert!(known.contains("user: go"), "{known}");
    assert_eq!(world.agent("one").starts(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_session_is_deleted_while_its_agent_goes_on() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    let more = [
        Step::Say("AMBER".into()),
        Step::Do("permission make".into()),
    ];
    ask_waiting(&world, &id, [later(more)]).await;
    world.sessions.delete(&id).await.expect("deleted");
    settle().await;
    assert!(world.sessions.permissions(None).is_empty());
    within(world.sessions.shut_down()).await;
}

#[tokio::test(start_paused = true)]
async fn what_comes_during_a_switch_is_taken() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    let more = [
        Step::Say("AMBER".into()),
        Step::Do("permission make".into()),
    ];
    ask_waiting(&world, &id, [later(more)]).await;
    let slow = Reaction::After(Duration::from_secs(10));
    world
        .agent("one")
        .react_next("session/set_config_option", slow);
    let session = world.select(&id, "one/y").await.expect("selected");
    world.applied(&id, session.revision).await;
    settle().await;
    assert_eq!(answers(&world, &id).await, [pair("x", "I wait.AMBER")]);
    assert_eq!(world.sessions.permissions(None).len(), 1);
}
