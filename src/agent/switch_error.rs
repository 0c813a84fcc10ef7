//! Why an agent has not switched to what was wanted.

use super::connection::CallError;

/// Why a value could not be chosen.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SwitchError {
    /// The call failed.
    #[error("the agent {}", self.in_words())]
    Call {
        /// Model, mode or variant.
        what: &'static str,
        /// What was wanted.
        wanted: String,
        /// Why.
        error: CallError,
    },
    /// The agent does not offer it.
    #[error("the agent {}", self.in_words())]
    NotOffered {
        /// Model, mode or variant.
        what: &'static str,
        /// What was wanted.
        wanted: String,
        /// What is available.
        offered: Vec<String>,
    },
    /// The agent said yes and stayed with something else.
    #[error("the agent {}", self.in_words())]
    Ignored {
        /// Model, mode or variant.
        what: &'static str,
        /// What was wanted.
        wanted: String,
        /// What the agent reports.
        got: String,
    },
}

impl SwitchError {
    /// What the agent has done, as words that follow its name.
    pub fn in_words(&self) -> String {
        match self {
            Self::Call {
                what,
                wanted,
                error,
            } => format!("could not switch to {what} \"{wanted}\": {error}"),
            Self::NotOffered {
                what,
                wanted,
                offered,
            } if offered.is_empty() => {
                format!("offers no choice of a {what}, and so not \"{wanted}\"")
            }
            Self::NotOffered {
                what,
                wanted,
                offered,
            } => format!(
                "does not offer {what} \"{wanted}\" here; it offers: {}",
                offered.join(", ")
            ),
            Self::Ignored { what, wanted, got } => {
                format!("has accepted {what} \"{wanted}\" and stayed with \"{got}\"")
            }
        }
    }
}
