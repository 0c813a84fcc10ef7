//! `baton completions` and `baton man`: made from the command line as it is.

use clap::{Args, Command};
use clap_complete::Shell;

use super::failure::Failure;

/// The program, as its user types it.
const NAME: &str = "baton";

/// What `baton completions` takes.
#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    /// For which shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// What `baton man` takes.
#[derive(Debug, Clone, Args)]
pub struct ManArgs {
    /// The page of this command, and not that of baton itself
    pub command: Option<String>,
}

/// What a shell has to read to complete the command line.
pub fn completions(args: &CompletionsArgs, mut command: Command) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, NAME, &mut script);
    script
}

/// A manual page, for `man -l -`.
///
/// # Errors
/// When there is no such command.
pub fn page(args: &ManArgs, mut command: Command) -> Result<Vec<u8>, Failure> {
    command.build();
    let command = match &args.command {
        None => command,
        Some(name) => {
            let found = command.find_subcommand(name).cloned();
            let found = found.map(|found| found.version(env!("CARGO_PKG_VERSION")));
            found.ok_or_else(|| {
                Failure::Usage(format!(
                    "there is no command \"{name}\"; `baton --help` lists them"
                ))
            })?
        }
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    Ok(page)
}
