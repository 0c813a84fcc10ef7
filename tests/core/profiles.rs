//! Agents with a model of their own: selecting one selects its model, effort and mode at once.

use std::sync::Arc;

use baton::agent::scripted::Step;
use baton::opencode::SessionId;
use baton::opencode::event::Source;
use baton::opencode::message::Message;
use baton::opencode::provider::AgentMode;
use baton::opencode::session::{MessageModel, PermissionAction, PermissionRule};
use baton::profile::{Profile, Profiles, Sources};
use baton::registry::{SelectError, VariantWish, Wish};
use baton::session::{ChainWish, Error, NewSession, Prompt, Update};
use tokio::sync::Notify;

use crate::support::{Setup, World, answer, by, text, text_prompt, until, wish};

fn profile(name: &str, model: &str, mode: &str) -> Profile {
    Profile {
        name: name.to_owned(),
        model: (!model.is_empty()).then(|| model.to_owned()),
        variant: None,
        mode: (!mode.is_empty()).then(|| mode.to_owned()),
        description: None,
        permission: Vec::new(),
        follow: true,
        kind: AgentMode::Primary,
        hidden: false,
        source: format!("[profiles.{name}] of the config file"),
    }
}

fn rule(permission: &str, action: PermissionAction) -> PermissionRule {
    PermissionRule {
        permission: permission.to_owned(),
        pattern: "*".to_owned(),
        action,
    }
}

/// `think` plans on one backend, `do` works on the other; `look` keeps the session's model; `gone` has a model that is
/// not there.
fn profiles() -> Profiles {
    let think = Profile {
        variant: Some("high".to_owned()),
        permission: vec![rule("bash", PermissionAction::Deny)],
        ..profile("think", "one/strong", "plan")
    };
    let look = Profile {
        follow: false,
        ..profile("look", "two/b", "plan")
    };
    let all = [
        think,
        profile("do", "two/a", ""),
        look,
        profile("gone", "two/nope", ""),
    ];
    all.into_iter().map(|p| (p.name.clone(), p)).collect()
}

async fn world_of(profiles: Profiles) -> World {
    let profiles = Sources {
        configured: profiles,
        opencode_config: None,
    };
    World::with(Setup {
        profiles,
        ..Setup::default()
    })
    .await
}

fn agent(name: &str) -> Wish {
    Wish {
        agent: Some(name.to_owned()),
        ..Wish::default()
    }
}

async fn choose(world: &World, id: &SessionId, wish: Wish) -> Result<(), Error> {
    let update = Update {
        wish,
        ..Update::default()
    };
    world.update(id, update).await.map(drop)
}

/// The selection as `provider/model variant agent`.
async fn selected(world: &World, id: &SessionId) -> String {
    let info = world.info(id).await;
    let model = info.model.expect("a model");
    let variant = model.variant.expect("a variant");
    let agent = info.agent.expect("an agent");
    format!("{}/{} {variant} {agent}", model.provider_id, model.id)
}

async fn say(world: &World, id: &SessionId, said: &str, wish: Wish) -> (String, String) {
    let prompt = Prompt {
        wish,
        ..text_prompt(said)
    };
    let admitted = world.sessions.prompt(id, prompt, by(Source::Message));
    let admitted = admitted.await.expect("admitted");
    let answer = answer(admitted.answer.expect("wanted")).await;
    assert_eq!(answer.message.error, None, "{said}");
    (text(&answer.parts), answer.message.agent)
}

