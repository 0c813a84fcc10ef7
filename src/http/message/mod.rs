//! `/session/{sessionID}/message`: one file per verb.

pub mod edit;
pub mod prompt;
pub mod read;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::FromRequestParts;
use axum::http::header::{CONTENT_TYPE, USER_AGENT};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::oneshot;

use super::error::Problem;
use super::state::Shared;
use crate::event::Bus;
use crate::opencode::{Message, MessageWithParts, SessionId};
use crate::session::Answer;

/// An answer that takes longer than this is preceded by white space at this interval: clients and
/// proxies give up a response of which they see nothing for minutes, and JSON may begin with blanks.
const BLANK_EVERY: Duration = Duration::from_secs(15);

/// The events of an answer are this much ahead of the response that ends it, for a client that needs it.
const EVENTS_AHEAD: Duration = Duration::from_millis(100);
/// How that client names itself: `opencode run --attach` prints what came on the one connection until the
/// response is there on the other, and ends. With both at once it would now and then print nothing.
const OPENCODE_AGENT: &str = "opencode/";

/// How far the events of an answer have to be ahead of the response that ends it.
#[derive(Debug, Clone, Copy)]
pub struct EventsAhead(Duration);

impl<S: Sync> FromRequestParts<S> for EventsAhead {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let agent = parts.headers.get(USER_AGENT);
        let needs = agent.is_some_and(|a| a.as_bytes().starts_with(OPENCODE_AGENT.as_bytes()));
        Ok(Self(if needs { EVENTS_AHEAD } else { Duration::ZERO }))
    }
}

impl EventsAhead {
    async fn wait(self, bus: &Bus) {
        if !self.0.is_zero() && bus.is_attended() {
            tokio::time::sleep(self.0).await;
        }
    }
}

/// Marks a response that has to leave as it comes: compression would hold the blanks back.
#[derive(Debug, Clone, Copy)]
pub struct Uncompressed;

/// An answer as OpenCode sends it.
pub(super) fn with_parts(answer: Answer) -> MessageWithParts {
    MessageWithParts {
        info: Message::Assistant(answer.message),
        parts: answer.parts,
    }
}

/// Waits for an answer and shapes it.
pub(super) async fn when_answered<T: Serialize + 'static>(
    state: &Shared,
    session: &SessionId,
    ahead: EventsAhead,
    mut answer: oneshot::Receiver<Answer>,
    shape: fn(Answer) -> T,
) -> Result<Response, Problem> {
    match tokio::time::timeout(BLANK_EVERY, &mut answer).await {
        Ok(Ok(answer)) => {
            ahead.wait(&state.bus).await;
            Ok(Json(shape(answer)).into_response())
        }
        Ok(Err(_)) if *state.stopping.borrow() => Err(Problem::shutting_down()),
        Ok(Err(_)) => {
            // A session that was deleted takes its prompts along.
            state.sessions.info(session).await?;
            Err(Problem::unforeseen(
                &"a prompt was dropped without an answer",
            ))
        }
        Err(_) => {
            let bus = Arc::clone(&state.bus);
            let body = Body::from_stream(with_blanks(bus, ahead, answer, shape, BLANK_EVERY));
            let mut response = ([(CONTENT_TYPE, "application/json")], body).into_response();
            response.extensions_mut().insert(Uncompressed);
            Ok(response)
        }
    }
}

fn with_blanks<T: Serialize + 'static>(
    bus: Arc<Bus>,
    ahead: EventsAhead,
    answer: oneshot::Receiver<Answer>,
    shape: fn(Answer) -> T,
    every: Duration,
) -> impl stream::Stream<Item = io::Result<Bytes>> {
    // The wait has begun before: the first blank, and with it the headers, leaves at once.
    let blank = Bytes::from_static(b" ");
    stream::unfold((Some(answer), true), move |(answer, first)| {
        let blank = blank.clone();
        let bus = Arc::clone(&bus);
        async move {
            let mut answer = answer?;
            if first {
                return Some((Ok(blank), (Some(answer), false)));
            }
            match tokio::time::timeout(every, &mut answer).await {
                Err(_) => Some((Ok(blank), (Some(answer), false))),
                Ok(Ok(answer)) => {
                    ahead.wait(&bus).await;
                    let json = serde_json::to_vec(&shape(answer));
                    Some((
                        json.map(Bytes::from).map_err(io::Error::other),
                        (None, false),
                    ))
                }
                // The status is sent already; a body that breaks off is all that is left to say.
                Ok(Err(_)) => Some((Err(io::ErrorKind::ConnectionAborted.into()), (None, false))),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use futures_util::StreamExt;

    use super::*;
    use crate::event::RingLimits;
    use crate::opencode::v2::fixture;

    fn a_bus() -> Arc<Bus> {
        Arc::new(Bus::new(RingLimits::default()))
    }

    #[tokio::test(start_paused = true)]
    async fn events_are_ahead_of_the_response_for_the_client_that_needs_it() {
        let bus = a_bus();
        let start = tokio::time::Instant::now();
        let of = async |agent: &str| {
            let request = Request::builder().header(USER_AGENT, agent).body(());
            let (mut parts, ()) = request.expect("a request").into_parts();
            let Ok(ahead) = EventsAhead::from_request_parts(&mut parts, &()).await;
            ahead
        };
        of("opencode/1.18.33").await.wait(&bus).await;
        assert_eq!(start.elapsed(), Duration::ZERO, "nobody reads events");
        let _attendance = bus.attend();
        of("curl/8.0").await.wait(&bus).await;
        assert_eq!(start.elapsed(), Duration::ZERO, "others do not pay");
        of("opencode/1.18.33").await.wait(&bus).await;
        assert!(start.elapsed() >= EVENTS_AHEAD);
    }

    fn an_answer() -> Answer {
        let stored = fixture::read(fixture::answer("a", "u", 1, None, &[]));
        match stored.info {
            Message::Assistant(message) => Answer {
                message,
                parts: stored.parts,
            },
            Message::User(_) => panic!("a prompt"),
        }
    }

    #[tokio::test]
    async fn a_late_answer_comes_after_blanks_and_is_json_all_the_same() {
        let (sender, answer) = oneshot::channel();
        let every = Duration::from_millis(5);
        let mut stream = Box::pin(with_blanks(
            a_bus(),
            EventsAhead(Duration::ZERO),
            answer,
            |answer| answer.message.model_id,
            every,
        ));
        let mut body = Vec::new();
        for _ in 0..3 {
            body.extend(stream.next().await.expect("a blank").expect("no error"));
        }
        assert_eq!(body, b"   ");
        sender.send(an_answer()).expect("somebody waits");
        while let Some(chunk) = stream.next().await {
            body.extend(chunk.expect("no error"));
        }
        let text: String = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(text, "m");
    }

    #[tokio::test]
    async fn a_late_answer_that_never_comes_breaks_the_body_off() {
        let (sender, answer) = oneshot::channel::<Answer>();
        let every = Duration::from_secs(60);
        let mut stream = Box::pin(with_blanks(
            a_bus(),
            EventsAhead(Duration::ZERO),
            answer,
            |_| true,
            every,
        ));
        assert!(stream.next().await.expect("a blank").is_ok());
        drop(sender);
        assert!(stream.next().await.expect("the end").is_err());
        assert!(stream.next().await.is_none());
    }
}
