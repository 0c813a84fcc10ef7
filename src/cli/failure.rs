//! How a command that has not done its work ends.

use std::io;

/// Why a command has not done its work.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line or the configuration is wrong.
    #[error("{0}")]
    Usage(String),
    /// It could not be done.
    #[error("{0}")]
    Failed(String),
    /// The reader has gone, as with `| head`. That is not an error.
    #[error("nobody reads the output any more")]
    Unread,
    /// The user has stopped it (Ctrl-C), and has seen what that means.
    #[error("stopped")]
    Stopped,
}

impl Failure {
    /// A failure with this reason.
    pub fn of(reason: impl ToString) -> Self {
        Self::Failed(reason.to_string())
    }

    /// The exit status.
    pub fn status(&self) -> u8 {
        match self {
            Self::Unread => 0,
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            // What shells give a program that SIGINT has ended.
            Self::Stopped => 130,
        }
    }

    /// Whether there is something left to say.
    pub fn is_told(&self) -> bool {
        matches!(self, Self::Unread | Self::Stopped)
    }
}

/// Of writing to stdout.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Unread,
            _ => Self::Failed(format!("the output cannot be written: {error}")),
        }
    }
}
