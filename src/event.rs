//! The event bus: one sequence, a bounded ring, and subscribers that read from the ring.
//!
//! A subscriber owns no queue. It holds the number of the event that it had last, and reads on from
//! there; one that is too slow, or that comes back too late, is told so ([`Next::Gap`]) and continues
//! with the oldest event that is still there. Nothing a subscriber does can hold up a publisher.
//!
//! Who reads one directory is woken for what concerns it, and for nothing else: a thousand readers elsewhere cost a change
//! nothing.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

use crate::opencode::event::{EventPayload, Resync};
use crate::opencode::{EventId, now_ms};

/// Sequence numbers start at the time of the start times this, so that a `Last-Event-ID` from before
/// a restart is older than every event of this run, and still is an exact JavaScript number.
const SEQUENCES_PER_MS: u64 = 1000;

/// Where several servers share a store, an event that is stored has its number there times this. In between are those that are
/// not stored. At a thousand stored events a second the numbers stay exact in JavaScript for four years.
const SEQUENCES_PER_STORED: u64 = 1 << 16;

/// Stored events by which a server may be behind another one at most. Who is further ahead has read another store.
const AHEAD_MOST: u64 = 100_000;

/// How much the ring keeps for subscribers that come back.
#[derive(Debug, Clone, Copy)]
pub struct RingLimits {
    /// Number of events.
    pub events: usize,
    /// Bytes of their JSON.
    pub bytes: usize,
}

impl Default for RingLimits {
    fn default() -> Self {
        Self {
            events: 16_384,
            bytes: 32 * 1024 * 1024,
        }
    }
}

/// An event in the ring.
#[derive(Debug)]
pub struct Published {
    /// Its number: the SSE `id:`.
    pub sequence: u64,
    /// The directory that it belongs to; empty for events of the whole server.
    pub directory: Arc<str>,
    /// `{"id", "type", "properties"}`.
    pub json: String,
    /// The events that were published together with it are over.
    pub last: bool,
}

/// The bus.
#[derive(Debug)]
pub struct Bus {
    ring: Mutex<Ring>,
    head: watch::Sender<u64>,
    limits: RingLimits,
    streams: Arc<Mutex<Streams>>,
}

/// The open streams, by their numbers.
#[derive(Debug, Default)]
struct Streams {
    next: u64,
    readers: HashMap<u64, Reader>,
}

/// An open stream.
#[derive(Debug)]
struct Reader {
    /// The number up to which it has read.
    at: Arc<AtomicU64>,
    /// The directory that it reads; `None` for all.
    directory: Option<Arc<str>>,
}

/// What the bus holds, and who reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BusLoad {
    /// Events in the ring.
    pub events: u64,
    /// Bytes of their JSON.
    pub bytes: u64,
    /// Streams that are open.
    pub subscribers: u64,
    /// Events that the slowest of them has not read yet.
    pub lag: u64,
}

#[derive(Debug)]
struct Ring {
    events: VecDeque<Arc<Published>>,
    bytes: usize,
    last: u64,
    /// The number of the last one that it has no more, or never had.
    lost: u64,
    /// The last one that came from a store, by its number there.
    stored: u64,
    /// The directories that somebody reads alone.
    places: HashMap<Arc<str>, Place>,
}

/// A directory that somebody reads alone.
#[derive(Debug)]
struct Place {
    /// The number of the last event that concerns it.
    head: watch::Sender<u64>,
    /// The number of the last such event that the ring has no more, or a later one.
    lost: u64,
    readers: usize,
}

impl Ring {
    fn oldest(&self) -> u64 {
        self.events
            .front()
            .map_or(self.last + 1, |event| event.sequence)
    }

    /// The place of the first event behind a number. Numbers ascend, with gaps where they are those of a store.
    fn place_behind(&self, number: u64) -> usize {
        self.events
            .partition_point(|event| event.sequence <= number)
    }

