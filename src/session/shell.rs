//! A command line of the user (`!command`): run by Baton itself, and part of the conversation, so that the
//! next agent is told of it.

use std::path::Path;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval};

use super::answer::Answering;
use super::outcome::Stop;
use super::prompt::text_part;
use super::state::{Queued, Session, Work};
use super::turn::raised;
use super::worker::Worker;
use super::{Answer, Error, Sessions, detached};
use crate::opencode::message::{
    Message, MessageError, MessageWithParts, Part, PartTime, ToolPart, ToolState, UserMessage,
    UserTime,
};
use crate::opencode::{MessageId, PartId, Selection, SessionId, now_ms};
use crate::registry::{SelectError, Snapshot, Wish};
use crate::shell::{Ended, Output};

/// The tool under which OpenCode's clients show a command line.
const TOOL: &str = "bash";
/// What agents read above the command and its output.
const ANNOUNCEMENT: &str = "I ran this command myself, in the session's directory:";
/// What a command has printed is shown, and written to the store, at most this often.
const SHOW_EVERY: Duration = Duration::from_millis(200);

/// A command line.
#[derive(Debug, Clone, Default)]
pub struct ShellLine {
    /// The id of the user's message, where the client brings one.
    pub message_id: Option<MessageId>,
    /// The model and agent beside which it is shown. They are not selected by it.
    pub wish: Wish,
    /// The command.
    pub command: String,
}

impl Sessions {
    /// Runs a command line of the user, as soon as the worker gets to it. What comes of it is an answer
    /// of the conversation. The selection stays as it is.
    ///
    /// # Errors
    /// No such session, a busy session, a model or agent that is not known, a message id that exists, or
    /// a failing store.
    pub async fn shell(
        self: &Arc<Self>,
        id: &SessionId,
        line: ShellLine,
    ) -> Result<oneshot::Receiver<Answer>, Error> {
        let session = self.find(id)?;
        self.prepare(Some(&session), &line.wish).await;
        let this = Arc::clone(self);
        detached(async move { this.admit_shell(&session, line).await }).await
    }

    async fn admit_shell(
        self: &Arc<Self>,
        session: &Arc<Session>,
        line: ShellLine,
    ) -> Result<oneshot::Receiver<Answer>, Error> {
        let mut locked = session.at_rest().await;
        if locked.runtime.is_busy() {
            return Err(Error::Busy(session.id.clone()));
        }
        let given = line.message_id.as_ref();
        self.check_message(session, &locked, given).await?;
        let current = locked.state.selection.as_ref();
        let selection = shown_beside(&self.registry.snapshot(), current, &line.wish)?;
        let message = user_message(session, line.message_id, &selection);
        let work = Work::Shell(line.command);
        self.admit_work(session, &mut locked, message, work, selection)
            .await
    }
}

/// The selection beside which a command line is shown. Its backend need not run: signing in to it may be
/// just what the command does.
fn shown_beside(
    registry: &Snapshot,
    current: Option<&Selection>,
    wish: &Wish,
) -> Result<Selection, SelectError> {
    match registry.resolve(current, wish) {
        Ok(resolved) => Ok(resolved.selection),
        Err(error @ SelectError::NotConnected { .. }) => {
            let named = wish.model.clone().map(|model| Selection {
                provider_id: model.provider_id,
                model_id: model.model_id,
                variant: None,
                agent: wish.agent.clone().unwrap_or_default(),
            });
            named.or_else(|| current.cloned()).ok_or(error)
        }
        Err(error) => Err(error),
    }
}

fn user_message(
    session: &Session,
    id: Option<MessageId>,
    selection: &Selection,
) -> MessageWithParts {
    let id = id.unwrap_or_else(MessageId::new);
    let announcement = text_part(&session.id, &id, ANNOUNCEMENT, true);
    let info = Message::User(UserMessage {
        id,
        session_id: session.id.clone(),
        time: UserTime { created: now_ms() },
        summary: None,
        agent: selection.agent.clone(),
        model: selection.message_model(),
        system: None,
    });
    MessageWithParts {
        info,
        parts: vec![announcement],
    }
}

/// The command as a tool call.
struct Call {
    id: PartId,
    session_id: SessionId,
    message_id: MessageId,
    command: String,
    start: u64,
}

impl Call {
    fn part(&self, state: ToolState) -> Part {
        Part::Tool(ToolPart {
            id: self.id.clone(),
            session_id: self.session_id.clone(),
            message_id: self.message_id.clone(),
            call_id: format!("shell-{}", self.id),
            tool: TOOL.to_owned(),
            state,
        })
    }

    fn input(&self) -> Map<String, Value> {
        Map::from_iter([("command".to_owned(), json!(self.command))])
    }

    fn running(&self, shown: Option<String>) -> Part {
        self.part(ToolState::Running {
            input: self.input(),
            title: None,
            metadata: shown.map(|text| Map::from_iter([("output".to_owned(), json!(text))])),
            time: PartTime {
                start: self.start,
                end: None,
            },
        })
    }

