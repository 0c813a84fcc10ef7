//! One turn: a prompt, the agent's work on it, and its answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use super::answer::{Answering, Folded, put_message};
use super::outcome::{Ended, Outcome, Stop};
use super::permission::WaitingPermission;
use super::question::WaitingQuestion;
use super::reconcile::Live;
use super::report::read_options;
use super::state::{Queued, Target, Work};
use super::traces::{Pending, Traces};
use super::worker::Worker;
use super::{Answer, error_event, message_event, transcript};
use crate::agent::commands;
use crate::agent::connection::Inbound;
use crate::opencode::event::{
    EventPayload, SessionDiff, SessionIdleEvent, SessionStatus, SessionStatusEvent, Transfer,
};
use crate::opencode::message::{Message, MessageError};
use crate::opencode::request::PermissionReply;
use crate::opencode::session::{FileDiff, Tokens};
use crate::snapshot::Snapshot;
use crate::store::{Change, StoreError};

/// Streamed text is written to the store at least this often.
const FLUSH: Duration = Duration::from_millis(250);

/// A server that stops waits no longer than this for an answer to its cancel: what started it may kill it
/// when it takes its time, and then its agents would be left behind.
const SHUT_DOWN_PATIENCE: Duration = Duration::from_secs(2);

/// A process that was ended between two turns may take a prompt into its pipe before that shows. One that
/// is gone so soon after a prompt, without a word, is taken for such a process, and the prompt is given to
/// the next one, once.
const DEAD_ON_ARRIVAL: Duration = Duration::from_millis(500);

/// What an agent is told below what it has missed, where one of its own commands comes next.
const TAKE_NOTE: &str = "\
Take note of the above and do nothing about it yet: run no tools, change nothing. The user's next message \
comes right after this one. Answer with the word \"noted\".";

/// What an agent is given in a turn, as ACP content blocks.
struct Given {
    /// What it has missed.
    handover: Vec<Value>,
    /// The prompt.
    prompt: Vec<Value>,
}

impl Worker {
    /// Does what waits in the queue.
    pub(super) async fn turn(&mut self, queued: Queued) {
        match queued.work.clone() {
            Work::Prompt | Work::Command => self.prompt(queued).await,
            Work::Shell(command) => self.shell(queued, command).await,
            Work::Compact { auto } => self.compact(queued, auto).await,
        }
    }

    async fn prompt(&mut self, queued: Queued) {
        let started = Instant::now();
        let mut abort = queued.abort.subscribe();
        let mut stopping = self.stopping.clone();
        let snapshot = self.take_snapshot();
        let prepared = match self.failed_already(&queued).await {
            Some(error) => Err(error),
            None => {
                // Dropping the preparation drops its live session; the next turn binds again.
                let prepared = tokio::select! {
                    biased;
                    () = raised(&mut abort) => Err(Stop::User.error()),
                    () = raised(&mut stopping) => Err(Stop::ShutDown.error()),
                    prepared = self.prepare(&queued) => prepared,
                };
                if let Err(error) = &prepared
                    && !matches!(error, MessageError::MessageAbortedError { .. })
                {
                    self.report_failed(&queued.target, error.clone(), started)
                        .await;
                }
                prepared
            }
        };
        match prepared {
            Ok((live, given, transfer)) => {
                self.report_applied(&queued.target, transfer, started).await;
                self.exchange(&queued, live, given, abort, snapshot).await;
            }
            Err(error) => self.fail(&queued, error).await,
        }
    }

    /// A prompt that was waiting for a switch that has failed is not tried again by itself.
    async fn failed_already(&self, queued: &Queued) -> Option<MessageError> {
        let locked = self.session.locked.lock().await;
        let (target, error, when) = locked.runtime.failed.as_ref()?;
        (*target == queued.target && queued.admitted < *when).then(|| error.clone())
    }

