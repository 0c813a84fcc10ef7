//! The event stream of the server.

use axum::body::{Body, BodyDataStream};
use axum::http::Method;
use futures_util::StreamExt;
use serde_json::Value;

use super::{Server, http::Answer};
use crate::cli::failure::Failure;

/// The end of a frame.
const FRAME_END: &[u8] = b"\n\n";
/// The longest frame that Baton sends, in bytes.
const FRAME_MAX_BYTES: usize = 1 << 30;

/// An event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its number; none for what is said of the stream itself.
    pub number: Option<u64>,
    /// Its directory; empty for one of the whole server.
    pub directory: String,
    /// `{"id", "type", "properties"}`.
    pub payload: Value,
}

impl Event {
    /// `type`.
    pub fn kind(&self) -> &str {
        self.payload["type"].as_str().unwrap_or_default()
    }

    /// `properties`.
    pub fn properties(&self) -> &Value {
        &self.payload["properties"]
    }

    /// The session that it is about.
    pub fn session(&self) -> Option<&str> {
        let it = self.properties();
        let places = ["/sessionID", "/info/sessionID", "/part/sessionID"];
        places.iter().find_map(|place| it.pointer(place)?.as_str())
    }

    /// Whether it is about the stream itself.
    pub fn is_of_stream(&self) -> bool {
        matches!(
            self.kind(),
            "server.connected" | "server.heartbeat" | "server.resync"
        )
    }
}

/// The events of all directories, as they come.
pub struct Events {
    body: BodyDataStream,
    buffer: Vec<u8>,
    /// So much of the buffer holds no end of a frame.
    looked_at: usize,
    server: Server,
}

impl Server {
    /// Subscribes to the events of all directories: to those that come, or also to those that are kept and came after the
    /// one with this number.
    ///
    /// # Errors
    /// When there is no server, or it refuses.
    pub async fn events(&self, after: Option<u64>) -> Answer<Events> {
        let after = after.map(|number| ("last-event-id", number.to_string()));
        let headers = after.as_slice();
        let response = self
            .open(Method::GET, "/global/event", None, headers)
            .await?;
        let mut events = Events {
            body: Body::into_data_stream(response.into_body()),
            buffer: Vec::new(),
            looked_at: 0,
            server: self.clone(),
        };
        // The greeting: from now on nothing is missed.
        let _greeting = events.next().await?;
        Ok(events)
    }
}

impl Events {
    /// The next event.
    ///
    /// # Errors
    /// When the server has gone.
    pub async fn next(&mut self) -> Result<Event, Failure> {
        loop {
            while let Some(end) = position(&self.buffer[self.looked_at..], FRAME_END) {
                let end = self.looked_at + end + FRAME_END.len();
                let frame: Vec<u8> = self.buffer.drain(..end).collect();
                self.looked_at = 0;
                if let Some(event) = read(&frame) {
                    return Ok(event);
                }
            }
            // The end may come in two pieces.
            self.looked_at = self.buffer.len().saturating_sub(FRAME_END.len());
            if self.buffer.len() > FRAME_MAX_BYTES {
                return Err(Failure::of(
                    "the event stream cannot be read: a frame has no end",
                ));
            }
            match self.body.next().await {
                Some(Ok(bytes)) => self.buffer.extend_from_slice(&bytes),
                Some(Err(error)) => return Err(self.server.gone(&error)),
                None => {
                    return Err(Failure::of(
                        "the server has ended the event stream: it stops",
                    ));
                }
            }
        }
    }
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

fn read(frame: &[u8]) -> Option<Event> {
    let frame = String::from_utf8_lossy(frame);
    let field = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name));
    let mut whole: Value = serde_json::from_str(field("data: ")?).ok()?;
    let directory = whole.get("directory").and_then(Value::as_str);
    Some(Event {
        number: field("id: ").and_then(|id| id.parse().ok()),
        directory: directory.unwrap_or_default().to_owned(),
        payload: whole.get_mut("payload")?.take(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_an_event_with_its_number_and_directory() {
        let frame = b"id: 7\ndata: {\"directory\":\"/a\",\"payload\":{\"type\":\"session.idle\",\"properties\":{\"sessionID\":\"ses_1\"}}}\n\n";
        let event = read(frame).expect("an event");
        assert_eq!((event.number, event.directory.as_str()), (Some(7), "/a"));
        assert_eq!(
            (event.kind(), event.session()),
            ("session.idle", Some("ses_1"))
        );
        assert!(!event.is_of_stream());
        for nothing in [
            &b": a comment\n\n"[..],
            b"data: x\n\n",
            b"data: {}\n\n",
            b"\n\n",
        ] {
            assert_eq!(read(nothing), None);
        }
    }

    #[test]
    fn the_session_of_an_event_stands_in_different_places() {
        for properties in [
            serde_json::json!({"sessionID": "ses_1"}),
            serde_json::json!({"info": {"sessionID": "ses_1"}}),
            serde_json::json!({"part": {"sessionID": "ses_1"}}),
        ] {
            let payload = serde_json::json!({"type": "x", "properties": properties});
            let event = Event {
                number: None,
                directory: String::new(),
                payload,
            };
            assert_eq!(event.session(), Some("ses_1"));
        }
    }
}
