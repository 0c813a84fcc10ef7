//! A native session becomes a session whole, or not at all; what cannot be found out about it holds up nothing.

use std::path::Path;
use std::time::Duration;

use baton::agent::scripted::Reaction;
use baton::opencode::Session;
use baton::opencode::event::Source;
use baton::opencode::message::{Message, Part};
use baton::registry::SelectError;
use baton::session::{Error, ImportWish, ListFilter, NewSession};
use baton::store::StoreError;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{DIRECTORY, Setup, World, by, settle, text};

const NATIVE: &str = "mine-1";

/// A world whose first backend has a native session that its user has made, as it is after two prompts.
async fn world() -> (World, TempDir) {
    let kept = tempfile::tempdir().expect("a folder");
    write(kept.path(), &["first-marker", "second-marker"]);
    let setup = Setup {
        state: Some(kept.path().to_owned()),
        ..Setup::default()
    };
    (World::with(setup).await, kept)
}

fn write(kept: &Path, prompts: &[&str]) {
    let history = prompts.iter().flat_map(|text| {
        let prompt = json!({"role": "user", "text": text});
        [
            prompt,
            json!({"role": "assistant", "model": "x", "text": format!("to {text}")}),
        ]
    });
    let history: Vec<_> = history.collect();
    // Long after whatever a test does.
    let stored = json!({
        "sessionId": NATIVE, "cwd": DIRECTORY, "madeWith": "x", "history": history, "updated": 4_000_000_000_000_u64,
    });
    std::fs::write(kept.join(format!("{NATIVE}.json")), stored.to_string()).expect("written");
}

async fn import(world: &World) -> Result<Session, Error> {
    let new = NewSession {
        directory: DIRECTORY.to_owned(),
        import: Some(ImportWish {
            provider_id: "one".to_owned(),
            native_id: NATIVE.to_owned(),
        }),
        ..NewSession::default()
    };
    world.sessions.create(new, by(Source::Create)).await
}

async fn count(world: &World) -> usize {
    let listed = world.sessions.list(ListFilter::default()).await;
    listed.expect("a list").len()
}

/// The lines that tell of native sessions.
async fn lines(world: &World, session: &Session) -> Vec<String> {
    let messages = world.messages(&session.id).await;
    let ignored = messages.iter().filter(
        |m| matches!(m.parts.first(), Some(Part::Text(part)) if part.ignored == Some(true)),
    );
    ignored.map(|m| text(&m.parts)).collect()
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_stored_is_not_imported_at_all() {
    let (world, _kept) = world().await;
    world.fill_disk();
    let refused = import(&world).await;
    assert!(
        matches!(refused, Err(Error::Store(StoreError::Unavailable(_)))),
        "{refused:?}"
    );
    assert_eq!(count(&world).await, 0);
    world.store.heal();
    let commits = world.store.commits();
    let session = import(&world).await.expect("imported");
    assert_eq!(world.store.commits(), commits + 1, "all of it at once");
    let messages = world.messages(&session.id).await;
    assert_eq!(messages.len(), 5, "two prompts, two answers, a line");
    // It is there for the next server, too, and goes on natively.
    let world = world.stopped().await;
    assert_eq!(world.messages(&session.id).await, messages);
    world.ask(&session.id, "echo on").await;
    let prompts = world.agent("one").prompts();
    assert_eq!(prompts, ["echo on"]);
    assert!(matches!(messages[1].info, Message::Assistant(_)));
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_hangs_or_dies_makes_no_session() {
    let (world, _kept) = world().await;
    for (method, reaction) in [
        ("initialize", Reaction::Never),
        ("session/load", Reaction::Never),
        ("session/load", Reaction::Die),
        ("session/list", Reaction::Die),
    ] {
        world.agent("one").react_next(method, reaction);
        let refused = import(&world).await;
        assert!(
            matches!(
                refused,
                Err(Error::Select(SelectError::NotConnected { .. }))
            ),
            "{method}: {refused:?}"
        );
    }
    assert_eq!(count(&world).await, 0);
    let session = import(&world).await.expect("imported");
    assert_eq!(count(&world).await, 1);
    let again = import(&world).await;
    assert!(
        matches!(&again, Err(Error::NativeTaken { session: taken, .. }) if *taken == session.id),
        "{again:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_prompt_is_not_held_up_by_what_cannot_be_found_out() {
    let (world, _kept) = world().await;
    let session = import(&world).await.expect("imported");
    for (method, reaction) in [
        ("session/list", Reaction::Never),
        ("session/load", Reaction::Never),
        ("session/load", Reaction::Die),
    ] {
        world.agent("one").react_next(method, reaction);
        let answer = world.ask(&session.id, "echo on").await;
        assert_eq!(text(&answer.parts), "on", "{method}");
        settle().await;
    }
    assert_eq!(lines(&world, &session).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_others_have_said_is_taken_in_once_and_after_a_restart_too() {
    let (world, kept) = world().await;
    let session = import(&world).await.expect("imported");
    let world = world.stopped().await;
    write(
        kept.path(),
        &["first-marker", "second-marker", "outside-marker"],
    );
    let answer = world.ask(&session.id, "history").await;
    assert!(text(&answer.parts).contains("outside-marker"));
    assert_eq!(world.agent("one").prompts(), ["history"], "natively");
    let lines = lines(&world, &session).await;
    assert!(
        lines.len() == 2 && lines[1].contains("one prompt"),
        "{lines:?}"
    );
    let all: Vec<_> = (world.messages(&session.id).await.iter())
        .map(|m| text(&m.parts))
        .collect();
    let times = all.iter().filter(|said| *said == "outside-marker").count();
    assert_eq!(times, 1, "{all:?}");
}

#[tokio::test(start_paused = true)]
async fn a_native_session_that_cannot_be_opened_again_is_not_left_without_a_word() {
    let (world, _kept) = world().await;
    let session = import(&world).await.expect("imported");
    let agent = world.agent("one");
    let refuse = || Reaction::Fail {
        code: -32600,
        message: "in use by another client".to_owned(),
    };
    // The look before the prompt needs a load as well.
    for method in ["session/resume", "session/load", "session/load"] {
        agent.react_next(method, refuse());
    }
    let answer = world.ask(&session.id, "echo on").await;
    assert_eq!(text(&answer.parts), "on");
    assert!(
        agent.prompts()[0].contains("first-marker"),
        "it is handed over"
    );
    tokio::time::sleep(Duration::from_secs(1)).await;
    let lines = lines(&world, &session).await;
    assert!(
        lines
            .last()
            .is_some_and(|line| line.contains(NATIVE) && line.contains("any more")),
        "{lines:?}"
    );
}
