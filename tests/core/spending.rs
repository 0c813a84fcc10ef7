//! What may be spent: the next prompt is refused, or goes on with a model that costs nothing, and a hard limit stops a turn.

use std::time::Duration;

use baton::agent::scripted::Step;
use baton::opencode::SessionId;
use baton::opencode::event::{FallbackCause, Source};
use baton::opencode::session::{MessageModel, Session};
use baton::opencode::spending::{SpendingLimit, SpendingScope};
use baton::session::{ChainWish, Error, LimitReached, SpendingSettings, Update};
use serde_json::json;

use crate::support::{Setup, World, answer, text};

fn cost(cost: f64) -> SpendingLimit {
    SpendingLimit {
        cost: Some(cost),
        ..SpendingLimit::default()
    }
}

fn tokens(tokens: u64) -> SpendingLimit {
    SpendingLimit {
        tokens: Some(tokens),
        ..SpendingLimit::default()
    }
}

/// The agent tells that its native session has cost this much.
fn costs(total: f64) -> Step {
    Step::Update(json!({
        "sessionUpdate": "usage_update", "used": 10, "size": 1000, "cost": { "amount": total, "currency": "USD" },
    }))
}

async fn limit(world: &World, id: &SessionId, limit: Option<SpendingLimit>) -> Session {
    let update = Update {
        limit: Some(limit),
        ..Update::default()
    };
    world.update(id, update).await.expect("limited")
}

/// An answer for a dollar.
async fn spend_a_dollar(world: &World, id: &SessionId) {
    let script = world.agent("one");
    script.answer_next([
        Step::Say("done".into()),
        costs(1.0),
        Step::Stop("end_turn".into()),
    ]);
    world.ask(id, "echo first").await;
    assert!((1.0..1.01).contains(&world.info(id).await.cost));
}

async fn refused(world: &World, id: &SessionId) -> LimitReached {
    match world.prompt(id, "echo more").await {
        Err(Error::SpendingLimit(reached)) => *reached,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_prompt_is_refused_once_the_limit_is_reached() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    let limited = limit(&world, &id, Some(cost(1.0))).await;
    assert_eq!(limited.limit, Some(cost(1.0)));
    spend_a_dollar(&world, &id).await;
    let before = world.messages(&id).await.len();
    let reached = refused(&world, &id).await;
    assert_eq!(reached.scope, SpendingScope::Session);
    assert!(reached.spent.cost >= 1.0);
    assert_eq!(reached.usage[0].provider_id, "one");
    let said = reached.to_string();
    assert!(
        said.contains("$1.00 of $1.00") && said.contains("one/x $1.00") && said.contains("PATCH"),
        "{said}"
    );
    assert_eq!(world.messages(&id).await.len(), before);
    // Raised, and taken away.
    limit(&world, &id, Some(cost(2.0))).await;
    assert_eq!(text(&world.ask(&id, "echo on").await.parts), "on");
    limit(&world, &id, Some(cost(0.5))).await;
    refused(&world, &id).await;
    limit(&world, &id, None).await;
    assert_eq!(text(&world.ask(&id, "echo on").await.parts), "on");
}

#[tokio::test(start_paused = true)]
async fn a_prompt_that_waited_is_not_asked_once_the_limit_is_reached() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    limit(&world, &id, Some(cost(1.0))).await;
    let script = world.agent("one");
    let first = [
        Step::Sleep(Duration::from_secs(1)),
        Step::Say("done".into()),
        costs(1.0),
        Step::Stop("end_turn".into()),
    ];
    script.answer_next(first);
    let mut waiting = Vec::new();
    for text in ["echo first", "echo second", "echo third"] {
        let admitted = world.prompt(&id, text).await.expect("admitted");
        waiting.push(admitted.answer.expect("wanted"));
    }
    let mut errors = Vec::new();
    for waits in waiting {
        errors.push(answer(waits).await.message.error);
    }
    assert_eq!(errors.remove(0), None);
    for error in errors {
        let error = error.expect("refused");
        assert!(error.message().contains("$1.00 of $1.00"), "{error:?}");
    }
    assert_eq!(script.prompts(), ["echo first"]);
    let fork = world.fork(&id).await.expect("a fork");
    assert_eq!(fork.limit, Some(cost(1.0)));
}

#[tokio::test(start_paused = true)]
async fn tokens_count_too() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    limit(&world, &id, Some(tokens(1))).await;
    world.ask(&id, "echo first").await;
    let spent = world.info(&id).await.tokens;
    let reached = refused(&world, &id).await;
    assert_eq!(reached.spent.tokens, spent.spent());
    assert!(reached.uncounted.is_empty());

    limit(&world, &id, Some(cost(0.0))).await;
    // A limit of nothing refuses everything.
    assert!(refused(&world, &id).await.to_string().contains("$0.00"));
}

