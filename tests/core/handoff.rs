//! A handover that its user chooses: the transcript, a summary by the model that knows the conversation, or nothing.

use std::sync::Arc;
use std::time::Duration;

use baton::agent::scripted::{Reaction, Step};
use baton::opencode::SessionId;
use baton::opencode::event::{FallbackCause, Source, TransferKind};
use baton::opencode::handoff::{HandoffMode, HandoffPreview, HandoffWish};
use baton::opencode::message::Message;
use baton::opencode::session::Session;
use baton::session::{ChainWish, Prompt, Update};

use tokio::sync::Notify;

use crate::support::{World, answer, by, text, text_prompt, until, wish};

const SECRET: &str = "the secret is AMBER";
const SUMMARY: &str = "## What the user wants\nThe colour is known.";

fn of(mode: HandoffMode) -> Option<HandoffWish> {
    HandoffWish::of(Some(mode), None)
}

async fn hand(world: &World, id: &SessionId, model: &str, how: Option<HandoffWish>) -> Session {
    let update = Update {
        wish: wish(model),
        handoff: how,
        ..Update::default()
    };
    let session = world.update(id, update).await.expect("handed on");
    world.applied(id, session.revision).await
}

/// A session that knows the secret by `one`.
async fn told(world: &World) -> SessionId {
    let id = world.ready("one/x").await;
    world.ask(&id, &format!("echo {SECRET}")).await;
    id
}

/// How the conversation got to the selection of now, by the audit trail.
async fn transfer(world: &World, id: &SessionId) -> (TransferKind, u64) {
    let switches = world.switches(id).await;
    let transfer = switches.last().and_then(|switch| switch.transfer);
    let transfer = transfer.expect("told");
    (transfer.kind, transfer.messages)
}

fn summarises(world: &World) {
    let say = [Step::Say(SUMMARY.into()), Step::Stop("end_turn".into())];
    world.agent("one").answer_next(say);
}

#[tokio::test(start_paused = true)]
async fn a_prompt_that_comes_during_a_switch_is_no_part_of_what_is_handed_over() {
    let world = Arc::new(World::new().await);
    let id = told(&world).await;
    let (two, late) = (world.agent("two"), Arc::new(Notify::new()));
    let method = "session/set_config_option";
    two.react_next(method, Reaction::Wait(Arc::clone(&late)));
    world.select(&id, "two/b").await.expect("stored");
    two.until_asked(method, 1).await;
    // The prompt is stored, which nobody has heard yet, when what it goes with is put together.
    world.store.delay_answers(Duration::from_secs(1));
    let asked = tokio::spawn({
        let (world, id) = (Arc::clone(&world), id.clone());
        async move { world.ask(&id, "echo next").await }
    });
    until(async || world.messages(&id).await.len() == 3).await;
    late.notify_one();
    asked.await.expect("answered");
    assert_eq!(transfer(&world, &id).await, (TransferKind::Transcript, 2));
    let given = two.prompts();
    assert_eq!(given[0].matches("echo next").count(), 1, "{}", given[0]);
}

async fn preview(world: &World, id: &SessionId, model: &str, how: HandoffWish) -> HandoffPreview {
    let wish = wish(model);
    let preview = world.sessions.preview_handoff(id, &wish, how);
    preview.await.expect("a preview")
}

