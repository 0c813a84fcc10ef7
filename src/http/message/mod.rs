//! `/session/{sessionID}/message`: one file per verb.

pub mod delete;
pub mod get;
pub mod list;
pub mod prompt;
pub mod prompt_async;

use std::io;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::oneshot;

use super::error::Problem;
use super::state::Shared;
use crate::session::Answer;

/// An answer that takes longer than this is preceded by white space at this interval: clients and
/// proxies give up a response of which they see nothing for minutes, and JSON may begin with blanks.
const BLANK_EVERY: Duration = Duration::from_secs(15);

/// Marks a response that has to leave as it comes: compression would hold the blanks back.
#[derive(Debug, Clone, Copy)]
pub struct Uncompressed;

/// Waits for an answer and shapes it.
pub(super) async fn when_answered<T: Serialize + 'static>(
    state: &Shared,
    mut answer: oneshot::Receiver<Answer>,
    shape: fn(Answer) -> T,
) -> Result<Response, Problem> {
    match tokio::time::timeout(BLANK_EVERY, &mut answer).await {
        Ok(Ok(answer)) => Ok(Json(shape(answer)).into_response()),
        Ok(Err(_)) if *state.stopping.borrow() => Err(Problem::shutting_down()),
        Ok(Err(_)) => Err(Problem::unforeseen(
            &"a prompt was dropped without an answer",
        )),
        Err(_) => {
            let body = Body::from_stream(with_blanks(answer, shape));
            let mut response = ([(CONTENT_TYPE, "application/json")], body).into_response();
            response.extensions_mut().insert(Uncompressed);
            Ok(response)
        }
    }
}

fn with_blanks<T: Serialize + 'static>(
    answer: oneshot::Receiver<Answer>,
    shape: fn(Answer) -> T,
) -> impl stream::Stream<Item = io::Result<Bytes>> {
    // The wait has begun before: the first blank, and with it the headers, leaves at once.
    let blank = Bytes::from_static(b" ");
    stream::unfold((Some(answer), true), move |(answer, first)| {
        let blank = blank.clone();
        async move {
            let mut answer = answer?;
            if first {
                return Some((Ok(blank), (Some(answer), false)));
            }
            match tokio::time::timeout(BLANK_EVERY, &mut answer).await {
                Err(_) => Some((Ok(blank), (Some(answer), false))),
                Ok(Ok(answer)) => {
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
