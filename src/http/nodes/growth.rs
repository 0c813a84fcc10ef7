//! How servers tell each other what grows: a stream that each opens to each, a line of JSON for each piece.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::Response;
use futures_util::{StreamExt, stream};
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;

use super::forward::GROWTH;
use crate::http::error::Problem;
use crate::http::state::Shared;
use crate::nodes::growth::Grown;

/// How often it is looked whether there are other servers.
const LOOK: Duration = Duration::from_secs(1);
/// A line at most, in bytes: more is no growth.
const LINE_MOST: usize = 16 * 1024 * 1024;

/// What grows at this server, for another one.
pub(super) fn respond(state: &Shared) -> Result<Response, Problem> {
    let none = || Problem::not_found("There are no other nodes");
    let growth = state.sessions.nodes().growth().ok_or_else(none)?;
    let stopping = state.stopping.clone();
    let lines = stream::unfold(
        (growth, stopping),
        |(mut growth, mut stopping)| async move {
            loop {
                let grown = tokio::select! {
                    _ = stopping.wait_for(|stopping| *stopping) => return None,
                    grown = growth.recv() => grown,
                };
                match grown {
                    Ok(grown) => {
                        let line = format!("{}\n", crate::json::text(&*grown));
                        return Some((Ok::<_, Infallible>(Bytes::from(line)), (growth, stopping)));
                    }
                    // What was missed is in what is stored.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            }
        },
    );
    Ok(Response::new(Body::from_stream(lines)))
}

/// Follows what grows at the others, as long as it is polled. Ends at once where there are none.
pub async fn follow(state: Shared) {
    if state.peers.is_none() {
        return;
    }
    // Each ends with this one, which is aborted when the server stops.
    let mut readers: HashMap<String, Reader> = HashMap::new();
    loop {
        let others = state.sessions.nodes().others().await.unwrap_or_default();
        readers.retain(|url, reader| {
            !reader.0.is_finished() && others.iter().any(|other| other.node.url == *url)
        });
        for other in others {
            let url = other.node.url;
            readers.entry(url.clone()).or_insert_with(|| {
                let state = Arc::clone(&state);
                Reader(tokio::spawn(async move {
                    if let Err(error) = read(&state, &url).await {
                        tracing::debug!(
                            url,
                            "what grows at a node is not heard of for a moment: {error}"
                        );
                    }
                }))
            });
        }
        tokio::time::sleep(LOOK).await;
    }
}

struct Reader(JoinHandle<()>);

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn read(state: &Shared, url: &str) -> Result<(), String> {
    let Some(peers) = &state.peers else {
        return Ok(());
    };
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = axum::http::Uri::from_static(GROWTH);
    let answer = peers.send_on(url, request).await;
    let answer = answer.map_err(|_| "it does not answer".to_owned())?;
    let mut chunks = answer.into_body().into_data_stream();
    let mut rest: Vec<u8> = Vec::new();
    while let Some(chunk) = chunks.next().await {
        rest.extend_from_slice(&chunk.map_err(|error| error.to_string())?);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            let grown: Grown = serde_json::from_slice(&line).map_err(|error| error.to_string())?;
            state.sessions.nodes().has_grown(&state.bus, grown).await;
        }
        if rest.len() > LINE_MOST {
            return Err("a line is too long".to_owned());
        }
    }
    Ok(())
}