    /// How far a reader may be ahead: one that comes from another server may have read what this one has not heard of yet.
    fn ahead(&self) -> u64 {
        match self.stored {
            0 => 0,
            _ => AHEAD_MOST * SEQUENCES_PER_STORED,
        }
    }

    fn push(&mut self, event: Published, limits: RingLimits) {
        self.last = event.sequence;
        self.bytes += event.json.len();
        self.events.push_back(Arc::new(event));
        while self.events.len() > limits.events || self.bytes > limits.bytes {
            let Some(old) = self.events.pop_front() else {
                break;
            };
            self.bytes -= old.json.len();
            self.lost = old.sequence;
            self.concerned(&old.directory, |place| place.lost = old.sequence);
        }
    }

    /// Notes something of the places that an event of a directory concerns: what belongs to none concerns all.
    fn concerned(&mut self, directory: &str, note: impl Fn(&mut Place)) {
        if directory.is_empty() {
            self.places.values_mut().for_each(note);
        } else if let Some(place) = self.places.get_mut(directory) {
            note(place);
        }
    }
}

/// Room for the JSON of most events, in bytes.
const USUAL_BYTES: usize = 1_024;

/// An event's JSON, `{"id", "type", "properties"}`, under a new id.
pub fn render(payload: &EventPayload) -> String {
    let mut json = Vec::with_capacity(USUAL_BYTES);
    // Not by a flattened field, which takes twice as long: this is on the way of every change.
    json.extend_from_slice(br#"{"id":""#);
    json.extend_from_slice(EventId::new().as_str().as_bytes());
    json.push(b'"');
    let brace = json.len();
    // Every payload is a tree of strings, numbers and string-keyed maps, which always serialises.
    let _written = serde_json::to_writer(&mut json, payload);
    // The payload's own members follow the id.
    if let Some(brace) = json.get_mut(brace) {
        *brace = b',';
    }
    // No more is kept than counts against the ring: a string that grows may have room for twice as much.
    json.shrink_to_fit();
    String::from_utf8(json).unwrap_or_default()
}

impl Bus {
    /// An empty bus.
    pub fn new(limits: RingLimits) -> Self {
        let last = now_ms() * SEQUENCES_PER_MS;
        let ring = Ring {
            events: VecDeque::new(),
            bytes: 0,
            last,
            lost: last,
            stored: 0,
            places: HashMap::new(),
        };
        Self {
            ring: Mutex::new(ring),
            head: watch::Sender::new(last),
            limits,
            streams: Arc::default(),
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        // No code that can panic runs under this lock, and a ring is valid between any two steps.
        self.ring.lock()
    }

    /// Publishes events that belong together: they get consecutive numbers.
    pub fn publish(&self, directory: &Arc<str>, payloads: &[EventPayload]) {
        self.publish_rendered(directory, payloads.iter().map(render).collect());
    }

    /// The same for events that were rendered already.
    pub fn publish_rendered(&self, directory: &Arc<str>, rendered: Vec<String>) {
        let mut ring = self.ring();
        let count = rendered.len();
        for (index, json) in rendered.into_iter().enumerate() {
            let sequence = ring.last + 1;
            let event = Published {
                sequence,
                directory: Arc::clone(directory),
                json,
                last: index + 1 == count,
            };
            ring.push(event, self.limits);
        }
        self.wake(&mut ring, directory);
    }

    /// Publishes an event under the number that a store has given it. One that was published already is left out.
    pub fn publish_stored(&self, stored: u64, directory: &str, json: String, last: bool) {
        let mut ring = self.ring();
        if stored <= ring.stored {
            return;
        }
        ring.stored = stored;
        let known = ring.places.get_key_value(directory);
        let directory = known.map_or_else(|| directory.into(), |(known, _)| Arc::clone(known));
        let event = Published {
            // More than there is room for were told in between: they push the next ones back.
            sequence: (stored * SEQUENCES_PER_STORED).max(ring.last + 1),
            directory: Arc::clone(&directory),
            json,
            last,
        };
        ring.push(event, self.limits);
        self.wake(&mut ring, &directory);
    }

    /// The number in the store of the last event that was published from there.
    pub fn stored(&self) -> u64 {
        self.ring().stored
    }

    /// What a store has up to a number is not published: whoever has not read that far is told so.
    pub fn starts_behind(&self, stored: u64) {
        let mut ring = self.ring();
        let number = stored * SEQUENCES_PER_STORED;
        ring.stored = stored;
        (ring.last, ring.lost) = (number, number);
        ring.events.clear();
        ring.bytes = 0;
        ring.places
            .values_mut()
            .for_each(|place| place.lost = number);
        self.head.send_replace(number);
    }

    /// Under the lock, so that the heads never run backwards.
    fn wake(&self, ring: &mut Ring, directory: &str) {
        let last = ring.last;
        self.head.send_replace(last);
        ring.concerned(directory, |place| {
            place.head.send_replace(last);
        });
    }

    /// Marks somebody as a reader for as long as it is kept, also between two readings.
    pub fn attend(&self) -> Attendance {
        Attendance {
            _counted: self.head.subscribe(),
        }
    }

    /// Whether anybody reads.
    pub fn is_attended(&self) -> bool {
        self.head.receiver_count() > 0
    }

    /// Marks a stream as a reader that has read up to a number: of one directory, or of all.
    pub fn follow(self: &Arc<Self>, position: u64, directory: Option<&str>) -> Following {
        let at = Arc::new(AtomicU64::new(position));
        let directory = directory.map(|directory| self.enter(directory));
        let reader = Reader {
            at: Arc::clone(&at),
            directory: directory.clone(),
        };
        let mut streams = self.streams.lock();
        streams.next += 1;
        let number = streams.next;
        streams.readers.insert(number, reader);
        drop(streams);
        Following {
            _attendance: self.attend(),
            bus: Arc::clone(self),
            directory,
            number,
            at,
        }
    }

    /// Counts a reader of a directory.
    fn enter(&self, directory: &str) -> Arc<str> {
        let mut ring = self.ring();
        // What the ring had before is not known by directory.
        let (lost, last) = (ring.lost, ring.last);
        let known = ring.places.get_key_value(directory);
        let directory = known.map_or_else(|| directory.into(), |(known, _)| Arc::clone(known));
        let place = ring.places.entry(Arc::clone(&directory));
        let place = place.or_insert_with(|| Place {
            head: watch::Sender::new(last),
            lost,
            readers: 0,
        });
        place.readers += 1;
        directory
    }

    fn leave(&self, directory: &str) {
        let mut ring = self.ring();
        if let Some(place) = ring.places.get_mut(directory) {
            place.readers -= 1;
            if place.readers == 0 {
                ring.places.remove(directory);
            }
        }
    }

    /// What it holds now, and how far its streams are behind.
    pub fn load(&self) -> BusLoad {
        let ring = self.ring();
        let streams = self.streams.lock();
        let lag = |reader: &Reader| {
            let at = reader.at.load(Ordering::Relaxed);
            let place = reader.directory.as_ref().and_then(|d| ring.places.get(d));
            // Who has read all that concerns it is not behind.
            match place.is_some_and(|place| *place.head.borrow() <= at) {
                true => 0,
                false if ring.stored == 0 => ring.last.saturating_sub(at),
                // The numbers of a store have gaps.
                false => (ring.events.len() - ring.place_behind(at)) as u64,
            }
        };
        BusLoad {
            events: ring.events.len() as u64,
            bytes: ring.bytes as u64,
            subscribers: streams.readers.len() as u64,
            lag: streams.readers.values().map(lag).max().unwrap_or(0),
        }
    }

    /// Starts reading: after the given number, or from now on.
    pub fn subscribe(&self, after: Option<u64>) -> Subscription<'_> {
        let head = self.head.subscribe();
        let ring = self.ring();
        let (last, ahead) = (ring.last, ring.ahead());
        drop(ring);
        // A number that was never given out is from the future of another server: start from now.
        let cursor = after.map_or(last, |n| if n <= last + ahead { n } else { last });
        Subscription {
            bus: self,
            head,
            directory: None,
            cursor,
        }
    }
}

/// Somebody reads; see [`Bus::attend`].
#[derive(Debug)]
pub struct Attendance {
    _counted: watch::Receiver<u64>,
}

/// A stream is open; see [`Bus::follow`].
#[derive(Debug)]
pub struct Following {
    _attendance: Attendance,
    bus: Arc<Bus>,
    directory: Option<Arc<str>>,
    number: u64,
    at: Arc<AtomicU64>,
}

impl Following {
    /// It has read up to this number.
    pub fn has_read(&self, position: u64) {
        self.at.store(position, Ordering::Relaxed);
    }

    /// Reads on from where it was: what concerns its directory.
    pub fn subscribe(&self) -> Subscription<'_> {
        let all = self.bus.subscribe(Some(self.at.load(Ordering::Relaxed)));
        let ring = self.bus.ring();
        let place = self.directory.as_ref().and_then(|d| ring.places.get(d));
        match place {
            None => all,
            Some(place) => Subscription {
                head: place.head.subscribe(),
                directory: self.directory.as_deref(),
                ..all
            },
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.bus.streams.lock().readers.remove(&self.number);
        if let Some(directory) = &self.directory {
            self.bus.leave(directory);
        }
    }
}

/// What a subscriber reads.
#[derive(Debug)]
pub enum Next {
    /// An event.
    Event(Arc<Published>),
    /// Events were lost; reading goes on with the oldest one that is left.
    Gap(Resync),
}

/// A reading position.
#[derive(Debug)]
pub struct Subscription<'a> {
    bus: &'a Bus,
    head: watch::Receiver<u64>,
    /// What is read alone, with what belongs to no directory.
    directory: Option<&'a str>,
    cursor: u64,
}

