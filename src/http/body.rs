//! Reads the bodies of requests: in bounded time, bounded in size each and all together, and bounded in what their
//! JSON becomes in memory.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::{BadKind, Problem};

/// Room for bodies is allocated in pieces of this many bytes.
const PIECE_BYTES: usize = 64 * 1024;
/// Arrays and objects within each other, at most. A tree is walked by functions that call themselves.
const DEPTH: usize = 64;

/// Bounds of bodies.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// Bytes of one.
    pub bytes: usize,
    /// Bytes of all that are being read at one moment.
    pub all_bytes: usize,
    /// How long one may take to arrive.
    pub time: Duration,
    /// Values of its JSON: each takes up to a hundred bytes in memory, whatever it takes in the body.
    pub values: usize,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self {
            bytes: 64 * 1024 * 1024,
            all_bytes: 256 * 1024 * 1024,
            time: Duration::from_secs(120),
            values: 200_000,
        }
    }
}

/// Room for the bodies of all requests.
#[derive(Debug)]
pub struct Bodies {
    limits: BodyLimits,
    room: Arc<Semaphore>,
}

/// A body that was read, and its room.
#[derive(Debug)]
pub struct Read {
    /// The body.
    pub bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

impl Bodies {
    /// Room for bodies within these limits.
    pub fn new(limits: BodyLimits) -> Self {
        let pieces = limits.all_bytes.max(limits.bytes).div_ceil(PIECE_BYTES);
        Self {
            limits,
            room: Arc::new(Semaphore::new(pieces)),
        }
    }

    /// Reads a body.
    ///
    /// # Errors
    /// 413 when it is too large, 408 when it does not arrive in time, 503 when there is no room for it.
    pub async fn read(&self, headers: &HeaderMap, body: Body) -> Result<Read, Problem> {
        let announced = headers
            .get(CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok());
        let announced = announced.and_then(|length| length.parse::<usize>().ok());
        if announced.is_some_and(|bytes| bytes > self.limits.bytes) {
            return Err(self.too_large());
        }
        let read = tokio::time::timeout(self.limits.time, self.collect(announced, body));
        read.await.unwrap_or_else(|_late| {
            let message = format!(
                "The body has not arrived within {} seconds (timeouts.body_s)",
                self.limits.time.as_secs()
            );
            Err(Problem::bad_with(
                StatusCode::REQUEST_TIMEOUT,
                BadKind::Body,
                message,
            ))
        })
    }

    async fn collect(&self, announced: Option<usize>, body: Body) -> Result<Read, Problem> {
        let mut room = match announced {
            Some(bytes) => self.room_for(bytes).await?,
            None => None,
        };
        let mut frames = body.into_data_stream();
        let Some(first) = frames.next().await else {
            return Ok(Read {
                bytes: Bytes::new(),
                _room: room,
            });
        };
        let first = first.map_err(|_| unread())?;
        let mut whole: Option<Vec<u8>> = None;
        while let Some(frame) = frames.next().await {
            let frame = frame.map_err(|_| unread())?;
            let whole = whole.get_or_insert_with(|| first.to_vec());
            if whole.len() + frame.len() > self.limits.bytes {
                return Err(self.too_large());
            }
            whole.extend_from_slice(&frame);
            // One that does not say how large it is takes room as it grows.
            let held = room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits) * PIECE_BYTES;
            if let Some(more) = self.room_for(whole.len().saturating_sub(held)).await? {
                match &mut room {
                    Some(room) => room.merge(more),
                    None => room = Some(more),
                }
            }
        }
        let bytes = whole.map_or(first, Bytes::from);
        match bytes.len() > self.limits.bytes {
            true => Err(self.too_large()),
            false => Ok(Read { bytes, _room: room }),
        }
    }

    /// Reserves room for this many bytes; a few bytes need none.
    async fn room_for(&self, bytes: usize) -> Result<Option<OwnedSemaphorePermit>, Problem> {
        let pieces = u32::try_from(bytes / PIECE_BYTES).unwrap_or(u32::MAX);
        if pieces == 0 {
            return Ok(None);
        }
        let room = Arc::clone(&self.room).acquire_many_owned(pieces).await;
        room.map(Some).map_err(|_closed| Problem::shutting_down())
    }

