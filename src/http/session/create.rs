//! `POST /session`.

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{SessionModelInput, rules_of, with_etag};
use crate::http::bounds::Bound;
use crate::http::error::Problem;
use crate::http::extract::{Body, Client, Directory};
use crate::http::fields::Fields;
use crate::http::front::{self, Front};
use crate::http::responses::{NotJson, NotThere, Stopping, TooLarge, Unselectable};
use crate::http::selection;
use crate::http::state::Shared;
use crate::opencode::event::Source;
use crate::opencode::session::PermissionRule;
use crate::opencode::{Session, SessionId};
use crate::session::NewSession;

const FIELDS: &[&str] = &[
    "providerID",
    "modelID",
    "model",
    "variant",
    "agent",
    "parentID",
    "title",
    "metadata",
    "permission",
    "workspaceID",
];

/// A session to be made. Every field is optional, and so is the body.
#[derive(Debug, Deserialize, ToSchema)]
pub struct SessionCreateInput {
    /// The session that it belongs to.
    #[serde(rename = "parentID")]
    pub parent_id: Option<SessionId>,
    /// Its title; one with the time is made when there is none.
    #[schema(format = "bound:title")]
    pub title: Option<String>,
    /// The model to begin with; left out, the first prompt decides.
    pub model: Option<SessionModelInput>,
    /// `build`, `plan`, a backend's id (its default model), or the id of a mode that the backend advertises.
    #[schema(format = "bound:name", example = "build")]
    pub agent: Option<String>,
    /// Free data of the client.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
    /// Permission rules; the last one that matches decides.
    pub permission: Option<Vec<PermissionRule>>,
}

/// Create a session
///
/// Makes a session in a directory. No agent is started before the first prompt, unless a model or an
/// agent is named.
#[utoipa::path(
    post,
    path = "/session",
    operation_id = "session.create",
    tag = "session",
    params(Directory, Client),
    request_body(
        content = Option<SessionCreateInput>,
        description = "What the session begins with.",
    ),
    responses(
        (status = 200, description = "The session.", body = Session,
            headers(("ETag" = String, description = "The session's revision, in quotes."))),
        Unselectable, NotThere, TooLarge, NotJson, Stopping,
    )
)]
pub async fn create(
    State(state): State<Shared>,
    directory: Directory,
    client: Client,
    front: Option<Extension<Front>>,
    body: Body,
) -> Result<Response, Problem> {
    let new = match body.optional_fields(FIELDS)? {
        Some(fields) => parse(&fields)?,
        None => NewSession::default(),
    };
    let new = NewSession {
        directory: directory.existing().await?,
        ..new
    };
    let caller = client.by(Source::Create);
    let front = front.as_ref().map(|front| &front.0);
    let session = front::create(&state, new, caller, front).await?;
    Ok(with_etag(&session))
}

fn parse(body: &Fields<'_>) -> Result<NewSession, Problem> {
    Ok(NewSession {
        directory: String::new(),
        parent_id: body.id("parentID", SessionId::parse)?,
        title: body.text("title", Bound::Title)?.map(str::to_owned),
        wish: selection::of_session(body)?,
        metadata: body.metadata("metadata")?,
        permission: rules_of(body)?,
    })
}
