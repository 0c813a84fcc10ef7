//! A backend, as far as it is known.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Catalogue, NotSignedIn};
use crate::agent::sign_in::SignInMethod;
use crate::agent::spec::AgentSpec;

/// Whether a backend can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Its first probe is running.
    Probing,
    /// It runs.
    Connected,
    /// Its program is not there: a sentence with what to do.
    NotInstalled(String),
    /// It cannot run: a sentence with the reason and what to do.
    Unavailable(String),
    /// It runs and wants the user to sign in: a sentence with what to do.
    SignedOut(String),
}

impl Status {
    /// What it says, in words.
    pub fn in_words(&self) -> String {
        match self {
            Self::Probing => "is being probed".to_owned(),
            Self::Connected => "can be used".to_owned(),
            Self::NotInstalled(reason) => format!("is not installed: {reason}"),
            Self::Unavailable(reason) => format!("cannot be used: {reason}"),
            Self::SignedOut(reason) => format!("is not signed in: {reason}"),
        }
    }
}

/// A backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// How it is started.
    pub spec: AgentSpec,
    /// Whether it can be used, as the last probe has found.
    pub status: Status,
    /// A session has found that the user is not signed in; cleared at the first sign that they are. A probe asks no model, so
    /// it may well find nothing wrong.
    pub not_signed_in: Option<NotSignedIn>,
    /// The ways to sign in that it has named.
    pub sign_in: Vec<SignInMethod>,
    /// The way that was used last. Some agents keep it for the life of a process only, so each process is signed in again.
    pub sign_in_with: Option<String>,
    /// What it offers; from an earlier start while the first probe of this one runs.
    pub catalogue: Option<Arc<Catalogue>>,
    /// When that was found, in this run of the server.
    pub probed: Option<Instant>,
    /// The same for people.
    pub probe: Option<ProbeRun>,
}

/// The last probe of a backend in this run of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeRun {
    /// When it began, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

impl Backend {
    /// A backend that nothing else is known of.
    pub fn new(spec: AgentSpec, status: Status, catalogue: Option<Catalogue>) -> Self {
        let info = catalogue.as_ref().map(|c| &c.info);
        Self {
            spec,
            status,
            not_signed_in: None,
            sign_in: info.map(|info| info.methods.clone()).unwrap_or_default(),
            sign_in_with: None,
            catalogue: catalogue.map(Arc::new),
            probed: None,
            probe: None,
        }
    }

    /// What it offers, when it can be used as far as anybody knows.
    pub fn connected(&self) -> Option<&Catalogue> {
        self.usable().filter(|_| self.not_signed_in.is_none())
    }

    /// What it offers, when it can be tried: it runs, and may want its user to sign in. Whether they have since,
    /// only a prompt can show.
    pub fn usable(&self) -> Option<&Catalogue> {
        match self.status {
            Status::Connected => self.catalogue.as_deref(),
            _ => None,
        }
    }

    /// Why it is not connected: a sentence with what to do.
    pub fn reason(&self) -> Option<&str> {
        match &self.status {
            Status::NotInstalled(reason)
            | Status::Unavailable(reason)
            | Status::SignedOut(reason) => Some(reason),
            Status::Probing | Status::Connected => {
                self.not_signed_in.as_ref().map(|it| it.reason.as_str())
            }
        }
    }
}
