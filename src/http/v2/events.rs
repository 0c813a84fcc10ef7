//! `GET /api/event`.

use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use futures_util::{FutureExt, stream};
use serde_json::{Value, json};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::event::{Bus, Following, Next, Published};
use crate::http::sse;
use crate::http::state::Shared;
use crate::json;
use crate::opencode::event::{EventPayload, Resync};
use crate::opencode::v2::event::V2Event;
use crate::opencode::v2::live::Translator;
use crate::opencode::v2::shape::NOT_OF_THE_SECOND;
use crate::opencode::{EventId, now_ms};

/// Time between two signs of life.
pub(super) const HEARTBEAT_EVERY: Duration = Duration::from_secs(15);
/// A sign of life: a comment, which clients skip.
pub(super) const HEARTBEAT: &str = ": heartbeat\n\n";
/// Events that are there already are sent together, up to about this many bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// Subscribe to events, as OpenCode 2 does
///
/// Never ends: a client has to read it as a stream. The events of all directories, as `text/event-stream`: each frame's `data` is an event. It has those of
/// `event.subscribeAll` in OpenCode 2's shape, each followed by the `session.next.*` events that say the same in OpenCode 2's
/// words. Nothing is replayed: a client that comes back reads the logs of its sessions (`api.session.history`).
#[utoipa::path(
    get,
    path = "/api/event",
    operation_id = "api.event.subscribe",
    tag = "event",
    responses(
        (status = 200, description = "A stream of events, which ends only when the server stops.",
            body = V2Event, content_type = "text/event-stream"),
    )
)]
pub async fn subscribe(State(state): State<Shared>) -> Response {
    let mut heartbeat = interval_at(Instant::now() + HEARTBEAT_EVERY, HEARTBEAT_EVERY);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let position = state.bus.subscribe(None).cursor();
    let follower = Follower {
        bus: Arc::clone(&state.bus),
        following: state.bus.follow(position),
        position,
        stopping: state.stopping.clone(),
        greeted: false,
        heartbeat,
        translator: Translator::default(),
    };
    sse::response(
        &state,
        stream::unfold(follower, |mut follower| async move {
            let frames = follower.next().await?;
            Some((Ok::<_, Infallible>(frames), follower))
        }),
    )
}

struct Follower {
    bus: Arc<Bus>,
    following: Following,
    position: u64,
    stopping: tokio::sync::watch::Receiver<bool>,
    greeted: bool,
    heartbeat: Interval,
    translator: Translator,
}

impl Follower {
    /// The next frames, as soon as there are some; `None` when the server stops.
    async fn next(&mut self) -> Option<Bytes> {
        let mut frames = String::new();
        if !self.greeted {
            self.greeted = true;
            write_frame(
                &mut frames,
                "",
                &V2Event::now("server.connected", json!({})),
            );
            frames.push_str(HEARTBEAT);
            return Some(frames.into());
        }
        let bus = Arc::clone(&self.bus);
        while frames.is_empty() {
            let mut subscription = bus.subscribe(Some(self.position));
            // In this order, so that a busy bus keeps neither the end nor a heartbeat waiting.
            let next = tokio::select! {
                biased;
                _ = self.stopping.wait_for(|stopping| *stopping) => return None,
                _ = self.heartbeat.tick() => return Some(Bytes::from_static(HEARTBEAT.as_bytes())),
                next = subscription.next() => next,
            };
            self.write(&mut frames, &next);
            while frames.len() < CHUNK_BYTES
                && let Some(next) = subscription.next().now_or_never()
            {
                self.write(&mut frames, &next);
            }
            self.position = subscription.cursor();
            self.following.has_read(self.position);
        }
        Some(frames.into())
    }

    fn write(&mut self, frames: &mut String, next: &Next) {
        match next {
            Next::Event(event) => self.write_event(frames, event),
            Next::Gap(resync) => {
                // What was begun may have ended in between.
                self.translator = Translator::default();
                write_frame(frames, "", &resync_event(resync));
            }
        }
    }

    fn write_event(&mut self, frames: &mut String, event: &Published) {
        if let Some(first) = first_version(&event.json) {
            write_frame(frames, &event.directory, &first);
        }
        for said in self.translator.translate(&event.json, event.last, now_ms()) {
            write_frame(
                frames,
                &event.directory,
                &V2Event::now(said.kind, said.data),
            );
        }
    }
}

/// An event of the first version in OpenCode 2's shape.
fn first_version(event: &str) -> Option<V2Event> {
    let mut event: Value = serde_json::from_str(event).ok()?;
    let id = EventId::parse(event["id"].as_str()?).ok()?;
    let kind = event["type"].as_str()?;
    if NOT_OF_THE_SECOND.contains(&kind) {
        return None;
    }
    let kind = kind.to_owned();
    Some(V2Event {
        id,
        r#type: kind,
        durable: None,
        location: None,
        data: event["properties"].take(),
    })
}

fn resync_event(resync: &Resync) -> V2Event {
    let payload = EventPayload::ServerResync(resync.clone());
    let properties = serde_json::to_value(&payload).map(|mut p| p["properties"].take());
    V2Event::now("server.resync", properties.unwrap_or_default())
}

fn write_frame(frames: &mut String, directory: &str, event: &V2Event) {
    let mut event = json::tree(&event);
    if !directory.is_empty() {
        event["location"] = json!({ "directory": directory });
    }
    // Writing to a String cannot fail.
    let _always_fits = write!(frames, "data: {event}\n\n");
}
