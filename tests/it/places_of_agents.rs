//! What an agent offers is what it offers now, where the session is: models that were added while a process lives, those
//! of a project, those below providers; and how large their contexts are.

use std::path::Path;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Log, Options, Server};
use crate::scripted::kill_agent;

/// A server with one agent, and the lines of `[agents.one]`.
async fn server_with(flags: &[&str], more: &str) -> Server {
    let baton = env!("CARGO_BIN_EXE_baton");
    let command = [&[baton, "mock-agent"], flags].concat();
    Server::start_with(Options {
        config: format!("[agents.one]\ncommand = {command:?}\n{more}"),
        arguments: vec!["--agents".into(), "one".into()],
    })
    .await
}

async fn create_in(server: &Server, directory: &Path) -> String {
    let path = format!("/opencode/session?directory={}", directory.display());
    let session = server.ok(Method::POST, &path, Some(json!({}))).await;
    session["id"].as_str().unwrap().to_owned()
}

async fn try_select(server: &Server, session: &str, id: &str) -> (StatusCode, Value) {
    let path = format!("/opencode/session/{session}?wait=true");
    let body = json!({ "providerID": "one", "modelID": id });
    server.send(Method::PATCH, &path, Some(body)).await
}

/// Selects a model; the agent itself says that it has it.
async fn has(server: &Server, session: &str, id: &str) {
    let (status, answer) = try_select(server, session, id).await;
    assert_eq!(status, StatusCode::OK, "{id}: {answer}");
    let said = server.say(session, "model").await;
    // With its effort, where it has one.
    assert_eq!(said.split(" (").next(), Some(id));
}

async fn models(server: &Server, query: &str) -> Value {
    let listed = server
        .get(&format!("/opencode/config/providers{query}"))
        .await;
    listed["providers"][0]["models"].clone()
}

fn ids(models: &Value) -> Vec<&str> {
    models
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[tokio::test]
async fn a_model_that_was_added_while_a_process_lives_can_be_selected() {
    for shared in ["true", "false"] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("models");
        std::fs::write(&file, "a\nb\n").unwrap();
        let flags = ["--models-file", file.to_str().unwrap(), "--models", "a"];
        let server = server_with(&flags, &format!("shared_process = {shared}\n")).await;
        let (old, other) = (server.create().await, server.create().await);
        has(&server, &old, "a").await;
        has(&server, &other, "b").await;
        // It is at work while the newer process comes, and keeps its own.
        let working = server.prompt_later(&other, "slow 8", json!({}));
        std::fs::write(&file, "a\nb\nc\n").unwrap();
        server
            .ok(Method::POST, "/opencode/instance/dispose", None)
            .await;
        server.until_listed("c").await;
        has(&server, &old, "c").await;
        let new = server.create().await;
        has(&server, &new, "c").await;
        assert!(server.say(&old, "history").await.contains("model"));
        let (status, answer) = crate::harness::answered(working).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert_eq!(answer["info"]["error"], Value::Null, "{answer}");
        has(&server, &other, "c").await;
        server.stop().await;
    }
}

