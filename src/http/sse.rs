//! Event streams: from the bus to `text/event-stream`.
//!
//! A stream holds a position on the bus and nothing else, so a slow client costs nothing. Frames have
//! `data:` and, after the first one, `id:` with the sequence number, for `Last-Event-ID`.

use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use futures_util::{FutureExt, stream};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::ObjectBuilder;

use super::error::{BadKind, Problem};
use super::extract::{Params, text_parameter};
use super::state::Shared;
use crate::event::{Bus, Following, Next, render};
use crate::opencode::event::EventPayload;

/// Time between two heartbeats.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Events that are there already are sent together, up to about this many bytes.
pub(super) const CHUNK_BYTES: usize = 64 * 1024;
/// The standard header with the position of a client that comes back.
const LAST_EVENT_ID: &str = "last-event-id";
/// The same in the query.
const IN_QUERY: &str = "lastEventID";
/// What both have, for the OpenAPI document: nothing, or a number that fits.
const NUMBER_PATTERN: &str = "^([0-9]{1,19})?$";
/// Keeps a proxy from holding frames back.
const ACCEL_BUFFERING: &str = "x-accel-buffering";

/// Which events of the bus a stream shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum View {
    /// Events of one directory, bare.
    Directory(String),
    /// All events, each with its directory.
    Global,
}

/// The position that a client asks for: the number of the event that it had last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct After(pub Option<u64>);

impl IntoParams for After {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let header =
            "The number of the event that the client had last: what came after it is sent again.";
        let query =
            "The same, for clients that cannot set headers. It takes precedence over the header.";
        let number = |text: ObjectBuilder| text.pattern(Some(NUMBER_PATTERN));
        vec![
            text_parameter(IN_QUERY, ParameterIn::Query, query, number),
            text_parameter("Last-Event-ID", ParameterIn::Header, header, number),
        ]
    }
}

impl axum::extract::FromRequestParts<Shared> for After {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Problem> {
        let params = Params::from_request_parts(parts, state).await?;
        Self::of(parts, &params)
    }
}

impl After {
    /// Reads the header and the query, which takes precedence.
    pub(super) fn of(parts: &Parts, params: &Params) -> Result<Self, Problem> {
        let from_header = parts.headers.get(LAST_EVENT_ID);
        let text = match params.text(IN_QUERY) {
            Some(text) => Some(text),
            None => from_header.map(|h| h.to_str().unwrap_or("?")),
        };
        let number = text.filter(|t| !t.is_empty()).map(str::parse).transpose();
        let number = number.map_err(|_| {
            let message = "Expected the number of an event, as an id line of the stream has it";
            Problem::bad_at(BadKind::Headers, LAST_EVENT_ID, message)
        })?;
        Ok(Self(number))
    }
}

/// An event stream as a response. It ends when the server stops.
pub fn respond(state: &Shared, view: View, after: After) -> Response {
    let stopping = state.stopping.clone();
    let reader = Reader::new(&state.bus, view.directory(), after.0, stopping, HEARTBEAT);
    response(state, EventStream::new(reader, view))
}

/// What a stream sends.
pub trait Frames: Send + 'static {
    /// The next frames, as soon as there are some; `None` at the end.
    fn next_frames(&mut self) -> impl Future<Output = Option<Bytes>> + Send;
}

/// Frames as a response. There is a limit to how many there are at once.
pub fn response(state: &Shared, frames: impl Frames) -> Response {
    let Ok(place) = Arc::clone(&state.streams).try_acquire_owned() else {
        return Problem::crowded().into_response();
    };
    // The place is given back when the stream is dropped.
    let frames = stream::unfold((frames, place), |(mut frames, place)| async move {
        let next = frames.next_frames().await?;
        Some((Ok::<_, Infallible>(next), (frames, place)))
    });
    let headers = [
        (CONTENT_TYPE.as_str(), "text/event-stream"),
        (CACHE_CONTROL.as_str(), "no-cache, no-transform"),
        (X_CONTENT_TYPE_OPTIONS.as_str(), "nosniff"),
        (ACCEL_BUFFERING, "no"),
    ];
    (headers, Body::from_stream(frames)).into_response()
}

