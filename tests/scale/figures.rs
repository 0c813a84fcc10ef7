//! How fast several nodes are, and what it costs that they are several. Nodes, database and clients share this machine, so
//! the figures are for comparing only: `tests/run scale` prints them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::cluster::Cluster;
use crate::database::{self, Server};
use crate::events::stream;

/// Clients at once, each with a session of its own.
const CLIENTS: usize = 16;
/// How long each figure is measured.
const EACH: Duration = Duration::from_secs(4);
/// Requests of which the time is looked at.
const TIMED: usize = 400;
/// Turns after which it is looked how much the database has grown.
const TURNS: usize = 1_000;
/// Rows of sessions that SQL makes.
const ROWS: u64 = 5_000_000;
/// With so many rows lists and opening take at most so many times as long as with few.
const SLOWER_MOST: f64 = 1.5;

/// The time below which so many of 1,000 are, in milliseconds.
fn part(times: &mut [Duration], of_thousand: usize) -> f64 {
    times.sort_unstable();
    let at = (times.len() * of_thousand / 1_000).min(times.len() - 1);
    times[at].as_secs_f64() * 1_000.0
}

fn told(what: &str, times: &mut [Duration]) {
    let (half, most) = (part(times, 500), part(times, 990));
    eprintln!("{what:<58} {half:>8.2} ms  {most:>8.2} ms");
}

/// How often a second something is done, by clients of which each has a session at one of the nodes and asks that one.
async fn rate<F: Future<Output = ()> + Send>(
    cluster: &Arc<Cluster>,
    work: impl Fn(Arc<Cluster>, usize, String, usize) -> F + Copy + Send + 'static,
) -> f64 {
    let nodes = cluster.nodes.len();
    let sessions = join_all((0..CLIENTS).map(|client| cluster.create(client % nodes))).await;
    let began = Instant::now();
    let clients = sessions.into_iter().enumerate().map(|(client, session)| {
        let cluster = Arc::clone(cluster);
        async move {
            let mut done = 0;
            while began.elapsed() < EACH {
                work(Arc::clone(&cluster), client % nodes, session.clone(), done).await;
                done += 1;
            }
            done
        }
    });
    let done: usize = join_all(clients).await.into_iter().sum();
    done as f64 / began.elapsed().as_secs_f64()
}

async fn switch(cluster: Arc<Cluster>, node: usize, session: String, number: usize) {
    let model = ["fast", "strong"][number % 2];
    let body = json!({"providerID": "one", "modelID": model});
    cluster
        .ok(
            node,
            Method::PATCH,
            &format!("/session/{session}"),
            Some(body),
        )
        .await;
}

