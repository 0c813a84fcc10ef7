//! `GET /backend`: every backend with whether it can run, and what to do where not. Baton's own.

use crate::agent::quirks::UNKNOWN_LOGIN;
use crate::agent::sign_in::SignInMethod;
use crate::http::handler::*;
use crate::registry::{Backend, Status};
use crate::secret::mask;

/// Whether a backend can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BackendStatus {
    /// It runs, as far as is known.
    Ready,
    /// It is being probed for the first time.
    Starting,
    /// Its program is not there.
    NotInstalled,
    /// It runs, and its user is not signed in.
    NotSignedIn,
    /// It was started and did not run as an agent does.
    Failed,
}

/// A way to sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct BackendAuthMethod {
    /// Its id, for `backend.authenticate`.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// What happens, for people.
    #[schema(required)]
    pub description: Option<String>,
    /// It runs in a terminal, and cannot be started over HTTP.
    pub terminal: bool,
}

/// When a backend was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct BackendProbe {
    /// When it began, in milliseconds since the Unix epoch.
    pub time: u64,
    /// How long it took.
    #[serde(rename = "durationMs")]
    pub duration_ms: u64,
}

/// A backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct BackendInfo {
    /// Its id, used as `providerID`.
    #[schema(example = "claude")]
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Whether it can be used.
    pub status: BackendStatus,
    /// Why it cannot be used and what to do, as a sentence; null when it is ready.
    #[schema(required)]
    pub reason: Option<String>,
    /// The command that starts it.
    pub command: Vec<String>,
    /// How to install it.
    pub install: String,
    /// How its user signs in, as words that follow "To sign in: "; null where that is not known.
    #[schema(required, example = "run `codex login`")]
    pub login: Option<String>,
    /// Its version, as it says; null until it has.
    #[schema(required)]
    pub version: Option<String>,
    /// The ways to sign in that it has named.
    #[serde(rename = "authMethods")]
    pub auth_methods: Vec<BackendAuthMethod>,
    /// Its last probe in this run of the server; null before the first one has ended.
    #[schema(required)]
    pub probe: Option<BackendProbe>,
}

/// List backends
///
/// Every backend that Baton knows, in order of preference, also those that cannot run, with the reason, and with how to
/// install them and to sign in. Does not wait for a probe. Baton's own route.
#[utoipa::path(
    get,
    path = "/backend",
    operation_id = "backend.list",
    tag = "provider",
    responses((status = 200, description = "The backends.", body = Vec<BackendInfo>))
)]
pub async fn list(State(state): State<Shared>) -> Json<Vec<BackendInfo>> {
    let snapshot = state.registry.snapshot();
    Json(snapshot.backends.iter().map(|b| info(b)).collect())
}

/// A backend as clients see it.
pub(super) fn info(backend: &Backend) -> BackendInfo {
    let spec = &backend.spec;
    let status = match backend.status {
        _ if backend.is_signed_out() => BackendStatus::NotSignedIn,
        Status::Connected => BackendStatus::Ready,
        Status::Probing => BackendStatus::Starting,
        Status::NotInstalled(_) => BackendStatus::NotInstalled,
        Status::SignedOut(_) => BackendStatus::NotSignedIn,
        Status::Unavailable(_) => BackendStatus::Failed,
    };
    let known = |text: &String| Some(text.clone()).filter(|text| text != UNKNOWN_LOGIN);
    let catalogue = backend.catalogue.as_ref();
    BackendInfo {
        id: spec.id.clone(),
        name: spec.name.clone(),
        status,
        reason: backend.reason().map(|reason| mask(reason).into_owned()),
        command: spec.command.iter().map(|c| mask(c).into_owned()).collect(),
        install: spec.install.clone(),
        login: known(&spec.login),
        version: catalogue.and_then(|c| c.info.version.clone()),
        auth_methods: backend.sign_in.iter().map(method).collect(),
        probe: backend.probe.map(|probe| BackendProbe {
            time: probe.at_ms,
            duration_ms: probe.took_ms,
        }),
    }
}

fn method(method: &SignInMethod) -> BackendAuthMethod {
    BackendAuthMethod {
        id: method.id.clone(),
        name: method.name.clone(),
        description: method.description.clone(),
        terminal: method.needs_terminal,
    }
}
