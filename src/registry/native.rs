//! The native sessions that backends keep for their users, and what was said in one: asked in a process of its own, which is
//! gone afterwards. Nothing is opened for the question but what it is about, so nothing is left behind.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use super::{Registry, Status, probe};
use crate::agent::client::{self, AgentInfo};
use crate::agent::connection::{CallError, Connection};
use crate::agent::native::{self, NativeSession};
use crate::agent::options::Options;
use crate::agent::pool::last_words;
use crate::agent::process::AgentProcess;
use crate::agent::refusal::Refusal;
use crate::agent::sign_in;
use crate::agent::spec::AgentSpec;
use crate::looks;
use crate::opencode::now_ms;
use crate::project::canonical;

/// Processes that are asked at the same time. Who comes next waits.
pub(super) const ASKED_AT_ONCE: usize = 4;

/// Why what a backend keeps is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NativeError {
    /// No such backend.
    #[error("Backend \"{0}\" is not known. GET /backend lists those that are.")]
    UnknownBackend(String),
    /// The agent cannot do it.
    #[error("Backend \"{backend}\" has no {method}: {what}.")]
    Lacks {
        /// The backend.
        backend: String,
        /// What it lacks, as ACP calls it.
        method: &'static str,
        /// What that means.
        what: &'static str,
    },
    /// It cannot run, or does not answer.
    #[error("{why}")]
    NotAsked {
        /// The backend.
        backend: String,
        /// Why, as a sentence.
        why: String,
    },
    /// The agent does not have it, or cannot open it.
    #[error(
        "Backend \"{backend}\" does not open native session \"{native}\": {why}. GET /backend/{backend}/session lists \
         those that it has"
    )]
    NotOpened {
        /// The backend.
        backend: String,
        /// The native session.
        native: String,
        /// What the agent has said.
        why: String,
    },
    /// It belongs to another directory.
    #[error(
        "Native session \"{native}\" is one of {directory}. Send the request with ?directory= and that one"
    )]
    Elsewhere {
        /// The native session.
        native: String,
        /// Its directory.
        directory: String,
    },
    /// There is more of it than may be read.
    #[error(
        "Native session \"{native}\" is longer than {limit} bytes (limits.import_bytes). Raise the limit, or go on in it \
             with its own program and import a shorter one"
    )]
    TooLarge {
        /// The native session.
        native: String,
        /// The limit, in bytes.
        limit: usize,
    },
}

/// What was said in a native session.
#[derive(Debug)]
pub struct NativeReplay {
    /// The native session as its agent lists it; `None` where it does not.
    pub listed: Option<NativeSession>,
    /// The updates that its agent has replayed, in their order.
    pub updates: Vec<Value>,
    /// What it offers.
    pub options: Options,
    /// When it was over, in milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// A process that was started to ask something.
struct Asked {
    process: AgentProcess,
    connection: Arc<Connection>,
    info: AgentInfo,
    _place: OwnedSemaphorePermit,
}

impl Registry {
    /// The native sessions that a backend has, in a directory or in all, most recently used first. Runs to its end also
    /// when the caller goes away.
    ///
    /// # Errors
    /// See [`NativeError`].
    pub async fn native_sessions(
        self: &Arc<Self>,
        id: &str,
        directory: Option<&str>,
    ) -> Result<Vec<NativeSession>, NativeError> {
        let (registry, backend) = (Arc::clone(self), id.to_owned());
        let directory = directory.map(str::to_owned);
        let task =
            tokio::spawn(async move { registry.list_native(&backend, directory.as_deref()).await });
        task.await
            .unwrap_or_else(|panic| Err(not_asked(id, &panic)))
    }

