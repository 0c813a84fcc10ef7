//! Going on with what an agent already has: its list, its conversation as a session's, and what others say in it since.

use std::path::PathBuf;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Options, Server, model, text_of};
use crate::scripted::{kill_agent, message_of};

/// A text of every prompt that hands a conversation over.
const HANDED_OVER: &str = "[earlier conversation of this session]";
/// When the native sessions of these tests were used last, in milliseconds since the Unix epoch: long ago.
const USED_MS: u64 = 1_700_000_000_500;
/// Later than whatever a server has done by now, as another program would write it.
const LATER_MS: u64 = 60_000;

/// A server, and where its second agent keeps its native sessions, whoever starts it.
struct World {
    server: Server,
    kept: TempDir,
}

impl std::ops::Deref for World {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl World {
    async fn new(arguments: &[&str], config: &str) -> Self {
        let kept = tempfile::tempdir().unwrap();
        let at = kept.path().to_str().unwrap();
        let mut command = vec![env!("CARGO_BIN_EXE_baton"), "mock-agent", "--state-dir", at];
        command.extend(["--models", "x,y"]);
        command.extend(arguments);
        let config =
            format!("{config}\n[agents.second]\ncommand = {command:?}\nshared_process = true\n");
        let arguments = vec!["--agents".into(), "mock,second".into()];
        let server = Server::start_with(Options { config, arguments }).await;
        // The first probe of all backends is over.
        server.get("/opencode/provider").await;
        Self { server, kept }
    }

    async fn stop(self) {
        self.server.stop().await;
    }
}

fn file(world: &World, id: &str) -> PathBuf {
    world.kept.path().join(format!("{id}.json"))
}

fn user(text: &str) -> Value {
    json!({"role": "user", "text": text})
}

fn said(text: &str) -> Value {
    json!({"role": "assistant", "model": "y", "text": text})
}

/// A native session of the second agent, as another program of its user has left it.
fn native(server: &World, id: &str, history: Value, shown: Value) {
    let work = server.work().canonicalize().unwrap();
    let stored = json!({
        "sessionId": id, "cwd": work, "madeWith": "x", "history": history, "shown": shown, "updated": USED_MS,
    });
    std::fs::write(file(server, id), stored.to_string()).unwrap();
}

/// One with a tool call, a thought and a plan.
fn whole(server: &World, id: &str) {
    let shown = json!([
        [1, {"sessionUpdate": "agent_thought_chunk", "content": {"type": "text", "text": "hm"}}],
        [3, {"sessionUpdate": "tool_call", "toolCallId": "c1", "title": "bash", "kind": "execute", "status": "pending",
            "rawInput": {"command": "ls"}}],
        [3, {"sessionUpdate": "tool_call_update", "toolCallId": "c1", "status": "completed",
            "content": [{"type": "content", "content": {"type": "text", "text": "tool-marker"}}]}],
        [3, {"sessionUpdate": "plan", "entries": [{"content": "next", "status": "pending", "priority": "high"}]}],
    ]);
    let history = json!([
        user("first-marker"),
        said("one"),
        user("second-marker"),
        said("two")
    ]);
    native(server, id, history, shown);
}

/// Another program goes on in a native session.
fn go_on(server: &World, id: &str, more: &[Value]) {
    let path = file(server, id);
    let mut stored: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    stored["history"]
        .as_array_mut()
        .unwrap()
        .extend(more.iter().cloned());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = u64::try_from(now.unwrap().as_millis()).unwrap();
    stored["updated"] = json!(now + LATER_MS);
    std::fs::write(&path, stored.to_string()).unwrap();
}

async fn try_import(server: &World, native: &str, more: Value) -> (StatusCode, Value) {
    let mut body = json!({"import": {"providerID": "second", "nativeID": native}});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().cloned().unwrap_or_default());
    server
        .send(Method::POST, "/opencode/session", Some(body))
        .await
}

async fn import(server: &World, native: &str) -> Value {
    let (status, session) = try_import(server, native, json!({})).await;
    assert_eq!(status, StatusCode::OK, "{session}");
    session
}

fn id_of(session: &Value) -> String {
    session["id"].as_str().unwrap().to_owned()
}

/// The texts of all messages of which a model is told.
fn told(messages: &[Value]) -> Vec<String> {
    let is_line = |message: &&Value| message["parts"][0]["ignored"] != true;
    messages.iter().filter(is_line).map(text_of).collect()
}

