//! `POST /tui/select-session`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::tell;
use crate::http::error::Problem;
use crate::http::extract::{Body, Directory};
use crate::http::responses::{Invalid, NotJson, NotThere, TooLarge};
use crate::http::state::Shared;
use crate::opencode::SessionId;
use crate::opencode::event::{EventPayload, TuiSessionSelect};

/// The session to show.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = SelectSessionInput)]
pub struct SelectSession {
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
}

/// Show a session
///
/// Shows a session in the terminal UIs of the directory, with the event `tui.session.select`.
#[utoipa::path(
    post,
    path = "/tui/select-session",
    operation_id = "tui.selectSession",
    tag = "tui",
    params(Directory),
    request_body(content = SelectSession, description = "The session."),
    responses(
        (status = 200, description = "`true`: the event was published.", body = bool),
        Invalid, NotThere, TooLarge, NotJson,
    )
)]
pub async fn select_session(
    State(state): State<Shared>,
    Directory(directory): Directory,
    Body(select): Body<SelectSession>,
) -> Result<Json<bool>, Problem> {
    state.sessions.info(&select.session_id).await?;
    let request = json!({ "sessionID": select.session_id });
    let event = EventPayload::TuiSessionSelect(TuiSessionSelect {
        session_id: select.session_id,
    });
    Ok(tell(
        &state,
        directory,
        "/tui/select-session",
        request,
        event,
    ))
}