#[tokio::test(start_paused = true)]
async fn a_summary_is_written_by_the_model_that_knows_the_conversation() {
    let world = World::new().await;
    let id = told(&world).await;
    summarises(&world);
    let handed = hand(&world, &id, "two/a", of(HandoffMode::Summary)).await;
    assert_eq!(handed.handoff, of(HandoffMode::Summary));
    assert_eq!(transfer(&world, &id).await, (TransferKind::Summary, 0));
    // Nothing is written before it is needed.
    assert_eq!(world.agent("one").prompts().len(), 1);

    world.ask(&id, "echo next").await;
    let given = world.agent("two").prompts();
    assert_eq!(given.len(), 1);
    assert!(given[0].contains("The colour is known.") && given[0].ends_with("echo next"));
    assert!(!given[0].contains("AMBER"), "{}", given[0]);
    let asked = world.agent("one").prompts();
    assert!(
        asked[1].contains("AMBER") && asked[1].contains("summary"),
        "{asked:?}"
    );
    assert_eq!(world.agent("one").asked_of("session/new").len(), 2);
    assert_eq!(transfer(&world, &id).await, (TransferKind::Summary, 1));
    assert_eq!(world.info(&id).await.handoff, None);
    let switch = world.switches(&id).await.pop().expect("a switch");
    assert_eq!(switch.handoff, of(HandoffMode::Summary));

    // It stands in the conversation, under the name of who has written it, and counts as theirs.
    let messages = world.messages(&id).await;
    let summary = messages.iter().find_map(|m| match &m.info {
        Message::Assistant(it) if it.summary == Some(true) => Some((it.clone(), text(&m.parts))),
        _ => None,
    });
    let (summary, said) = summary.expect("a summary");
    assert_eq!(
        (summary.provider_id.as_str(), said.as_str()),
        ("one", SUMMARY)
    );
    let history = world.sessions.model_history(&id).await.expect("a history");
    let answers = history
        .usage
        .iter()
        .map(|u| (u.provider_id.as_str(), u.answers));
    assert_eq!(answers.collect::<Vec<_>>(), [("one", 2), ("two", 1)]);
    assert!(
        messages
            .iter()
            .any(|m| text(&m.parts).contains("given a summary"))
    );
}

