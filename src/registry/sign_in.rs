//! Backends whose user is not signed in: what is noted about them, what to do, and signing in over ACP.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Backend, Registry, Status, probe};
use crate::agent::client;
use crate::agent::connection::{CallError, Connection};
use crate::agent::pool::last_words;
use crate::agent::sign_in;
use crate::agent::spec::AgentSpec;

/// How long a sign-in may take: somebody may have to do something in a browser.
const SIGN_IN_AT_MOST: Duration = Duration::from_secs(300);

/// What is noted about a backend whose user is not signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotSignedIn {
    /// A sentence with what to do.
    pub reason: String,
    /// A prompt was refused, not a session. A probe, which only opens a session, does not disprove it.
    pub at_prompt: bool,
}

/// Why the sign-in failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// No such backend.
    #[error("Backend \"{0}\" is not known.")]
    UnknownBackend(String),
    /// The agent has no such way that works without a terminal.
    #[error(
        "Backend \"{backend}\" has no way to sign in \"{method}\" that works without a terminal. {advice}"
    )]
    NoSuchMethod {
        /// The backend.
        backend: String,
        /// What was asked for.
        method: String,
        /// What is available.
        advice: String,
    },
    /// It was tried and failed.
    #[error("Backend \"{backend}\" has not signed its user in: {why}")]
    Failed {
        /// The backend.
        backend: String,
        /// Why.
        why: String,
    },
}

/// What somebody who is not signed in can do; with what the agent has said.
pub(super) fn advice(spec: &AgentSpec, said: Option<&str>) -> String {
    let said = said.map(|said| format!(": {}", said.trim_end_matches('.')));
    let said = said.unwrap_or_default();
    format!(
        "Backend \"{}\" is not signed in{said}. {}",
        spec.id,
        spec.sign_in_advice()
    )
}

impl Backend {
    /// Whether its user is known not to be signed in.
    pub fn is_signed_out(&self) -> bool {
        self.not_signed_in.is_some() || matches!(self.status, Status::SignedOut(_))
    }
}

impl Registry {
    /// Notes that a backend has refused a session or, `at_prompt`, a prompt because its user is not signed in; `said` is
    /// its error. Returns a sentence with what to do.
    pub async fn note_signed_out(&self, id: &str, said: &str, at_prompt: bool) -> Option<String> {
        let spec = self.snapshot().backend(id)?.spec.clone();
        let reason = advice(&spec, Some(said));
        let note = NotSignedIn {
            reason: reason.clone(),
            at_prompt,
        };
        tracing::warn!(backend = id, "{reason}");
        self.note_sign_in(id, Some(note)).await;
        Some(reason)
    }

    /// Notes that a backend has answered a prompt.
    pub async fn note_signed_in(&self, id: &str) {
        self.note_sign_in(id, None).await;
    }

    async fn note_sign_in(&self, id: &str, note: Option<NotSignedIn>) {
        let is_news = {
            let snapshot = self.snapshot.borrow();
            let backend = snapshot.backend(id);
            backend.is_some_and(|backend| backend.not_signed_in != note)
        };
        if !is_news {
            return;
        }
        self.update(id, |backend| backend.not_signed_in.clone_from(&note));
        self.save(id).await;
    }

    /// Lets a backend sign its user in, in a way that it offers and that needs no terminal. What it offers is read anew
    /// afterwards. Runs to its end also when the caller goes away.
    ///
    /// # Errors
    /// See [`SignInError`].
    pub async fn sign_in(self: &Arc<Self>, id: &str, method: &str) -> Result<(), SignInError> {
        let (registry, id, method) = (Arc::clone(self), id.to_owned(), method.to_owned());
        let backend = id.clone();
        let task = tokio::spawn(async move { registry.sign_in_now(&id, &method).await });
        task.await.unwrap_or_else(|panic| {
            let why = panic.to_string();
            Err(SignInError::Failed { backend, why })
        })
    }

    async fn sign_in_now(self: &Arc<Self>, id: &str, method: &str) -> Result<(), SignInError> {
        let snapshot = self.snapshot();
        let unknown = || SignInError::UnknownBackend(id.to_owned());
        let spec = snapshot.backend(id).ok_or_else(unknown)?.spec.clone();
        self.authenticate(&spec, method).await?;
        self.update(id, |backend| {
            backend.not_signed_in = None;
            backend.sign_in_with = Some(method.to_owned());
        });
        self.probe(id.to_owned(), None).await;
        self.save(id).await;
        Ok(())
    }

    /// Signs in, in a process of its own, which is gone afterwards.
    async fn authenticate(&self, spec: &AgentSpec, method: &str) -> Result<(), SignInError> {
        let failed = |why: String| SignInError::Failed {
            backend: spec.id.clone(),
            why,
        };
        let scratch = self.scratch.join(&spec.id);
        let started = probe::start(spec, &scratch, &self.timeouts, self.starter.as_ref()).await;
        let (process, pipes) = started.map_err(|status| match status {
            Status::NotInstalled(why) | Status::Unavailable(why) => failed(why),
            _ => failed("it was not started".to_owned()),
        })?;
        process.note_start(self.ledger.as_ref(), &spec.id);
        let connection = Connection::open(pipes.stdin, pipes.stdout);
        let done = self.authenticate_over(&connection, spec, method).await;
        connection.close();
        process.end().await;
        process.note_end(self.ledger.as_ref());
        match done {
            Ok(done) => done,
            Err(error) => Err(failed(last_words(&process, &error).await)),
        }
    }

    async fn authenticate_over(
        &self,
        connection: &Connection,
        spec: &AgentSpec,
        method: &str,
    ) -> Result<Result<(), SignInError>, CallError> {
        let info = client::initialize(connection, self.timeouts.start).await?;
        let usable = info.methods.iter().filter(|m| !m.needs_terminal);
        let usable: Vec<_> = usable.map(|m| m.id.as_str()).collect();
        if !usable.contains(&method) {
            let has = match usable.is_empty() {
                true => String::new(),
                false => format!("It has: {}. ", usable.join(", ")),
            };
            return Ok(Err(SignInError::NoSuchMethod {
                backend: spec.id.clone(),
                method: method.to_owned(),
                advice: format!("{has}{}", spec.sign_in_advice()),
            }));
        }
        sign_in::authenticate(connection, method, SIGN_IN_AT_MOST).await?;
        Ok(Ok(()))
    }
}
