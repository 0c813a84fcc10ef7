//! MCP servers that agents are given, before and after a switch.

use std::collections::BTreeMap;

use baton::agent::scripted::Asked;
use baton::mcp::{Entry, Remote, Server, Transport};
use serde_json::{Value, json};

use crate::support::{DIRECTORY, World};

fn local(program: &str) -> Server {
    Server {
        transport: Transport::Stdio {
            command: vec![program.into(), "-c".into()],
            environment: BTreeMap::from([("KEY".into(), "value".into())]),
        },
        enabled: true,
    }
}

fn names(opening: &Asked) -> Vec<&str> {
    let servers = opening.params["mcpServers"].as_array().expect("a list");
    servers.iter().filter_map(|s| s["name"].as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn every_native_session_is_given_the_servers() {
    let world = World::new().await;
    let servers = world.sessions.mcp();
    servers.add("files", local("sh")).expect("added");
    let id = world.ready("one/x").await;
    world.ask(&id, "echo first").await;
    world.select(&id, "two/a").await.expect("selected");
    world.ask(&id, "echo second").await;
    for agent in ["one", "two"] {
        let opened = world.agent(agent).asked_of("session/new");
        assert_eq!(names(&opened[0]), ["files"], "{agent}");
        let server = &opened[0].params["mcpServers"][0];
        assert!(
            server["command"]
                .as_str()
                .is_some_and(|c| c.starts_with('/'))
        );
        assert_eq!(server["args"], json!(["-c"]));
        assert_eq!(server["env"], json!([{ "name": "KEY", "value": "value" }]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_added_or_taken_away_is_so_in_another_process() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    world.ask(&id, "echo first").await;
    let one = world.agent("one");
    let opened = || one.asked_of("session/new");
    assert!(names(&opened()[0]).is_empty());
    world
        .sessions
        .mcp()
        .add("files", local("sh"))
        .expect("added");
    // Its native session is asked for again, with the server; where that is gone, a new one is handed the conversation.
    world.ask(&id, "echo second").await;
    let again = one.asked_of("session/load").into_iter();
    let again: Vec<_> = again.chain(one.asked_of("session/resume")).collect();
    assert_eq!(names(&again[0]), ["files"]);
    assert_eq!(names(&opened()[1]), ["files"]);
    assert_eq!(one.asked_of("initialize").len(), 2);
    assert!(one.prompts()[1].contains("echo first"));
    // It stays open from then on.
    world.ask(&id, "echo third").await;
    assert_eq!(
        (opened().len(), one.prompts()[2].as_str()),
        (2, "echo third")
    );

    assert!(world.sessions.mcp().enable(DIRECTORY, "files", false).await);
    world.ask(&id, "echo fourth").await;
    assert!(names(&opened()[2]).is_empty());
    assert!(one.prompts()[3].contains("echo third"));
}

#[tokio::test(start_paused = true)]
async fn what_a_project_brings_along_is_given_in_its_directory_once_it_is_connected() {
    let world = World::new().await;
    let id = world.ready("one/x").await;
    let one = world.agent("one");
    let brought = Server {
        enabled: false,
        ..local("sh")
    };
    let entry = Entry {
        server: brought,
        is_own: false,
    };
    let mcp = world.sessions.mcp();
    mcp.note(DIRECTORY, BTreeMap::from([("brought".to_owned(), entry)]));
    world.ask(&id, "echo first").await;
    assert!(mcp.enable(DIRECTORY, "brought", true).await);
    world.ask(&id, "echo second").await;
    assert!(names(&one.asked_of("session/new")[0]).is_empty());
    let again = one.asked_of("session/load").into_iter();
    let again: Vec<_> = again.chain(one.asked_of("session/resume")).collect();
    assert_eq!(names(&again[0]), ["brought"]);
    assert!(!mcp.enable("/elsewhere", "brought", true).await);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_an_agent_cannot_take_is_told_once() {
    let world = World::new().await;
    let remote = Remote {
        url: "https://docs.example/mcp".into(),
        headers: BTreeMap::new(),
    };
    let docs = Server {
        transport: Transport::Http(remote),
        enabled: true,
    };
    world.sessions.mcp().add("docs", docs).expect("added");
    world
        .sessions
        .mcp()
        .add("gone", local("no-such-program"))
        .expect("added");
    let id = world.ready("one/x").await;
    world.ask(&id, "echo first").await;
    world.ask(&id, "echo second").await;
    assert!(names(&world.agent("one").asked_of("session/new")[0]).is_empty());
    let events = serde_json::to_value(world.events()).expect("events");
    let events = events.as_array().expect("a list");
    let told = events
        .iter()
        .filter(|event| event.to_string().contains("goes without MCP servers"));
    let told: Vec<_> = told.map(Value::to_string).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("docs: it takes no MCP servers over HTTP"),
        "{told:?}"
    );
    assert!(told[0].contains("gone: its program"), "{told:?}");
}