impl Subscription<'_> {
    /// The number of the event that was read last.
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// The next event, as soon as there is one. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Next {
        loop {
            self.head.mark_unchanged();
            if let Some(next) = self.try_next() {
                return next;
            }
            if self.head.changed().await.is_err() {
                // The sender lives in the bus that we borrow, so this cannot happen; waiting for
                // ever is what "no further event" means.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Passes over what is of other directories. Answers the number of the event that was read last, or that it came by.
    pub fn pass_over(&mut self) -> u64 {
        let ring = self.bus.ring();
        if !self.has_lost(&ring) {
            let came_by = self.upcoming(&ring).map_or(ring.last, |e| e.sequence - 1);
            self.cursor = self.cursor.max(came_by);
        }
        self.cursor
    }

    fn try_next(&mut self) -> Option<Next> {
        let ring = self.bus.ring();
        if self.has_lost(&ring) {
            let resync = Resync {
                last_event_id: self.cursor,
                oldest_event_id: ring.oldest(),
            };
            self.cursor = ring.lost;
            return Some(Next::Gap(resync));
        }
        let next = self.upcoming(&ring).map(Arc::clone);
        let came_by = next.as_ref().map_or(ring.last, |event| event.sequence);
        self.cursor = self.cursor.max(came_by);
        next.map(Next::Event)
    }

    /// Whether the ring has no more what was to be read next.
    fn has_lost(&self, ring: &Ring) -> bool {
        let place = self.directory.and_then(|d| ring.places.get(d));
        self.cursor < ring.lost && place.is_none_or(|place| place.lost > self.cursor)
    }

    /// The first event that it has not read and that concerns it.
    fn upcoming<'r>(&self, ring: &'r Ring) -> Option<&'r Arc<Published>> {
        let rest = ring.events.range(ring.place_behind(self.cursor)..);
        let concerns = |event: &Published| {
            let of = &*event.directory;
            self.directory.is_none_or(|d| of.is_empty() || of == d)
        };
        rest.into_iter().find(|event| concerns(event))
    }
}

#[cfg(test)]
mod tests;
