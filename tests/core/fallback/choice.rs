//! Which model of a chain is next, who is left out, and when a session goes back to its first choice.

use std::time::Duration;

use super::*;

#[tokio::test(start_paused = true)]
async fn what_is_wrong_here_leaves_nobody_out_elsewhere() {
    let world = world(chain(&["two/a"])).await;
    let (id, other) = (world.ready("one/x").await, world.ready("one/x").await);
    for _ in 0..8 {
        let refuse = Reaction::Fail {
            code: -32603,
            message: "no such model".to_owned(),
        };
        let script = world.agent("one");
        script.react_next("session/set_config_option", refuse);
    }
    world.select(&id, "one/y").await.expect("selected");
    assert_eq!(world.ask(&id, "echo here").await.message.provider_id, "two");
    let answer = world.ask(&other, "echo there").await;
    assert_eq!(answer.message.provider_id, "one", "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn what_the_user_selects_meanwhile_is_where_the_session_returns() {
    let world = world(chain(&["two/a"])).await;
    let (id, other) = (world.ready("one/x").await, world.ready("one/y").await);
    let brief = || fail("429 rate limit, try again in 100s");
    world.agent("one").answer_next([brief()]);
    world.ask(&other, "echo one/y is left out").await;
    let steps = [Step::Sleep(Duration::from_secs(5)), brief()];
    world.agent("one").answer_next(steps);
    let admitted = world.prompt(&id, "echo first").await.expect("admitted");
    crate::support::until(async || prompts(&world, "one") == 2).await;
    world.select(&id, "one/y").await.expect("selected");
    answer(admitted.answer.expect("wanted")).await;
    assert_eq!(world.selected(&id).await.as_deref(), Some("two/a"));
    tokio::time::sleep(Duration::from_secs(101)).await;
    let answer = world.ask(&id, "echo second").await;
    assert_eq!(answer.message.model_id, "y", "what the user has selected");
}

#[tokio::test(start_paused = true)]
async fn who_has_failed_is_left_out_for_all_sessions_until_its_time() {
    let world = world(chain(&["two/a"])).await;
    let (id, other) = (world.ready("one/x").await, world.ready("one/x").await);
    world
        .agent("one")
        .answer_next([fail("429 too many requests, try again in 100s")]);
    world.ask(&id, "echo first").await;
    let before = prompts(&world, "one");
    let answer = world.ask(&other, "echo second").await;
    assert_eq!(answer.message.provider_id, "two");
    assert_eq!(prompts(&world, "one"), before, "it was not asked");
    assert_eq!(
        answers(&world.messages(&other).await).len(),
        1,
        "nothing has failed there"
    );
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(
        world.ask(&id, "echo third").await.message.provider_id,
        "two"
    );
    tokio::time::sleep(Duration::from_secs(41)).await;
    let answer = world.ask(&id, "echo fourth").await;
    assert_eq!(answer.message.provider_id, "one", "it is back");
    let switches = world.switches(&id).await;
    let last = switches.last().expect("an entry");
    assert_eq!(last.source, Source::Fallback);
    assert_eq!(
        last.reason.as_ref().map(|r| r.cause),
        Some(FallbackCause::Recovered)
    );
}

#[tokio::test(start_paused = true)]
async fn when_a_session_goes_back_can_be_set() {
    for (returns, at_once, later) in [
        (Returns::Never, "two", "two"),
        (Returns::NextTurn, "one", "one"),
        (Returns::WhenReset, "two", "one"),
    ] {
        let world = world(FallbackSettings {
            returns,
            ..chain(&["two/a"])
        })
        .await;
        let id = world.ready("one/x").await;
        world.agent("one").answer_next([limit()]);
        world.ask(&id, "echo first").await;
        let next = world.ask(&id, "echo second").await;
        assert_eq!(next.message.provider_id, at_once, "{returns:?}");
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        let next = world.ask(&id, "echo third").await;
        assert_eq!(next.message.provider_id, later, "{returns:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_choice_of_the_users_is_not_taken_back() {
    let world = world(chain(&["two/a"])).await;
    let id = world.ready("one/x").await;
    world.agent("one").answer_next([limit()]);
    world.ask(&id, "echo first").await;
    world.select(&id, "two/b").await.expect("selected");
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    let answer = world.ask(&id, "echo second").await;
    assert_eq!(answer.message.model_id, "b");
}

#[tokio::test(start_paused = true)]
async fn another_agent_is_no_other_choice() {
    let world = world(chain(&["two/a"])).await;
    let id = world.ready("one/x").await;
    world.agent("one").answer_next([limit()]);
    world.ask(&id, "echo first").await;
    let plan = Update {
        wish: Wish {
            agent: Some("plan".to_owned()),
            ..Wish::default()
        },
        ..Update::default()
    };
    world.update(&id, plan).await.expect("selected");
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    let answer = world.ask(&id, "echo second").await;
    let by = (
        answer.message.provider_id.as_str(),
        answer.message.agent.as_str(),
    );
    assert_eq!(by, ("one", "plan"));
}

#[tokio::test(start_paused = true)]
async fn each_of_the_chain_is_tried_once() {
    let world = world(chain(&["two/a", "one/x", "two/b", "one/y"])).await;
    let id = world.ready("one/x").await;
    for backend in ["one", "two", "one", "two"] {
        world.agent(backend).answer_next([limit()]);
    }
    let answer = world.ask(&id, "echo hello").await;
    // Behind one/x come two/b and one/y, then the beginning.
    let expected = ["one/x", "two/b", "one/y", "two/a"];
    let messages = world.messages(&id).await;
    let tried: Vec<_> = answers(&messages)
        .into_iter()
        .map(|(model, _)| model)
        .collect();
    assert_eq!(tried, expected);
    assert!(
        answer.message.error.is_some(),
        "the last one's error is the answer"
    );
    let waits = world.info(&id).await.runtime.status;
    assert_eq!(format!("{waits:?}"), "Idle");
    // Everybody is left out: who is selected is asked all the same.
    let asked = prompts(&world, "two");
    let answer = world.ask(&id, "echo again").await;
    assert_eq!(
        (answer.message.error, prompts(&world, "two")),
        (None, asked + 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_may_have_a_chain_of_its_own_or_none() {
    let world = world(chain(&["two/a"])).await;
    let id = world.ready("one/x").await;
    set_chain(&world, &id, ChainWish::Set(vec![model("two/b")]))
        .await
        .expect("set");
    let shown = world.info(&id).await.fallback.expect("a chain");
    assert_eq!(shown, [model("two/b")]);
    world.agent("one").answer_next([limit()]);
    assert_eq!(world.ask(&id, "echo 1").await.message.model_id, "b");

    let id = world.ready("one/y").await;
    set_chain(&world, &id, ChainWish::Set(Vec::new()))
        .await
        .expect("set");
    world.agent("one").answer_next([limit()]);
    assert!(world.ask(&id, "echo 2").await.message.error.is_some());
    let world = world.stopped().await;
    assert_eq!(
        world.info(&id).await.fallback,
        Some(Vec::new()),
        "also after a restart"
    );
    set_chain(&world, &id, ChainWish::Default)
        .await
        .expect("set");
    world.agent("one").answer_next([limit()]);
    assert_eq!(world.ask(&id, "echo 3").await.message.model_id, "a");
}

#[tokio::test(start_paused = true)]
async fn a_chain_names_what_there_is() {
    let world = world(chain(&[])).await;
    let id = world.ready("one/x").await;
    let wrong = |at: usize, label: &str| {
        let mut chain = vec![model("two/a"); at];
        chain.push(model(label));
        ChainWish::Set(chain)
    };
    for (chain, field) in [
        (wrong(0, "three/x"), "[\"fallback\"][0]"),
        (wrong(2, "two/nope"), "[\"fallback\"][2]"),
        (ChainWish::Set(vec![model("two/a"); 17]), "[\"fallback\"]"),
    ] {
        let error = set_chain(&world, &id, chain).await.expect_err("refused");
        let Error::Invalid { field: blamed, .. } = &error else {
            panic!("{error:?}");
        };
        assert_eq!(blamed, field);
    }
    assert_eq!(world.info(&id).await.fallback, None);
}

#[tokio::test(start_paused = true)]
async fn a_pinned_session_stays_pinned() {
    let world = world(chain(&["two/a"])).await;
    let id = world.ready("one/x").await;
    let pin = Update {
        pin: Some(true),
        ..Update::default()
    };
    world.update(&id, pin).await.expect("pinned");
    world.agent("one").answer_next([limit()]);
    assert_eq!(
        world.ask(&id, "echo hello").await.message.provider_id,
        "two"
    );
    assert!(world.info(&id).await.pinned);
}