    /// Makes the agent match the turn's snapshot, and puts together what it is given.
    async fn prepare(&mut self, queued: &Queued) -> Result<(Live, Given, Transfer), MessageError> {
        let Target { selection, .. } = &queued.target;
        let live = self.reach(&queued.target).await?;
        let (handover, transfer) = self.handover(&live, selection, Some(queued.turn)).await?;
        let unknown = |error: StoreError| MessageError::UnknownError {
            message: error.to_string(),
        };
        let row = self
            .sessions
            .store
            .message(&self.session.id, &queued.message_id)
            .await
            .map_err(unknown)?;
        let Some(row) = row else {
            return Err(MessageError::UnknownError {
                message: "The prompt was deleted.".to_owned(),
            });
        };
        let prompt = transcript::read_one(row).map_err(unknown)?.message;
        let system = match &prompt.info {
            Message::User(user) => user.system.as_deref(),
            Message::Assistant(_) => None,
        };
        let images = live.agent.info.capabilities.image;
        let given = Given {
            handover: handover.blocks,
            prompt: transcript::prompt_blocks(&prompt.parts, system, images),
        };
        Ok((live, given, transfer))
    }

    async fn exchange(
        &mut self,
        queued: &Queued,
        mut live: Live,
        given: Given,
        abort: watch::Receiver<bool>,
        snapshot: Pending,
    ) {
        let before = self.snapshot_in_time(snapshot).await;
        self.begin(queued, live.cost, before.as_ref()).await;
        let mut outcome = self.hand(queued, &mut live, given, abort.clone()).await;
        if outcome.dead_on_arrival
            && let Ok((next, given, _)) = self.prepare(queued).await
        {
            live = next;
            outcome = self.hand(queued, &mut live, given, abort).await;
        }
        self.sessions.cancel_asks(&self.session).await;
        let provider = queued.target.selection.provider_id.clone();
        let (reason, tokens, error) = self.judge(&outcome, &live, &provider).await;
        let seen = matches!(outcome.ended, Ended::Replied(_));
        if seen {
            live.has_seen(queued.turn);
        }
        // A server that stops has no time for what has changed.
        let before = before.filter(|_| outcome.stop != Some(Stop::ShutDown));
        let traces = self.traces(queued, before).await;
        let seen = seen.then_some((&provider, &live));
        if let Some(cost) = self.finish(&reason, tokens, error, seen, traces).await {
            live.cost = cost;
        }
        match outcome.ended {
            Ended::Replied(_) => drop(self.lives.insert(provider, live)),
            Ended::AgentGone => {}
            Ended::CancelIgnored if live.agent.working() > 0 => {
                tracing::warn!(
                    backend = provider,
                    "the agent ignored a cancel; its native session is left alone"
                );
            }
            Ended::CancelIgnored => self.sessions.pool.discard(&live.agent).await,
        }
    }

    /// Gives the agent what it has missed together with the prompt. One of its own commands has to stand at
    /// the beginning of a prompt: then what it has missed goes ahead in a prompt of its own.
    async fn hand(
        &mut self,
        queued: &Queued,
        live: &mut Live,
        given: Given,
        abort: watch::Receiver<bool>,
    ) -> Outcome {
        let mut blocks = given.handover;
        if queued.work == Work::Command && !blocks.is_empty() {
            blocks.push(transcript::text_block(TAKE_NOTE));
            live.quiet = true;
            let outcome = self.give(queued, live, blocks, abort.clone()).await;
            live.quiet = false;
            if outcome.stop.is_some() || !matches!(outcome.ended, Ended::Replied(Ok(_))) {
                return outcome;
            }
            blocks = Vec::new();
        }
        blocks.extend(given.prompt);
        self.give(queued, live, blocks, abort).await
    }

