//! The client: connections that are kept alive, in a closed or an open loop.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::measured::Measured;

/// A request that is sent again and again.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// JSON.
    pub(crate) body: Option<String>,
    /// The `ETag` of the answer that is known already.
    pub(crate) known: Option<String>,
}

impl Template {
    pub(crate) fn new(method: Method, path: String, body: Option<Value>) -> Self {
        Self {
            method,
            path,
            body: body.map(|body| body.to_string()),
            known: None,
        }
    }
}

/// What is sent, and how.
pub(crate) struct Load {
    pub(crate) connections: usize,
    /// Requests a second of all connections together; `None` for as many as are answered.
    pub(crate) rate: Option<f64>,
    /// What a connection sends, over and over; the first connection the first list, and so on.
    pub(crate) requests: Vec<Vec<Template>>,
}

impl Load {
    /// As many as are answered, of connections that all send the same.
    pub(crate) fn same(connections: usize, requests: Vec<Template>) -> Self {
        Self {
            connections,
            rate: None,
            requests: vec![requests],
        }
    }

    /// The same of connections that each send something else.
    pub(crate) fn each(requests: Vec<Vec<Template>>) -> Self {
        Self {
            connections: requests.len(),
            rate: None,
            requests,
        }
    }
}

/// A connection.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: String,
}

impl Connection {
    pub(crate) async fn open(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).await.expect("connects");
        stream.set_nodelay(true).expect("no delay");
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .expect("speaks HTTP");
        tokio::task::spawn_local(async move { drop(connection.await) });
        Self {
            sender,
            host: to.to_string(),
        }
    }

    /// Sends a request and reads its whole answer.
    pub(crate) async fn send(&mut self, template: &Template) -> (StatusCode, Bytes) {
        let answer = self.begin(template).await;
        let status = answer.status();
        let body = answer.into_body().collect().await.expect("its body");
        (status, body.to_bytes())
    }

    /// The `ETag` of an answer, if it has one.
    pub(crate) async fn etag(&mut self, template: &Template) -> Option<String> {
        let answer = self.begin(template).await;
        let etag = answer.headers().get("etag").map(|etag| etag.to_str());
        let etag = etag.map(|etag| etag.expect("ASCII").to_owned());
        answer.into_body().collect().await.expect("its body");
        etag
    }

    /// Reads an answer that does not end.
    pub(crate) async fn stream(&mut self, path: &str) -> Stream {
        let template = Template::new(Method::GET, path.to_owned(), None);
        let answer = self.begin(&template).await;
        let status = answer.status();
        assert!(status.is_success(), "{path} was answered with {status}");
        Stream(answer.into_body())
    }

    async fn begin(&mut self, template: &Template) -> Response<Incoming> {
        let mut request = Request::builder()
            .method(template.method.clone())
            .uri(&template.path)
            .header("host", &self.host)
            .header("content-type", "application/json");
        if let Some(etag) = &template.known {
            request = request.header("if-none-match", etag);
        }
        let body = template.body.clone().unwrap_or_default();
        let request = request.body(Full::from(body)).expect("a request");
        self.sender.send_request(request).await.expect("an answer")
    }
}

/// An answer that does not end.
pub(crate) struct Stream(Incoming);

impl Stream {
    /// The next bytes of it; `None` when it has ended after all.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        self.0.frame().await?.ok()?.into_data().ok()
    }
}

/// Sends a load for a time, after a tenth of it that is not counted.
pub(crate) async fn run(to: SocketAddr, load: &Load, duration: Duration) -> Measured {
    let connections = load.connections;
    let warm = Instant::now() + duration / 10;
    let end = warm + duration;
    let mut tasks = Vec::new();
    for number in 0..connections {
        let requests = load.requests[number % load.requests.len()].clone();
        // One after the other, and not all connections at once.
        let pace = load.rate.map(|rate| Pace {
            first: Duration::from_secs_f64(number as f64 / rate),
            pause: Duration::from_secs_f64(connections as f64 / rate),
        });
        tasks.push(tokio::task::spawn_local(async move {
            one(to, &requests, pace, warm, end).await
        }));
    }
    let mut all = Measured::new(duration);
    for task in tasks {
        all.add(&task.await.expect("no panic"));
    }
    all
}

/// The same in a thread of its own, beside something that keeps this one busy.
pub(crate) async fn run_beside(to: SocketAddr, load: Load, duration: Duration) -> Measured {
    let (done, measured) = tokio::sync::oneshot::channel();
    let beside = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let measured = LocalSet::new().block_on(&runtime, run(to, &load, duration));
        done.send(measured).expect("it is waited for");
    });
    let measured = measured.await.expect("no panic");
    beside.join().expect("it has ended");
    measured
}

/// When the requests of a connection are due.
#[derive(Debug, Clone, Copy)]
struct Pace {
    first: Duration,
    pause: Duration,
}

async fn one(
    to: SocketAddr,
    requests: &[Template],
    pace: Option<Pace>,
    warm: Instant,
    end: Instant,
) -> Measured {
    let mut connection = Connection::open(to).await;
    let mut measured = Measured::new(end - warm);
    let (begun, mut sent) = (Instant::now(), 0_usize);
    loop {
        let due = match pace {
            None => Instant::now(),
            Some(pace) => {
                let due = begun + pace.first + pace.pause.mul_f64(sent as f64);
                // What the server makes it late by counts. What it is late by itself, since its clock ticks each
                // millisecond, does not.
                if Instant::now() < due {
                    tokio::time::sleep_until(due.into()).await;
                    Instant::now()
                } else {
                    due
                }
            }
        };
        if due >= end {
            return measured;
        }
        let template = &requests[sent % requests.len()];
        let (status, body) = connection.send(template).await;
        assert!(
            status.is_success() || status == StatusCode::NOT_MODIFIED,
            "{} {} was answered with {status}: {}",
            template.method,
            template.path,
            String::from_utf8_lossy(&body)
        );
        sent += 1;
        if due >= warm && Instant::now() <= end + Duration::from_millis(1) {
            measured.note(due.elapsed());
        }
    }
}
