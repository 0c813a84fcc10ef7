//! Which failure of the parts below has which status and body.

use std::io;

use axum::http::header::ETAG;

use super::body::*;
use super::tagged::Tag;
use super::{Problem, QUEUE_RETRY_AFTER_S, etag};
use crate::files::FileError;
use crate::git::GitError;
use crate::lanes::LaneError;
use crate::registry::{DefaultsError, NativeError, SelectError};
use crate::session;
use crate::store::StoreError;
use crate::vcs::ApplyError;

impl From<session::Error> for Problem {
    fn from(error: session::Error) -> Self {
        use session::Error;
        let message = error.to_string();
        let missing = |request_id: Option<String>, session_id| NotFoundData {
            message: message.clone(),
            session_id,
            request_id,
            project_id: None,
        };
        let asked = |id, tag| Self::not_found_as(missing(Some(id), None), tag).in_both_shapes();
        match error {
            Error::NotFound(id) => {
                Self::not_found_as(missing(None, Some(id)), Tag::SessionNotFoundError)
            }
            Error::MessageNotFound(_) => {
                Self::not_found_as(missing(None, None), Tag::MessageNotFoundError)
            }
            Error::PartNotFound(_) => Self::not_found(message),
            Error::PermissionNotFound(id) => asked(id.to_string(), Tag::PermissionNotFoundError),
            Error::QuestionNotFound(id) => asked(id.to_string(), Tag::QuestionNotFoundError),
            Error::Select(error) => error.into(),
            Error::UnknownCommand {
                command,
                suggestions,
            } => {
                let data = CommandNotFoundData {
                    message,
                    command,
                    suggestions,
                };
                ErrorBody::CommandNotFoundError(data).into()
            }
            Error::RevisionConflict {
                revision,
                selection,
            } => {
                let data = RevisionConflictData {
                    message,
                    revision,
                    selection: selection.map(|selection| *selection),
                };
                let body = ErrorBody::RevisionConflictError(data);
                Self::from(body).with_header(ETAG, etag(revision))
            }
            Error::Busy(session_id) => {
                let body = ErrorBody::SessionBusyError(SessionBusyData {
                    message,
                    session_id,
                });
                Self::from(body).in_both_shapes()
            }
            Error::SpendingLimit(reached) => {
                let session::LimitReached {
                    scope,
                    limit,
                    spent,
                    usage,
                    uncounted,
                } = *reached;
                let data = SpendingLimitData {
                    message,
                    scope,
                    allowed: limit,
                    spent,
                    usage,
                    uncounted,
                };
                ErrorBody::SpendingLimitError(data).into()
            }
            Error::QueueFull { limit } => {
                let body = ErrorBody::QueueFullError(QueueFullData { message, limit });
                Self::from(body).retry_after(QUEUE_RETRY_AFTER_S)
            }
            Error::TooManyStored { limit, .. } => {
                ErrorBody::QueueFullError(QueueFullData { message, limit }).into()
            }
            Error::TooManySessions { .. } => {
                ErrorBody::InsufficientStorageError(message_data(message)).into()
            }
            Error::Invalid { .. } => Self::bad(BadKind::Payload, message),
            Error::DuplicateMessage(_) => {
                let body = ErrorBody::MessageExistsError(message_data(message));
                Self::from(body).tagged(Tag::ConflictError)
            }
            Error::NativeTaken { session, .. } => {
                let data = SessionExistsData {
                    message,
                    session_id: session,
                };
                ErrorBody::SessionExistsError(data).into()
            }
            Error::Native(error) => error.into(),
            Error::NotApplied(error) => {
                ErrorBody::ModelNotAppliedError(NotAppliedData { message, error }).into()
            }
            Error::NotRestored(_) => Self::failed(message),
            Error::MovedOn | Error::TooManyAsks { .. } | Error::Internal(_) => {
                Self::unforeseen(&message)
            }
            Error::Store(error) => error.into(),
            Error::ShutDown => Self::shutting_down(),
        }
    }
}

impl From<DefaultsError> for Problem {
    fn from(error: DefaultsError) -> Self {
        match error {
            DefaultsError::Select(error) => error.into(),
            DefaultsError::Store(error) => session::Error::Store(error).into(),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full(_) | StoreError::ServerFull => Self::disk_full(&error),
            StoreError::Unavailable(_) => Self::store_unavailable(&error),
            StoreError::TakenOver(_) => Self::not_now(&error),
            StoreError::Closed => Self::shutting_down(),
            StoreError::Conflict(_) | StoreError::Database(_) | StoreError::Elsewhere(_) => {
                Self::unforeseen(&error)
            }
        }
    }
}

