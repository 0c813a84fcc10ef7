//! What is measured.

use std::time::Instant;

use hyper::Method;

use crate::Size;
use crate::client::{self, Load, Template};
use crate::measured::{Measured, Spread};
use crate::server::Server;

/// A row of the table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// What its rate is to be of `GET /global/health`, at least; where that says something.
    pub(crate) aim: Option<f64>,
    /// `None` for what a server does not have.
    pub(crate) load: fn(&dyn Server) -> Option<Load>,
}

/// What came of a row at one server.
pub(crate) struct Outcome {
    /// Answers a second.
    pub(crate) rate: Spread,
    /// In milliseconds.
    pub(crate) p50: Spread,
    pub(crate) p99: Spread,
    /// Its rate over that of `GET /global/health` in the same round.
    pub(crate) over_health: Spread,
    /// Its p99 over that of `GET /global/health`.
    pub(crate) p99_over_health: Spread,
}

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "health, 1 connection",
        aim: None,
        load: |server| Some(Load::same(1, vec![health(server)])),
    },
    Row {
        name: "health, 16 connections",
        aim: None,
        load: |server| Some(Load::same(16, vec![health(server)])),
    },
    Row {
        name: "switch, 1 connection",
        aim: Some(0.5),
        load: |server| Some(Load::same(1, switches(server, 0))),
    },
    Row {
        name: "switch, 16 connections, one session",
        aim: Some(0.6),
        load: |server| Some(Load::same(16, switches(server, 0))),
    },
    Row {
        name: "switch, 16 connections, 16 sessions",
        aim: Some(0.6),
        load: |server| {
            let requests = (0..16).map(|session| switches(server, session)).collect();
            Some(Load {
                connections: 16,
                rate: None,
                requests,
            })
        },
    },
    Row {
        name: "switch, 500 a second, 16 sessions (open loop)",
        aim: None,
        load: |server| {
            // A server that has no such rate would only build up a queue.
            let rate = (server.name() == "Baton").then_some(500.0)?;
            let requests = (0..16).map(|session| switches(server, session)).collect();
            Some(Load {
                connections: 16,
                rate: Some(rate),
                requests,
            })
        },
    },
    Row {
        name: "title, 1 connection",
        aim: None,
        load: |server| Some(Load::same(1, titles(server, 0))),
    },
    Row {
        name: "title, 16 connections, 16 sessions",
        aim: Some(0.5),
        load: |server| {
            let requests = (0..16).map(|session| titles(server, session)).collect();
            Some(Load {
                connections: 16,
                rate: None,
                requests,
            })
        },
    },
    Row {
        name: "get, 1 connection",
        aim: None,
        load: |server| {
            Some(Load::same(
                1,
                vec![of_session(server, Method::GET, 0, "", None)],
            ))
        },
    },
    Row {
        name: "get, 16 connections",
        aim: Some(0.9),
        load: |server| {
            Some(Load::same(
                16,
                vec![of_session(server, Method::GET, 0, "", None)],
            ))
        },
    },
    Row {
        name: "the last 100 messages",
        aim: None,
        load: |server| messages(server, "?limit=100"),
    },
    Row {
        name: "all messages",
        aim: None,
        load: |server| messages(server, ""),
    },
    Row {
        name: "provider list",
        aim: None,
        load: |server| Some(Load::same(4, vec![get(server, "/provider")])),
    },
    Row {
        name: "list of 20 sessions",
        aim: None,
        load: |server| Some(Load::same(4, vec![get(server, "/session?limit=20")])),
    },
    Row {
        name: "create, 1 connection",
        aim: None,
        load: |server| Some(Load::same(1, vec![create(server)])),
    },
    Row {
        name: "create, 16 connections",
        aim: Some(0.5),
        load: |server| Some(Load::same(16, vec![create(server)])),
    },
];