/// Reads the bus for a stream.
pub struct Reader {
    following: Following,
    position: u64,
    heartbeat: Interval,
    stopping: watch::Receiver<bool>,
}

/// What a stream has waited for.
pub enum Wake {
    /// The server stops.
    Stop,
    /// Nothing has happened for a while.
    Heartbeat,
    /// Events were read.
    Read,
}

impl Reader {
    /// Reads what comes after this number, or from now on: what concerns one directory, or everything.
    pub fn new(
        bus: &Arc<Bus>,
        directory: Option<&str>,
        after: Option<u64>,
        stopping: watch::Receiver<bool>,
        every: Duration,
    ) -> Self {
        let position = bus.subscribe(after).cursor();
        let mut heartbeat = interval_at(Instant::now() + every, every);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            following: bus.follow(position, directory),
            position,
            heartbeat,
            stopping,
        }
    }

    /// The number of the event that was read last.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Waits for events and passes those that are there to `take`, as long as that takes more.
    pub async fn read(&mut self, mut take: impl FnMut(&Next) -> bool) -> Wake {
        let mut subscription = self.following.subscribe();
        // In this order, so that a busy bus keeps neither the end nor a heartbeat waiting.
        let next = tokio::select! {
            biased;
            _ = self.stopping.wait_for(|stopping| *stopping) => return Wake::Stop,
            _ = self.heartbeat.tick() => {
                self.position = subscription.pass_over();
                self.following.has_read(self.position);
                return Wake::Heartbeat;
            }
            next = subscription.next() => next,
        };
        let mut takes_more = take(&next);
        while takes_more && let Some(next) = subscription.next().now_or_never() {
            takes_more = take(&next);
        }
        self.position = subscription.cursor();
        self.following.has_read(self.position);
        Wake::Read
    }
}

struct EventStream {
    reader: Reader,
    view: View,
    greeted: bool,
}

impl Frames for EventStream {
    async fn next_frames(&mut self) -> Option<Bytes> {
        if !self.greeted {
            self.greeted = true;
            return Some(self.server_event(&EventPayload::ServerConnected {}, None));
        }
        let mut frames = String::new();
        while frames.is_empty() {
            let read = self.reader.read(|next| {
                self.view.write(&mut frames, next);
                frames.len() < CHUNK_BYTES
            });
            match read.await {
                Wake::Stop => return None,
                // With the position, so that a client of a quiet directory keeps up with the bus.
                Wake::Heartbeat => {
                    let heartbeat = EventPayload::ServerHeartbeat {};
                    return Some(self.server_event(&heartbeat, Some(self.reader.position())));
                }
                Wake::Read => {}
            }
        }
        Some(frames.into())
    }
}

impl EventStream {
    fn new(reader: Reader, view: View) -> Self {
        Self {
            reader,
            view,
            greeted: false,
        }
    }

    fn server_event(&self, payload: &EventPayload, id: Option<u64>) -> Bytes {
        let mut frame = String::new();
        self.view.write_frame(&mut frame, id, "", &render(payload));
        frame.into()
    }
}

impl View {
    fn directory(&self) -> Option<&str> {
        match self {
            Self::Global => None,
            Self::Directory(directory) => Some(directory),
        }
    }

    fn write(&self, frames: &mut String, next: &Next) {
        match next {
            Next::Event(event) => {
                self.write_frame(frames, Some(event.sequence), &event.directory, &event.json);
            }
            Next::Gap(resync) => {
                let json = render(&EventPayload::ServerResync(resync.clone()));
                self.write_frame(frames, None, "", &json);
            }
        }
    }