    /// Looks at JSON before it is read: how deep it goes and how many values it has. What is not JSON passes.
    ///
    /// # Errors
    /// 400 when it is too much.
    pub fn check(&self, json: &[u8]) -> Result<(), Problem> {
        let size = Size::of(json);
        if size.depth > DEPTH {
            let message = format!(
                "The body is nested {} levels deep; at most {DEPTH} are taken",
                size.depth
            );
            return Err(Problem::bad(BadKind::Body, message));
        }
        if size.values > self.limits.values {
            let message = format!(
                "The body has {} values; at most {} are taken (limits.body_values)",
                size.values, self.limits.values
            );
            return Err(Problem::bad(BadKind::Body, message));
        }
        Ok(())
    }

    fn too_large(&self) -> Problem {
        let message = format!(
            "The body is larger than {} bytes (limits.body_bytes)",
            self.limits.bytes
        );
        Problem::bad_with(StatusCode::PAYLOAD_TOO_LARGE, BadKind::Body, message)
    }
}

fn unread() -> Problem {
    Problem::bad(BadKind::Body, "The body could not be read to its end")
}

/// What a text of JSON becomes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Size {
    depth: usize,
    values: usize,
}

impl Size {
    /// By its punctuation: every value but the first follows a comma, a colon or an opening bracket.
    fn of(json: &[u8]) -> Self {
        let (mut size, mut depth) = (Self::default(), 0_usize);
        let mut bytes = json.iter();
        while let Some(byte) = bytes.next() {
            match byte {
                b'"' => {
                    while let Some(byte) = bytes.next() {
                        match byte {
                            b'\\' => drop(bytes.next()),
                            b'"' => break,
                            _ => {}
                        }
                    }
                }
                b'[' | b'{' => {
                    depth += 1;
                    size.depth = size.depth.max(depth);
                    size.values += 1;
                }
                b']' | b'}' => depth = depth.saturating_sub(1),
                b',' => size.values += 1,
                _ => {}
            }
        }
        size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> BodyLimits {
        BodyLimits {
            bytes: 300_000,
            all_bytes: 400_000,
            time: Duration::from_secs(2),
            values: 10,
        }
    }

    #[test]
    fn json_is_measured_by_its_punctuation() {
        let size = |json: &str| {
            let Size { depth, values } = Size::of(json.as_bytes());
            (depth, values)
        };
        assert_eq!(size("1"), (0, 0));
        assert_eq!(size(r#"{"a[{,\"": [1, 2, {"b": "]]"}]}"#), (3, 5));
        assert_eq!(size("]]]["), (1, 1));
        assert_eq!(size(r#""\"#), (0, 0));
    }

    #[test]
    fn what_becomes_large_is_refused() {
        let bodies = Bodies::new(limits());
        assert!(bodies.check(b"[1,2,3]").is_ok());
        assert!(bodies.check(&b"[0,0,0,0,0,0,0,0,0,0,0]"[..]).is_err());
        assert!(
            Bodies::new(BodyLimits::default())
                .check("[".repeat(65).as_bytes())
                .is_err()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_wait_for_room_and_for_each_other() {
        let bodies = Bodies::new(limits());
        let none = HeaderMap::new();
        let read = |bytes: usize| bodies.read(&none, Body::from(vec![b' '; bytes]));
        assert_eq!(read(300_000).await.expect("some").bytes.len(), 300_000);
        assert!(read(300_001).await.is_err());
        let announced = |bytes: usize| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_LENGTH, bytes.into());
            headers
        };
        let held = bodies
            .read(&announced(300_000), Body::from(vec![0; 300_000]))
            .await
            .expect("some");
        let late = bodies
            .read(&announced(300_000), Body::from(vec![0; 300_000]))
            .await;
        assert!(late.is_err(), "there was room for two");
        // Also one that comes in small pieces and does not say how large it will be.
        let piece = || Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 1_000]));
        let pieces = futures_util::stream::iter((0..300).map(move |_| piece()));
        let late = bodies.read(&none, Body::from_stream(pieces)).await;
        assert!(late.is_err(), "small pieces take no room");
        drop(held);
        assert!(
            bodies
                .read(&announced(300_000), Body::from(vec![0; 300_000]))
                .await
                .is_ok()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_given_up() {
        let bodies = Bodies::new(limits());
        let never = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
        let read = bodies
            .read(&HeaderMap::new(), Body::from_stream(never))
            .await;
        assert!(read.is_err());
    }
}
