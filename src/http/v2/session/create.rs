//! `POST /api/session`.

use axum::Extension;

use crate::http::directory::{Here, named};
use crate::http::front::{self, Front};
use crate::http::handler::*;
use crate::http::read::refusal;
use crate::http::selection::{self, V2ModelInput};
use crate::opencode::bounded;
use crate::opencode::event::Source;
use crate::opencode::v2::answer::V2SessionAnswer;
use crate::session::NewSession;

/// A session to be made.
#[derive(Debug, Deserialize, ToSchema)]
pub struct V2CreateSession {
    /// Left out or null: Baton makes the ids of sessions.
    #[schema(ignore)]
    pub id: Option<String>,
    /// The model that it selects; left out, the choice is the first prompt's.
    pub model: Option<V2ModelInput>,
    /// The agent that it selects.
    #[schema(format = "bound:name", example = "build")]
    pub agent: Option<String>,
    /// Where its agents work; left out, the server's own directory.
    pub location: Option<V2LocationInput>,
}

/// Where a session's agents work.
#[derive(Debug, Deserialize, ToSchema)]
pub struct V2LocationInput {
    /// The directory; empty for the server's own.
    #[serde(deserialize_with = "bounded::path")]
    #[schema(format = "bound:path")]
    pub directory: String,
}

/// Create a session
///
/// The same as `session.create`. The session's id is Baton's choice: one in the body is refused.
#[utoipa::path(
    post,
    path = "/api/session",
    operation_id = "api.session.create",
    tag = "session",
    params(Client),
    request_body(content = V2CreateSession, description = "The session."),
    responses(
        (status = 200, description = "The session.", body = V2SessionAnswer),
        TaggedInvalid, TaggedFull,
    )
)]
pub async fn create(
    State(state): State<Shared>,
    here: Here,
    client: Client,
    front: Option<Extension<Front>>,
    Body(input): Body<V2CreateSession>,
) -> Result<Json<V2SessionAnswer>, Problem> {
    if input.id.is_some() {
        let message =
            "Baton makes the ids of sessions. Leave it out, and take the one of the answer.";
        return Err(refusal(&["id"], message));
    }
    let place = match input.location {
        Some(location) => named(&state, &location.directory, "location.directory").await?,
        None => here.place(&state).await?,
    };
    let new = NewSession {
        directory: place.directory.clone(),
        place: Some(place),
        wish: selection::of_v2(input.model, input.agent),
        ..NewSession::default()
    };
    let caller = client.by(Source::Create);
    let front = front.as_ref().map(|front| &front.0);
    let data = front::create(&state, new, caller, front).await?.into();
    Ok(Json(V2SessionAnswer { data }))
}
