//! `GET /api/session/{sessionID}/event`.

use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::response::Response;
use futures_util::{FutureExt, stream};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::event::{Following, Next};
use crate::http::handler::*;
use crate::http::sse;
use crate::http::v2::events::{HEARTBEAT, HEARTBEAT_EVERY};
use crate::http::v2::session::read;
use crate::json;
use crate::opencode::SessionId;
use crate::opencode::v2::event::V2Event;

/// The log is read again at most this often: an answer that is being written changes with every word.
const READ_EVERY: Duration = Duration::from_millis(50);

/// Follow a session's log
///
/// Never ends while the session is there: a client has to read it as a stream. The log of `api.session.history`, from its beginning or after a number, and then what is added to it, as
/// `text/event-stream`: each frame's `data` is an event. It is made from the stored conversation, so it goes back to
/// the session's first prompt, also over restarts; what was deleted from the conversation is not in it. It is in the
/// order of the conversation and without the growing of texts: `api.event.subscribe` tells things as they happen.
#[utoipa::path(
    get,
    path = "/api/session/{sessionID}/event",
    operation_id = "api.session.events",
    tag = "event",
    params(
        SessionPath,
        ("after" = Option<u64>, Query, description = "Only events with a higher number."),
    ),
    responses(
        (status = 200, description = "A stream of events, which ends when the session is deleted or the server stops.",
            body = V2Event, content_type = "text/event-stream"),
        TaggedInvalid, TaggedNotThere,
    )
)]
pub async fn events(
    State(state): State<Shared>,
    path: SessionPath,
    params: Params,
) -> Result<Response, Problem> {
    let after = params.unsigned("after")?;
    // Before the first reading, so that nothing is missed between the two.
    let position = state.bus.subscribe(None).cursor();
    let waiting = read::after(&state, &path.session, after).await?;
    let mut heartbeat = interval_at(Instant::now() + HEARTBEAT_EVERY, HEARTBEAT_EVERY);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let follower = Follower {
        state: Arc::clone(&state),
        session: path.session,
        after,
        following: state.bus.follow(position),
        position,
        waiting,
        heartbeat,
        read: Instant::now(),
    };
    Ok(sse::response(
        &state,
        stream::unfold(follower, |mut follower| async move {
            let frames = follower.next().await?;
            Some((Ok::<_, Infallible>(frames), follower))
        }),
    ))
}

struct Follower {
    state: Shared,
    session: SessionId,
    /// The number of the event that was sent last.
    after: Option<u64>,
    /// The position on the bus, which tells when the log may have grown.
    position: u64,
    following: Following,
    waiting: Vec<V2Event>,
    heartbeat: Interval,
    read: Instant,
}

enum Wake {
    Stop,
    Heartbeat,
    Grown,
}

impl Follower {
    /// The next frames, as soon as there are some; `None` at the end of the session or the server.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if !self.waiting.is_empty() {
                return Some(self.frames());
            }
            match self.wait().await {
                Wake::Stop => return None,
                Wake::Heartbeat => return Some(Bytes::from_static(HEARTBEAT.as_bytes())),
                Wake::Grown => {}
            }
            tokio::time::sleep_until(self.read + READ_EVERY).await;
            self.read = Instant::now();
            // A session that was deleted has no log any more.
            self.waiting = read::after(&self.state, &self.session, self.after)
                .await
                .ok()?;
        }
    }

    fn frames(&mut self) -> Bytes {
        let mut frames = String::new();
        for event in self.waiting.drain(..) {
            let json = json::text(&event);
            // Writing to a String cannot fail.
            let _always_fits = write!(frames, "data: {json}\n\n");
            self.after = event.durable.map(|d| d.seq).or(self.after);
        }
        frames.into()
    }

    /// Waits for an event that may stand for a longer log.
    async fn wait(&mut self) -> Wake {
        let bus = std::sync::Arc::clone(&self.state.bus);
        let mut stopping = self.state.stopping.clone();
        let named = format!("\"sessionID\":\"{}\"", self.session);
        loop {
            let mut subscription = bus.subscribe(Some(self.position));
            let next = tokio::select! {
                biased;
                _ = stopping.wait_for(|stopping| *stopping) => return Wake::Stop,
                _ = self.heartbeat.tick() => return Wake::Heartbeat,
                next = subscription.next() => next,
            };
            let mut grown = concerns(&next, &named);
            while let Some(next) = subscription.next().now_or_never() {
                grown |= concerns(&next, &named);
            }
            self.position = subscription.cursor();
            self.following.has_read(self.position);
            if grown {
                return Wake::Grown;
            }
        }
    }
}

/// Whether an event may make the log of a session longer. The growing of a text does not.
fn concerns(next: &Next, named: &str) -> bool {
    match next {
        Next::Event(event) => {
            event.json.contains(named) && !event.json.contains("\"message.part.delta\"")
        }
        Next::Gap(_) => true,
    }
}
