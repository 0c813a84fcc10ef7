//! Clients that follow events, at whatever node.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::StreamExt;
use rand::prelude::*;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use crate::cluster::Cluster;
use crate::database;

/// Events that are stored have numbers that this divides; those in between are lost with their node.
const STORED: u64 = 1 << 16;
/// A stream that says nothing for so long is given up: its node may be suspended.
const SILENT: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(50);

/// What was seen, with its number.
type Seen = Mutex<Vec<(u64, Value)>>;

fn locked(seen: &Seen) -> MutexGuard<'_, Vec<(u64, Value)>> {
    seen.lock().expect("not poisoned")
}

/// A client that follows all events, and comes back to another node when its own does not answer.
pub(crate) struct Follower {
    seen: Arc<Seen>,
    listens: Arc<Semaphore>,
    over: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Follower {
    pub(crate) fn start(cluster: &Cluster) -> Self {
        let (seen, listens, over) = (
            Arc::new(Mutex::new(Vec::new())),
            Arc::new(Semaphore::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        // A node that is started anew listens elsewhere: the database knows where.
        let (store, url) = (Arc::clone(&seen), cluster.url.clone());
        let (stop, client) = (Arc::clone(&over), cluster.client.clone());
        let greeted = Arc::clone(&listens);
        let task = tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                if let Some(node) = any_node(&url).await {
                    let _lost = read(&client, &node, &store, &greeted).await;
                }
                tokio::time::sleep(AGAIN).await;
            }
        });
        Self {
            seen,
            listens,
            over,
            task,
        }
    }

    /// Waits until it is told what happens.
    pub(crate) async fn listens(&self) {
        let _greeted = self.listens.acquire().await.expect("it is not closed");
    }

    /// It has seen every stored event since its first, each once and in order.
    pub(crate) async fn has_seen_all(self, cluster: &Cluster) {
        let head: i64 = cluster
            .database()
            .await
            .query_one("SELECT seq FROM baton.event_head", &[])
            .await
            .expect("reads")
            .get(0);
        let head = u64::try_from(head).expect("a number");
        let caught_up = async {
            while locked(&self.seen)
                .last()
                .is_none_or(|(last, _)| last / STORED < head)
            {
                tokio::time::sleep(AGAIN).await;
            }
        };
        let caught_up = tokio::time::timeout(Duration::from_secs(20), caught_up).await;
        self.over.store(true, Ordering::Relaxed);
        self.task.abort();
        let seen = locked(&self.seen);
        let stored: Vec<u64> = seen
            .iter()
            .map(|(id, _)| id)
            .filter(|id| *id % STORED == 0)
            .copied()
            .collect();
        assert!(
            caught_up.is_ok(),
            "{:?} of {head}",
            stored.last().map(|last| last / STORED)
        );
        for pair in stored.windows(2) {
            assert_eq!(
                pair[0] + STORED,
                pair[1],
                "events are missing, or came twice"
            );
        }
        let resyncs = seen
            .iter()
            .filter(|(_, event)| event["payload"]["type"] == "server.resync");
        assert_eq!(resyncs.count(), 0);
    }
}

async fn any_node(url: &str) -> Option<String> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
        .await
        .ok()?;
    let connection = tokio::spawn(connection);
    let sql = "SELECT url FROM baton.node WHERE until > clock_timestamp()";
    let rows = client.query(sql, &[]).await.ok()?;
    connection.abort();
    Some(rows.choose(&mut rand::rng())?.get(0))
}

/// Reads a node's events from where the last stream has ended, until this one ends.
async fn read(
    client: &reqwest::Client,
    node: &str,
    seen: &Seen,
    listens: &Semaphore,
) -> Result<(), Failure> {
    let last = locked(seen).last().map(|(last, _)| *last);
    let take = |id: Option<u64>, event: Value| {
        listens.add_permits(1);
        let is_heartbeat = event["payload"]["type"] == "server.heartbeat";
        if let Some(id) = id.filter(|_| !is_heartbeat) {
            locked(seen).push((id, event));
        }
    };
    follow(client, node, last, take).await
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn follow(
    client: &reqwest::Client,
    node: &str,
    last: Option<u64>,
    mut take: impl FnMut(Option<u64>, Value) + Send,
) -> Result<(), Failure> {
    let mut request = client.get(format!("{node}/global/event"));
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let mut stream = request.send().await?.bytes_stream();
    let (mut rest, mut id) = (String::new(), None);
    while let Some(bytes) = tokio::time::timeout(SILENT, stream.next()).await? {
        rest.push_str(&String::from_utf8_lossy(&bytes?));
        while let Some((line, left)) = rest.split_once('\n') {
            if let Some(number) = line.strip_prefix("id: ") {
                id = Some(number.parse()?);
            } else if let Some(data) = line.strip_prefix("data: ") {
                take(id.take(), serde_json::from_str(data)?);
            }
            rest = left.to_owned();
        }
    }
    Ok(())
}

/// What happens, as it is told by a node.
pub(crate) async fn stream(cluster: &Cluster, node: usize) -> mpsc::UnboundedReceiver<Value> {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let (client, url) = (reqwest::Client::new(), cluster.nodes[node].url());
    tokio::spawn(async move {
        let _ended = follow(&client, &url, None, |_, event| drop(sender.send(event))).await;
    });
    receiver.recv().await.expect("the greeting");
    receiver
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_follows_a_node_sees_what_happens_at_all_of_them() {
    let Some(server) = database::shared().await else {
        return;
    };
    let cluster = Cluster::start(server, 3).await;
    let session = cluster.create(0).await;
    let followers: Vec<_> = (0..3).map(|_| Follower::start(&cluster)).collect();
    for follower in &followers {
        follower.listens().await;
    }
    for node in 0..3 {
        cluster.prompt(node, &session, "echo hello").await;
        let title = json!({"title": format!("from {node}")});
        cluster
            .ok(
                node,
                Method::PATCH,
                &format!("/session/{session}"),
                Some(title),
            )
            .await;
    }
    let said = cluster.prompt(0, &session, "slow 1").await;
    for follower in followers {
        let seen = Arc::clone(&follower.seen);
        follower.has_seen_all(&cluster).await;
        // What grows is told by the way, piece by piece, and never after what has all of it.
        let seen = locked(&seen);
        let growth = seen.iter().map(|(_, event)| &event["payload"]);
        let growth = growth.filter(|event| event["type"] == "message.part.delta");
        let pieces: Vec<_> = growth
            .filter_map(|it| it["properties"]["delta"].as_str())
            .collect();
        assert!(pieces.len() >= 10, "{pieces:?}");
        assert!(pieces.concat().ends_with(&said), "{pieces:?}");
    }
    cluster.stop().await;
}
