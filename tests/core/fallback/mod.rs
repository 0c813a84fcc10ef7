//! A prompt whose model cannot answer for now goes on with the next of the chain: with the whole conversation, told to
//! everybody, and without running anything twice.

mod choice;

use std::time::Duration;

use baton::agent::scripted::{Reaction, Step};
use baton::opencode::SessionId;
use baton::opencode::event::{FallbackCause, Source};
use baton::opencode::message::{Message, MessageError, MessageWithParts, Part};
use baton::opencode::session::MessageModel;
use baton::registry::Wish;
use baton::session::{ChainWish, Error, FallbackSettings, Returns, Update};
use serde_json::Value;

use crate::support::{Setup, World, answer, settle, text};

fn model(label: &str) -> MessageModel {
    let (provider, model) = label.split_once('/').expect("provider/model");
    MessageModel {
        provider_id: provider.to_owned(),
        model_id: model.to_owned(),
        variant: None,
    }
}

fn chain(labels: &[&str]) -> FallbackSettings {
    FallbackSettings {
        chain: labels.iter().map(|label| model(label)).collect(),
        ..FallbackSettings::default()
    }
}

async fn world(fallback: FallbackSettings) -> World {
    World::with(Setup {
        fallback,
        ..Setup::default()
    })
    .await
}

fn fail(message: &str) -> Step {
    Step::Fail {
        code: -32603,
        message: message.to_owned(),
    }
}

fn limit() -> Step {
    fail("429 rate limit reached")
}

/// Who has answered, with how it ended.
fn answers(messages: &[MessageWithParts]) -> Vec<(String, bool)> {
    let answers = messages.iter().filter_map(|message| match &message.info {
        Message::Assistant(a) => Some((
            format!("{}/{}", a.provider_id, a.model_id),
            a.error.is_none(),
        )),
        Message::User(_) => None,
    });
    answers.collect()
}

/// How often a backend was given a prompt.
fn prompts(world: &World, backend: &str) -> usize {
    world.agent(backend).prompts().len()
}

fn kinds<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events
        .iter()
        .filter(|event| event["type"] == kind)
        .collect()
}

async fn set_chain(world: &World, id: &SessionId, chain: ChainWish) -> Result<(), Error> {
    let update = Update {
        fallback: chain,
        ..Update::default()
    };
    world.update(id, update).await.map(drop)
}

#[tokio::test(start_paused = true)]
async fn a_limit_hands_the_prompt_on_with_the_whole_conversation() {
    let world = world(chain(&["two/a"])).await;
    let id = world.ready("one/x").await;
    world.ask(&id, "echo the secret is AMBER").await;
    let before = world.events().len();
    world
        .agent("one")
        .answer_next([fail("429 rate limit reached. Please try again in 100s.")]);
    let answer = world.ask(&id, "history").await;
    assert_eq!(answer.message.error, None);
    assert_eq!(
        (
            answer.message.provider_id.as_str(),
            answer.message.model_id.as_str()
        ),
        ("two", "a")
    );
    assert!(text(&answer.parts).contains("AMBER"), "{answer:?}");
    let known = text(&answer.parts);
    assert_eq!(
        known.matches("the secret is").count(),
        2,
        "said and answered: {known}"
    );
    let messages = world.messages(&id).await;
    let expected = [("one/x", true), ("one/x", false), ("two/a", true)];
    assert_eq!(
        answers(&messages),
        expected.map(|(m, ok)| (m.to_owned(), ok))
    );

    let events = world.events().split_off(before);
    let changed = kinds(&events, "session.model_changed");
    assert_eq!(changed.len(), 1, "{changed:?}");
    let changed = &changed[0]["properties"];
    assert_eq!(
        (&changed["source"], &changed["effective"]),
        (&"fallback".into(), &"immediate".into())
    );
    assert_eq!(changed["reason"]["cause"], "rate_limit");
    assert!(
        changed["reason"]["message"]
            .as_str()
            .is_some_and(|m| m.contains("429")),
        "{changed}"
    );
    assert!(changed["reason"]["until"].as_u64().is_some(), "{changed}");
    assert_eq!(
        kinds(&events, "session.error"),
        Vec::<&Value>::new(),
        "the prompt has not failed"
    );
    assert_eq!(
        kinds(&events, "session.idle").len(),
        1,
        "it was busy all along"
    );
    assert_eq!(kinds(&events, "tui.toast.show").len(), 1);

    let switches = world.switches(&id).await;
    let last = switches.last().expect("an entry");
    assert_eq!(
        (last.source, last.failure.clone()),
        (Source::Fallback, None)
    );
    assert_eq!(
        last.reason.as_ref().map(|r| r.cause),
        Some(FallbackCause::RateLimit)
    );
    assert!(last.transfer.is_some(), "{last:?}");
    settle().await;
    let said: String = world
        .messages(&id)
        .await
        .iter()
        .map(|m| text(&m.parts))
        .collect();
    assert!(
        said.contains("Baton: X (one) could not answer: its rate limit is reached"),
        "{said}"
    );
    assert_eq!(world.selected(&id).await.as_deref(), Some("two/a"));
}