impl From<GitError> for Problem {
    fn from(error: GitError) -> Self {
        match error {
            // What git says is about the user's own repository, and what they have to know.
            GitError::NotInstalled
            | GitError::Failed { .. }
            | GitError::Unsound { .. }
            | GitError::TooLarge { .. } => Self::bad(BadKind::Query, error.to_string()),
            // Such as a file system that does not answer.
            GitError::TimedOut { .. } => Self::not_now(&error),
            // The files that it is about do not answer.
            GitError::Io(ref io) if io.kind() == io::ErrorKind::TimedOut => Self::not_now(&error),
            GitError::Io(_) => Self::unforeseen(&error),
        }
    }
}

impl From<FileError> for Problem {
    fn from(error: FileError) -> Self {
        let message = format!("{error}\n  at [\"path\"]");
        match error {
            FileError::NotFound(_) => Self::not_found(error.to_string()),
            FileError::Pattern(_) => Self::bad_at(BadKind::Query, "pattern", error),
            FileError::Io { ref error, .. } if error.kind() != io::ErrorKind::PermissionDenied => {
                // Such as a loop of symlinks: nothing that the server could mend.
                tracing::debug!("{message}");
                Self::bad(BadKind::Query, message)
            }
            FileError::Lane {
                error: LaneError::Panicked,
                ..
            } => Self::unforeseen(&error),
            FileError::Lane { .. } => Self::not_now(&error),
            _ => Self::bad(BadKind::Query, message),
        }
    }
}

impl From<ApplyError> for Problem {
    fn from(error: ApplyError) -> Self {
        let message = error.to_string();
        let reason = match error {
            ApplyError::NoRepository => UnpatchableReason::NonGit,
            ApplyError::NotClean(_) => UnpatchableReason::NotClean,
            ApplyError::Git(error) => return error.into(),
        };
        let body = ErrorBody::VcsApplyError(VcsApplyData { message, reason });
        Self::from(body)
    }
}

impl From<NativeError> for Problem {
    fn from(error: NativeError) -> Self {
        let message = error.to_string();
        match error {
            NativeError::UnknownBackend(_) => Self::not_found(message),
            NativeError::NotAsked { backend, why } => SelectError::NotConnected {
                provider_id: backend,
                reason: why,
            }
            .into(),
            NativeError::Lacks { .. } => Self::bad_at(BadKind::Params, "backendID", message),
            NativeError::NotOpened { .. }
            | NativeError::Elsewhere { .. }
            | NativeError::TooLarge { .. } => Self::bad(BadKind::Payload, message),
        }
    }
}

impl From<SelectError> for Problem {
    fn from(error: SelectError) -> Self {
        let message = error.to_string();
        let not_connected = |message, provider_id| {
            ErrorBody::ProviderNotConnectedError(NotConnectedData {
                message,
                provider_id,
            })
        };
        let not_found = |message, (provider_id, model_id, variant), suggestions| {
            ErrorBody::ProviderModelNotFoundError(ModelNotFoundData {
                message,
                provider_id,
                model_id,
                variant,
                suggestions,
            })
        };
        let body = match error {
            SelectError::UnknownProvider {
                provider_id,
                model_id,
                suggestions,
            }
            | SelectError::UnknownModel {
                provider_id,
                model_id,
                suggestions,
            } => not_found(message, (provider_id, model_id, None), suggestions),
            SelectError::UnknownVariant {
                provider_id,
                model_id,
                variant,
                suggestions,
            } => not_found(message, (provider_id, model_id, Some(variant)), suggestions),
            SelectError::BadProfile { agent, .. } => {
                ErrorBody::AgentNotFoundError(AgentNotFoundData {
                    message,
                    agent,
                    available: Vec::new(),
                })
            }
            SelectError::NotConnected { provider_id, .. } => {
                not_connected(message, Some(provider_id))
            }
            SelectError::NothingToSelect => not_connected(message, None),
            SelectError::UnknownAgent {
                agent, available, ..
            } => ErrorBody::AgentNotFoundError(AgentNotFoundData {
                message,
                agent,
                available,
            }),
        };
        body.into()
    }
}
