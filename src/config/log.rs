//! How much is logged, and how.

use clap::ValueEnum;
use serde::Deserialize;

/// How the log is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: a JSON object a line.
    Json,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What has gone wrong in Baton.
    Error,
    /// What may need somebody's attention.
    Warn,
    /// What happens: start, agents, switches, turns.
    #[default]
    Info,
    /// Requests, too, and why something was decided.
    Debug,
    /// Every message to and from agents, with what they say.
    Trace,
}

impl LogLevel {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}
