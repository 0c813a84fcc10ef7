//! What is asked over HTTP, again and again.

use hyper::Method;
use serde_json::json;

use crate::Size;
use crate::client::{self, Load, Template};
use crate::measured::{Measured, Spread};
use crate::server::{Long, SESSIONS, Server};

/// Connections of the rows that read.
pub(crate) const READERS: usize = 4;

/// What a row is to reach.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Aim {
    /// So much of the rate of `GET /global/health`.
    OfHealth(f64),
    /// The same, and a p99 of at most three times that of health, and so many times OpenCode's rate.
    Switch(f64),
    /// Answers a second.
    Rate(f64),
    None,
}

/// A row of the table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) aim: Aim,
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
        aim: Aim::None,
        load: |server| Some(Load::same(1, vec![health(server)])),
    },
    Row {
        name: "health, 16 connections",
        aim: Aim::None,
        load: |server| Some(Load::same(16, vec![health(server)])),
    },
    Row {
        name: "switch, 1 connection",
        aim: Aim::Switch(0.5),
        load: |server| Some(Load::same(1, switches(server, &server.sessions()[0]))),
    },
    Row {
        name: "switch, 16 connections, one session",
        aim: Aim::Switch(0.6),
        load: |server| Some(Load::same(16, switches(server, &server.sessions()[0]))),
    },
    Row {
        name: "switch, 16 connections, 16 sessions",
        aim: Aim::Switch(0.6),
        load: |server| Some(Load::each(of_each(server, switches))),
    },
    Row {
        name: "switch, 500 a second, 16 sessions (open loop)",
        aim: Aim::None,
        load: |server| {
            // A server that has no such rate would only build up a queue.
            let rate = (server.name() == "Baton").then_some(500.0)?;
            Some(Load {
                rate: Some(rate),
                ..Load::each(of_each(server, switches))
            })
        },
    },
    Row {
        name: "title, 1 connection",
        aim: Aim::None,
        load: |server| Some(Load::same(1, titles(server, &server.sessions()[0]))),
    },
    Row {
        name: "title, 16 connections, 16 sessions",
        aim: Aim::OfHealth(0.5),
        load: |server| Some(Load::each(of_each(server, titles))),
    },
    Row {
        name: "create, 1 connection",
        aim: Aim::None,
        load: |server| Some(Load::same(1, vec![create(server)])),
    },
    Row {
        name: "create, 16 connections",
        aim: Aim::OfHealth(0.5),
        load: |server| Some(Load::same(16, vec![create(server)])),
    },
    Row {
        name: "get, 1 connection",
        aim: Aim::OfHealth(0.9),
        load: |server| Some(Load::same(1, vec![session(server, 0)])),
    },
    Row {
        name: "get, 16 connections, 16 sessions",
        aim: Aim::OfHealth(0.9),
        load: |server| {
            let requests = (0..SESSIONS).map(|n| vec![session(server, n)]);
            Some(Load::each(requests.collect()))
        },
    },
    Row {
        name: "the last 100 messages of the longest session",
        aim: Aim::Rate(3_000.0),
        load: |server| messages(server, server.long().last()?, "?limit=100"),
    },
    Row {
        name: "all messages of the shorter session",
        aim: Aim::Rate(400.0),
        load: |server| messages(server, server.long().first()?, ""),
    },
    Row {
        name: "list of 20 sessions",
        aim: Aim::None,
        load: |server| list(server, "/session?limit=20"),
    },
    Row {
        name: "provider list, few models",
        aim: Aim::None,
        load: |server| list(server, "/provider"),
    },
];

/// Measures a row, in turns with `GET /global/health`: what the machine does meanwhile falls on both.
pub(crate) async fn run(load: &Load, server: &dyn Server, size: Size) -> Outcome {
    let health = Load::same(load.connections, vec![health(server)]);
    let mut rounds: Vec<(Measured, Measured)> = Vec::new();
    for _ in 0..size.rounds {
        let beside = client::run(server.address(), &health, size.duration).await;
        let row = client::run(server.address(), load, size.duration).await;
        rounds.push((row, beside));
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

pub(crate) fn get(server: &dyn Server, path: &str) -> Template {
    Template::new(Method::GET, format!("{}{path}", server.prefix()), None)
}

/// Reads at some connections.
pub(crate) fn list(server: &dyn Server, path: &str) -> Option<Load> {
    Some(Load::same(READERS, vec![get(server, path)]))
}

pub(crate) fn health(server: &dyn Server) -> Template {
    get(server, "/global/health")
}

pub(crate) fn create(server: &dyn Server) -> Template {
    let path = format!("{}/session", server.prefix());
    Template::new(Method::POST, path, Some(json!({})))
}

pub(crate) fn session(server: &dyn Server, number: usize) -> Template {
    get(server, &format!("/session/{}", server.sessions()[number]))
}

pub(crate) fn switches(server: &dyn Server, session: &str) -> Vec<Template> {
    (0..6).map(|n| server.switch(session, n)).collect()
}

fn titles(server: &dyn Server, session: &str) -> Vec<Template> {
    let path = format!("{}/session/{session}", server.prefix());
    let title = |n: usize| {
        let body = json!({"title": format!("title {n}")});
        Template::new(Method::PATCH, path.clone(), Some(body))
    };
    (0..16).map(title).collect()
}

fn of_each(
    server: &dyn Server,
    requests: fn(&dyn Server, &str) -> Vec<Template>,
) -> Vec<Vec<Template>> {
    let sessions = server.sessions().iter();
    sessions.map(|session| requests(server, session)).collect()
}

pub(crate) fn messages(server: &dyn Server, long: &Long, query: &str) -> Option<Load> {
    list(server, &format!("/session/{}/message{query}", long.id))
}
