//! The command line of `baton mock-agent`.

use std::path::PathBuf;

use super::commands;
use super::faults::{Fault, Without};

/// The built-in agent for trying Baton out and for testing it.
#[derive(Debug, Clone, clap::Args)]
#[command(after_long_help = commands::HELP)]
pub struct MockArgs {
    /// Keep each session in a file of this directory, so that another process can load it.
    #[arg(long, env = "BATON_MOCK_STATE_DIR", value_name = "DIR")]
    pub state_dir: Option<PathBuf>,

    /// The model at launch; the first of --models unless given.
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,

    /// The models to offer. One with "strong" in its name has efforts.
    #[arg(
        long,
        value_name = "A,B,C",
        value_delimiter = ',',
        default_value = "mock,mock-fast,mock-strong"
    )]
    pub models: Vec<String>,

    /// The efforts of a model that has any; the middle one is its default.
    #[arg(
        long,
        value_name = "A,B,C",
        value_delimiter = ',',
        default_value = "low,medium,high"
    )]
    pub efforts: Vec<String>,

    /// Read the models from this file at the start, one a line, instead of --models. Another process may find others.
    #[arg(long, value_name = "FILE")]
    pub models_file: Option<PathBuf>,

    /// A file in a session's working directory with what sessions there have besides: lines `model NAME`, `mode NAME`,
    /// `command NAME`.
    #[arg(long, value_name = "NAME")]
    pub project_file: Option<String>,

    /// The context size to report, in tokens.
    #[arg(long, value_name = "TOKENS", default_value_t = 200_000)]
    pub context: u64,

    /// The slash commands to advertise. `shout` and `count` do what their names say; any other says
    /// that it was run.
    #[arg(
        long,
        value_name = "A,B,C",
        value_delimiter = ',',
        default_value = "shout,count"
    )]
    pub commands: Vec<String>,

    /// The tools to do without: what runs commands, what edits files, what reads.
    #[arg(long, value_name = "LIST", value_enum, value_delimiter = ',')]
    pub deny: Vec<ToolSort>,

    /// The tools to ask about before each use.
    #[arg(long, value_name = "LIST", value_enum, value_delimiter = ',')]
    pub ask: Vec<ToolSort>,

    /// What to lack.
    #[arg(long, value_name = "LIST", value_enum, value_delimiter = ',')]
    pub without: Vec<Without>,

    /// What to do wrong.
    #[arg(long, value_name = "LIST", value_enum, value_delimiter = ',')]
    pub fault: Vec<Fault>,

    /// The delay of the faults slow-start and slow-switch, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 2_000)]
    pub delay_ms: u64,

    /// Think this long before each answer, in milliseconds, as a model does.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub think_ms: u64,

    /// The faults slow-start and slow-switch last as long as this file exists, instead of --delay-ms.
    #[arg(long, value_name = "FILE")]
    pub delay_while: Option<PathBuf>,

    /// Append a line of JSON to this file when a turn begins and when it ends: when that was, and the prompt.
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,

    /// Exit with status 70 on receiving the N-th request, without answering it.
    #[arg(long, value_name = "N")]
    pub die_on_request: Option<u64>,

    /// Never answer requests of these methods.
    #[arg(long, value_name = "METHODS", value_delimiter = ',')]
    pub never_answer: Vec<String>,
}

/// The mock's tools, by what they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ToolSort {
    /// They run commands.
    Bash,
    /// They edit files.
    Edit,
    /// They read.
    Read,
}

impl MockArgs {
    /// Reads the flags of `baton mock-agent`.
    ///
    /// # Errors
    /// When a flag is unknown or lacks its value.
    pub fn from_flags(flags: &[String]) -> Result<Self, clap::Error> {
        use clap::{Args, FromArgMatches};
        let command = Self::augment_args(clap::Command::new("mock-agent").no_binary_name(true));
        Self::from_arg_matches(&command.try_get_matches_from(flags)?)
    }
}