    fn write_frame(&self, frames: &mut String, id: Option<u64>, directory: &str, json: &str) {
        if let Some(id) = id {
            // Writing to a String cannot fail.
            let _always_fits = writeln!(frames, "id: {id}");
        }
        let _always_fits = match self {
            Self::Directory(_) => write!(frames, "data: {json}\n\n"),
            Self::Global if directory.is_empty() => {
                write!(frames, "data: {{\"payload\":{json}}}\n\n")
            }
            Self::Global => {
                let directory = Value::from(directory);
                write!(
                    frames,
                    "data: {{\"directory\":{directory},\"payload\":{json}}}\n\n"
                )
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::RingLimits;
    use crate::opencode::event::FileEdited;

    /// Long enough for what a test expects to come before it.
    const SOON: Duration = Duration::from_millis(300);

    struct Setup {
        bus: Arc<Bus>,
        stop: watch::Sender<bool>,
    }

    impl Setup {
        fn new(events: usize) -> Self {
            let limits = RingLimits {
                events,
                bytes: 1 << 20,
            };
            Self {
                bus: Arc::new(Bus::new(limits)),
                stop: watch::Sender::new(false),
            }
        }

        fn edit(&self, directory: &str, file: &str) {
            let edited = FileEdited {
                file: file.to_owned(),
            };
            self.bus
                .publish(&directory.into(), &[EventPayload::FileEdited(edited)]);
        }

        async fn open(&self, view: View, after: Option<u64>) -> EventStream {
            let stop = self.stop.subscribe();
            let reader = Reader::new(&self.bus, view.directory(), after, stop, SOON);
            let mut stream = EventStream::new(reader, view);
            let first = text(&mut stream).await;
            assert!(first.contains("server.connected"), "{first}");
            assert!(first.starts_with("data: {"), "{first}");
            stream
        }
    }

    async fn text(stream: &mut EventStream) -> String {
        let frames = stream.next_frames().await.expect("a frame");
        String::from_utf8(frames.to_vec()).expect("UTF-8")
    }

    #[tokio::test]
    async fn a_directory_sees_its_own_events_and_the_servers() {
        let setup = Setup::new(100);
        let mut stream = setup.open(View::Directory("/a".to_owned()), None).await;
        let start = setup.bus.subscribe(None).cursor();
        setup.edit("/b", "hidden");
        setup.edit("/a", "one");
        setup.edit("", "two");
        let frames = text(&mut stream).await;
        let lines: Vec<_> = frames.lines().collect();
        assert_eq!(lines.len(), 6, "{frames}");
        assert_eq!(lines[0], format!("id: {}", start + 2));
        assert!(lines[1].starts_with("data: {\"id\":\"evt_") && lines[1].contains("one"));
        assert!(lines[4].contains("two"));
        assert!(!frames.contains("hidden"));
    }

    #[tokio::test]
    async fn the_global_view_wraps_and_shows_all() {
        let setup = Setup::new(100);
        let mut stream = setup.open(View::Global, None).await;
        setup.edit("/b", "one");
        let frames = text(&mut stream).await;
        let data = frames.lines().find_map(|l| l.strip_prefix("data: "));
        let event: Value = serde_json::from_str(data.expect("data")).expect("JSON");
        assert_eq!(event["directory"], "/b");
        assert_eq!(event["payload"]["properties"]["file"], "one");
    }

    #[tokio::test]
    async fn a_client_that_comes_back_gets_what_it_missed_or_is_told() {
        let setup = Setup::new(2);
        let start = setup.bus.subscribe(None).cursor();
        setup.edit("/a", "one");
        setup.edit("/a", "two");
        let mut stream = setup.open(View::Global, Some(start + 1)).await;
        let frames = text(&mut stream).await;
        assert!(
            frames.contains("two") && !frames.contains("one"),
            "{frames}"
        );
        setup.edit("/a", "three");
        let mut late = setup.open(View::Global, Some(start)).await;
        let frames = text(&mut late).await;
        assert!(
            frames.starts_with("data: ") && frames.contains("server.resync"),
            "{frames}"
        );
        assert!(
            frames.contains("two") && frames.contains("three"),
            "{frames}"
        );
    }

    #[tokio::test]
    async fn a_quiet_stream_has_heartbeats_with_its_position() {
        let setup = Setup::new(100);
        let mut stream = setup.open(View::Directory("/a".to_owned()), None).await;
        let start = setup.bus.subscribe(None).cursor();
        setup.edit("/b", "hidden");
        let frames = text(&mut stream).await;
        assert!(frames.contains("server.heartbeat"), "{frames}");
        assert!(
            frames.starts_with(&format!("id: {}\n", start + 1)),
            "{frames}"
        );
    }

    #[tokio::test]
    async fn a_stream_ends_when_the_server_stops() {
        let setup = Setup::new(100);
        let mut stream = setup.open(View::Global, None).await;
        setup.stop.send_replace(true);
        assert_eq!(stream.next_frames().await, None);
    }
}
