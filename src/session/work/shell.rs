//! A command line of the user is run by Baton itself; its turn takes as long as the command.

use std::path::Path;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::{MissedTickBehavior, interval};

use super::Worker;
use super::outcome::Stop;
use crate::opencode::message::{MessageError, Part, PartTime, ToolPart, ToolState};
use crate::opencode::{MessageId, PartId, SessionId, now_ms};
use crate::session::cell::{LiveAnswer, Queued};
use crate::shell::{Ended, Output};

/// The tool under which OpenCode's clients show a command line.
const TOOL: &str = "bash";
/// What a command has printed is shown, and written to the store, at most this often.
const SHOW_EVERY: Duration = Duration::from_millis(200);

/// The command as a tool call.
#[derive(Debug, Clone)]
struct Call {
    id: PartId,
    session_id: SessionId,
    command: String,
    start: u64,
}

impl Call {
    fn new(session: &SessionId, command: String) -> Self {
        Self {
            id: PartId::new(),
            session_id: session.clone(),
            command,
            start: now_ms(),
        }
    }

    fn part(&self, message: &MessageId, state: ToolState) -> Part {
        Part::Tool(ToolPart {
            id: self.id.clone(),
            session_id: self.session_id.clone(),
            message_id: message.clone(),
            call_id: format!("shell-{}", self.id),
            tool: TOOL.to_owned(),
            state,
        })
    }

    fn input(&self) -> Map<String, Value> {
        Map::from_iter([("command".to_owned(), json!(self.command))])
    }

    fn running(&self, message: &MessageId, shown: Option<String>) -> Part {
        self.part(
            message,
            ToolState::Running {
                input: self.input(),
                title: None,
                metadata: shown.map(|text| Map::from_iter([("output".to_owned(), json!(text))])),
                time: PartTime {
                    start: self.start,
                    end: None,
                },
            },
        )
    }

    fn ended(&self, message: &MessageId, output: String, exit: Option<Value>) -> Part {
        let mut metadata = Map::from_iter([("output".to_owned(), json!(output))]);
        metadata.extend(exit.map(|exit| ("exit".to_owned(), exit)));
        self.part(
            message,
            ToolState::Completed {
                input: self.input(),
                output,
                title: String::new(),
                metadata,
                time: PartTime {
                    start: self.start,
                    end: Some(now_ms()),
                },
                attachments: Vec::new(),
            },
        )
    }

    fn failed(&self, message: &MessageId, error: String) -> Part {
        self.part(
            message,
            ToolState::Error {
                input: self.input(),
                error,
                metadata: None,
                time: PartTime {
                    start: self.start,
                    end: Some(now_ms()),
                },
            },
        )
    }
}

impl Worker {
    /// Runs a command line; its turn takes as long as the command.
    pub(super) async fn shell(&mut self, queued: &Queued, command: String) {
        let call = Call::new(&self.cell.id, command);
        // Written before the command starts: whatever it does, there is a record that it was begun.
        let begins = call.clone();
        let begun = self.begin_with(move |answering| {
            let part = begins.running(&answering.message.id, None);
            vec![answering.message_event(), answering.show(part)]
        });
        let Some(answer) = begun.await else {
            return;
        };
        let output = Output::new(self.tools.shell.limits().output_bytes);
        let stopping = self.tools.office.stopping.clone();
        let stop = async {
            tokio::select! {
                () = queued.abort.cancelled() => {}
                () = stopping.cancelled() => {}
            }
        };
        let directory = Arc::clone(&self.cell.directory);
        let ended = {
            let run = self
                .tools
                .shell
                .run(&call.command, Path::new(&*directory), &output, stop);
            self.watched(run, &call, &output, &answer).await
        };
        let (part, error) = self.outcome_of_shell(&call, answer.id(), &output, ended);
        let mut done = answer.lock().clone();
        let events = vec![done.complete(error), done.show(part)];
        self.end_with(queued, done, events, |_, _| {}).await;
    }

    /// Waits for a command, and shows what it prints.
    async fn watched<T>(
        &self,
        run: impl Future<Output = T>,
        call: &Call,
        output: &Output,
        answer: &LiveAnswer,
    ) -> T {
        let mut run = std::pin::pin!(run);
        let mut ticks = interval(SHOW_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut shown_bytes = 0;
        loop {
            tokio::select! {
                ended = &mut run => return ended,
                _ = ticks.tick() => {
                    let printed_bytes = output.total_bytes();
                    if printed_bytes > shown_bytes {
                        shown_bytes = printed_bytes;
                        let part = call.running(answer.id(), Some(output.preview()));
                        let event = answer.lock().show(part);
                        self.store_growth(answer).await;
                        self.cell.tell_growth(&[event]);
                    }
                }
            }
        }
    }

    /// The part at the end, and the error of the answer, if it has one.
    fn outcome_of_shell(
        &self,
        call: &Call,
        message_id: &MessageId,
        output: &Output,
        ended: std::io::Result<Ended>,
    ) -> (Part, Option<MessageError>) {
        let mut text = output.text();
        let ended = match ended {
            Ok(ended) => ended,
            Err(error) => {
                let message = format!("The command could not be started: {error}");
                return (call.failed(message_id, message), None);
            }
        };
        let (remark, exit, error) = match ended {
            Ended::Exited(status) => (None, Some(exit_of(status)), None),
            Ended::TimedOut => {
                let limit = self.tools.shell.limits().timeout;
                let remark = format!("ended after {limit:?}, the limit (timeouts.shell_s)");
                (Some(remark), None, None)
            }
            Ended::Stopped if self.tools.office.stopping.is_cancelled() => {
                let remark = "ended because Baton was stopped".to_owned();
                (Some(remark), None, Some(Stop::ShutDown.error()))
            }
            Ended::Stopped => (Some("ended by the user".to_owned()), None, None),
        };
        if let Some(remark) = remark {
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(&format!("[{remark}]"));
        }
        (call.ended(message_id, text, exit), error)
    }
}

/// The exit status as OpenCode's own tool shows it: a number; the name of what killed it otherwise.
fn exit_of(status: ExitStatus) -> Value {
    match status.code() {
        Some(code) => json!(code),
        None => json!(status.to_string()),
    }
}