fn lines(messages: &[Value]) -> Vec<&str> {
    let line = |message: &'_ Value| message["parts"][0]["ignored"] == true;
    messages
        .iter()
        .filter(|message| line(message))
        .filter_map(|message| message["parts"][0]["text"].as_str())
        .collect()
}

#[tokio::test]
async fn what_an_agent_has_is_listed_and_nothing_is_left_of_the_question() {
    let server = World::new(&[], "").await;
    whole(&server, "mine-1");
    native(&server, "mine-2", json!([user("other")]), json!([]));
    let path = file(&server, "mine-2");
    let moved = std::fs::read_to_string(&path)
        .unwrap()
        .replace("/work\"", "/elsewhere\"");
    std::fs::write(&path, moved).unwrap();
    let work = server.work().canonicalize().unwrap();
    let files = || std::fs::read_dir(server.kept.path()).unwrap().count();
    let before = files();

    let all = server.get("/opencode/backend/second/session").await;
    let all = all.as_array().unwrap();
    assert_eq!(all.len(), 2, "{all:?}");
    let here = server
        .get(&format!(
            "/backend/second/session?directory={}",
            work.display()
        ))
        .await;
    let expected = json!([{
        "nativeID": "mine-1", "title": "first-marker", "updated": USED_MS, "directory": work, "sessionID": null,
    }]);
    assert_eq!(here, expected);
    let one = server.get("/opencode/backend/second/session?limit=1").await;
    assert_eq!(one.as_array().unwrap().len(), 1);
    assert_eq!(server.processes(), Vec::<u32>::new(), "no process is left");
    assert_eq!(files(), before, "no native session is left");

    let session = import(&server, "mine-1").await;
    let here = server
        .get(&format!(
            "/backend/second/session?directory={}",
            work.display()
        ))
        .await;
    assert_eq!(here[0]["sessionID"], session["id"]);
    assert_eq!(
        server.processes(),
        Vec::<u32>::new(),
        "nor is one of the import"
    );
    server.stop().await;
}

