//! How soon many readers of events have what one change tells.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::LocalSet;

use crate::client::Connection;
use crate::measured::Measured;
use crate::server::Server;

/// Between two changes: far more than one takes, so that what is measured is the delivery and no queue.
const PAUSE: Duration = Duration::from_millis(20);
/// What has not come by then, after the last change, is lost.
const LONG: Duration = Duration::from_secs(30);

/// What came of it.
pub(crate) struct Delivered {
    /// From the sending of a change until a reader had its event.
    pub(crate) latencies: Measured,
    /// Events that did not come, of all readers together.
    pub(crate) missing: u64,
    /// The server's memory meanwhile, in MB.
    pub(crate) rss_mb: f64,
}

/// What readers and the one who changes share.
struct Shared {
    sent: RefCell<HashMap<u64, Instant>>,
    latencies: RefCell<Measured>,
    ready: Cell<usize>,
}

/// Has one session switched so many times, a switch an event, while so many read.
pub(crate) async fn deliver(server: &dyn Server, readers: usize, changes: u64) -> Delivered {
    let shared = Rc::new(Shared {
        sent: RefCell::default(),
        latencies: RefCell::new(Measured::new(Duration::from_secs(1))),
        ready: Cell::new(0),
    });
    let local = LocalSet::new();
    let rss_mb = local
        .run_until(change(server, readers, changes, Rc::clone(&shared)))
        .await;
    let latencies = shared.latencies.borrow().clone();
    let wanted = readers as u64 * changes;
    let missing = wanted.saturating_sub(latencies.count());
    Delivered {
        latencies,
        missing,
        rss_mb,
    }
}

async fn change(server: &dyn Server, readers: usize, changes: u64, shared: Rc<Shared>) -> f64 {
    let path = format!("{}/event", server.prefix());
    for _ in 0..readers {
        tokio::task::spawn_local(read(server.address(), path.clone(), Rc::clone(&shared)));
    }
    until(|| shared.ready.get() == readers).await;
    let session = &server.sessions()[0];
    let mut connection = Connection::open(server.address()).await;
    // What is selected then is known, so that each further switch is a change.
    let (_, body) = connection.send(&server.switch(session, 0)).await;
    let mut revision = revision(&body).expect("a session has a revision");
    for n in 1..=changes {
        revision += 1;
        shared.sent.borrow_mut().insert(revision, Instant::now());
        let (status, _) = connection.send(&server.switch(session, n)).await;
        assert!(status.is_success(), "switch {n} was answered with {status}");
        tokio::time::sleep(PAUSE).await;
    }
    let wanted = readers as u64 * changes;
    until(|| shared.latencies.borrow().count() == wanted).await;
    server.rss_mb()
}

async fn until(holds: impl Fn() -> bool) {
    let end = Instant::now() + LONG;
    while !holds() && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn read(to: SocketAddr, path: String, shared: Rc<Shared>) {
    let mut connection = Connection::open(to).await;
    let mut body = connection.stream(&path).await;
    let mut line = Vec::new();
    let mut is_ready = false;
    while let Some(bytes) = body.next().await {
        if !std::mem::replace(&mut is_ready, true) {
            shared.ready.set(shared.ready.get() + 1);
        }
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                note(&line, &shared);
                line.clear();
            }
        }
    }
}

fn note(line: &[u8], shared: &Shared) {
    let named = b"\"type\":\"session.model_changed\"";
    if !line
        .windows(named.len())
        .take(200)
        .any(|window| window == named)
    {
        return;
    }
    let sent = revision(line).and_then(|revision| shared.sent.borrow().get(&revision).copied());
    if let Some(sent) = sent {
        shared.latencies.borrow_mut().note(sent.elapsed());
    }
}

/// The first revision in a text.
fn revision(json: &[u8]) -> Option<u64> {
    let name = b"\"revision\":";
    let at = json.windows(name.len()).position(|window| window == name)? + name.len();
    let digits = json[at..].iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}