/// Measures a row, in turns with `GET /global/health`: what the machine does meanwhile falls on both.
pub(crate) async fn run(load: Load, server: &dyn Server, size: Size) -> Outcome {
    let health = Load::same(load.connections, vec![health(server)]);
    let mut rounds: Vec<(Measured, Measured)> = Vec::new();
    for _ in 0..size.rounds {
        let beside = client::run(server.address(), &health, size.duration).await;
        rounds.push((
            client::run(server.address(), &load, size.duration).await,
            beside,
        ));
    }
    let spread =
        |of: &dyn Fn(&(Measured, Measured)) -> f64| Spread::of(rounds.iter().map(of).collect());
    Outcome {
        rate: spread(&|(row, _)| row.rate()),
        p50: spread(&|(row, _)| row.quantile_ms(0.5)),
        p99: spread(&|(row, _)| row.quantile_ms(0.99)),
        over_health: spread(&|(row, health)| row.rate() / health.rate()),
        p99_over_health: spread(&|(row, health)| row.quantile_ms(0.99) / health.quantile_ms(0.99)),
    }
}

/// How cost grows with the number of sessions: each rate with few of them over that with many, and memory.
pub(crate) async fn of_many_sessions(server: &dyn Server, size: Size) -> Vec<(String, f64)> {
    let rows = [
        "list of 20 sessions",
        "get, 1 connection",
        "switch, 1 connection",
    ];
    let mut before = Vec::new();
    for name in rows {
        before.push(rate(name, server, size).await);
    }
    let idle_mb = server.rss_mb();
    let begun = Instant::now();
    let (load, mut made) = (Load::same(16, vec![create(server)]), 0);
    while made < u64::from(size.sessions) {
        made += client::run(server.address(), &load, size.duration)
            .await
            .count();
    }
    let mut notes = vec![
        (
            "start to listening, ms".to_owned(),
            server.start().as_secs_f64() * 1_000.0,
        ),
        ("memory before, MB".to_owned(), idle_mb),
        (
            format!("memory after making {made} sessions, MB"),
            server.rss_mb(),
        ),
        (
            format!("making {made} sessions, s"),
            begun.elapsed().as_secs_f64(),
        ),
    ];
    for (name, few) in rows.into_iter().zip(before) {
        let many = rate(name, server, size).await;
        notes.push((
            format!("{name}: times slower with {made} sessions more"),
            few / many,
        ));
    }
    notes
}

async fn rate(name: &str, server: &dyn Server, size: Size) -> f64 {
    let row = ROWS.iter().find(|row| row.name == name).expect("a row");
    let load = (row.load)(server).expect("it has it");
    run(load, server, size).await.rate.median
}

fn get(server: &dyn Server, path: &str) -> Template {
    Template {
        method: Method::GET,
        path: format!("{}{path}", server.prefix()),
        body: None,
    }
}

fn health(server: &dyn Server) -> Template {
    get(server, "/global/health")
}

fn create(server: &dyn Server) -> Template {
    Template {
        method: Method::POST,
        path: format!("{}/session", server.prefix()),
        body: Some("{}".to_owned()),
    }
}

fn of_session(
    server: &dyn Server,
    method: Method,
    session: usize,
    more: &str,
    body: Option<String>,
) -> Template {
    let session = &server.sessions()[session];
    Template {
        method,
        path: format!("{}/session/{session}{more}", server.prefix()),
        body,
    }
}

fn switches(server: &dyn Server, session: usize) -> Vec<Template> {
    let session = &server.sessions()[session];
    (0..6).map(|n| server.switch(session, n)).collect()
}

fn titles(server: &dyn Server, session: usize) -> Vec<Template> {
    let title = |n: usize| {
        let body = format!("{{\"title\": \"title {n}\"}}");
        of_session(server, Method::PATCH, session, "", Some(body))
    };
    (0..16).map(title).collect()
}

fn messages(server: &dyn Server, query: &str) -> Option<Load> {
    let path = format!("/session/{}/message{query}", server.long()?);
    Some(Load::same(1, vec![get(server, &path)]))
}