    /// Gives the agent a prompt, and reads until its end.
    pub(super) async fn give(
        &mut self,
        queued: &Queued,
        live: &mut Live,
        blocks: Vec<Value>,
        abort: watch::Receiver<bool>,
    ) -> Outcome {
        let _working = live.agent.work();
        let sent = Instant::now();
        let agent = Arc::clone(&live.agent);
        let mut outcome = match agent.connection.prompt(&live.native_session, blocks).await {
            Ok(()) => self.drive(live, queued, abort).await,
            Err(_closed) => Outcome::new(Ended::AgentGone),
        };
        let gone = matches!(outcome.ended, Ended::AgentGone);
        if gone && outcome.stop.is_none() && !outcome.asked && sent.elapsed() < DEAD_ON_ARRIVAL {
            let locked = self.session.locked.lock().await;
            let answering = locked.runtime.answering.as_ref();
            outcome.dead_on_arrival = answering.is_some_and(|a| !a.has_content());
        }
        outcome
    }

    /// Makes the answer's message.
    pub(super) async fn begin(&self, queued: &Queued, cost: f64, before: Option<&Snapshot>) {
        let mut locked = self.session.locked.lock().await;
        if locked.runtime.deleted {
            return;
        }
        locked.runtime.last_seq += 1;
        let seq = locked.runtime.last_seq;
        let Target { selection, .. } = &queued.target;
        let mut answering = Answering::new(
            &self.session.id,
            &queued.message_id,
            queued.turn,
            seq,
            selection,
            &self.session.directory,
        );
        if matches!(queued.work, Work::Compact { .. }) {
            answering.becomes_summary();
        }
        let events = answering.begin(cost, before.map(|snapshot| snapshot.tree.clone()));
        let changes = answering.take_changes();
        locked.runtime.answering = Some(answering);
        self.write(changes).await;
        self.sessions.publish(&self.session, &events);
    }

    /// Reads what the agent sends until its reply, its end, or the end of patience after a cancel.
    async fn drive(
        &mut self,
        live: &mut Live,
        queued: &Queued,
        mut abort: watch::Receiver<bool>,
    ) -> Outcome {
        let mut stopping = self.stopping.clone();
        let mut flush = interval(FLUSH);
        flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut outcome = Outcome::new(Ended::AgentGone);
        let mut patience = None;
        loop {
            let running = outcome.stop.is_none();
            let stop = tokio::select! {
                inbound = live.inbox.recv() => match inbound {
                    Some(Inbound::Update(update)) => {
                        self.said(live, queued, &update).await;
                        continue;
                    }
                    Some(Inbound::Request { id, method, params }) => {
                        outcome.asked = true;
                        self.asked(live, queued, id, &method, &params).await;
                        continue;
                    }
                    Some(Inbound::PromptReply(reply)) => {
                        outcome.ended = Ended::Replied(reply);
                        return outcome;
                    }
                    None => return outcome,
                },
                _ = flush.tick() => {
                    self.flush().await;
                    continue;
                }
                () = raised(&mut abort), if running => Stop::User,
                () = raised(&mut stopping), if running => Stop::ShutDown,
                () = sleep_until(patience.unwrap_or_else(tokio::time::Instant::now)), if patience.is_some() => {
                    outcome.ended = Ended::CancelIgnored;
                    return outcome;
                }
            };
            outcome.stop = Some(stop);
            patience = Some(tokio::time::Instant::now() + self.patience_with(stop));
            self.sessions.cancel_asks(&self.session).await;
            let params = json!({ "sessionId": live.native_session });
            // An agent that is gone ends the loop by itself.
            let _gone = live.agent.connection.notify("session/cancel", params).await;
        }
    }

    /// How long an agent may take to answer a cancel.
    fn patience_with(&self, stop: Stop) -> Duration {
        let cancel = self.sessions.settings.timeouts.cancel;
        match stop {
            Stop::User => cancel,
            Stop::ShutDown => cancel.min(SHUT_DOWN_PATIENCE),
        }
    }

