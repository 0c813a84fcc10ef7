//! `GET /metrics`.

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;

use super::error::Problem;
use super::state::Shared;
use crate::metrics::{self, Now};

/// Prometheus' text format.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Get the server's figures
///
/// In Prometheus' text format: requests, switches, turns, agents, events, the store. All names begin with `baton_`.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "metrics.get",
    tag = "global",
    responses(
        (status = 200, description = "The figures.", body = String,
            content_type = "text/plain; version=0.0.4; charset=utf-8"),
    )
)]
pub async fn metrics(State(state): State<Shared>) -> Result<impl IntoResponse, Problem> {
    // What is read from /proc takes longer the more files are open.
    let process = tokio::task::spawn_blocking(metrics::process).await;
    let (resident_bytes, open_files) = process.unwrap_or_default();
    let load = state.sessions.load();
    let ring = state.bus.load();
    let now = Now {
        turns: load.turns,
        silence_s: load.silence.as_secs(),
        prompts: load.prompts,
        permissions: load.permissions,
        questions: load.questions,
        live_agents: load.live_agents,
        starting_agents: load.starting_agents,
        ring_events: ring.events,
        ring_bytes: ring.bytes,
        subscribers: ring.subscribers,
        lag: ring.lag,
        failed_sign_ins: state.guesses.failures(),
        started_s: state.settings.started_at_ms / 1000,
        resident_bytes,
        open_files,
    };
    let text = metrics::render(&now).map_err(|error| Problem::unforeseen(&error))?;
    Ok((
        [(CONTENT_TYPE, TEXT_FORMAT), (CACHE_CONTROL, "no-store")],
        text,
    ))
}
