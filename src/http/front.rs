//! Requests that come through a front (`baton opencode serve`): a program of the same user that stands in front of this server
//! under an address and a password of its own.
//!
//! A front knows the token that this server has put into its data directory, where only its owner can read. With it a
//! request is signed in, and what the front says of its client counts. Without it none of these headers means anything.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::Response;

use super::error::Problem;
use super::state::Shared;
use crate::opencode::Session;
use crate::registry::{ModelWish, Snapshot, Wish};
use crate::session::{Caller, Error, NewSession};

/// Carries the token.
pub const TOKEN: HeaderName = HeaderName::from_static("x-baton-front");
/// `provider/model`: what a session of this client begins with when it names nothing.
pub const MODEL: HeaderName = HeaderName::from_static("x-baton-front-model");
/// Web origins that may use the front, with spaces between them.
pub const ORIGINS: HeaderName = HeaderName::from_static("x-baton-front-origins");

/// What a front says of its client.
#[derive(Debug, Clone, Default)]
pub struct Front {
    /// The model of a session that names none.
    pub model: Option<ModelWish>,
    /// Web origins that may use it, besides the configured ones.
    pub origins: Vec<String>,
}

/// Middleware: notes whether a front has sent the request, and takes its headers out.
pub async fn recognise(State(state): State<Shared>, mut request: Request, next: Next) -> Response {
    let token = request.headers_mut().remove(TOKEN);
    let front = Front::of(request.headers_mut());
    if token.is_some_and(|token| state.front_token.matches(token.as_bytes())) {
        request.extensions_mut().insert(front);
    }
    next.run(request).await
}

impl Front {
    fn of(headers: &mut HeaderMap) -> Self {
        let mut text = |name| Some(headers.remove(name)?.to_str().ok()?.to_owned());
        let model = text(MODEL);
        let origins = text(ORIGINS).unwrap_or_default();
        Self {
            model: model.as_deref().and_then(ModelWish::parse),
            origins: origins.split_whitespace().map(str::to_owned).collect(),
        }
    }

    /// Its client's model, where it is one that can be selected.
    pub fn model_in(&self, snapshot: &Snapshot) -> Option<&ModelWish> {
        let model = self.model.as_ref()?;
        let known = snapshot.catalogue(&model.provider_id)?;
        known.model(&model.model_id).and(Some(model))
    }
}

/// Makes a session. One that names nothing begins with the model of the front's client; if that is not available, with
/// nothing, since the client has not asked for it here.
///
/// # Errors
/// As when a session is made.
pub async fn create(
    state: &Shared,
    new: NewSession,
    caller: Caller,
    front: Option<&Front>,
) -> Result<Session, Problem> {
    let model = front.and_then(|front| front.model.clone());
    if let Some(model) = model.filter(|_| new.wish.is_empty() && new.import.is_none()) {
        let wish = Wish {
            model: Some(model),
            ..Wish::default()
        };
        let wished = NewSession {
            wish,
            ..new.clone()
        };
        match state.sessions.create(wished, caller.clone()).await {
            Err(Error::Select(error)) => {
                tracing::warn!("the model in OPENCODE_CONFIG_CONTENT is not selected: {error}");
            }
            made => return Ok(made?),
        }
    }
    Ok(state.sessions.create(new, caller).await?)
}