    /// What was said in a native session of a directory, of which at most so many bytes of JSON are read. Runs to its end
    /// also when the caller goes away.
    ///
    /// # Errors
    /// See [`NativeError`].
    pub async fn replay_native(
        self: &Arc<Self>,
        id: &str,
        native: &str,
        directory: &str,
        most: usize,
    ) -> Result<NativeReplay, NativeError> {
        let (registry, backend) = (Arc::clone(self), id.to_owned());
        let (native, directory) = (native.to_owned(), directory.to_owned());
        let task = tokio::spawn(async move {
            let asked = registry.start_asking(&backend).await?;
            let about = About {
                backend: &backend,
                native: &native,
                cwd: Path::new(&directory),
                timeout: registry.timeouts.session,
            };
            let replayed = about.replay(&asked, most).await;
            registry.end_asking(asked, &backend, replayed).await?
        });
        task.await
            .unwrap_or_else(|panic| Err(not_asked(id, &panic)))
    }

    async fn list_native(
        &self,
        id: &str,
        directory: Option<&str>,
    ) -> Result<Vec<NativeSession>, NativeError> {
        let asked = self.start_asking(id).await?;
        let listed = match asked.info.capabilities.list {
            true => {
                let (cwd, timeout) = (directory.map(Path::new), self.timeouts.session);
                let listed = native::list(&asked.connection, cwd, timeout).await;
                listed.map(Ok)
            }
            false => Ok(Err(NativeError::Lacks {
                backend: id.to_owned(),
                method: "session/list",
                what: "it does not tell which sessions it has",
            })),
        };
        let mut listed = self.end_asking(asked, id, listed).await??;
        if let Some(directory) = directory {
            // Some agents list all of them, whatever they are asked for.
            listed.retain(|native| native.directory == directory);
        }
        listed.sort_by_key(|native| std::cmp::Reverse(native.updated_ms));
        Ok(listed)
    }

    /// Starts a backend and shakes hands; who has signed in over ACP is signed in here, too.
    async fn start_asking(&self, id: &str) -> Result<Asked, NativeError> {
        let snapshot = self.snapshot();
        let backend = snapshot.backend(id);
        let backend = backend.ok_or_else(|| NativeError::UnknownBackend(id.to_owned()))?;
        let (spec, with) = (&backend.spec, backend.sign_in_with.as_deref());
        let place = Arc::clone(&self.asking).acquire_owned().await;
        let place = place.map_err(|closed| not_asked(id, &closed))?;
        let (process, connection) = self.start_process(spec).await?;
        match self.greet(&connection, with).await {
            Ok(info) => Ok(Asked {
                process,
                connection,
                info,
                _place: place,
            }),
            Err(error) => {
                self.end_process(&process, &connection).await;
                Err(not_asked(id, &last_words(&process, &error).await))
            }
        }
    }

    async fn start_process(
        &self,
        spec: &AgentSpec,
    ) -> Result<(AgentProcess, Arc<Connection>), NativeError> {
        let scratch = self.scratch.join(&spec.id);
        let started = probe::start(spec, &scratch, &self.timeouts, self.starter.as_ref()).await;
        let (process, pipes) = started.map_err(|status| match status {
            Status::NotInstalled(why) | Status::Unavailable(why) => NativeError::NotAsked {
                backend: spec.id.clone(),
                why,
            },
            _ => not_asked(&spec.id, &"it was not started"),
        })?;
        process.note_start(self.ledger.as_ref(), &spec.id);
        Ok((process, Connection::open(pipes.stdin, pipes.stdout)))
    }

    async fn greet(
        &self,
        connection: &Connection,
        with: Option<&str>,
    ) -> Result<AgentInfo, CallError> {
        let info = client::initialize(connection, self.timeouts.start).await?;
        if let Some(method) = with {
            sign_in::authenticate(connection, method, self.timeouts.session).await?;
        }
        Ok(info)
    }

