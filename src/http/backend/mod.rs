//! `/backend`: every backend with whether it can run, and what to do where not. Baton's own.

pub mod authenticate;
pub mod list;

use super::error::{BadKind, Problem};
use crate::registry::{SelectError, SignInError};

impl From<SignInError> for Problem {
    fn from(error: SignInError) -> Self {
        let message = error.to_string();
        match error {
            SignInError::UnknownBackend(_) => Self::missing(message, "ProviderNotFoundError"),
            SignInError::NoSuchMethod { .. } => {
                Self::bad(BadKind::Payload, format!("{message}\n  at [\"methodId\"]"))
            }
            SignInError::Failed { backend, .. } => SelectError::NotConnected {
                provider_id: backend,
                reason: message,
            }
            .into(),
        }
    }
}
