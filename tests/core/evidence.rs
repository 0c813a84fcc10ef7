//! What an agent is believed, and what only the end of a call seems to say.

use baton::agent::scripted::{Reaction, Step};
use baton::opencode::SessionId;
use baton::opencode::event::Source;
use baton::opencode::message::{MessageError, OutputFormat};
use baton::session::Prompt;
use serde_json::json;

use crate::support::{World, answer, by, settle, text, text_prompt, within};

fn fail(code: i64, message: &str) -> Step {
    Step::Fail {
        code,
        message: message.to_owned(),
    }
}

fn refuse(code: i64, message: &str) -> Reaction {
    Reaction::Fail {
        code,
        message: message.to_owned(),
    }
}

/// A session that knows AMBER by `one`, and goes on with `two`.
async fn told_amber(world: &World) -> SessionId {
    let id = world.ready("one/x").await;
    world.ask(&id, "echo the secret is AMBER").await;
    let session = world.select(&id, "two/a").await.expect("selected");
    world.applied(&id, session.revision).await;
    id
}

/// The same after long answers.
async fn told_amber_after(world: &World, answers: usize) -> SessionId {
    let id = world.ready("one/x").await;
    for _ in 0..answers {
        world.ask(&id, "big 30").await;
    }
    world.ask(&id, "echo the newest is AMBER").await;
    world.select(&id, "two/a").await.expect("selected");
    id
}

async fn history(world: &World, id: &SessionId) -> String {
    let answer = world.ask(id, "history").await;
    assert_eq!(answer.message.error, None);
    text(&answer.parts)
}

