//! Serves connections: bounded in number, each with deadlines, so that nobody holds a place forever by sending half a
//! request, or by not reading an answer.

mod crowd;
mod watched;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::error::Problem;
use crate::metrics;
use crowd::{Crowd, Place};
use watched::Watched;

/// Bytes that a connection keeps of a request's head, and of answers that are being sent, at most.
const BUFFER_BYTES: usize = 64 * 1024;
/// How long the head of a request may take beyond the limit: there are few places, and who floods has them first.
const RESERVE_HEADER: Duration = Duration::from_secs(1);
/// How long to wait before the next connection is accepted after that has failed, as it does when there are no file
/// descriptors left.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// A problem that many connections share is logged once in this period.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// Bounds of connections.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// Connections at once.
    pub connections: usize,
    /// Connections at once from one address.
    pub per_address: usize,
    /// How long the head of a request may take, also of the first one, and how long a connection may be idle.
    pub header: Duration,
    /// How long an answer may find no reader.
    pub stalled: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: 1_024,
            per_address: 1_024,
            header: Duration::from_secs(30),
            stalled: Duration::from_secs(60),
        }
    }
}

/// Marks requests of connections beyond the limit: only who looks after the server is served.
#[derive(Debug, Clone, Copy)]
struct Crowded;

/// Serves until it is told to stop, then lets the requests that are open end.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    mut stopping: watch::Receiver<bool>,
) {
    let crowd = Arc::new(Crowd::new(limits.connections, limits.per_address));
    let connections = TaskTracker::new();
    let (failing, full) = (Told::default(), Told::default());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stopping) => break,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                if is_of_the_connection(&error) {
                    continue;
                }
                failing.now_and_then(|| tracing::error!("no connection can be accepted: {error}"));
                tokio::time::sleep(ACCEPT_AGAIN).await;
                continue;
            }
        };
        let Some(place) = crowd.enter(address.ip()) else {
            metrics::connection_closed_at_once();
            full.now_and_then(|| {
                tracing::warn!(%address, "too many connections, this one is closed (limits.connections)");
            });
            continue;
        };
        if place.is_beyond() {
            metrics::connection_crowded();
            full.now_and_then(|| {
                tracing::warn!(%address, "too many connections (limits.connections, limits.connections_per_address)");
            });
        }
        let serving = serve_one(
            stream,
            address,
            router.clone(),
            limits,
            place,
            stopping.clone(),
        );
        connections.spawn(serving);
    }
    connections.close();
    connections.wait().await;
}

async fn serve_one(
    stream: TcpStream,
    address: SocketAddr,
    router: Router,
    limits: ConnectionLimits,
    place: Place,
    mut stopping: watch::Receiver<bool>,
) {
    // Small event frames must not wait for larger ones.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("TCP_NODELAY cannot be set: {error}");
    }
    let crowded = place.is_beyond();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(address));
        if crowded {
            request.extensions_mut().insert(Crowded);
        }
        let router = router.clone();
        async move { Ok::<_, Infallible>(router.oneshot(request).await.into_response()) }
    });
    let header = match crowded {
        true => limits.header.min(RESERVE_HEADER),
        false => limits.header,
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header)
        // A place of the reserve is for one request.
        .keep_alive(!crowded)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(Watched::new(stream, limits.stalled)), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%address, "a connection has ended: {error}");
    }
    drop(place);
}

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // A sender that is gone has stopped, too.
    let _stopped = stopping.wait_for(|stop| *stop).await;
}

/// Answers on a connection beyond the limit: health and metrics, so that it can be seen what is wrong.
pub async fn refuse_crowd(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let looks_after = path.ends_with("/health") || path == "/metrics";
    if request.extensions().get::<Crowded>().is_some() && !looks_after {
        let mut response = Problem::crowded().into_response();
        let close = axum::http::HeaderValue::from_static("close");
        response
            .headers_mut()
            .insert(axum::http::header::CONNECTION, close);
        return response;
    }
    next.run(request).await
}

/// Whether an error of accepting is about one connection, which has ended before it was accepted.
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

/// Tells something once in a while.
#[derive(Debug)]
struct Told {
    began: Instant,
    /// When it may be logged again, in milliseconds since then.
    again_ms: AtomicU64,
}

impl Default for Told {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            again_ms: AtomicU64::new(0),
        }
    }
}

impl Told {
    fn now_and_then(&self, tell: impl FnOnce()) {
        let now_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        if now_ms >= self.again_ms.load(Ordering::Relaxed) {
            let pause_ms = u64::try_from(TOLD_EVERY.as_millis()).unwrap_or(u64::MAX);
            self.again_ms
                .store(now_ms.saturating_add(pause_ms), Ordering::Relaxed);
            tell();
        }
    }
}

/// Raises the number of files that this process may have open to what the system allows it.
pub fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| match soft < hard {
        true => setrlimit(Resource::RLIMIT_NOFILE, hard, hard),
        false => Ok(()),
    });
    if let Err(error) = raised {
        tracing::warn!("the limit of open files was not raised: {error}");
    }
}
