//! The `baton` command line.

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the Agent Client Protocol on stdin and stdout, with no model behind it.
    MockAgent(baton::agent::mock::MockArgs),
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    match Cli::parse().command {
        Command::MockAgent(args) => baton::agent::mock::run(args).await,
    }
}