#[tokio::test(start_paused = true)]
async fn a_prompt_that_was_refused_has_handed_nothing_over() {
    let refusals = [
        fail(-32000, "Authentication required"),
        fail(-32603, "prompt refused"),
        fail(-32603, "429 rate limit"),
        Step::Stop("refusal".into()),
        Step::Stop("cancelled".into()),
        Step::Silence,
    ];
    for refusal in refusals {
        let world = World::new().await;
        let id = told_amber(&world).await;
        world.agent("two").answer_next([refusal.clone()]);
        let refused = world.ask(&id, "echo first").await;
        assert!(refused.message.error.is_some(), "{refusal:?}: {refused:?}");
        let known = history(&world, &id).await;
        assert!(known.contains("AMBER"), "{refusal:?}: {known}");
        // It is told once, and so is the prompt that was refused.
        assert_eq!(
            known.matches("echo the secret").count(),
            1,
            "{refusal:?}: {known}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_model_that_answered_is_the_one_on_the_message() {
    let world = World::new().await;
    let id = world.ready("wishful/p").await;
    let first = world.ask(&id, "echo one").await;
    assert_eq!(first.message.model_id, "p");
    let session = world.select(&id, "wishful/q").await.expect("selected");
    world.applied(&id, session.revision).await;
    // It has said yes, and goes on with the other one.
    let second = world.ask(&id, "echo two").await;
    assert_eq!(second.message.error, None);
    assert_eq!(second.message.model_id, "p");
    let toasts = world.events().into_iter();
    let mut toasts = toasts.filter(|event| event["type"] == "tui.toast.show");
    assert!(toasts.any(|t| t["properties"]["variant"] == "warning"));
    let told = world.told(&id, "session.model_mismatch");
    assert_eq!(told.len(), 1, "{told:?}");
    let told = &told[0]["properties"];
    assert_eq!(told["messageID"], second.message.id.as_str());
    assert_eq!(told["wished"]["modelID"], "q");
    assert_eq!(told["answered"]["modelID"], "p");
    let history = world.sessions.model_history(&id).await.expect("a history");
    let models: Vec<_> = history.usage.iter().map(|u| u.model_id.as_str()).collect();
    assert_eq!(models, ["p"]);
    // What was wished stays selected, and is asked for again.
    let before = world
        .agent("wishful")
        .asked_of("session/set_config_option")
        .len();
    world.ask(&id, "echo three").await;
    let after = world
        .agent("wishful")
        .asked_of("session/set_config_option")
        .len();
    assert!(after > before, "{before} {after}");
    let selected = world.info(&id).await.model;
    assert_eq!(selected.map(|model| model.id).as_deref(), Some("q"));
}

#[tokio::test(start_paused = true)]
async fn a_prompt_that_is_stopped_before_a_word_has_handed_nothing_over() {
    let world = World::new().await;
    let id = told_amber(&world).await;
    world.agent("two").answer_next([Step::Hang]);
    let admitted = world.prompt(&id, "echo first").await.expect("admitted");
    world.agent("two").until_asked("session/prompt", 1).await;
    world.sessions.abort(&id, None).await.expect("aborted");
    answer(admitted.answer.expect("wanted")).await;
    let known = history(&world, &id).await;
    assert_eq!(known.matches("echo the secret").count(), 1, "{known}");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_has_begun_knows_what_it_was_given() {
    let world = World::new().await;
    let id = told_amber(&world).await;
    let begun = [Step::Say("well".into()), fail(-32603, "no more")];
    world.agent("two").answer_next(begun);
    let broken = world.ask(&id, "echo first").await;
    assert!(broken.message.error.is_some());
    world.ask(&id, "echo second").await;
    let prompts = world.agent("two").prompts();
    assert!(
        prompts[0].contains("AMBER") && prompts[1] == "echo second",
        "{prompts:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_model_refuses_in_its_middle_is_not_in_its_native_session() {
    let world = World::new().await;
    let id = told_amber(&world).await;
    let refused = [Step::Say("well".into()), Step::Stop("refusal".into())];
    world.agent("two").answer_next(refused);
    assert!(world.ask(&id, "echo first").await.message.error.is_some());
    world.ask(&id, "echo second").await;
    assert!(world.agent("two").prompts()[1].contains("AMBER"));
}

#[tokio::test(start_paused = true)]
async fn what_a_forgetful_agent_has_not_finished_is_given_to_it_again() {
    for ends in [Step::Hang, fail(-32603, "no more")] {
        for knows_something in [false, true] {
            let world = World::new().await;
            let id = world.ready("one/x").await;
            if knows_something {
                let session = world.select(&id, "forgetful/f").await.expect("selected");
                world.applied(&id, session.revision).await;
                world.ask(&id, "echo known").await;
                world.select(&id, "one/x").await.expect("selected");
            }
            world.ask(&id, "echo the secret is AMBER").await;
            let session = world.select(&id, "forgetful/f").await.expect("selected");
            world.applied(&id, session.revision).await;
            let forgetful = world.agent("forgetful");
            let before = forgetful.prompts().len();
            forgetful.answer_next([Step::Say("well".into()), ends.clone()]);
            let admitted = world.prompt(&id, "echo first").await.expect("admitted");
            if matches!(ends, Step::Hang) {
                forgetful.until_asked("session/prompt", before + 1).await;
                settle().await;
                world.sessions.abort(&id, None).await.expect("aborted");
            }
            let broken = answer(admitted.answer.expect("wanted")).await;
            assert_eq!(text(&broken.parts), "well");
            world.ask(&id, "echo second").await;
            let prompts = forgetful.prompts();
            let given = prompts.last().expect("a prompt");
            assert!(
                given.contains("AMBER") && given.contains("echo first"),
                "{given}"
            );
            // What it has finished it still has.
            assert!(!given.contains("echo known"), "{given}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_too_long_is_handed_over_shorter_with_the_next_prompt() {
    let world = World::new().await;
    let id = told_amber_after(&world, 8).await;
    let said = "prompt is too long: 90000 tokens > 20000 maximum";
    for _ in 0..2 {
        world.agent("two").answer_next([fail(-32603, said)]);
        let refused = world.ask(&id, "echo first").await;
        assert!(refused.message.error.is_some());
    }
    let known = history(&world, &id).await;
    assert!(known.contains("AMBER"), "{known}");
    let prompts = world.agent("two").prompts();
    let sizes: Vec<_> = prompts.iter().map(String::len).collect();
    assert_eq!(sizes.len(), 3, "{sizes:?}");
    assert!(sizes[1] * 2 <= sizes[0] + 1000, "{sizes:?}");
    assert!(sizes[2] * 2 <= sizes[0] + 1000, "{sizes:?}");
    assert_eq!(world.agent("two").asked_of("session/new").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_native_session_that_is_full_is_left_for_one_that_is_given_the_conversation() {
    let world = World::new().await;
    let id = told_amber(&world).await;
    world.ask(&id, "echo second").await;
    let too_long = "prompt is too long: 30000 tokens > 20000 maximum";
    world.agent("two").answer_next([fail(-32603, too_long)]);
    let known = history(&world, &id).await;
    // All of it: what did not fit was more than what is handed over.
    for text in ["AMBER", "second"] {
        assert!(known.contains(text), "{known}");
    }
    assert_eq!(world.agent("two").asked_of("session/new").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_prompt_that_is_too_long_by_itself_takes_nothing_from_the_conversation() {
    let world = World::new().await;
    let id = told_amber(&world).await;
    world
        .agent("two")
        .answer_next([fail(-32603, "prompt is too long")]);
    let long = format!("echo {}", "long ".repeat(4_000));
    let refused = world.ask(&id, &long).await;
    assert!(refused.message.error.is_some());
    assert_eq!(
        world.agent("two").prompts().len(),
        1,
        "no use in giving it again"
    );
    let known = history(&world, &id).await;
    assert!(known.contains("the secret is AMBER"), "{known}");
}

#[tokio::test(start_paused = true)]
async fn a_native_session_that_is_gone_is_replaced_by_one_that_knows_everything() {
    for gone in [fail(-32002, "Session not found"), fail(-32603, "oops")] {
        let world = World::new().await;
        let id = world.ready("one/x").await;
        world.ask(&id, "echo the secret is AMBER").await;
        let script = world.agent("one");
        for method in ["session/resume", "session/load", "session/list"] {
            script.react_next(method, refuse(-32602, "no such session"));
        }
        script.answer_next([gone]);
        let known = history(&world, &id).await;
        assert_eq!(known.matches("echo the secret").count(), 1, "{known}");
        assert_eq!(script.asked_of("session/new").len(), 2);
        // From then on it is the one.
        assert_eq!(text(&world.ask(&id, "echo on").await.parts), "on");
        assert_eq!(script.asked_of("session/new").len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_native_session_that_has_become_silent_is_opened_again() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    world.ask(&id, "echo the secret is AMBER").await;
    let script = world.agent("one");
    for method in ["session/resume", "session/load", "session/list"] {
        script.react_next(method, refuse(-32602, "no such session"));
    }
    script.answer_next([Step::Silence]);
    let known = history(&world, &id).await;
    assert_eq!(known.matches("echo the secret").count(), 1, "{known}");
    assert_eq!(script.asked_of("session/new").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_has_nothing_to_say_is_asked_twice_and_not_more() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    world.ask(&id, "echo the secret is AMBER").await;
    let script = world.agent("one");
    for _ in 0..2 {
        script.answer_next([Step::Silence]);
    }
    let silent = world.ask(&id, "echo first").await;
    assert!(silent.message.error.is_some());
    assert_eq!(script.prompts().len(), 3);
    assert!(history(&world, &id).await.contains("AMBER"));
}

#[tokio::test(start_paused = true)]
async fn a_model_may_correct_an_answer_that_has_not_the_form() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    let script = world.agent("one");
    script.answer_next([Step::Say("I think it is 1".into())]);
    script.answer_next([Step::Say("```json\n{\"a\": 1}\n```".into())]);
    let schema = json!({"type": "object", "required": ["a"]});
    let schema = schema.as_object().expect("an object").clone();
    let prompt = Prompt {
        format: Some(OutputFormat::JsonSchema {
            schema,
            retry_count: None,
        }),
        ..text_prompt("how much?")
    };
    let caller = by(Source::Message);
    let admitted = world.sessions.prompt(&id, prompt, caller).await;
    let answer = answer(admitted.expect("admitted").answer.expect("wanted")).await;
    assert_eq!(answer.message.error, None);
    assert_eq!(answer.message.structured, Some(json!({"a": 1})));
    let prompts = script.prompts();
    assert_eq!(prompts.len(), 2);
    assert!(prompts[1].contains("it is not JSON"), "{prompts:?}");
    // Both answers count, and once: a token of the mock's is four characters, and what it has cost is a total.
    let tokens = answer.message.tokens;
    assert_eq!(tokens.output, 15 / 4 + 20 / 4);
    assert_eq!(tokens.total, Some(tokens.input + tokens.output));
    let next = world.ask(&id, "echo x").await;
    assert!(next.message.cost < 0.000_05, "{}", next.message.cost);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_has_refused_is_not_asked_for_another_form() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    let script = world.agent("one");
    script.answer_next([Step::Say("no".into()), Step::Stop("refusal".into())]);
    let schema = serde_json::Map::new();
    let prompt = Prompt {
        format: Some(OutputFormat::JsonSchema {
            schema,
            retry_count: None,
        }),
        ..text_prompt("how much?")
    };
    let admitted = world
        .sessions
        .prompt(&id, prompt, by(Source::Message))
        .await;
    let answer = answer(admitted.expect("admitted").answer.expect("wanted")).await;
    let error = answer.message.error;
    assert!(
        matches!(error, Some(MessageError::ContentFilterError { .. })),
        "{error:?}"
    );
    assert_eq!(script.prompts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_trail_says_by_which_way_the_conversation_really_came() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    world.ask(&id, "echo the secret is AMBER").await;
    let script = world.agent("one");
    let session = world.select(&id, "one/y").await.expect("selected");
    world.applied(&id, session.revision).await;
    let kind = async || {
        let history = world.sessions.model_history(&id).await.expect("a history");
        let last = history.switches.last().expect("a switch");
        last.transfer.expect("told").kind.as_str()
    };
    assert_eq!(kind().await, "native");
    for method in ["session/resume", "session/load", "session/list"] {
        script.react_next(method, refuse(-32602, "no such session"));
    }
    script.answer_next([fail(-32002, "Session not found")]);
    history(&world, &id).await;
    assert_eq!(kind().await, "transcript");
    // What happens to later prompts is not about that switch.
    for method in ["session/resume", "session/load", "session/list"] {
        script.react_next(method, refuse(-32602, "no such session"));
    }
    script.answer_next([fail(-32002, "Session not found")]);
    let before = world.sessions.model_history(&id).await.expect("a history");
    history(&world, &id).await;
    let after = world.sessions.model_history(&id).await.expect("a history");
    assert_eq!(before.switches, after.switches);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_provider_costs_no_native_session() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    world.ask(&id, "echo the secret is AMBER").await;
    let script = world.agent("one");
    script.answer_next([fail(-32603, "429: too many requests")]);
    let refused = world.ask(&id, "echo first").await;
    assert!(refused.message.error.is_some());
    assert_eq!(script.prompts().len(), 2);
    assert_eq!(script.asked_of("session/new").len(), 1);
    assert!(history(&world, &id).await.contains("AMBER"));
}

#[tokio::test(start_paused = true)]
async fn a_switch_in_a_native_session_that_is_gone_is_made_in_another() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    world.ask(&id, "echo the secret is AMBER").await;
    let script = world.agent("one");
    for method in [
        "session/set_config_option",
        "session/resume",
        "session/load",
        "session/list",
    ] {
        script.react_next(method, refuse(-32602, "Session not found"));
    }
    let session = world.select(&id, "one/y").await.expect("selected");
    world.applied(&id, session.revision).await;
    let known = history(&world, &id).await;
    assert!(
        known.starts_with("model: y") && known.contains("AMBER"),
        "{known}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_stops_without_being_asked_to_has_failed() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    let steps = [
        Step::Say("Error: the provider said no".into()),
        Step::Stop("cancelled".into()),
    ];
    world.agent("one").answer_next(steps);
    let broken = world.ask(&id, "go").await;
    let Some(MessageError::APIError { message, .. }) = &broken.message.error else {
        panic!("no error: {broken:?}")
    };
    assert!(message.contains("the provider said no"), "{message}");
    assert_eq!(broken.message.finish.as_deref(), Some("error"));
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_end_was_not_reported_was_not_interrupted() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    let call = json!({"sessionUpdate": "tool_call", "toolCallId": "t", "title": "bash", "kind": "execute",
        "status": "pending", "rawInput": {"command": "make"}});
    world
        .agent("one")
        .answer_next([Step::Update(call), Step::Say("done".into())]);
    let ended = serde_json::to_string(&world.ask(&id, "go").await.parts).expect("JSON");
    assert!(ended.contains("has not told what came of"), "{ended}");
    assert!(!ended.contains("interrupted"), "{ended}");
    // The next model is not told that it failed, either.
    world.select(&id, "two/a").await.expect("selected");
    let known = history(&world, &id).await;
    assert!(known.contains("has not told what came of"), "{known}");
}

#[tokio::test(start_paused = true)]
async fn a_request_for_a_permission_with_an_id_of_its_own_is_no_second_call() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    let call = json!({"sessionUpdate": "tool_call", "toolCallId": "t", "title": "bash", "kind": "execute",
        "status": "pending", "rawInput": {"command": "make all"}});
    world
        .agent("one")
        .answer_next([Step::Update(call), Step::Do("permission make all".into())]);
    let admitted = world.prompt(&id, "go").await.expect("admitted");
    settle().await;
    let asked = world.sessions.permissions(None);
    let shown = serde_json::to_string(&asked).expect("JSON");
    assert!(shown.contains("make all"), "{shown}");
    let given = within(world.sessions.abort(&id, None)).await;
    given.expect("aborted");
    answer(admitted.answer.expect("wanted")).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_said_before_the_first_prompt_is_not_an_answer() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    let native = world.agent("one").asked_of("session/set_config_option");
    drop(native);
    assert_eq!(text(&world.ask(&id, "echo hi").await.parts), "hi");
}
