//! The hidden `baton detach …`: starts `baton …` and ends, so that what it starts has no parent among its clients.
//!
//! Clients end what they have started with everything below it, by its group or by its parents. A server that others use
//! as well must be in neither.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// The hidden subcommand.
pub const SUBCOMMAND: &str = "detach";

/// Starts Baton with these arguments in a process group of its own.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let program = std::env::current_exe();
    let started = program.and_then(|program| {
        Command::new(program)
            .args(arguments)
            .process_group(0)
            .spawn()
    });
    match started {
        Ok(_goes_on) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
