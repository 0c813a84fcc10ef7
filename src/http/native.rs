//! `GET /backend/{backendID}/session`: the sessions that an agent keeps for its user. Baton's own.

use std::ops::RangeInclusive;

use crate::http::directory::Asked;
use crate::http::handler::*;
use crate::http::read::INTEGER_MAX;
use crate::opencode::SessionId;
use crate::session::Importable;

/// Native sessions of one answer, unless the request says otherwise.
const LIMIT: usize = 100;
/// What `limit` may be.
const ANY: RangeInclusive<usize> = 0..=INTEGER_MAX as usize;

/// A session that an agent keeps for its user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NativeSessionInfo {
    /// Its id, in the agent's numbering, for `import` of `session.create`.
    #[serde(rename = "nativeID")]
    pub native_id: String,
    /// Its title; null where the agent has none.
    #[schema(required)]
    pub title: Option<String>,
    /// When it was used last, in milliseconds since the Unix epoch; null where the agent does not tell.
    #[schema(required)]
    pub updated: Option<u64>,
    /// Its working directory, as the agent names it; empty where it does not.
    pub directory: String,
    /// The session that goes on in it already; null where none does.
    #[serde(rename = "sessionID")]
    #[schema(required)]
    pub session_id: Option<SessionId>,
}

impl From<Importable> for NativeSessionInfo {
    fn from(importable: Importable) -> Self {
        let Importable { native, session_id } = importable;
        Self {
            native_id: native.id,
            title: native.title,
            updated: native.updated_ms,
            directory: native.directory,
            session_id,
        }
    }
}

/// List the sessions of an agent
///
/// The sessions that a backend's agent keeps for its user (ACP's `session/list`), also those that were made outside of
/// Baton, most recently used first. With a directory in the request, those of that directory alone. The agent is asked in a
/// process of its own, which takes as long as its start. Each can be continued with `import` of `session.create`. Baton's
/// own route.
#[utoipa::path(
    get,
    path = "/backend/{backendID}/session",
    operation_id = "backend.session.list",
    tag = "provider",
    params(
        Directory,
        ("backendID" = String, Path, description = "The backend."),
        ("limit" = Option<u64>, Query, description = "At most this many sessions; 100 if it is left out, 1000 at most."),
    ),
    responses(
        (status = 200, description = "The sessions.", body = Vec<NativeSessionInfo>),
        Unselectable, NotThere,
    )
)]
pub async fn list(
    State(state): State<Shared>,
    PathName(backend): PathName,
    asked: Asked,
    params: Params,
) -> Result<Json<Vec<NativeSessionInfo>>, Problem> {
    let limit = params.between("limit", ANY)?.unwrap_or(LIMIT);
    let directory = asked.is_named.then_some(asked.directory.as_str());
    let listed = state
        .sessions
        .importable(&backend, directory, limit)
        .await?;
    Ok(Json(listed.into_iter().map(Into::into).collect()))
}