#[tokio::test(start_paused = true)]
async fn a_chain_goes_on_with_a_model_that_costs_nothing() {
    let settings = SpendingSettings {
        free: vec!["two/b".into()],
        ..SpendingSettings::default()
    };
    let world = World::with(Setup {
        spending: settings,
        ..Setup::default()
    })
    .await;
    let id = world.ready("one/x").await;
    let model = |provider_id: &str, model_id: &str| MessageModel {
        provider_id: provider_id.into(),
        model_id: model_id.into(),
        variant: None,
    };
    let update = Update {
        fallback: ChainWish::Set(vec![model("two", "a"), model("two", "b")]),
        limit: Some(Some(cost(1.0))),
        ..Update::default()
    };
    world.update(&id, update).await.expect("limited");
    spend_a_dollar(&world, &id).await;
    for _ in 0..2 {
        let answered = world.ask(&id, "echo on").await;
        assert_eq!(
            (
                answered.message.provider_id.as_str(),
                answered.message.model_id.as_str()
            ),
            ("two", "b")
        );
    }
    let switches = world.switches(&id).await;
    let last = switches.last().expect("a switch");
    assert_eq!(
        (last.source, last.reason.as_ref().map(|r| r.cause)),
        (Source::Fallback, Some(FallbackCause::SpendingLimit))
    );
    assert!(world.agent("two").prompts()[0].contains("echo first"));
    assert_eq!(
        switches
            .iter()
            .filter(|s| s.source == Source::Fallback)
            .count(),
        1
    );
    // With more to spend, it goes back.
    limit(&world, &id, Some(cost(9.0))).await;
    assert_eq!(world.ask(&id, "echo back").await.message.provider_id, "one");
}

#[tokio::test(start_paused = true)]
async fn a_prompt_that_waited_goes_on_with_a_model_that_costs_nothing() {
    let settings = SpendingSettings {
        free: vec!["two/b".into()],
        ..SpendingSettings::default()
    };
    let world = World::with(Setup {
        spending: settings,
        ..Setup::default()
    })
    .await;
    let id = world.ready("one/x").await;
    let model = |model_id: &str| MessageModel {
        provider_id: "two".into(),
        model_id: model_id.into(),
        variant: None,
    };
    let update = Update {
        fallback: ChainWish::Set(vec![model("a"), model("b")]),
        limit: Some(Some(cost(1.0))),
        ..Update::default()
    };
    world.update(&id, update).await.expect("limited");
    world.agent("one").answer_next([
        Step::Sleep(Duration::from_secs(1)),
        Step::Say("done".into()),
        costs(1.0),
        Step::Stop("end_turn".into()),
    ]);
    let mut waiting = Vec::new();
    for text in ["echo first", "echo second", "echo third"] {
        let admitted = world.prompt(&id, text).await.expect("admitted");
        waiting.push(admitted.answer.expect("wanted"));
    }
    let mut by = Vec::new();
    for waits in waiting {
        let answered = answer(waits).await.message;
        by.push((answered.model_id, answered.error));
    }
    let of = |model: &str| (model.to_owned(), None);
    assert_eq!(by, [of("x"), of("b"), of("b")]);
    assert_eq!(world.agent("one").prompts(), ["echo first"]);
    let switches = world.switches(&id).await;
    let reasons = switches.iter().filter_map(|s| s.reason.as_ref());
    let causes: Vec<_> = reasons.map(|r| r.cause).collect();
    assert_eq!(causes[0], FallbackCause::SpendingLimit);
}

#[tokio::test(start_paused = true)]
async fn a_day_is_of_all_sessions_and_outlives_a_restart() {
    let settings = SpendingSettings {
        day: cost(1.5),
        ..SpendingSettings::default()
    };
    let world = World::with(Setup {
        spending: settings,
        ..Setup::default()
    })
    .await;
    let first = world.ready("one/x").await;
    spend_a_dollar(&world, &first).await;
    let second = world.ready("one/y").await;
    assert_eq!(world.ask(&second, "echo fine").await.message.error, None);
    let script = world.agent("one");
    script.answer_next([
        Step::Say("done".into()),
        costs(9.0),
        Step::Stop("end_turn".into()),
    ]);
    world.ask(&second, "echo much").await;
    for id in [&first, &second] {
        let reached = refused(&world, id).await;
        assert_eq!(reached.scope, SpendingScope::Day);
        assert!(reached.to_string().contains("today"), "{reached}");
    }
    let world = world.stopped().await;
    assert_eq!(refused(&world, &first).await.scope, SpendingScope::Day);
}

#[tokio::test(start_paused = true)]
async fn a_hard_limit_stops_a_turn_and_any_other_lets_it_end() {
    for hard in [false, true] {
        let world = World::new().await;
        let id = world.ready("one/x").await;
        limit(&world, &id, Some(SpendingLimit { hard, ..cost(1.0) })).await;
        world.ask(&id, "echo first").await;
        let script = world.agent("one");
        script.answer_next([
            Step::Say("begun".into()),
            costs(5.0),
            Step::Sleep(Duration::from_secs(5)),
            Step::Say(" and ended".into()),
            Step::Stop("end_turn".into()),
        ]);
        let admitted = world.prompt(&id, "echo more").await.expect("admitted");
        let answered = answer(admitted.answer.expect("wanted")).await;
        let said = text(&answered.parts);
        assert_eq!(
            (said.contains("ended"), answered.message.error.is_some()),
            (!hard, hard),
            "{said}"
        );
        if let Some(error) = answered.message.error {
            assert!(error.message().contains("spending limit"), "{error:?}");
        }
        refused(&world, &id).await;
    }
}