    async fn said(&self, live: &mut Live, queued: &Queued, update: &Value) {
        let is_prompt = queued.work.is_prompt();
        if let Some(commands) = commands::read(update) {
            let provider = &queued.target.selection.provider_id;
            return self.note_commands(provider, commands).await;
        }
        if read_options(&mut live.options, update) {
            // What another native session has selected is not the session's selection.
            if !is_prompt {
                return;
            }
            return self
                .agent_has_switched(&queued.target.selection.provider_id, &live.options)
                .await;
        }
        if live.quiet || live.is_greeting(update) {
            return;
        }
        let context = {
            let mut locked = self.session.locked.lock().await;
            let Some(answering) = &mut locked.runtime.answering else {
                return;
            };
            let Folded {
                events,
                todos,
                context_tokens,
                title,
                complete,
            } = answering.fold(update, &self.session.directory);
            let mut changes = if complete {
                answering.take_changes()
            } else {
                Vec::new()
            };
            let todos = todos.filter(|_| is_prompt);
            let title =
                title.filter(|t| is_prompt && locked.state.title_is_default && !t.is_empty());
            if todos.is_some() || title.is_some() {
                locked.state.todos =
                    todos.unwrap_or_else(|| std::mem::take(&mut locked.state.todos));
                locked.state.title =
                    title.unwrap_or_else(|| std::mem::take(&mut locked.state.title));
                changes.push(locked.put_state());
            }
            if !locked.runtime.deleted {
                self.write(changes).await;
                self.sessions.publish(&self.session, &events);
            }
            context_tokens
        };
        if let Some(tokens) = context {
            let selection = &queued.target.selection;
            self.sessions
                .registry
                .note_context(&selection.provider_id, &selection.model_id, tokens)
                .await;
        }
    }

    async fn flush(&self) {
        let mut locked = self.session.locked.lock().await;
        let deleted = locked.runtime.deleted;
        if let Some(answering) = locked
            .runtime
            .answering
            .as_mut()
            .filter(|a| !deleted && a.is_unwritten())
        {
            let changes = answering.take_changes();
            self.write(changes).await;
        }
    }

    async fn asked(&self, live: &Live, queued: &Queued, id: Value, method: &str, params: &Value) {
        let connection = &live.agent.connection;
        let asks = queued.work.is_prompt() && !live.quiet;
        let mut locked = self.session.locked.lock().await;
        if let (Some(answering), Some(call)) =
            (&mut locked.runtime.answering, params.get("toolCall"))
            && !live.quiet
        {
            let announced = answering.announce(call, &self.session.directory);
            self.sessions.publish(&self.session, &announced.events);
        }
        let message_id = locked
            .runtime
            .answering
            .as_ref()
            .map_or(String::new(), |a| a.message.id.to_string());
        if method == "session/request_permission" {
            let call = params
                .pointer("/toolCall/toolCallId")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let tool = locked
                .runtime
                .answering
                .as_ref()
                .and_then(|a| a.tool_of(call));
            let read = WaitingPermission::read(
                &self.session.id,
                &message_id,
                &queued.target.selection,
                connection,
                id.clone(),
                params,
                tool,
            );
            let Some(waiting) = read else {
                drop(locked);
                let nobody = json!({ "outcome": { "outcome": "cancelled" } });
                let _gone = connection.respond(id, nobody).await;
                return;
            };
            // Neither a summary nor taking note needs tools, and nobody expects to be asked about one.
            let refused = (!asks).then_some(PermissionReply::Reject);
            let decided = waiting.decided(&locked.state.permission, &locked.state.always);
            if let Some(reply) = refused.or(decided) {
                drop(locked);
                return waiting.answer(reply).await;
            }
            let asked = EventPayload::PermissionAsked(waiting.request.clone());
            self.sessions.asks.add_permission(waiting);
            self.sessions.publish(&self.session, &[asked]);
            return;
        }
        let question = WaitingQuestion::read(
            &self.session.id,
            &message_id,
            connection,
            id.clone(),
            params,
        );
        match question.filter(|_| asks) {
            Some(waiting) => {
                let asked = EventPayload::QuestionAsked(waiting.request.clone());
                self.sessions.asks.add_question(waiting);
                self.sessions.publish(&self.session, &[asked]);
            }
            None => {
                drop(locked);
                let _gone = connection.respond(id, json!({ "action": "decline" })).await;
            }
        }
    }