#[tokio::test(start_paused = true)]
async fn an_agent_with_a_model_is_selected_with_it_in_one_step() {
    let world = world_of(profiles()).await;
    let id = world.ready("two/b").await;
    let before = world.events().len();
    choose(&world, &id, agent("think")).await.expect("selected");
    assert_eq!(selected(&world, &id).await, "one/strong high think");
    let info = world.info(&id).await;
    assert_eq!(info.revision, 2);
    world.applied(&id, 2).await;
    let events = world.events();
    let changed = events[before..]
        .iter()
        .filter(|e| e["type"] == "session.model_changed");
    let changed: Vec<_> = changed.collect();
    assert_eq!(changed.len(), 1);
    let current = &changed[0]["properties"]["current"];
    assert_eq!(current["agent"], "think");
    assert_eq!(current["mode"], "plan");
    assert_eq!(
        say(&world, &id, "mode", Wish::default()).await,
        ("plan".into(), "think".into())
    );
    assert_eq!(
        say(&world, &id, "model", Wish::default()).await.0,
        "strong (high)"
    );
    // And back, with a message.
    let said = say(&world, &id, "mode", agent("do")).await;
    assert_eq!(said, ("build".into(), "do".into()));
    assert_eq!(selected(&world, &id).await, "two/a default do");
    let messages = world.messages(&id).await;
    let mut prompts = messages.iter().filter_map(|message| match &message.info {
        Message::User(user) => Some(user.agent.as_str()),
        Message::Assistant(_) => None,
    });
    assert_eq!(prompts.next_back(), Some("do"));
    // What is selected already changes nothing.
    let revision = world.info(&id).await.revision;
    choose(&world, &id, agent("do")).await.expect("selected");
    assert_eq!(world.info(&id).await.revision, revision);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_named_wins() {
    let world = world_of(profiles()).await;
    let id = world.ready("two/b").await;
    let named = |model: &str, variant| Wish {
        agent: Some("think".to_owned()),
        variant,
        ..wish(model)
    };
    // As the terminal UI sends it, without an effort: the profile's for its model, the default of any other.
    for (model, variant, expected) in [
        ("one/strong", VariantWish::Unsaid, "one/strong high think"),
        ("one/x", VariantWish::Unsaid, "one/x default think"),
        (
            "one/strong",
            VariantWish::Default,
            "one/strong default think",
        ),
        (
            "one/strong",
            VariantWish::Set("low".into()),
            "one/strong low think",
        ),
        ("two/a", VariantWish::Unsaid, "two/a default think"),
    ] {
        choose(&world, &id, named(model, variant))
            .await
            .expect("selected");
        assert_eq!(selected(&world, &id).await, expected);
    }
    assert_eq!(say(&world, &id, "mode", Wish::default()).await.0, "plan");
    // The agent stays with another model, and its own comes with it when it is named again.
    choose(&world, &id, wish("one/x")).await.expect("selected");
    assert_eq!(selected(&world, &id).await, "one/x default think");
    choose(&world, &id, agent("think")).await.expect("selected");
    assert_eq!(selected(&world, &id).await, "one/strong high think");
    // A plain agent keeps the model.
    choose(&world, &id, agent("build")).await.expect("selected");
    assert_eq!(selected(&world, &id).await, "one/strong high build");
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_follow_changes_the_mode_alone() {
    let world = world_of(profiles()).await;
    let id = world.ready("one/x").await;
    choose(&world, &id, agent("look")).await.expect("selected");
    assert_eq!(selected(&world, &id).await, "one/x default look");
    assert_eq!(say(&world, &id, "mode", Wish::default()).await.0, "plan");
    // A session that has none is given its model.
    let id = world.create("").await;
    choose(&world, &id, agent("look")).await.expect("selected");
    assert_eq!(selected(&world, &id).await, "two/b default look");
}

#[tokio::test(start_paused = true)]
async fn one_whose_model_is_not_there_is_refused_and_says_where_it_stands() {
    let world = world_of(profiles()).await;
    let id = world.ready("one/x").await;
    let refused = choose(&world, &id, agent("gone"))
        .await
        .expect_err("refused");
    let Error::Select(SelectError::BadProfile { field, .. }) = &refused else {
        panic!("{refused:?}");
    };
    assert_eq!(*field, "model");
    let said = refused.to_string();
    for part in ["gone", "[profiles.gone]", "two", "nope", "Correct it there"] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(selected(&world, &id).await, "one/x default build");
    // A model that is named is as good as any.
    let named = Wish {
        agent: Some("gone".to_owned()),
        ..wish("one/y")
    };
    choose(&world, &id, named).await.expect("selected");
    assert_eq!(selected(&world, &id).await, "one/y default gone");
}

#[tokio::test(start_paused = true)]
async fn sessions_begin_with_the_profile_of_their_agent() {
    let mut all = profiles();
    all.insert("build".to_owned(), profile("build", "two/b", ""));
    let world = world_of(all).await;
    // Named by nobody: `build` is what a session begins with.
    let id = world.create("").await;
    assert_eq!(world.ask(&id, "model").await.message.model_id, "b");
    assert_eq!(selected(&world, &id).await, "two/b default build");
    let new = NewSession {
        directory: "/".to_owned(),
        wish: agent("think"),
        ..NewSession::default()
    };
    let made = world
        .sessions
        .create(new, by(Source::Create))
        .await
        .expect("made");
    assert_eq!(selected(&world, &made.id).await, "one/strong high think");
    // The model of a request wins here, too.
    let id = world.ready("one/x").await;
    assert_eq!(selected(&world, &id).await, "one/x default build");
}

#[tokio::test(start_paused = true)]
async fn its_rules_hold_while_it_is_selected() {
    let world = world_of(profiles()).await;
    let id = world.ready("one/x").await;
    let said = say(&world, &id, "permission make", agent("think")).await.0;
    assert!(said.contains("rejected"), "{said}");
    assert!(
        world.info(&id).await.permission.is_none(),
        "they are not the session's own"
    );
    // The session's own come last.
    let update = Update {
        permission: vec![rule("bash", PermissionAction::Allow)],
        ..Update::default()
    };
    world.update(&id, update).await.expect("set");
    let said = say(&world, &id, "permission make", Wish::default()).await.0;
    assert!(said.contains("granted"), "{said}");

    let id = world.ready("one/x").await;
    choose(&world, &id, agent("think")).await.expect("selected");
    // A fork and the next server have them.
    let fork = world.fork(&id).await.expect("forked").id;
    let world = world.killed().await;
    for id in [&id, &fork] {
        let said = say(&world, id, "permission make", Wish::default()).await.0;
        assert!(said.contains("rejected"), "{said}");
    }
    // Another agent is another matter.
    choose(&world, &id, agent("do")).await.expect("selected");
    let prompted = world
        .prompt(&id, "permission make")
        .await
        .expect("admitted");
    until(async || world.sessions.permissions(None).len() == 1).await;
    drop(prompted);
}

#[tokio::test(start_paused = true)]
async fn a_turn_keeps_the_rules_of_its_agent() {
    let mut all = profiles();
    let free = Profile {
        permission: vec![rule("bash", PermissionAction::Allow)],
        ..profile("free", "one/x", "")
    };
    all.insert("free".to_owned(), free);
    let world = world_of(all).await;
    let id = world.ready("one/x").await;
    let hold = Arc::new(Notify::new());
    world.agent("one").answer_next([
        Step::Wait(Arc::clone(&hold)),
        Step::Do("permission make".into()),
    ]);
    let prompted = world.prompt(&id, "go").await.expect("admitted");
    choose(&world, &id, agent("free")).await.expect("selected");
    hold.notify_one();
    until(async || world.sessions.permissions(None).len() == 1).await;
    drop(prompted);
}

#[tokio::test(start_paused = true)]
async fn what_is_selected_outlives_the_profile() {
    let world = world_of(profiles()).await;
    let id = world.ready("two/b").await;
    choose(&world, &id, agent("think")).await.expect("selected");
    let world = world.stopped_with(Sources::default()).await;
    let said = say(&world, &id, "mode", Wish::default()).await;
    assert_eq!(said, ("plan".into(), "think".into()));
    // The terminal UI that is still open names it.
    let named = Wish {
        agent: Some("think".to_owned()),
        ..wish("two/a")
    };
    assert_eq!(
        say(&world, &id, "mode", named).await,
        ("plan".into(), "think".into())
    );
    // In another session nobody knows it.
    let other = world.ready("two/b").await;
    assert!(choose(&world, &other, agent("think")).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_chain_goes_on_in_the_mode_of_the_profile() {
    let world = world_of(profiles()).await;
    let id = world.ready("two/b").await;
    let next = MessageModel {
        provider_id: "two".to_owned(),
        model_id: "b".to_owned(),
        variant: None,
    };
    let update = Update {
        wish: agent("think"),
        fallback: ChainWish::Set(vec![next]),
        ..Update::default()
    };
    world.update(&id, update).await.expect("selected");
    world.agent("one").answer_next([Step::Fail {
        code: -32603,
        message: "429 rate limit reached. Please try again in 100s.".to_owned(),
    }]);
    let (said, agent) = say(&world, &id, "mode", Wish::default()).await;
    assert_eq!((said.as_str(), agent.as_str()), ("plan", "think"));
    assert_eq!(selected(&world, &id).await, "two/b default think");
}

#[tokio::test(start_paused = true)]
async fn a_pinned_session_takes_the_mode_and_not_the_model() {
    let world = world_of(profiles()).await;
    let id = world.ready("two/b").await;
    let pin = Update {
        pin: Some(true),
        ..Update::default()
    };
    world.update(&id, pin).await.expect("pinned");
    let said = say(&world, &id, "mode", agent("think")).await;
    assert_eq!(said, ("plan".into(), "think".into()));
    assert_eq!(selected(&world, &id).await, "two/b default think");
    // By a PATCH it is selected.
    choose(&world, &id, agent("think")).await.expect("selected");
    assert_eq!(selected(&world, &id).await, "one/strong high think");
}
