//! `GET /api/session/{sessionID}/event`.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::response::Response;
use tokio::time::Instant;

use crate::event::Next;
use crate::http::handler::*;
use crate::http::sse::{self, Frames, Reader, Wake};
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
/// order of the conversation and without partial texts: `api.event.subscribe` has events as they happen.
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
    let reader = Reader::new(
        &state.bus,
        None,
        None,
        state.stopping.clone(),
        HEARTBEAT_EVERY,
    );
    let log = Log {
        waiting: read::after(&state, &path.session, after).await?,
        state: Arc::clone(&state),
        session: path.session,
        after,
        reader,
        read: Instant::now(),
    };
    Ok(sse::response(&state, log))
}

/// The log of a session as it grows.
struct Log {
    state: Shared,
    session: SessionId,
    /// The number of the event that was sent last.
    after: Option<u64>,
    /// Says when the log may have grown.
    reader: Reader,
    waiting: Vec<V2Event>,
    read: Instant,
}

impl Frames for Log {
    async fn next_frames(&mut self) -> Option<Bytes> {
        let named = format!("\"sessionID\":\"{}\"", self.session);
        while self.waiting.is_empty() {
            let mut has_grown = false;
            while !has_grown {
                let read = self.reader.read(|next| {
                    has_grown |= concerns(next, &named);
                    true
                });
                match read.await {
                    Wake::Stop => return None,
                    Wake::Heartbeat => return Some(Bytes::from_static(HEARTBEAT.as_bytes())),
                    Wake::Read => {}
                }
            }
            tokio::time::sleep_until(self.read + READ_EVERY).await;
            self.read = Instant::now();
            // A session that was deleted has no log any more.
            self.waiting = read::after(&self.state, &self.session, self.after)
                .await
                .ok()?;
        }
        let mut frames = String::new();
        for event in self.waiting.drain(..) {
            let json = json::text(&event);
            // Writing to a String cannot fail.
            let _always_fits = write!(frames, "data: {json}\n\n");
            self.after = event.durable.map(|d| d.seq).or(self.after);
        }
        Some(frames.into())
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
