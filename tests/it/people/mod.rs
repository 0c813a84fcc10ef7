//! The commands for people, against a running server, and without one.

mod sessions;
mod settings;
mod whole;

use std::process::{Output, Stdio};

use tokio::io::AsyncBufReadExt;
use tokio::process::{Child, Command};

use crate::harness::{PATIENCE, Server};

/// Columns that everything for people fits into.
const COLUMNS: usize = 100;

/// What a command has said.
struct Said {
    status: i32,
    out: String,
    err: String,
}

impl Said {
    /// Its output, where it has done its work.
    fn well(self) -> String {
        assert_eq!(self.status, 0, "{}{}", self.out, self.err);
        self.out
    }

    /// What it says is wrong.
    fn failed(self) -> String {
        assert_eq!(self.status, 1, "{}{}", self.out, self.err);
        self.err
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().expect("it was not killed"),
            out: String::from_utf8(output.stdout).expect("UTF-8"),
            err: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }
}

/// A command for a server that is found by its data directory.
fn command(server: &Server, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_baton"));
    command
        .args(arguments)
        .current_dir(server.work())
        .env("HOME", server.folder.path())
        .env("BATON_DATA_DIR", server.folder.path().join("data"))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

async fn ended(mut command: Command) -> Said {
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    output.expect("it ends").expect("it starts").into()
}

async fn baton(server: &Server, arguments: &[&str]) -> Said {
    ended(command(server, arguments)).await
}

/// Starts a command and leaves it running.
fn start(server: &Server, arguments: &[&str]) -> Child {
    let mut command = command(server, arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("it starts")
}

/// The first line that has a word in it.
async fn line_with(lines: &mut (impl AsyncBufReadExt + Unpin), word: &str) -> String {
    let read = async {
        loop {
            let mut line = String::new();
            let read = lines.read_line(&mut line).await.expect("readable");
            assert!(read > 0, "no line has {word:?} in it");
            if line.contains(word) {
                return line;
            }
        }
    };
    let line = tokio::time::timeout(PATIENCE, read).await;
    line.unwrap_or_else(|_| panic!("no line has {word:?} in it"))
}
