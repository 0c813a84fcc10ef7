//! Servers that are killed at any moment while clients do all sorts of things, and what the next one has of it.
//!
//! `BATON_KILLS=200 cargo test --test it kills -- --nocapture` kills this many, and says what was done; with
//! `BATON_SEED=7` the clients do other things.

mod client;
mod ledger;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::process::Command;

use crate::harness::{PATIENCE, Server};
use crate::revert::init_repository;
use crate::rng::Rng;
use client::{Client, Done};

/// Kills in the normal run.
const KILLS: u64 = 3;
/// Clients at a time, each with sessions of its own.
const CLIENTS: usize = 6;
/// What a killed server has started is gone after this time.
const ORPHANS_END: Duration = Duration::from_secs(10);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_outlives_any_kill() {
    let (kills, seed) = (
        number("BATON_KILLS").unwrap_or(KILLS),
        number("BATON_SEED").unwrap_or(1),
    );
    let mut rng = Rng::new(seed);
    let mut server = Server::start().await;
    init_repository(&server);
    let mut clients: Vec<_> = (0..CLIENTS).map(|n| Client::new(n, rng.split())).collect();
    let (mut all, mut starting) = (Done::default(), 0);
    for kill in 1..=kills {
        clients = round(&server, clients, &mut rng).await;
        server.kill().await;
        let left = server.everything();
        if rng.chance(50) {
            until_gone(&server, &left).await;
        }
        if rng.chance(20) {
            starting += u64::from(kill_while_it_starts(&mut server, &mut rng).await);
        }
        server.restart().await;
        until_gone(&server, &left).await;
        let mut done = Done::default();
        for client in &mut clients {
            done.add(&client.look(&server).await);
        }
        strangers(&server, &mut clients).await;
        println!("kill {kill}: {done}");
        all.add(&done);
    }
    println!("{kills} kills, {starting} more of servers that were starting: {all}");
    assert!(all.acknowledged > kills, "{all}");
    let data = server.folder.path().join("data");
    server.stop().await;
    let mut check = Command::new(env!("CARGO_BIN_EXE_baton"));
    let check = check.arg("check").arg("--data-dir").arg(data);
    let said = check.output().await.expect("it runs");
    assert!(said.status.success(), "{said:?}");
}

/// Lets the clients do what they do until the server is about to be killed.
async fn round(server: &Server, clients: Vec<Client>, rng: &mut Rng) -> Vec<Client> {
    let tasks: Vec<_> = clients
        .into_iter()
        .map(|client| tokio::spawn(client.run(server.url.clone())))
        .collect();
    // Chance decides when; the moment itself is what is tried.
    tokio::time::sleep(Duration::from_millis(20 + rng.below(700) as u64)).await;
    let pid = i32::try_from(server.pid()).expect("a pid");
    let killed = nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(pid),
        nix::sys::signal::Signal::SIGKILL,
    );
    killed.expect("SIGKILL");
    let mut back = Vec::new();
    for task in tasks {
        let client = tokio::time::timeout(PATIENCE, task).await;
        back.push(client.expect("it notices").expect("no client panics"));
    }
    back
}

/// Starts the server again and kills it before, or as, it is ready. True if it was not ready yet.
async fn kill_while_it_starts(server: &mut Server, rng: &mut Rng) -> bool {
    let early = Duration::from_millis(rng.below(250) as u64);
    // What is dropped is killed.
    let started = tokio::time::timeout(early, server.restart()).await;
    if started.is_ok() {
        server.kill().await;
    }
    let began = Instant::now();
    while !server.everything().is_empty() {
        assert!(began.elapsed() < ORPHANS_END, "something is left of it");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    started.is_err()
}

async fn until_gone(server: &Server, pids: &[u32]) {
    let began = Instant::now();
    loop {
        let there = server.everything();
        let left: Vec<_> = pids.iter().filter(|pid| there.contains(pid)).collect();
        if left.is_empty() {
            return;
        }
        assert!(began.elapsed() < ORPHANS_END, "{left:?} are left");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What was not asked for does not exist, and nothing is at work.
async fn strangers(server: &Server, clients: &mut [Client]) {
    let listed = server.get("/opencode/session?limit=100000").await;
    let listed: HashSet<&str> = listed
        .as_array()
        .expect("a list")
        .iter()
        .map(|session| session["id"].as_str().expect("an id"))
        .collect();
    let (mut known, mut lost) = (HashSet::new(), 0);
    for client in clients.iter() {
        for id in &client.deleted {
            assert!(!listed.contains(id.as_str()), "{id} was deleted");
        }
        known.extend(client.sessions.iter().map(|s| s.id.as_str()));
        lost += client.lost_sessions;
    }
    let strangers = listed.iter().filter(|id| !known.contains(*id)).count();
    assert!(strangers <= lost, "{strangers} sessions that nobody made");
    assert_eq!(server.get("/opencode/session/status").await, json!({}));
    assert_eq!(server.get("/opencode/permission").await, json!([]));
}