#[tokio::test(start_paused = true)]
async fn what_was_done_is_not_done_again_and_what_was_said_is_known() {
    let world = world(chain(&["two/a"])).await;
    let id = world.ready("one/x").await;
    world.agent("one").answer_next([
        Step::Say("I begin with PLUM. ".into()),
        Step::Do("bash ls".into()),
        fail("You exceeded your current quota"),
    ]);
    let answer = world.ask(&id, "history").await;
    assert_eq!(answer.message.provider_id, "two");
    let known = text(&answer.parts);
    assert!(
        known.contains("PLUM") && known.contains("Another model has begun to answer"),
        "{known}"
    );
    let messages = world.messages(&id).await;
    let tools = messages
        .iter()
        .flat_map(|m| &m.parts)
        .filter(|p| matches!(p, Part::Tool(_)));
    assert_eq!(tools.count(), 1);
    assert_eq!(prompts(&world, "two"), 1);
    // The first one, asked again, knows how it went on.
    world
        .agent("two")
        .answer_next([Step::Say("the end is CHERRY".into())]);
    world.ask(&id, "echo more").await;
    let session = world.select(&id, "one/x").await.expect("selected");
    world.applied(&id, session.revision).await;
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    let known = text(&world.ask(&id, "history").await.parts);
    assert!(
        known.contains("PLUM") && known.contains("CHERRY"),
        "{known}"
    );
    assert!(
        known.contains("history"),
        "the prompt that it began to answer: {known}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_dies_has_done_what_it_has_done() {
    let world = world(chain(&["two/a"])).await;
    let id = world.ready("one/x").await;
    let steps = [Step::Do("bash ls".into()), Step::Die];
    world.agent("one").answer_next(steps);
    let known = text(&world.ask(&id, "history").await.parts);
    assert!(known.contains("ran ls"), "{known}");
    assert!(known.contains("Another model has begun"), "{known}");
}

#[tokio::test(start_paused = true)]
async fn an_error_that_is_said_as_well_is_no_part_of_the_answer() {
    let said = "429 rate limit reached for this account";
    let a_tool = vec![Step::Do("bash ls".into()), Step::Think("hm".into())];
    for before in [Vec::new(), a_tool] {
        let world = world(chain(&["two/a"])).await;
        let id = world.ready("one/x").await;
        let has_begun = !before.is_empty();
        let steps = before
            .into_iter()
            .chain([Step::Say(said.into()), fail(said)]);
        world.agent("one").answer_next(steps);
        let known = text(&world.ask(&id, "history").await.parts);
        assert!(!known.contains("429"), "{known}");
        assert_eq!(known.contains("bash"), has_begun, "{known}");
        let messages = world.messages(&id).await;
        let shown = messages
            .iter()
            .flat_map(|m| &m.parts)
            .find_map(|part| match part {
                Part::Text(part) if part.text == said => part.ignored,
                _ => None,
            });
        assert_eq!(shown, Some(true), "it can still be read");
        let session = world.select(&id, "two/b").await.expect("selected");
        world.applied(&id, session.revision).await;
        let known = text(&world.ask(&id, "history").await.parts);
        assert!(!known.contains("429"), "{known}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_another_model_would_not_mend_is_an_error() {
    for step in [
        fail("400 invalid_request_error: messages.3: must have content"),
        fail("prompt is too long: 212345 tokens > 200000 maximum"),
        Step::Stop("refusal".into()),
        Step::Stop("max_tokens".into()),
        Step::Stop("cancelled".into()),
    ] {
        let world = world(chain(&["two/a"])).await;
        let id = world.ready("one/x").await;
        let said = [Step::Say("so far".into()), step.clone()];
        world.agent("one").answer_next(said);
        let answer = world.ask(&id, "echo hello").await;
        assert!(answer.message.error.is_some(), "{step:?}: {answer:?}");
        assert_eq!(answer.message.provider_id, "one", "{step:?}");
        assert_eq!(prompts(&world, "two"), 0, "{step:?}");
        assert_eq!(world.selected(&id).await.as_deref(), Some("one/x"));
    }
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_trouble_hands_on_and_says_which() {
    use FallbackCause::{Outage, Overloaded, Quota, SignedOut};
    let fails = |code, message: &str| Step::Fail {
        code,
        message: message.to_owned(),
    };
    for (step, cause) in [
        (fails(-32000, "Authentication required"), SignedOut),
        (fails(-32603, "Your credit balance is too low"), Quota),
        (fails(-32603, "529 overloaded_error"), Overloaded),
        (fails(-32603, "fetch failed"), Outage),
        (Step::Die, Outage),
        (Step::Silence, Outage),
    ] {
        let world = world(chain(&["two/a"])).await;
        let id = world.ready("one/x").await;
        // A native session that is new is not tried twice.
        world.agent("one").answer_next([step.clone()]);
        world.agent("one").answer_next([step.clone()]);
        let answer = world.ask(&id, "echo hello").await;
        assert_eq!(answer.message.error, None, "{step:?}");
        assert_eq!(answer.message.provider_id, "two", "{step:?}");
        let switches = world.switches(&id).await;
        let reason = switches
            .last()
            .and_then(|s| s.reason.clone())
            .expect("a reason");
        assert_eq!(reason.cause, cause, "{step:?}: {reason:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn prompts_that_wait_go_on_as_well() {
    let world = world(chain(&["two/a"])).await;
    let id = world.ready("one/x").await;
    world
        .agent("one")
        .answer_next([Step::Sleep(Duration::from_secs(5)), limit()]);
    let first = world.prompt(&id, "echo first").await.expect("admitted");
    let second = world.prompt(&id, "echo second").await.expect("admitted");
    let first = answer(first.answer.expect("wanted")).await;
    let second = answer(second.answer.expect("wanted")).await;
    assert_eq!(
        (text(&first.parts), text(&second.parts)),
        ("first".into(), "second".into())
    );
    assert_eq!(second.message.provider_id, "two");
    assert_eq!(prompts(&world, "one"), 1);
}

#[tokio::test(start_paused = true)]
async fn an_abort_ends_the_chain() {
    let world = world(chain(&["two/a", "two/b"])).await;
    let id = world.ready("one/x").await;
    world.agent("one").answer_next([limit()]);
    world.agent("two").answer_next([Step::Hang]);
    let admitted = world.prompt(&id, "echo hello").await.expect("admitted");
    crate::support::until(async || prompts(&world, "two") == 1).await;
    world.sessions.abort(&id, None).await.expect("aborted");
    let answer = answer(admitted.answer.expect("wanted")).await;
    let error = answer.message.error.expect("an error");
    assert!(
        matches!(error, MessageError::MessageAbortedError { .. }),
        "{error:?}"
    );
    assert_eq!(prompts(&world, "two"), 1);
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_for_long_is_left_for_the_next() {
    let silent = Duration::from_secs(20);
    let world = world(FallbackSettings {
        silent,
        ..chain(&["two/a"])
    })
    .await;
    let id = world.ready("one/x").await;
    world.agent("one").answer_next([Step::Hang]);
    let answer = world.ask(&id, "echo hello").await;
    assert_eq!(
        (answer.message.provider_id.as_str(), answer.message.error),
        ("two", None)
    );
    let switches = world.switches(&id).await;
    let reason = switches
        .last()
        .and_then(|s| s.reason.clone())
        .expect("a reason");
    assert_eq!(reason.cause, FallbackCause::Silent);
    // One that has said something may think for as long as it likes.
    let id = world.ready("one/y").await;
    world.agent("one").answer_next([
        Step::Say("hm".into()),
        Step::Sleep(4 * silent),
        Step::Say(" yes".into()),
    ]);
    let answer = world.ask(&id, "echo hello").await;
    assert_eq!(
        (
            answer.message.provider_id.as_str(),
            text(&answer.parts).as_str()
        ),
        ("one", "hm yes")
    );
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_cannot_be_reached_is_passed_over() {
    let world = world(chain(&["two/a"])).await;
    let id = world.create("one/x").await;
    let refuse = || Reaction::Fail {
        code: -32603,
        message: "service unavailable".to_owned(),
    };
    settle().await;
    for _ in 0..8 {
        world
            .agent("one")
            .react_next("session/set_config_option", refuse());
    }
    let session = world.select(&id, "one/y").await.expect("selected");
    let answer = world.ask(&id, "echo hello").await;
    assert_eq!(
        (
            answer.message.provider_id.as_str(),
            answer.message.error.clone()
        ),
        ("two", None)
    );
    let switches = world.switches(&id).await;
    let sources: Vec<_> = switches
        .iter()
        .map(|s| (s.source, s.failure.is_some()))
        .collect();
    assert_eq!(
        sources,
        [
            (Source::Create, false),
            (Source::Patch, true),
            (Source::Fallback, false)
        ],
        "{session:?}"
    );
}