    /// Ends the answer, and tells everybody. Returns what the native session has cost by now.
    async fn finish(
        &self,
        reason: &str,
        tokens: Tokens,
        error: Option<MessageError>,
        seen: Option<(&String, &Live)>,
        traces: Traces,
    ) -> Option<f64> {
        let mut locked = self.session.locked.lock().await;
        let mut answering = locked.runtime.answering.take()?;
        let mut events = answering.finish(reason, tokens, error.clone(), traces.step.as_ref());
        let mut batch = answering.take_changes();
        if let Some((prompt, key)) = &traces.prompt {
            batch.push(put_message(prompt, &self.session.id, key));
            events.push(message_event(&self.session, prompt.clone()));
        }
        traces.note(&mut locked.state);
        locked.state.count(&answering.message);
        locked.state.time.updated = crate::opencode::now_ms().max(locked.state.time.updated);
        batch.push(locked.put_state());
        if let Some((provider, live)) = seen
            && let Some(binding) = locked.runtime.bindings.get_mut(provider)
        {
            live.native_session.clone_into(&mut binding.native_session);
            binding.seen_turn = live.seen_turn;
            batch.extend(locked.put_binding(provider));
        }
        let answer = Answer {
            message: answering.message.clone(),
            parts: answering.parts.clone(),
        };
        events.extend(error.map(|error| error_event(&self.session, error)));
        let diff = traces.session_diffs;
        self.end_turn(&mut locked, batch, events, diff, answer)
            .await;
        Some(answering.cost_total())
    }

    /// A turn whose prompt was not given to its model: an answer that only says why.
    async fn fail(&self, queued: &Queued, error: MessageError) {
        self.begin(queued, 0.0, None).await;
        let reason = if matches!(error, MessageError::MessageAbortedError { .. }) {
            "aborted"
        } else {
            "error"
        };
        let traces = Traces::default();
        self.finish(reason, Tokens::default(), Some(error), None, traces)
            .await;
    }

    /// Tells that a turn has ended, and answers those who wait for it. `diff` is what the session has changed
    /// by now, where the turn may have changed it.
    pub(super) async fn end_turn(
        &self,
        locked: &mut super::state::Locked,
        mut batch: Vec<Change>,
        mut events: Vec<EventPayload>,
        diff: Option<Vec<FileDiff>>,
        answer: Answer,
    ) {
        let turn = locked.runtime.turn.take();
        if !locked.runtime.deleted {
            // The agent may have changed its model during the turn.
            if let Some((changes, told)) = self.tell(locked) {
                batch.extend(changes);
                events.extend(told);
            }
            self.write(batch).await;
            let info = locked.info();
            let session_id = self.session.id.clone();
            events.push(EventPayload::SessionUpdated(
                crate::opencode::event::SessionEvent {
                    session_id: session_id.clone(),
                    info,
                },
            ));
            if let Some(diff) = diff {
                let session_id = session_id.clone();
                let diff = SessionDiff { session_id, diff };
                events.push(EventPayload::SessionDiff(diff));
            }
            if !locked.runtime.is_busy() {
                let status = SessionStatus::Idle;
                events.push(EventPayload::SessionStatus(SessionStatusEvent {
                    session_id: session_id.clone(),
                    status,
                }));
                events.push(EventPayload::SessionIdle(SessionIdleEvent { session_id }));
            }
            self.sessions.publish(&self.session, &events);
        }
        for waiting in turn.map(|t| t.answers).unwrap_or_default() {
            // A client that went away reads the answer later.
            let _gone = waiting.send(answer.clone());
        }
    }
}

/// Waits until a flag is raised.
pub(super) async fn raised(flag: &mut watch::Receiver<bool>) {
    // An error means that nobody is left who could raise it, which is as good as raised.
    let _raised = flag.wait_for(|raised| *raised).await;
}
