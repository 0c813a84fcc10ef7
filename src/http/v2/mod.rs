//! OpenCode 2's routes, below `/api`. Their errors have a shape of their own: `{"_tag", "message", …}`.

pub mod cursor;
pub mod events;
pub mod fs;
pub mod location;
pub mod providers;
pub mod session;

use axum::http::StatusCode;

use super::error::Problem;
use super::extract::Client;
use super::state::Shared;
use crate::opencode::SessionId;
use crate::opencode::event::Source;
use crate::registry::Wish;
use crate::session::Update;

/// Selects, as a PATCH would.
async fn switch(
    state: &Shared,
    session: SessionId,
    wish: Wish,
    client: Client,
) -> Result<StatusCode, Problem> {
    let update = Update {
        wish,
        ..Update::default()
    };
    let caller = client.by(Source::Patch);
    state.sessions.update(&session, update, caller).await?;
    Ok(StatusCode::NO_CONTENT)
}