#[tokio::test]
async fn an_imported_conversation_goes_on_natively_and_is_handed_to_others_whole() {
    let server = World::new(&[], "").await;
    whole(&server, "mine-1");
    let session = import(&server, "mine-1").await;
    assert_eq!(session["title"], "first-marker");
    // What is selected is what the agent has selected in it, and not what it was made with.
    assert_eq!(
        (&session["model"]["providerID"], &session["model"]["id"]),
        (&json!("second"), &json!("x"))
    );
    assert!(session["runtime"]["pending"].is_null(), "{session}");
    let id = id_of(&session);

    let messages = server.messages(&id).await;
    assert_eq!(
        told(&messages),
        ["first-marker", "one", "second-marker", "two"]
    );
    let kinds: Vec<_> = messages[3]["parts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["step-start", "tool", "tool", "text", "step-finish"]);
    let tool = &messages[3]["parts"][1];
    assert_eq!(
        (&tool["tool"], &tool["state"]["status"]),
        (&json!("bash"), &json!("completed"))
    );
    assert_eq!(
        (&tool["state"]["input"]["command"], &tool["state"]["output"]),
        (&json!("ls"), &json!("tool-marker"))
    );
    assert_eq!(messages[1]["parts"][1]["type"], "reasoning");
    assert_eq!(
        messages[1]["info"]["modelID"], "unknown",
        "the agent has not told"
    );
    assert_eq!(messages[1]["info"]["providerID"], "second");
    let todo = server.get(&format!("/opencode/session/{id}/todo")).await;
    assert_eq!(todo[0]["content"], "next");
    let [line] = lines(&messages)[..] else {
        panic!("one line: {messages:?}");
    };
    assert!(
        line.contains("mine-1") && line.contains("4 messages") && line.contains("does not tell"),
        "{line}"
    );
    assert_eq!(
        messages[4]["info"]["model"]["modelID"], "x",
        "clients take their picker from it"
    );

    // In the same native session, without a word about what was before.
    assert_eq!(server.say(&id, "session").await, "mine-1");
    let history = server.say(&id, "history").await;
    assert!(
        history.contains("first-marker") && !history.contains(HANDED_OVER),
        "{history}"
    );
    let switches = server.get(&format!("/opencode/session/{id}/model")).await;
    assert_eq!(switches["switches"][0]["source"], "create");

    let answer = server.prompt(&id, "history", model("mock", "mock")).await;
    let history = text_of(&answer);
    for word in [
        HANDED_OVER,
        "first-marker",
        "second-marker",
        "tool-marker",
        "second/unknown",
    ] {
        assert!(history.contains(word), "{word}: {history}");
    }
    // It comes back to the native session, and is told what it has missed.
    server.prompt(&id, "echo three", model("second", "x")).await;
    assert_eq!(server.say(&id, "session").await, "mine-1");
    assert!(
        lines(&server.messages(&id).await).len() == 1,
        "nobody else has said anything"
    );

    // It is its user's, also when the session goes.
    server
        .ok(Method::DELETE, &format!("/opencode/session/{id}"), None)
        .await;
    let again = import(&server, "mine-1").await;
    assert!(told(&server.messages(&id_of(&again)).await).contains(&"three".to_owned()));
    server.stop().await;
}

#[tokio::test]
async fn a_model_beside_the_import_is_handed_the_conversation() {
    let server = World::new(&[], "").await;
    whole(&server, "mine-1");
    let more = json!({"providerID": "mock", "modelID": "mock-fast", "title": "Mine"});
    let (status, session) = try_import(&server, "mine-1", more).await;
    assert_eq!(status, StatusCode::OK, "{session}");
    assert_eq!(
        (&session["title"], &session["model"]["providerID"]),
        (&json!("Mine"), &json!("mock"))
    );
    let history = server.say(&id_of(&session), "history").await;
    assert!(
        history.contains(HANDED_OVER) && history.contains("tool-marker"),
        "{history}"
    );
    server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_imported_says_which_field_and_what_to_do() {
    let server = World::new(&[], "").await;
    whole(&server, "mine-1");
    native(&server, "empty", json!([]), json!([]));
    native(&server, "far", json!([user("x")]), json!([]));
    let moved = std::fs::read_to_string(file(&server, "far"))
        .unwrap()
        .replace("/work\"", "/elsewhere\"");
    std::fs::write(file(&server, "far"), moved).unwrap();
    for (native, words) in [
        (
            "unknown",
            &["[\"import\"][\"nativeID\"]", "GET /backend/second/session"][..],
        ),
        (
            "empty",
            &["[\"import\"][\"nativeID\"]", "nothing to go on with"],
        ),
        (
            "far",
            &["[\"import\"][\"nativeID\"]", "/elsewhere", "?directory="],
        ),
    ] {
        let (status, error) = try_import(&server, native, json!({})).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{native}: {error}");
        for word in words {
            assert!(message_of(&error).contains(word), "{native}: {error}");
        }
    }
    let other = json!({"import": {"providerID": "sceond", "nativeID": "mine-1"}});
    let (status, error) = server
        .send(Method::POST, "/opencode/session", Some(other))
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(
        message_of(&error).contains("[\"import\"][\"providerID\"]"),
        "{error}"
    );
    let (status, _) = server
        .send(Method::GET, "/opencode/backend/sceond/session", None)
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);

    // Nothing was made by all this.
    assert_eq!(server.get("/opencode/session").await, json!([]));
    let first = import(&server, "mine-1").await;
    let (status, error) = try_import(&server, "mine-1", json!({})).await;
    assert_eq!(
        (status, &error["name"]),
        (StatusCode::CONFLICT, &json!("SessionExistsError"))
    );
    assert_eq!(error["data"]["sessionID"], first["id"]);
    server.stop().await;
}

#[tokio::test]
async fn of_two_imports_at_once_one_is_made() {
    let server = World::new(&[], "").await;
    whole(&server, "mine-1");
    let imports =
        futures_util::future::join_all((0..3).map(|_| try_import(&server, "mine-1", json!({}))))
            .await;
    let made = imports
        .iter()
        .filter(|(status, _)| *status == StatusCode::OK)
        .count();
    assert_eq!(made, 1, "{imports:?}");
    assert_eq!(
        server
            .get("/opencode/session")
            .await
            .as_array()
            .unwrap()
            .len(),
        1
    );
    server.stop().await;
}

#[tokio::test]
async fn an_agent_that_cannot_tell_is_named_with_what_it_lacks() {
    let server = World::new(&["--without", "list"], "").await;
    let (status, error) = server
        .send(Method::GET, "/opencode/backend/second/session", None)
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(message_of(&error).contains("session/list"), "{error}");
    // What is known by its id can be loaded all the same.
    whole(&server, "mine-1");
    let session = import(&server, "mine-1").await;
    assert_eq!(server.say(&id_of(&session), "session").await, "mine-1");
    server.stop().await;

    let server = World::new(&["--without", "load"], "").await;
    whole(&server, "mine-1");
    let (status, error) = try_import(&server, "mine-1", json!({})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    for word in ["session/load", "[\"import\"][\"providerID\"]"] {
        assert!(message_of(&error).contains(word), "{error}");
    }
    server.stop().await;
}

#[tokio::test]
async fn an_import_is_bounded() {
    for limit in ["import_messages = 3", "import_bytes = 200"] {
        let server = World::new(&[], &format!("[limits]\n{limit}\n")).await;
        whole(&server, "mine-1");
        let (status, error) = try_import(&server, "mine-1", json!({})).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{limit}: {error}");
        let setting = limit.split(' ').next().unwrap();
        assert!(message_of(&error).contains(setting), "{limit}: {error}");
        server.stop().await;
    }
}

#[tokio::test]
async fn what_is_said_in_it_elsewhere_is_taken_in_before_the_next_prompt() {
    let server = World::new(&[], "").await;
    whole(&server, "mine-1");
    let id = id_of(&import(&server, "mine-1").await);
    assert_eq!(server.say(&id, "session").await, "mine-1");
    go_on(
        &server,
        "mine-1",
        &[user("outside-marker"), said("outside-answer")],
    );
    let mut events = server.events().await;
    // The agent's process has it in its memory as it was; another one reads it anew.
    let history = server.say(&id, "history").await;
    assert!(
        history.contains("outside-marker") && !history.contains(HANDED_OVER),
        "{history}"
    );
    events
        .until("message.updated", |p| p["info"]["sessionID"] == *id)
        .await;
    let messages = server.messages(&id).await;
    let all = told(&messages);
    let at = |text: &str| all.iter().position(|said| said.contains(text)).unwrap();
    assert!(
        at("mine-1") < at("outside-marker") && at("outside-answer") < at("history"),
        "{all:?}"
    );
    let said: Vec<_> = lines(&messages);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(
        said[1].contains("outside of Baton") && said[1].contains("one prompt"),
        "{said:?}"
    );

    // Another model knows it, too; and it is told once.
    let answer = server.prompt(&id, "history", model("mock", "mock")).await;
    assert!(text_of(&answer).contains("outside-answer"), "{answer}");
    server.prompt(&id, "echo back", model("second", "x")).await;
    assert_eq!(lines(&server.messages(&id).await).len(), 2);
    server.stop().await;
}

#[tokio::test]
async fn what_an_agent_has_missed_meanwhile_is_handed_to_it_all_the_same() {
    let server = World::new(&[], "").await;
    whole(&server, "mine-1");
    let id = id_of(&import(&server, "mine-1").await);
    server
        .prompt(&id, "echo meanwhile-marker", model("mock", "mock"))
        .await;
    go_on(
        &server,
        "mine-1",
        &[user("outside-marker"), said("outside-answer")],
    );
    let answer = server.prompt(&id, "history", model("second", "x")).await;
    let history = text_of(&answer);
    assert!(history.contains("meanwhile-marker"), "{history}");
    server.stop().await;
}

#[tokio::test]
async fn a_time_alone_is_no_news_and_what_cannot_be_told_is_said() {
    let server = World::new(&[], "").await;
    whole(&server, "mine-1");
    let id = id_of(&import(&server, "mine-1").await);
    go_on(&server, "mine-1", &[]);
    server.say(&id, "echo hello").await;
    assert_eq!(lines(&server.messages(&id).await).len(), 1);

    // Its beginning was replaced: nothing in it is known.
    let path = file(&server, "mine-1");
    let mut stored: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    stored["history"] = json!([user("entirely other"), said("yes")]);
    std::fs::write(&path, stored.to_string()).unwrap();
    go_on(&server, "mine-1", &[]);
    server.say(&id, "echo again").await;
    let messages = server.messages(&id).await;
    let said = lines(&messages);
    assert!(
        said.len() == 2 && said[1].contains("cannot be told"),
        "{said:?}"
    );
    server.say(&id, "echo and again").await;
    assert_eq!(
        lines(&server.messages(&id).await).len(),
        2,
        "it is said once"
    );
    server.stop().await;
}

#[tokio::test]
async fn an_agent_without_times_or_without_a_process_holds_up_nothing() {
    let server = World::new(&["--fault", "lists-no-times"], "").await;
    whole(&server, "mine-1");
    let id = id_of(&import(&server, "mine-1").await);
    go_on(&server, "mine-1", &[user("unseen"), said("unseen")]);
    assert_eq!(server.say(&id, "echo one").await, "one");
    assert_eq!(
        lines(&server.messages(&id).await).len(),
        1,
        "nothing shows that it has changed"
    );
    kill_agent(&server, &id).await;
    assert_eq!(server.say(&id, "echo two").await, "two");
    server.stop().await;
}
