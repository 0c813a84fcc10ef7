//! Readers of events, and how soon many of them have what one change tells.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::client::{Connection, Stream};
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
}

/// Events of a server, a line after the other.
pub(crate) struct Events {
    stream: Stream,
    /// What has come of the next lines.
    rest: Vec<u8>,
}

impl Events {
    /// Those of a directory, or of the server's own; the first one was read.
    pub(crate) async fn open(to: SocketAddr, path: &str) -> Self {
        let stream = Connection::open(to).await.stream(path).await;
        let rest = Vec::new();
        let mut events = Self { stream, rest };
        let first = events.next().await;
        assert!(first.is_some(), "a greeting comes at once");
        events
    }

    /// What stands behind the next `data:`; `None` when it has ended after all.
    pub(crate) async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            while let Some(at) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=at).collect();
                if let Some(data) = line.strip_prefix(b"data: ") {
                    return Some(data.to_vec());
                }
            }
            self.rest.extend_from_slice(&self.stream.next().await?);
        }
    }

    /// The next event of a type, with this text in it.
    pub(crate) async fn until(&mut self, kind: &str, text: &str) -> Vec<u8> {
        let kind = format!("\"type\":\"{kind}\"");
        let wanted = async {
            while let Some(event) = self.next().await {
                if has(&event, kind.as_bytes()) && has(&event, text.as_bytes()) {
                    return event;
                }
            }
            panic!("the events have ended")
        };
        let found = tokio::time::timeout(LONG, wanted).await;
        found.unwrap_or_else(|_| panic!("no {kind} of {text} came"))
    }
}

fn has(line: &[u8], text: &[u8]) -> bool {
    line.windows(text.len()).any(|window| window == text)
}

/// What is done with each line that a reader has.
type Heard = Rc<dyn Fn(&[u8])>;

/// Readers of events, until it is dropped.
pub(crate) struct Readers(Vec<JoinHandle<()>>);

impl Drop for Readers {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

impl Readers {
    /// So many readers, of which each has its greeting.
    pub(crate) async fn open(to: SocketAddr, path: &str, readers: usize, heard: Heard) -> Self {
        let ready = Rc::new(Cell::new(0));
        let mut tasks = Vec::new();
        for _ in 0..readers {
            let (path, ready, heard) = (path.to_owned(), Rc::clone(&ready), Rc::clone(&heard));
            tasks.push(tokio::task::spawn_local(async move {
                let mut stream = Connection::open(to).await.stream(&path).await;
                read(&mut stream, &ready, &*heard).await;
            }));
        }
        until(|| ready.get() == readers).await;
        assert_eq!(ready.get(), readers, "all of them read");
        Self(tasks)
    }
}

/// Tells each line as it comes. The bytes of many readers pass here, so none is copied that need not be.
async fn read(stream: &mut Stream, ready: &Cell<usize>, heard: &dyn Fn(&[u8])) {
    let (mut line, mut is_ready) = (Vec::new(), false);
    while let Some(bytes) = stream.next().await {
        if !std::mem::replace(&mut is_ready, true) {
            ready.set(ready.get() + 1);
        }
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if line.is_empty() && piece.ends_with(b"\n") {
                heard(piece);
                continue;
            }
            line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                heard(&line);
                line.clear();
            }
        }
    }
}

/// Has one session switched so many times, a switch an event, while so many read.
pub(crate) async fn deliver(server: &dyn Server, readers: usize, changes: u64) -> Delivered {
    let sent = Rc::new(RefCell::new(HashMap::<u64, Instant>::new()));
    let latencies = Rc::new(RefCell::new(Measured::new(Duration::from_secs(1))));
    let heard = {
        let (sent, latencies) = (Rc::clone(&sent), Rc::clone(&latencies));
        Rc::new(move |line: &[u8]| {
            let at = changed(line).and_then(|revision| sent.borrow().get(&revision).copied());
            if let Some(at) = at {
                latencies.borrow_mut().note(at.elapsed());
            }
        })
    };
    let path = format!("{}/event", server.prefix());
    let _readers = Readers::open(server.address(), &path, readers, heard).await;
    let session = &server.sessions()[0];
    let mut connection = Connection::open(server.address()).await;
    // What is selected then is known, so that each further switch is a change.
    let (_, body) = connection.send(&server.switch(session, 0)).await;
    let mut revision = revision(&body).expect("a session has a revision");
    for n in 1..=changes {
        revision += 1;
        sent.borrow_mut().insert(revision, Instant::now());
        let (status, _) = connection.send(&server.switch(session, n)).await;
        assert!(status.is_success(), "switch {n} was answered with {status}");
        tokio::time::sleep(PAUSE).await;
    }
    let wanted = readers as u64 * changes;
    until(|| latencies.borrow().count() >= wanted).await;
    let latencies = latencies.borrow().clone();
    let missing = wanted.saturating_sub(latencies.count());
    Delivered { latencies, missing }
}

async fn until(holds: impl Fn() -> bool) {
    let end = Instant::now() + LONG;
    while !holds() && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// The revision that a line tells, if it is about a change of the model. The type stands near its beginning.
fn changed(line: &[u8]) -> Option<u64> {
    let named = b"\"type\":\"session.model_changed\"";
    let head = &line[..line.len().min(200)];
    has(head, named).then(|| revision(line))?
}

/// The first revision in a text.
fn revision(json: &[u8]) -> Option<u64> {
    let name = b"\"revision\":";
    let at = json.windows(name.len()).position(|window| window == name)? + name.len();
    let digits = json[at..].iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}
