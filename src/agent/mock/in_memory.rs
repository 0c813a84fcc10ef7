//! The mock agent without a process: it lives in tasks of its client's runtime, talks over any pair of
//! streams and starts no thread, so that it also works with paused time.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{mpsc, watch};

use super::faults::Fault;
use super::script::Script;
use super::wire::{Line, NOISE, Out, Outgoing};
use super::{Agent, CRASH_STATUS, Home, LAST_FLUSH_MS, MockArgs};

/// Serves the protocol until `stdin` ends or the agent dies, and says how it ended. Dropping the future
/// is killing the agent.
///
/// The faults that need a process of their own are not there: those of signals, of stderr and of
/// children.
///
/// # Errors
/// When the arguments contradict each other.
pub async fn serve(
    args: MockArgs,
    script: Arc<Script>,
    stdin: impl AsyncRead + Unpin,
    stdout: impl AsyncWrite + Unpin,
) -> io::Result<String> {
    script.note_start();
    let (out, queue) = Outgoing::new();
    let dead = watch::Sender::new(false);
    let mut death = dead.subscribe();
    let _dies_with_this = DeadOnDrop(dead.clone());
    let mut agent = Agent::new(args, out, None)?;
    agent.home = Home::Memory { dead, script };
    let agent = Arc::new(agent);
    let noise = agent.has(Fault::Noise);
    let served = async {
        receive_all(&agent, stdin).await;
        if agent.has(Fault::IgnoresEof) {
            std::future::pending::<()>().await;
        }
        let flushed = agent.out.flush();
        // A client that no longer reads must not hold us.
        let _late = tokio::time::timeout(Duration::from_millis(LAST_FLUSH_MS), flushed).await;
    };
    let written = async {
        // A client that no longer reads is noticed by the end of stdin.
        let _unread = write_all(queue, stdout, noise).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = served => Ok("exit status: 0".to_owned()),
        () = written => Ok(String::new()),
        // An error would mean that the agent has gone, which this function holds.
        _ = death.wait_for(|dead| *dead) => Ok(format!("exit status: {CRASH_STATUS}")),
    }
}

/// Ends the turns of a dead agent; a process would have taken them with it.
struct DeadOnDrop(watch::Sender<bool>);

impl Drop for DeadOnDrop {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

async fn receive_all(agent: &Arc<Agent>, stdin: impl AsyncRead + Unpin) {
    // The only client is Baton in this very process, so there is no limit for a line.
    let mut stdin = BufReader::new(stdin).split(b'\n');
    while let Ok(Some(line)) = stdin.next_segment().await {
        agent.receive(Line::Complete(line)).await;
    }
}

async fn write_all(
    mut queue: mpsc::Receiver<Out>,
    mut out: impl AsyncWrite + Unpin,
    noise: bool,
) -> io::Result<()> {
    while let Some(item) = queue.recv().await {
        match item {
            Out::Message(message) => {
                if noise {
                    out.write_all(format!("{NOISE}\n").as_bytes()).await?;
                }
                write_line(&mut out, &message).await?;
            }
            Out::Flush(done) => {
                out.flush().await?;
                // Whoever asked may have been cancelled since.
                let _ = done.send(());
            }
        }
    }
    Ok(())
}

async fn write_line(out: &mut (impl AsyncWrite + Unpin), message: &Value) -> io::Result<()> {
    out.write_all(format!("{message}\n").as_bytes()).await
}
