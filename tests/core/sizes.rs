//! What one may send is bounded: by agents that flood, and by clients that never let a turn begin.

use baton::agent::scripted::Step;
use baton::opencode::SessionId;
use baton::opencode::event::Source;
use baton::opencode::message::{Part, ToolState};
use baton::opencode::session::{PermissionAction, PermissionRule};
use baton::session::{Error, Prompt, Sizes, Update};
use serde_json::{Value, json};

use crate::support::{Setup, World, by, text, text_prompt};

async fn world(sizes: Sizes) -> World {
    let setup = Setup {
        sizes,
        ..Setup::default()
    };
    World::with(setup).await
}

fn plan(round: usize, entries: usize) -> Step {
    let entry = |n| json!({"content": format!("round {round}, step {n}"), "priority": "low", "status": "pending"});
    let entries: Vec<Value> = (0..entries).map(entry).collect();
    Step::Update(json!({"sessionUpdate": "plan", "entries": entries}))
}

#[tokio::test(start_paused = true)]
async fn of_two_thousand_plans_the_last_is_kept() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    let before = world.told(&id, "todo.updated").len();
    world
        .agent("one")
        .answer_next((0..2_000).map(|round| plan(round, 20)));
    let answer = world.ask(&id, "plan a lot").await;
    let plans: Vec<_> = answer
        .parts
        .iter()
        .filter_map(|part| match part {
            Part::Tool(tool) => Some(tool),
            _ => None,
        })
        .collect();
    assert_eq!(plans.len(), 1);
    let ToolState::Completed { input, .. } = &plans[0].state else {
        panic!("{:?}", plans[0])
    };
    assert_eq!(input["todos"][19]["content"], "round 1999, step 19");
    assert_eq!(input["todos"].as_array().map(Vec::len), Some(20));
    // Nor is every one of them stored.
    assert!(world.told(&id, "todo.updated").len() - before < 100);
    let todos = world.sessions.todos(&id).await.expect("todos");
    assert_eq!(todos[0].content, "round 1999, step 0");
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_cut_off_and_says_so_whatever_it_is_made_of() {
    let sizes = Sizes {
        answer_bytes: 50_000,
        tool_call_bytes: 20_000,
        ..Sizes::default()
    };
    let world = world(sizes).await;
    let id = world.ready("one/x").await;
    let long = "x".repeat(40_000);
    let tool = |n: usize| {
        Step::Update(
            json!({"sessionUpdate": "tool_call", "toolCallId": n.to_string(), "status": "completed",
            "rawInput": {"a": long}, "content": [{"type": "diff", "path": "/a", "oldText": long, "newText": long}],
            "rawOutput": long}),
        )
    };
    for flood in [
        vec![Step::Say("x".repeat(9_000)); 100],
        vec![Step::Think("x".repeat(9_000)); 100],
        (0..100).map(tool).collect(),
        (0..100)
            .flat_map(|n| [tool(n), plan(n, 400), Step::Say(long.clone())])
            .collect(),
    ] {
        world.agent("one").answer_next(flood);
        let answer = world.ask(&id, "flood").await;
        let json = serde_json::to_string(&answer.parts).expect("JSON");
        // The output of a call is shown twice, and each of its parts has a frame.
        assert!(json.len() < 300_000, "{} bytes", json.len());
        assert!(
            json.contains("cut off") || json.contains("left out"),
            "nothing says so"
        );
        assert!(answer.message.error.is_none(), "{:?}", answer.message.error);
    }
    assert_eq!(text(&world.ask(&id, "echo goes on").await.parts), "goes on");
}

#[tokio::test(start_paused = true)]
async fn what_agents_ask_at_once_is_bounded_in_a_session_and_over_all() {
    let none_here = Sizes {
        session_asks: 0,
        ..Sizes::default()
    };
    let too_large = Sizes {
        ask_bytes: 100,
        ..Sizes::default()
    };
    for sizes in [none_here, too_large] {
        let world = world(sizes).await;
        let id = world.ready("one/x").await;
        let answer = world.ask(&id, "permission touch x").await;
        assert_eq!(text(&answer.parts), "permission rejected");
    }
    let one = Sizes {
        asks: 1,
        ..Sizes::default()
    };
    let world = world(one).await;
    let (first, second) = (world.ready("one/x").await, world.ready("two/a").await);
    let waiting = world
        .prompt(&first, "permission touch x")
        .await
        .expect("admitted");
    crate::support::until(async || !world.sessions.permissions(None).is_empty()).await;
    let answer = world.ask(&second, "permission touch y").await;
    assert_eq!(text(&answer.parts), "permission rejected");
    // The place is free again once the first one is over.
    world.sessions.abort(&first, None).await.expect("aborted");
    crate::support::answer(waiting.answer.expect("wanted")).await;
    world
        .prompt(&second, "permission touch z")
        .await
        .expect("admitted");
    crate::support::until(async || !world.sessions.permissions(None).is_empty()).await;
}