    fn ended(&self, output: String, exit: Option<Value>) -> Part {
        let mut metadata = Map::from_iter([("output".to_owned(), json!(output))]);
        metadata.extend(exit.map(|exit| ("exit".to_owned(), exit)));
        self.part(ToolState::Completed {
            input: self.input(),
            output,
            title: String::new(),
            metadata,
            time: PartTime {
                start: self.start,
                end: Some(now_ms()),
            },
        })
    }

    fn failed(&self, error: String) -> Part {
        self.part(ToolState::Error {
            input: self.input(),
            error,
            metadata: None,
            time: PartTime {
                start: self.start,
                end: Some(now_ms()),
            },
        })
    }
}

impl Worker {
    /// Runs a command line; its turn takes as long as the command.
    pub(super) async fn shell(&mut self, queued: Queued, command: String) {
        let Some(call) = self.begin_shell(&queued, command).await else {
            return;
        };
        let output = Output::new(self.sessions.shell.limits().output_bytes);
        let (mut abort, mut stopping) = (queued.abort.subscribe(), self.stopping.clone());
        let stop = async {
            tokio::select! {
                () = raised(&mut abort) => {}
                () = raised(&mut stopping) => {}
            }
        };
        let directory = Arc::clone(&self.session.directory);
        let ended = {
            let run = self
                .sessions
                .shell
                .run(&call.command, Path::new(&*directory), &output, stop);
            self.watched(run, &call, &output).await
        };
        let (part, error) = self.outcome_of_shell(&call, &output, ended);
        self.finish_shell(part, error).await;
    }

    async fn begin_shell(&self, queued: &Queued, command: String) -> Option<Call> {
        let mut locked = self.session.locked.lock().await;
        if locked.runtime.deleted {
            return None;
        }
        locked.runtime.last_seq += 1;
        let mut answering = Answering::new(
            &self.session.id,
            &queued.message_id,
            queued.turn,
            locked.runtime.last_seq,
            &queued.target.selection,
            &self.session.directory,
        );
        let call = Call {
            id: PartId::new(),
            session_id: self.session.id.clone(),
            message_id: answering.message.id.clone(),
            command,
            start: now_ms(),
        };
        let events = vec![
            answering.message_event(),
            answering.show(call.running(None)),
        ];
        let changes = answering.take_changes();
        locked.runtime.answering = Some(answering);
        // Written before the command starts: whatever it does, there is a record that it was begun.
        self.write(changes).await;
        self.sessions.publish(&self.session, &events);
        Some(call)
    }

    /// Waits for a command, and shows what it prints.
    async fn watched<T>(&self, run: impl Future<Output = T>, call: &Call, output: &Output) -> T {
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
                        self.show_running(call.running(Some(output.preview()))).await;
                    }
                }
            }
        }
    }

    async fn show_running(&self, part: Part) {
        let mut locked = self.session.locked.lock().await;
        if locked.runtime.deleted {
            return;
        }
        let Some(answering) = &mut locked.runtime.answering else {
            return;
        };
        let event = answering.show(part);
        let changes = answering.take_changes();
        self.write_later(changes);
        self.sessions.publish(&self.session, &[event]);
    }

    /// The part at the end, and the error of the answer, if it has one.
    fn outcome_of_shell(
        &self,
        call: &Call,
        output: &Output,
        ended: std::io::Result<Ended>,
    ) -> (Part, Option<MessageError>) {
        let mut text = output.text();
        let ended = match ended {
            Ok(ended) => ended,
            Err(error) => {
                let message = format!("The command could not be started: {error}");
                return (call.failed(message), None);
            }
        };
        let (remark, exit, error) = match ended {
            Ended::Exited(status) => (None, Some(exit_of(status)), None),
            Ended::TimedOut => {
                let limit = self.sessions.shell.limits().timeout;
                let remark = format!("ended after {limit:?}, the limit (timeouts.shell_s)");
                (Some(remark), None, None)
            }
            Ended::Stopped if *self.stopping.borrow() => {
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
        (call.ended(text, exit), error)
    }

    async fn finish_shell(&self, part: Part, error: Option<MessageError>) {
        let mut locked = self.session.locked.lock().await;
        let Some(mut answering) = locked.runtime.answering.take() else {
            return;
        };
        let mut events = vec![answering.complete(error)];
        events.push(answering.show(part));
        let mut batch = answering.take_changes();
        locked.state.time.updated = now_ms().max(locked.state.time.updated);
        batch.push(locked.put_state());
        let answer = Answer {
            message: answering.message,
            parts: answering.parts,
        };
        self.end_turn(&mut locked, batch, events, None, answer)
            .await;
    }
}

/// The exit status as OpenCode's own tool shows it: a number; the name of what killed it otherwise.
fn exit_of(status: ExitStatus) -> Value {
    match status.code() {
        Some(code) => json!(code),
        None => json!(status.to_string()),
    }
}
