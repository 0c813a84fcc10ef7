//! `GET /api/event`.

use std::fmt::Write;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use crate::event::Next;
use crate::http::sse::{self, CHUNK_BYTES, Frames, Reader, Wake};
use crate::http::state::Shared;
use crate::json;
use crate::opencode::v2::event::V2Event;
use crate::opencode::v2::live::Translator;
use crate::opencode::v2::shape::NOT_OF_THE_SECOND;
use crate::opencode::{EventId, now_ms};

/// Time between two signs of life.
pub(super) const HEARTBEAT_EVERY: Duration = Duration::from_secs(15);
/// A sign of life: a comment, which clients skip.
pub(super) const HEARTBEAT: &str = ": heartbeat\n\n";

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
    let stream = EventStream {
        reader: Reader::new(
            &state.bus,
            None,
            None,
            state.stopping.clone(),
            HEARTBEAT_EVERY,
        ),
        greeted: false,
        translator: Translator::default(),
    };
    sse::response(&state, stream)
}

struct EventStream {
    reader: Reader,
    greeted: bool,
    translator: Translator,
}

impl Frames for EventStream {
    async fn next_frames(&mut self) -> Option<Bytes> {
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
        while frames.is_empty() {
            let read = self.reader.read(|next| {
                write(&mut self.translator, &mut frames, next);
                frames.len() < CHUNK_BYTES
            });
            match read.await {
                Wake::Stop => return None,
                Wake::Heartbeat => return Some(Bytes::from_static(HEARTBEAT.as_bytes())),
                Wake::Read => {}
            }
        }
        Some(frames.into())
    }
}

fn write(translator: &mut Translator, frames: &mut String, next: &Next) {
    match next {
        Next::Event(event) => {
            if let Some(first) = first_version(&event.json) {
                write_frame(frames, &event.directory, &first);
            }
            for said in translator.translate(&event.json, event.last, now_ms()) {
                let event_2 = V2Event::now(said.kind, said.data);
                write_frame(frames, &event.directory, &event_2);
            }
        }
        Next::Gap(resync) => {
            // What was begun may have ended in between.
            *translator = Translator::default();
            write_frame(
                frames,
                "",
                &V2Event::now("server.resync", json::tree(resync)),
            );
        }
    }
}

/// An event of the first version in OpenCode 2's shape.
fn first_version(event: &str) -> Option<V2Event> {
    let mut event: Value = serde_json::from_str(event).ok()?;
    let id = EventId::parse(event.get("id")?.as_str()?).ok()?;
    let kind = event.get("type")?.as_str()?;
    if NOT_OF_THE_SECOND.contains(&kind) {
        return None;
    }
    let kind = kind.to_owned();
    Some(V2Event {
        id,
        r#type: kind,
        durable: None,
        location: None,
        data: event
            .get_mut("properties")
            .map(Value::take)
            .unwrap_or_default(),
    })
}

fn write_frame(frames: &mut String, directory: &str, event: &V2Event) {
    let mut event = json::tree(&event);
    if let Some(event) = event.as_object_mut().filter(|_| !directory.is_empty()) {
        event.insert("location".to_owned(), json!({ "directory": directory }));
    }
    // Writing to a String cannot fail.
    let _always_fits = write!(frames, "data: {event}\n\n");
}
