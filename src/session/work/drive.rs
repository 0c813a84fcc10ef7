//! Giving an agent a prompt, and reading what it sends until its reply, its end, or the end of patience.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::Worker;
use super::aside::Aside;
use super::live::Live;
use super::outcome::{Ended, Outcome, Stop};
use super::told::next_said;
use crate::agent::connection::Inbound;
use crate::metrics;
use crate::opencode::event::{EventPayload, SessionSilent, ToastVariant};
use crate::opencode::spending::Spent;
use crate::session::cell::spending::limit_reached;
use crate::session::cell::{LiveAnswer, Queued};

/// Streamed text is written to the store at least this often.
const FLUSH: Duration = Duration::from_millis(250);

/// A server that stops waits no longer than this for an answer to its cancel: what started it may kill it
/// when it takes its time, and then its agents would be left behind.
const SHUT_DOWN_PATIENCE: Duration = Duration::from_millis(500);

/// A process that was ended between two turns may take a prompt into its pipe before that shows. One that
/// is gone so soon after a prompt, without a word, is taken for such a process, and the prompt is given to
/// the next one, once.
const DEAD_ON_ARRIVAL: Duration = Duration::from_millis(500);

impl Worker {
    /// Gives the agent a prompt, and reads until its end.
    pub(super) async fn give(
        &mut self,
        queued: &Queued,
        live: &mut Live,
        blocks: Vec<Value>,
        answer: &LiveAnswer,
    ) -> Outcome {
        let _working = live.agent.work();
        let sent = Instant::now();
        queued.signs.prompt_sent();
        let agent = Arc::clone(&live.agent);
        if !self.hear_out(live, queued).await {
            return Outcome::new(Ended::Flooded);
        }
        if queued.work.is_prompt() && !live.quiet {
            live.heard.begins(answer.id(), &queued.target.selection);
        }
        let mut outcome = match agent.connection.prompt(&live.native_session, blocks).await {
            Ok(()) => self.drive(live, queued, answer).await,
            Err(_closed) => Outcome::new(Ended::AgentGone),
        };
        let gone = matches!(outcome.ended, Ended::AgentGone);
        let early = sent.elapsed() < DEAD_ON_ARRIVAL;
        outcome.dead_on_arrival = gone
            && early
            && outcome.stop.is_none()
            && !outcome.asked
            && !answer.lock().has_content();
        outcome
    }

    /// Reads what the agent sends until its reply, its end, or the end of patience after a cancel.
    async fn drive(&mut self, live: &mut Live, queued: &Queued, answer: &LiveAnswer) -> Outcome {
        let (stopping, mut hurried) = (self.tools.office.stopping.clone(), false);
        let mut flush = interval(FLUSH);
        flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut outcome = Outcome::new(Ended::AgentGone);
        let mut patience = None;
        loop {
            let running = outcome.stop.is_none();
            // Also while the user's own cancel is waited for, which may take longer.
            let may_hurry = !hurried;
            let stop = tokio::select! {
                inbound = live.inbox.recv() => match inbound {
                    Some(Inbound::Update(update)) => {
                        queued.signs.heard();
                        self.said(live, queued, &update, answer).await;
                        continue;
                    }
                    Some(Inbound::Request { id, method, params }) => {
                        queued.signs.heard();
                        outcome.asked = true;
                        self.asked(live, queued, id, &method, &params, answer).await;
                        continue;
                    }
                    Some(Inbound::PromptReply(reply)) => {
                        outcome.ended = Ended::Replied(reply);
                        return outcome;
                    }
                    Some(Inbound::Overflowed { .. }) => {
                        outcome.ended = Ended::Flooded;
                        return outcome;
                    }
                    None => return outcome,
                },
                (backend, message) = next_said(&mut self.lives) => {
                    match message {
                        Some(message) => self.said_between_turns(&backend, message).await,
                        None => self.let_go_of(&backend).await,
                    }
                    continue;
                }
                _ = flush.tick() => {
                    self.watch_silence(queued, answer).await;
                    self.store_growth(answer).await;
                    self.store_late().await;
                    self.store_heard_in_turn(live, answer).await;
                    self.store_aside(Aside::default()).await;
                    let passed = self.is_out_of_patience(queued, &outcome, answer);
                    let ended = self.tools.settings.timeouts.silent_end;
                    let ended = ended.filter(|end| queued.signs.silence() >= *end);
                    let spent = self.has_spent_all(queued, answer).then_some(Stop::Spent);
                    let stop = passed.map(Stop::Passed).or(ended.map(Stop::Silent)).or(spent);
                    match stop.filter(|_| running) {
                        Some(stop) => stop,
                        None => continue,
                    }
                }
                () = queued.abort.cancelled(), if running => Stop::User,
                () = stopping.cancelled(), if may_hurry => Stop::ShutDown,
                () = sleep_until(patience.unwrap_or_else(Instant::now)), if patience.is_some() => {
                    outcome.ended = Ended::CancelIgnored;
                    return outcome;
                }
            };
            hurried = stop == Stop::ShutDown;
            let until = Instant::now() + self.patience_with(stop);
            patience = Some(patience.map_or(until, |before: Instant| before.min(until)));
            if outcome.stop.is_some() {
                continue;
            }
            outcome.stop = Some(stop);
            self.cancel_asks().await;
            let params = json!({ "sessionId": live.native_session });
            // An agent that is gone ends the loop by itself.
            let _gone = live.agent.connection.notify("session/cancel", params).await;
        }
    }

