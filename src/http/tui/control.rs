//! `GET /tui/control/next` and `POST /tui/control/response`.

use axum::http::HeaderMap;
use serde::de::IgnoredAny;

use crate::http::guard::site::is_of_a_browser;
use crate::http::handler::*;
use crate::opencode::event::TuiRequest;

/// Get the next command
///
/// Waits for the next `/tui` request and answers with it: a long poll for clients without an event stream. Each
/// request is handed out once; 64 of them wait, then the oldest is given up. OpenCode 1.18 has the route too, and
/// hands out nothing there. Browsers are refused: a GET that takes something away must not be an address that any page
/// can embed.
#[utoipa::path(
    get,
    path = "/tui/control/next",
    operation_id = "tui.control.next",
    tag = "tui",
    responses(
        (status = 200, description = "The request.", body = TuiRequest),
        Full,
    )
)]
pub async fn next(
    State(state): State<Shared>,
    headers: HeaderMap,
) -> Result<Json<TuiRequest>, Problem> {
    if is_of_a_browser(&headers) {
        return Err(Problem::forbidden(
            "Commands for a terminal UI are handed out once, and not to a browser. A page gets them as events of \
             GET /event.",
        ));
    }
    let mut stopping = state.stopping.clone();
    tokio::select! {
        biased;
        _ = stopping.wait_for(|stopping| *stopping) => Err(Problem::shutting_down()),
        request = state.tui.next() => Ok(Json(request)),
    }
}

/// Answer a command
///
/// Takes what a terminal UI says about a command that it got from `tui.control.next`.
///
/// Stub: nobody waits for it, since every `/tui` request was answered when it was published. Only a missing body is
/// refused.
#[utoipa::path(
    post,
    path = "/tui/control/response",
    operation_id = "tui.control.response",
    tag = "tui",
    request_body(content = serde_json::Value, description = "Anything.", content_type = "application/json"),
    responses(
        (status = 200, description = "`true`.", body = bool),
        Invalid,
    )
)]
pub async fn response(_anything: Body<IgnoredAny>) -> Result<Json<bool>, Problem> {
    Ok(Json(true))
}