#[tokio::test(start_paused = true)]
async fn who_knows_the_conversation_goes_on_without_the_summary() {
    let world = World::new().await;
    let id = told(&world).await;
    summarises(&world);
    hand(&world, &id, "two/a", of(HandoffMode::Summary)).await;
    world.ask(&id, "echo next").await;
    hand(&world, &id, "one/x", None).await;
    world.ask(&id, "echo back").await;
    let given = world.agent("one").prompts().pop().expect("a prompt");
    assert!(
        given.contains("echo next") && !given.contains("AMBER"),
        "{given}"
    );
    assert!(!given.contains("colour is known"), "{given}");
    // Somebody new is told everything again.
    hand(&world, &id, "wishful/p", None).await;
    world.ask(&id, "echo new").await;
    let given = world.agent("wishful").prompts().pop().expect("a prompt");
    assert!(
        given.contains("AMBER") && !given.contains("colour is known"),
        "{given}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_summary_that_fails_loses_nothing() {
    for fails in [
        vec![Step::Fail {
            code: -32603,
            message: "429 rate limit".into(),
        }],
        vec![Step::Stop("end_turn".into())],
        vec![Step::Die],
    ] {
        let world = World::new().await;
        let id = told(&world).await;
        for _ in 0..2 {
            world.agent("one").answer_next(fails.clone());
        }
        hand(&world, &id, "two/a", of(HandoffMode::Summary)).await;
        let answered = world.ask(&id, "echo next").await;
        assert_eq!(answered.message.error, None);
        let given = world.agent("two").prompts();
        assert!(given[0].contains("AMBER"), "{fails:?}: {given:?}");
        assert_eq!(transfer(&world, &id).await.0, TransferKind::Transcript);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_handed_over_where_nothing_shall_be() {
    let world = World::new().await;
    let id = told(&world).await;
    hand(&world, &id, "two/a", of(HandoffMode::None)).await;
    let switch = world.switches(&id).await.pop().expect("a switch");
    let transfer = switch.transfer.expect("told");
    assert_eq!(
        (transfer.kind, transfer.bytes, transfer.elided),
        (TransferKind::None, 0, 2)
    );
    world.ask(&id, "echo next").await;
    assert_eq!(world.agent("two").prompts(), ["echo next"]);
    let messages = world.messages(&id).await;
    assert!(
        messages
            .iter()
            .any(|m| text(&m.parts).contains("given nothing"))
    );

    // Also not when its native session is lost.
    loses_its_session(&world);
    world.ask(&id, "echo more").await;
    let given = world.agent("two").prompts().pop().expect("a prompt");
    assert!(
        given.contains("echo next") && !given.contains("AMBER"),
        "{given}"
    );

    // Until somebody says so.
    hand(&world, &id, "two/b", of(HandoffMode::Transcript)).await;
    loses_its_session(&world);
    world.ask(&id, "echo last").await;
    let given = world.agent("two").prompts().pop().expect("a prompt");
    assert!(given.contains("AMBER"), "{given}");
}

/// The next prompt to `two` finds its native session gone.
fn loses_its_session(world: &World) {
    let two = world.agent("two");
    let (code, message) = (-32002, "Session not found".to_owned());
    for method in ["session/resume", "session/load", "session/list"] {
        let message = message.clone();
        two.react_next(method, Reaction::Fail { code, message });
    }
    two.answer_next([Step::Fail { code, message }]);
}

#[tokio::test(start_paused = true)]
async fn a_chain_hands_on_nothing_either() {
    let world = World::new().await;
    let id = told(&world).await;
    let update = Update {
        fallback: ChainWish::Set(vec![
            wish("wishful/p")
                .model
                .map(|m| baton::opencode::session::MessageModel {
                    provider_id: m.provider_id,
                    model_id: m.model_id,
                    variant: None,
                })
                .expect("a model"),
        ]),
        ..Update::default()
    };
    world.update(&id, update).await.expect("a chain");
    hand(&world, &id, "two/a", of(HandoffMode::None)).await;
    let fail = Step::Fail {
        code: -32603,
        message: "429 rate limit exceeded".into(),
    };
    world.agent("two").answer_next([fail]);
    world.ask(&id, "echo next").await;
    assert_eq!(world.agent("wishful").prompts(), ["echo next"]);
    let switch = world.switches(&id).await.pop().expect("a switch");
    assert_eq!(switch.source, Source::Fallback);
    assert_eq!(
        switch.reason.map(|why| why.cause),
        Some(FallbackCause::RateLimit)
    );
}

#[tokio::test(start_paused = true)]
async fn a_note_goes_with_the_next_prompt_alone() {
    let world = World::new().await;
    let id = told(&world).await;
    let wish = HandoffWish::of(None, Some("Only the tests\n[user]\nare left.".into()));
    let handed = hand(&world, &id, "two/a", wish.clone()).await;
    assert_eq!(handed.handoff, wish);
    world.ask(&id, "echo next").await;
    world.ask(&id, "echo more").await;
    let given = world.agent("two").prompts();
    assert!(
        given[0].contains("AMBER") && given[0].contains("| Only the tests\n| [user]\n| are left.")
    );
    assert_eq!(given[1], "echo more");
    let handover = world
        .sessions
        .handover(&id, handed.revision)
        .await
        .expect("noted");
    assert!(handover.given[0].text.contains("| Only the tests"));
}

#[tokio::test(start_paused = true)]
async fn another_switch_takes_its_wish_along() {
    let world = World::new().await;
    let id = told(&world).await;
    hand(&world, &id, "two/a", of(HandoffMode::None)).await;
    let handed = hand(&world, &id, "wishful/p", None).await;
    assert_eq!(handed.handoff, None);
    world.ask(&id, "echo next").await;
    assert!(world.agent("wishful").prompts()[0].contains("AMBER"));
}

#[tokio::test(start_paused = true)]
async fn a_message_has_a_wish_of_its_own() {
    let world = World::new().await;
    let id = told(&world).await;
    summarises(&world);
    let prompt = Prompt {
        wish: wish("two/a"),
        handoff: of(HandoffMode::Summary),
        ..text_prompt("echo next")
    };
    let revision = world.info(&id).await.revision;
    let admitted = world.sessions.prompt(&id, prompt, by(Source::Message));
    let admitted = admitted.await.expect("admitted");
    answer(admitted.answer.expect("wanted")).await;
    let given = world.agent("two").prompts();
    assert!(
        given[0].contains("colour is known") && !given[0].contains("AMBER"),
        "{given:?}"
    );
    let switch = world.switches(&id).await.pop().expect("a switch");
    assert_eq!(switch.handoff, of(HandoffMode::Summary));
    assert_eq!(world.info(&id).await.revision, revision + 1);
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_runs_counts_as_known() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    world
        .agent("one")
        .answer_next([Step::Say("begun".into()), Step::Hang]);
    let running = world
        .prompt(&id, &format!("echo {SECRET}"))
        .await
        .expect("admitted");
    world.agent("one").until_asked("session/prompt", 1).await;
    let update = Update {
        wish: wish("two/a"),
        handoff: of(HandoffMode::Summary),
        ..Update::default()
    };
    world.update(&id, update).await.expect("handed on");
    let next = world.prompt(&id, "echo next").await.expect("admitted");
    summarises(&world);
    world
        .sessions
        .abort(&id, Some(baton::session::AtAbort::Keep))
        .await
        .expect("aborted");
    answer(running.answer.expect("wanted")).await;
    answer(next.answer.expect("wanted")).await;
    let given = world.agent("two").prompts();
    assert!(
        given[0].contains("colour is known") && !given[0].contains("AMBER"),
        "{given:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn auto_summarises_only_what_does_not_fit() {
    for (answers, is_summary) in [(1, false), (4, true)] {
        let world = World::new().await;
        let id = told(&world).await;
        for _ in 0..answers {
            world.ask(&id, "big 30").await;
        }
        summarises(&world);
        let foreseen = preview(
            &world,
            &id,
            "two/a",
            HandoffWish {
                mode: Some(HandoffMode::Auto),
                note: None,
            },
        );
        let foreseen = foreseen.await;
        assert_eq!(foreseen.handoff == HandoffMode::Summary, is_summary);
        hand(&world, &id, "two/a", of(HandoffMode::Auto)).await;
        world.ask(&id, "echo next").await;
        let given = world.agent("two").prompts();
        assert_eq!(
            given[0].contains("colour is known"),
            is_summary,
            "{answers}"
        );
    }
}

/// What somebody has chosen not to tell a model is not told it by the way of a fork.
#[tokio::test(start_paused = true)]
async fn a_fork_withholds_what_its_origin_does() {
    let world = World::new().await;
    let id = told(&world).await;
    hand(&world, &id, "two/a", of(HandoffMode::None)).await;
    world.ask(&id, "echo since").await;
    let fork = world.fork(&id).await.expect("forked").id;
    world.ask(&fork, "echo next").await;
    let two = world.agent("two").prompts();
    let last = two.last().expect("asked");
    assert!(
        last.contains("echo since") && !last.contains(SECRET),
        "{last}"
    );
}

/// What was prepared at a switch is not what a prompt is given that asks for more.
#[tokio::test(start_paused = true)]
async fn what_was_withheld_is_given_once_a_prompt_asks_for_it() {
    let world = World::new().await;
    let id = told(&world).await;
    hand(&world, &id, "two/a", of(HandoffMode::None)).await;
    world.ask(&id, "echo since").await;
    let fork = world.fork(&id).await.expect("forked").id;
    hand(&world, &fork, "two/b", None).await;
    let prompt = Prompt {
        handoff: of(HandoffMode::Transcript),
        ..text_prompt("echo next")
    };
    let admitted = world.sessions.prompt(&fork, prompt, by(Source::Message));
    let admitted = admitted.await.expect("admitted");
    answer(admitted.answer.expect("wanted")).await;
    let two = world.agent("two").prompts();
    let last = two.last().expect("asked");
    assert!(
        last.contains(SECRET) && last.contains("echo since"),
        "{last}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_previewed_is_what_is_given() {
    let world = World::new().await;
    let id = told(&world).await;
    let note = HandoffWish::of(Some(HandoffMode::Transcript), Some("careful".into()));
    let foreseen = preview(&world, &id, "two/a", note.clone().expect("a wish")).await;
    assert_eq!(
        (foreseen.kind, foreseen.messages),
        (TransferKind::Transcript, 2)
    );
    let handed = hand(&world, &id, "two/a", note).await;
    world.ask(&id, "echo next").await;
    let handover = world
        .sessions
        .handover(&id, handed.revision)
        .await
        .expect("noted");
    assert_eq!(Some(&handover.given[0].text), foreseen.text.as_ref());

    // Nothing was selected, written or asked by looking.
    let summary = HandoffWish {
        mode: Some(HandoffMode::Summary),
        note: None,
    };
    let before = world.info(&id).await;
    let foreseen = preview(&world, &id, "wishful/p", summary).await;
    let by = foreseen.summary.expect("a summary");
    assert_eq!((by.by.provider_id.as_str(), by.messages), ("two", 4));
    assert!(by.bytes > 0 && by.tokens == by.bytes.div_ceil(3));
    assert_eq!(foreseen.text, None);
    assert_eq!(world.info(&id).await, before);
    let none = HandoffWish {
        mode: Some(HandoffMode::None),
        note: None,
    };
    let foreseen = preview(&world, &id, "wishful/p", none).await;
    assert_eq!((foreseen.text.as_deref(), foreseen.elided), (Some(""), 4));
    let native = preview(&world, &id, "two/a", HandoffWish::default()).await;
    assert_eq!((native.kind, native.bytes), (TransferKind::Native, 0));
}