#[tokio::test]
async fn what_a_project_has_is_listed_and_selectable_there_only() {
    let server = server_with(&["--models", "a", "--project-file", "own"], "").await;
    let project = server.folder.path().join("project");
    std::fs::create_dir(&project).unwrap();
    std::fs::write(
        project.join("own"),
        "model p\nmode careful\ncommand deploy\n",
    )
    .unwrap();
    let here = format!("?directory={}", project.display());
    assert_eq!(ids(&models(&server, &here).await), ["a", "p"]);
    assert_eq!(ids(&models(&server, "").await), ["a"]);
    let names = |list: Value| -> Vec<String> {
        let all = list.as_array().unwrap().iter();
        all.map(|it| it["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let agents = |query: &str| format!("/opencode/agent{query}");
    assert!(names(server.get(&agents(&here)).await).contains(&"careful".to_owned()));
    assert!(!names(server.get(&agents("")).await).contains(&"careful".to_owned()));
    let commands = |query: &str| format!("/opencode/command{query}");
    assert!(names(server.get(&commands(&here)).await).contains(&"deploy".to_owned()));
    assert!(!names(server.get(&commands("")).await).contains(&"deploy".to_owned()));

    let session = create_in(&server, &project).await;
    has(&server, &session, "p").await;
    let (status, answer) = server.patch(&session, json!({ "agent": "careful" })).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(server.say(&session, "mode").await, "careful");
    let elsewhere = server.create().await;
    let (status, _) = try_select(&server, &elsewhere, "p").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    server.stop().await;
}

#[tokio::test]
async fn a_directory_is_asked_about_once() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let baton = env!("CARGO_BIN_EXE_baton");
    let command = [
        baton,
        "mock-agent",
        "--models",
        "a",
        "--project-file",
        "own",
    ];
    let options = Options {
        config: format!("[agents.one]\ncommand = {command:?}\n"),
        arguments: vec!["--agents".into(), "one".into()],
    };
    let server = Server::start_logging(options, Log::EverythingTo(log.reopen().unwrap())).await;
    let asked = || {
        let log = std::fs::read_to_string(log.path()).unwrap();
        log.matches("asked what it offers there").count()
    };
    server.get("/opencode/config/providers").await;
    assert_eq!(asked(), 0, "no directory was named");
    let here = format!("?directory={}", server.work().display());
    let all = [
        models(&server, &here),
        models(&server, &here),
        models(&server, &here),
    ];
    futures_util::future::join_all(all).await;
    models(&server, &here).await;
    assert_eq!(asked(), 1);
    models(&server, "?directory=/nonexistent").await;
    assert_eq!(asked(), 1);
    server
        .ok(Method::POST, "/opencode/instance/dispose", None)
        .await;
    models(&server, &here).await;
    assert_eq!(asked(), 2, "it may be another one now");
    server.stop().await;
}

#[tokio::test]
async fn a_projects_model_can_be_selected_although_nobody_has_asked_for_a_list() {
    let server = server_with(&["--models", "a", "--project-file", "own"], "").await;
    server.get("/opencode/config/providers").await;
    let project = server.folder.path().join("project");
    std::fs::create_dir(&project).unwrap();
    std::fs::write(project.join("own"), "model p-strong\n").unwrap();
    let session = create_in(&server, &project).await;
    let body = json!({"providerID": "one", "modelID": "p-strong", "variant": "high"});
    let path = format!("/opencode/session/{session}?wait=true");
    server.ok(Method::PATCH, &path, Some(body)).await;
    assert_eq!(server.say(&session, "model").await, "p-strong (high)");
    // What sessions find out is known without a probe.
    std::fs::write(project.join("own"), "model p-strong\nmodel q\n").unwrap();
    let next = create_in(&server, &project).await;
    has(&server, &next, "p-strong").await;
    server.stop().await;
}

#[tokio::test]
async fn an_agent_that_could_not_be_asked_is_asked_again_when_it_is_needed() {
    let baton = env!("CARGO_BIN_EXE_baton");
    let broken = tempfile::tempdir().unwrap().keep().join("broken");
    let script = format!(
        "[ -e '{}' ] && exit 1; exec '{baton}' mock-agent --models a --project-file own",
        broken.display()
    );
    let server = Server::start_with(Options {
        config: format!("[agents.one]\ncommand = {:?}\n", ["sh", "-c", &script]),
        arguments: vec!["--agents".into(), "one".into()],
    })
    .await;
    assert_eq!(ids(&models(&server, "").await), ["a"]);
    let [selected, listed] = ["selected", "listed"].map(|name| {
        let project = server.folder.path().join(name);
        std::fs::create_dir(&project).unwrap();
        std::fs::write(project.join("own"), "model p\n").unwrap();
        project
    });
    std::fs::write(&broken, "").unwrap();
    for project in [&selected, &listed] {
        let here = format!("?directory={}", project.display());
        assert_eq!(ids(&models(&server, &here).await), ["a"]);
    }
    std::fs::remove_file(&broken).unwrap();
    let session = create_in(&server, &selected).await;
    has(&server, &session, "p").await;
    // Lists do not wait for it each time, but sooner or later they have it.
    let here = format!("?directory={}", listed.display());
    let found = async {
        while ids(&models(&server, &here).await) != ["a", "p"] {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let found = tokio::time::timeout(crate::harness::PATIENCE, found).await;
    found.expect("it is listed");
    server.stop().await;
}

#[tokio::test]
async fn models_below_providers_are_named_with_them_and_all_reachable() {
    let server = server_with(&["--fault", "provider-then-model"], "").await;
    let all = [
        "east/common",
        "east/east-only",
        "west/common",
        "west/west-only",
    ];
    assert_eq!(ids(&models(&server, "").await), all);
    let session = server.create().await;
    for id in [
        "west/common",
        "west/west-only",
        "east/common",
        "west/common",
        "east/east-only",
    ] {
        has(&server, &session, id).await;
    }
    let (status, refused) = try_select(&server, &session, "east/west-only").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(
        refused["data"]["suggestions"]
            .to_string()
            .contains("west/west-only"),
        "{refused}"
    );
    server.stop().await;
}

#[tokio::test]
async fn the_only_provider_that_can_be_had_is_not_named() {
    let server = server_with(&["--fault", "provider-then-model,one-provider"], "").await;
    assert_eq!(ids(&models(&server, "").await), ["common", "east-only"]);
    let session = server.create().await;
    for id in ["common", "east-only", "common", "east-only"] {
        let (status, answer) = try_select(&server, &session, id).await;
        assert_eq!(status, StatusCode::OK, "{id}: {answer}");
        // The agent names its provider as well.
        assert_eq!(server.say(&session, "model").await, format!("east/{id}"));
        kill_agent(&server, &session).await;
        assert_eq!(server.say(&session, "model").await, format!("east/{id}"));
    }
    let (status, _) = try_select(&server, &session, "west-only").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    server.stop().await;
}

#[tokio::test]
async fn a_context_is_unknown_until_somebody_says_how_large_it_is() {
    let more = "[agents.one.models.a]\ncontext = 32768\n[agents.one.models.unlisted]\n";
    let server = server_with(&["--models", "a,b", "--context", "5000"], more).await;
    let mut events = server.events().await;
    let listed = models(&server, "").await;
    assert_eq!(ids(&listed), ["a", "b", "unlisted"]);
    assert_eq!(listed["a"]["limit"]["context"], 32_768);
    assert_eq!(listed["b"]["limit"]["context"], 0, "not known");
    let session = server.create().await;
    has(&server, &session, "b").await;
    // Clients that have read the list are told to read it again.
    events.until("server.instance.disposed", |_| true).await;
    assert_eq!(models(&server, "").await["b"]["limit"]["context"], 5_000);
    has(&server, &session, "a").await;
    assert_eq!(
        models(&server, "").await["a"]["limit"]["context"],
        32_768,
        "the user's word"
    );
    let history = server
        .get(&format!("/opencode/session/{session}/model"))
        .await;
    let [b, a] = history["usage"].as_array().unwrap().as_slice() else {
        panic!("{history}")
    };
    assert_eq!(
        (&b["context"]["size"], &a["context"]["size"]),
        (&json!(5_000), &json!(32_768))
    );
    assert!(b["context"]["used"].as_u64().unwrap() > 0, "{b}");
    // The agent does not list it; whether it has it is for the agent to say.
    let (status, refused) = try_select(&server, &session, "unlisted").await;
    assert_eq!(status, StatusCode::BAD_GATEWAY, "{refused}");
    server.stop().await;
}

impl Server {
    /// Waits until a probe has found a model.
    async fn until_listed(&self, id: &str) {
        let found = async {
            while !ids(&models(self, "").await).contains(&id) {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        let found = tokio::time::timeout(crate::harness::PATIENCE, found).await;
        found.expect("it is listed");
    }
}
