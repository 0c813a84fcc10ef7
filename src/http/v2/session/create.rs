//! `POST /api/session`.

use axum::extract::State;
use axum::{Extension, Json};
use serde::Deserialize;
use utoipa::ToSchema;

use super::V2SessionAnswer;
use crate::http::bounds::Bound;
use crate::http::directory::{Directory, named};
use crate::http::error::Problem;
use crate::http::extract::{Body, Client};
use crate::http::front::{self, Front};
use crate::http::responses::{TaggedInvalid, TaggedNotJson, TaggedStopping, TaggedTooLarge};
use crate::http::selection;
use crate::http::state::Shared;
use crate::http::v2::model::V2ModelInput;
use crate::opencode::event::Source;
use crate::registry::Wish;
use crate::session::NewSession;

/// A session to be made.
#[derive(Debug, Deserialize, ToSchema)]
pub struct V2CreateSession {
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
        TaggedInvalid, TaggedTooLarge, TaggedNotJson, TaggedStopping,
    )
)]
pub async fn create(
    State(state): State<Shared>,
    here: Directory,
    client: Client,
    front: Option<Extension<Front>>,
    body: Body,
) -> Result<Json<V2SessionAnswer>, Problem> {
    let fields = body.fields(&["id", "agent", "model", "location"])?;
    if fields.string("id")?.is_some() {
        let message =
            "Baton makes the ids of sessions. Leave it out, and take the one of the answer.";
        return Err(fields.refuse("id", message));
    }
    let model = fields.object("model", selection::MODEL_FIELDS)?;
    let wish = match model {
        Some(_) => selection::of_switch(&fields)?,
        None => Wish::default(),
    };
    let agent = fields.string("agent")?.map(str::to_owned);
    let location = fields.object("location", &["directory", "workspaceID"])?;
    let here = match location {
        Some(location) => {
            let given = location.required_text("directory", Bound::Path)?;
            named(&state, given, "location.directory").await?
        }
        None => here,
    };
    let new = NewSession {
        directory: here.existing().await?,
        wish: Wish { agent, ..wish },
        ..NewSession::default()
    };
    let caller = client.by(Source::Create);
    let front = front.as_ref().map(|front| &front.0);
    let data = front::create(&state, new, caller, front).await?.into();
    Ok(Json(V2SessionAnswer { data }))
}