    /// Ends the process, and says what has gone wrong with it.
    async fn end_asking<T>(
        &self,
        asked: Asked,
        id: &str,
        answer: Result<T, CallError>,
    ) -> Result<T, NativeError> {
        self.end_process(&asked.process, &asked.connection).await;
        match answer {
            Ok(answer) => Ok(answer),
            Err(CallError::Rpc(error)) if Refusal::of(&error) == Refusal::SignedOut => {
                let why = self.note_signed_out(id, &error.describe(), false).await;
                let why = why.unwrap_or_else(|| error.describe());
                Err(NativeError::NotAsked {
                    backend: id.to_owned(),
                    why,
                })
            }
            Err(error) => Err(not_asked(id, &last_words(&asked.process, &error).await)),
        }
    }

    async fn end_process(&self, process: &AgentProcess, connection: &Connection) {
        connection.close();
        process.end().await;
        process.note_end(self.ledger.as_ref());
    }
}

/// Which native session is asked about.
struct About<'a> {
    backend: &'a str,
    native: &'a str,
    cwd: &'a Path,
    timeout: Duration,
}

impl About<'_> {
    /// What was said in it. The outer error says what is wrong with the process.
    async fn replay(
        &self,
        asked: &Asked,
        most: usize,
    ) -> Result<Result<NativeReplay, NativeError>, CallError> {
        if !asked.info.capabilities.load {
            return Ok(Err(NativeError::Lacks {
                backend: self.backend.to_owned(),
                method: "session/load",
                what: "it does not tell what was said in a session",
            }));
        }
        if let Some(directory) = self.is_elsewhere(asked).await? {
            return Ok(Err(NativeError::Elsewhere {
                native: self.native.to_owned(),
                directory,
            }));
        }
        let connection = &asked.connection;
        let replayed = native::replay(connection, self.native, self.cwd, most, self.timeout).await;
        let replayed = match replayed {
            Ok(replayed) => replayed,
            Err(CallError::Rpc(error)) if Refusal::of(&error) != Refusal::SignedOut => {
                return Ok(Err(NativeError::NotOpened {
                    backend: self.backend.to_owned(),
                    native: self.native.to_owned(),
                    why: error.describe().trim_end_matches('.').to_owned(),
                }));
            }
            Err(error) => return Err(error),
        };
        let Some(updates) = replayed.updates else {
            return Ok(Err(NativeError::TooLarge {
                native: self.native.to_owned(),
                limit: most,
            }));
        };
        Ok(Ok(NativeReplay {
            listed: self.listed(asked, Some(self.cwd)).await?,
            updates,
            options: replayed.options,
            at_ms: now_ms(),
        }))
    }

    /// Its own directory, where the agent names another one than it is asked for in.
    async fn is_elsewhere(&self, asked: &Asked) -> Result<Option<String>, CallError> {
        if self.listed(asked, Some(self.cwd)).await?.is_some() {
            return Ok(None);
        }
        let listed = self.listed(asked, None).await?;
        let Some(directory) = listed.map(|native| native.directory) else {
            return Ok(None);
        };
        let named = PathBuf::from(&directory);
        let spelled = directory.clone();
        let spelled = looks::at(directory.clone(), move || canonical("/", &spelled)).await;
        let is_here = named == self.cwd
            || spelled.is_ok_and(|at| at.is_ok_and(|at| Path::new(&at) == self.cwd));
        Ok((!directory.is_empty() && !is_here).then_some(directory))
    }

    /// As the agent lists it; `None` where it does not, or cannot.
    async fn listed(
        &self,
        asked: &Asked,
        cwd: Option<&Path>,
    ) -> Result<Option<NativeSession>, CallError> {
        if !asked.info.capabilities.list {
            return Ok(None);
        }
        match native::find(&asked.connection, self.native, cwd, self.timeout).await {
            // Such as an agent that wants a directory, or has nothing there.
            Err(CallError::Rpc(_)) => Ok(None),
            listed => listed,
        }
    }
}

fn not_asked(id: &str, why: &dyn std::fmt::Display) -> NativeError {
    NativeError::NotAsked {
        backend: id.to_owned(),
        why: format!("Backend \"{id}\" could not be asked: {why}"),
    }
}