fn stored(text: &str) -> Prompt {
    Prompt {
        no_reply: true,
        ..text_prompt(text)
    }
}

async fn store(world: &World, id: &SessionId, text: &str) -> Result<(), Error> {
    let admitted = world.sessions.prompt(id, stored(text), by(Source::Message));
    admitted.await.map(drop)
}

#[tokio::test(start_paused = true)]
async fn prompts_that_are_only_stored_are_bounded_until_one_is_answered() {
    let sizes = Sizes {
        stored_prompts: 3,
        stored_prompt_bytes: 1_000,
        ..Sizes::default()
    };
    let mut world = world(sizes).await;
    let id = world.ready("one/x").await;
    for n in 0..3 {
        store(&world, &id, &n.to_string()).await.expect("stored");
    }
    let refused = store(&world, &id, "one more").await.expect_err("refused");
    assert!(
        refused.to_string().contains("limits.stored_prompts"),
        "{refused}"
    );
    // Also by the next server.
    world = world.stopped().await;
    assert!(store(&world, &id, "one more").await.is_err());
    world.ask(&id, "echo now").await;
    store(&world, &id, &"x".repeat(900)).await.expect("stored");
    let refused = store(&world, &id, &"x".repeat(200))
        .await
        .expect_err("refused");
    assert!(
        refused.to_string().contains("limits.stored_prompt_bytes"),
        "{refused}"
    );
    store(&world, &id, "small").await.expect("stored");
}

#[tokio::test(start_paused = true)]
async fn sessions_are_counted_over_restarts_forks_and_deletions() {
    let sizes = Sizes {
        sessions: 3,
        ..Sizes::default()
    };
    let mut world = world(sizes).await;
    let first = world.create("one/x").await;
    world.create("").await;
    world.fork(&first).await.expect("forked");
    let is_full =
        |result: Result<_, Error>| matches!(result, Err(Error::TooManySessions { limit: 3 }));
    assert!(is_full(world.try_create("").await));
    assert!(is_full(world.fork(&first).await));
    world = world.stopped().await;
    assert!(is_full(world.try_create("").await));
    world.sessions.delete(&first).await.expect("deleted");
    // One that cannot be made takes no place.
    world.fill_disk();
    assert!(world.try_create("").await.is_err());
    world.store.heal();
    world.try_create("").await.expect("created");
    assert!(is_full(world.try_create("").await));
}

#[tokio::test(start_paused = true)]
async fn the_rules_of_a_session_are_bounded_over_all_requests() {
    let sizes = Sizes {
        permission_rules: 4,
        permission_bytes: 100,
        ..Sizes::default()
    };
    let world = world(sizes).await;
    let id = world.create("").await;
    let add = async |patterns: &[&str]| {
        let rule = |pattern: &&str| PermissionRule {
            permission: "bash".to_owned(),
            pattern: (*pattern).to_owned(),
            action: PermissionAction::Allow,
        };
        let update = Update {
            permission: patterns.iter().map(rule).collect(),
            ..Update::default()
        };
        world.update(&id, update).await
    };
    // The same again and again is not a flood.
    for _ in 0..50 {
        add(&["ls", "git status"]).await.expect("fine");
    }
    assert!(world.info(&id).await.permission.expect("rules").len() <= 4);
    let refused = add(&["a", "b", "c"]).await.expect_err("refused");
    assert!(
        refused.to_string().contains("limits.permission_rules"),
        "{refused}"
    );
    let refused = add(&["x".repeat(90).as_str()]).await.expect_err("refused");
    assert!(
        refused.to_string().contains("limits.permission_bytes"),
        "{refused}"
    );
}