    /// Ends an agent that has ignored a cancel. There is no other way to stop what it does, and it may
    /// be changing files; sessions that share the process continue with another one.
    pub(super) async fn end_deaf(&self, live: &Live) {
        if self.tools.office.stopping.is_cancelled() {
            // All agents are about to be ended, and sooner than here.
            return;
        }
        tracing::warn!(
            backend = live.agent.launch.backend,
            at_work = live.agent.working(),
            "the agent has ignored a cancel and is ended"
        );
        self.tools.pool.discard(&live.agent).await;
    }

    /// Whether a turn goes beyond a limit that stops it, by what its agent has reported of it so far.
    fn has_spent_all(&self, queued: &Queued, answer: &LiveAnswer) -> bool {
        let spending = &self.tools.office.spending;
        if spending.is_free(&queued.target.selection) {
            return false;
        }
        let more = Spent {
            cost: answer.lock().cost_so_far(),
            tokens: 0,
        };
        let committed = self.cell.committed();
        let reached = limit_reached(committed.state(), spending, more);
        reached.is_some_and(|reached| reached.limit.hard)
    }

    /// Tells that the agent of a turn has not been heard for long. One that waits for the user is not silent.
    async fn watch_silence(&self, queued: &Queued, answer: &LiveAnswer) {
        let committed = self.cell.committed();
        if committed.runtime().asks.iter().any(|ask| !ask.is_late()) {
            return queued.signs.waits_for_user();
        }
        let timeouts = self.tools.settings.timeouts;
        if !queued.signs.has_fallen_silent(timeouts.silent) {
            return;
        }
        metrics::turn_is_silent();
        let model = queued.target.selection.label();
        let (silent_s, tool) = (timeouts.silent.as_secs(), answer.lock().tool_at_work());
        tracing::warn!(
            model,
            silent_s,
            tool,
            "the agent of a running turn says nothing any more (timeouts.silent_s); the session can be aborted"
        );
        let since = queued.signs.silent_since().unwrap_or_default();
        let silent = SessionSilent {
            session_id: self.cell.id.clone(),
            message_id: queued.message_id.clone(),
            since,
            tool,
            ends_at: timeouts.silent_end.map(|end| {
                since.saturating_add(u64::try_from(end.as_millis()).unwrap_or(u64::MAX))
            }),
        };
        let selection = queued.target.selection.clone();
        let told = self.cell.change(move |draft| {
            draft.unless_deleted()?;
            draft.event(EventPayload::SessionSilent(silent.clone()));
            let name = draft.name_of(&selection);
            let message = format!(
                "{name} has said nothing for {silent_s} s. It may still be at work; abort the turn to go on without it."
            );
            draft.toast(ToastVariant::Warning, &message);
            Ok(())
        });
        let _nothing_to_store = told.await;
    }

    /// How long an agent may take to answer a cancel.
    fn patience_with(&self, stop: Stop) -> Duration {
        let cancel = self.tools.settings.timeouts.cancel;
        match stop {
            Stop::User | Stop::Silent(_) | Stop::Passed(_) | Stop::Spent => cancel,
            Stop::ShutDown => cancel.min(SHUT_DOWN_PATIENCE),
        }
    }
}