async fn prompt(cluster: Arc<Cluster>, node: usize, session: String, number: usize) {
    cluster
        .prompt(node, &session, &format!("echo {number}"))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures; see the module"]
async fn figures() {
    let Some(server) = database::shared().await else {
        return;
    };
    eprintln!("{:<8} {:>14} {:>14}", "nodes", "switches/s", "prompts/s");
    for nodes in 1..=3 {
        let cluster = Arc::new(Cluster::start(server, nodes).await);
        let switches = rate(&cluster, switch).await;
        let prompts = rate(&cluster, prompt).await;
        eprintln!("{nodes:<8} {switches:>14.0} {prompts:>14.0}");
        Arc::into_inner(cluster)
            .expect("nobody asks any more")
            .stop()
            .await;
    }

    let cluster = Cluster::start(server, 3).await;
    let session = cluster.create(0).await;
    let path = format!("/session/{session}");
    eprintln!("\n{:<58} {:>11}  {:>11}", "one client", "half", "99 %");
    for (who, node) in [
        ("asked of the node that holds it", 0),
        ("sent on by another one", 1),
    ] {
        let (mut reads, mut changes) = (Vec::new(), Vec::new());
        for number in 0..TIMED {
            let began = Instant::now();
            cluster.ok(node, Method::GET, &path, None).await;
            reads.push(began.elapsed());
            let title = json!({"title": format!("{who} {number}")});
            let began = Instant::now();
            cluster.ok(node, Method::PATCH, &path, Some(title)).await;
            changes.push(began.elapsed());
        }
        told(&format!("GET session, {who}"), &mut reads);
        told(&format!("PATCH title, {who}"), &mut changes);
    }
    for (what, node) in [("at the node of the change", 0), ("at another one", 2)] {
        let mut events = stream(&cluster, node).await;
        let mut times = Vec::new();
        for number in 0..TIMED {
            let title = format!("{what} {number}");
            let began = Instant::now();
            cluster
                .ok(0, Method::PATCH, &path, Some(json!({"title": title})))
                .await;
            while let Some(event) = events.recv().await {
                if event["payload"]["properties"]["info"]["title"] == title {
                    break;
                }
            }
            times.push(began.elapsed());
        }
        told(&format!("from a PATCH to its event, {what}"), &mut times);
    }
    let size = async || -> i64 {
        let database = cluster.database().await;
        let sql = "SELECT pg_database_size(current_database())";
        database.query_one(sql, &[]).await.expect("a size").get(0)
    };
    let before = size().await;
    for turn in 0..TURNS {
        cluster.prompt(0, &session, &format!("echo {turn}")).await;
    }
    let grown = (size().await - before) as f64 / (1 << 20) as f64;
    eprintln!("\nthe database has grown by {grown:.1} MB in {TURNS} turns, with their events");
    cluster.stop().await;
}

/// Makes so many sessions, of a hundred directories.
const FILL: &str = "WITH made AS (
    INSERT INTO baton.session (id, project, directory, path, parent, title, created, updated, archived, restoring)
    SELECT 'ses_' || lpad(to_hex(i), 24, '0'), 'global', '/many/' || i % 100, '', NULL, 'Session number ' || i, i, i, NULL, false
    FROM generate_series($1::bigint, $2::bigint) AS i RETURNING n, id, title
), body AS (
    INSERT INTO baton.session_body (n, revision, body)
    SELECT n, 1, convert_to(replace(replace($3, $4, id), $5, title), 'UTF8') FROM made
) INSERT INTO baton.session_title (n, grams) SELECT n, '{}' FROM made";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures; takes minutes and 5 GB"]
async fn five_million_sessions() {
    let memory = ["-c", "max_wal_size=4GB", "-c", "shared_buffers=2GB"];
    let Some(server) = Server::start(&memory).await else {
        return;
    };
    let cluster = Cluster::start(&server, 1).await;
    let first = cluster.create(0).await;
    let client = cluster.database().await;
    let sql = "SELECT convert_from(b.body, 'UTF8'), s.title FROM baton.session s JOIN baton.session_body b USING (n) WHERE s.id = $1";
    let row = client.query_one(sql, &[&first]).await.expect("the row");
    let (body, title): (String, String) = (row.get(0), row.get(1));
    let mut before = None;
    for (from, to) in [(1, 10_000), (10_001, ROWS)] {
        let mut next = from;
        while next <= to {
            let last = (next + 249_999).min(to);
            let range: [i64; 2] = [next, last].map(|n| i64::try_from(n).expect("small"));
            client
                .execute(FILL, &[&range[0], &range[1], &body, &first, &title])
                .await
                .expect("made");
            next = last + 1;
        }
        let name = database::name_of(&cluster.url);
        server.admin(name, "VACUUM ANALYZE").await;
        server.admin(name, "CHECKPOINT").await;
        eprintln!(
            "\n{:<58} {:>11}  {:>11}",
            format!("{to} sessions"),
            "half",
            "99 %"
        );
        let mut halves = Vec::new();
        for (what, path) in [
            ("50 of all", "/api/session?limit=50".to_owned()),
            (
                "50 of a directory",
                "/session?directory=%2Fmany%2F7&limit=50".to_owned(),
            ),
            ("open one", format!("/session/ses_{:0>24x}", to / 2)),
        ] {
            let mut times = Vec::new();
            for _ in 0..TIMED {
                let began = Instant::now();
                cluster.ok(0, Method::GET, &path, None).await;
                times.push(began.elapsed());
            }
            told(what, &mut times);
            halves.push(part(&mut times, 500));
        }
        let few = before.get_or_insert_with(|| halves.clone());
        for (few, many) in few.iter().zip(&halves) {
            assert!(
                many / few <= SLOWER_MOST,
                "{many} ms with {to} sessions, {few} ms with few"
            );
        }
    }
    cluster.stop().await;
}
