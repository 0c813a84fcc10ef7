//! `POST /session`.

use axum::Extension;
use axum::response::Response;

use crate::http::directory::Here;
use crate::http::front::{self, Front};
use crate::http::handler::*;
use crate::http::selection::{self, SessionModelInput};
use crate::http::session::with_etag;
use crate::opencode::event::Source;
use crate::opencode::session::PermissionRule;
use crate::opencode::{Metadata, Session, SessionId, bounded};
use crate::registry::VariantWish;
use crate::session::{ImportWish, NewSession};

/// A session to be made. Every field is optional, and so is the body.
#[derive(Debug, Deserialize, ToSchema)]
pub struct SessionCreateInput {
    /// The session that it belongs to.
    #[serde(rename = "parentID")]
    pub parent_id: Option<SessionId>,
    /// Its title; a title with the time when it is left out.
    #[serde(default, deserialize_with = "bounded::title")]
    #[schema(format = "bound:title")]
    pub title: Option<String>,
    /// The backend to begin with; `modelID` has to come with it.
    #[serde(rename = "providerID")]
    #[schema(format = "bound:name", example = "claude")]
    pub provider_id: Option<String>,
    /// The model to begin with, verbatim as the backend advertises it; left out, the first prompt decides.
    #[serde(rename = "modelID")]
    #[schema(format = "bound:name", example = "opus")]
    pub model_id: Option<String>,
    /// The same as `providerID`, `modelID` and `variant`, in one object.
    pub model: Option<SessionModelInput>,
    /// The reasoning effort; `default` or null for the model's default.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = "bound:name", example = "high")]
    pub variant: VariantWish,
    /// `build`, `plan`, a backend's id (its default model), or the id of a mode that the backend advertises.
    #[schema(format = "bound:name", example = "build")]
    pub agent: Option<String>,
    /// Free data of the client.
    #[serde(default, deserialize_with = "bounded::data")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Metadata>,
    /// A native session of a backend to go on with: its conversation becomes that of the session, tools included, and the
    /// next prompt to that backend goes on in it. It has to be one of the request's directory. A model that is named
    /// beside it is handed the conversation. Baton's own.
    pub import: Option<SessionImportInput>,
    /// Permission rules; the last one that matches decides.
    #[serde(default, deserialize_with = "bounded::rules")]
    pub permission: Option<Vec<PermissionRule>>,
}

/// A native session of a backend, as `backend.session.list` lists it.
#[derive(Debug, Deserialize, ToSchema)]
pub struct SessionImportInput {
    /// The backend.
    #[serde(rename = "providerID")]
    #[schema(format = "bound:name", example = "claude")]
    pub provider_id: String,
    /// The native session's id, verbatim.
    #[serde(rename = "nativeID", deserialize_with = "bounded::path")]
    #[schema(
        format = "bound:path",
        example = "7f007d47-d169-4b55-81df-9707aac134c1"
    )]
    pub native_id: String,
}

/// Create a session
///
/// Makes a session in a directory, empty or with the conversation of a native session (`import`). No agent is started before the first prompt, unless a model or an
/// agent is named.
#[utoipa::path(
    post,
    path = "/session",
    operation_id = "session.create",
    tag = "session",
    params(Here, Client),
    request_body(
        content = Option<SessionCreateInput>,
        description = "What the session begins with.",
    ),
    responses(
        (status = 200, description = "The session.", body = Session,
            headers(("ETag" = String, description = "The session's revision, in quotes."))),
        Unselectable, NotThere, Imported, Full,
    )
)]
pub async fn create(
    State(state): State<Shared>,
    here: Here,
    client: Client,
    front: Option<Extension<Front>>,
    Body(input): Body<Option<SessionCreateInput>>,
) -> Result<Response, Problem> {
    let new = input.map(SessionCreateInput::into_new).transpose()?;
    let place = here.place(&state).await?;
    let new = NewSession {
        directory: place.directory.clone(),
        place: Some(place),
        ..new.unwrap_or_default()
    };
    let caller = client.by(Source::Create);
    let front = front.as_ref().map(|front| &front.0);
    let session = front::create(&state, new, caller, front).await?;
    Ok(with_etag(session.revision, &session))
}

impl SessionCreateInput {
    fn into_new(self) -> Result<NewSession, Problem> {
        let halves = (self.provider_id, self.model_id);
        Ok(NewSession {
            directory: String::new(),
            place: None,
            parent_id: self.parent_id,
            title: self.title,
            wish: selection::of_session(halves, self.model, self.variant, self.agent)?,
            metadata: self.metadata,
            permission: self.permission.unwrap_or_default(),
            import: self.import.map(|import| ImportWish {
                provider_id: import.provider_id,
                native_id: import.native_id,
            }),
        })
    }
}
