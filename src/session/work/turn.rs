//! One turn: a prompt, the agent's work on it, and its answer.

use std::sync::Arc;

use serde_json::Value;
use tokio::time::Instant;

use super::Worker;
use super::again::{Again, Size, again, has_taken_in, was_too_long};
use super::answered::was_wished;
use super::bind::unknown;
use super::fallback::GO_ON;
use super::live::Live;
use super::outcome::{Ended, Outcome, Stop, Verdict, judge};
use super::switch::told_when_slow;
use super::traces::{Pending, Traces};
use crate::opencode::event::{FallbackReason, Transfer};
use crate::opencode::handoff::HandoffMode;
use crate::opencode::message::{Message, MessageError, MessageWithParts};
use crate::opencode::spending::Spent;
use crate::session::cell::spending::limit_reached;
use crate::session::cell::{Binding, LiveAnswer, Queued, Target, Work};
use crate::session::conversation::structured::Form;
use crate::session::conversation::{handoff, transcript};
use crate::session::spending::LimitReached;

/// What an agent is told after what it has missed, where one of its own commands comes next.
const TAKE_NOTE: &str = "\
Take note of the above and do nothing about it yet: run no tools, change nothing. The user's next message \
comes right after this one. Answer with the word \"noted\".";

/// What the end of a turn leaves behind besides its answer.
#[derive(Debug, Default)]
struct After {
    /// The model was given the prompt.
    was_asked: bool,
    /// The native session as it is now.
    binding: Option<Binding>,
    /// The session has another native session next.
    is_left: bool,
    /// The model that has answered, where that is another than the selected one.
    other_model: Option<String>,
    /// The JSON value that was asked for.
    structured: Option<Value>,
    /// What was said last is an error.
    ends_with_error: bool,
    /// Why another model goes on, and whether this one had begun to answer.
    handed_on: Option<(FallbackReason, bool)>,
}

/// What an agent is given in a turn, as ACP content blocks.
struct Given {
    /// What it has missed.
    handover: Vec<Value>,
    /// How much that is.
    handover_bytes: usize,
    /// The prompt.
    prompt: Vec<Value>,
    /// The form that the answer shall have.
    form: Option<Form>,
}

impl Given {
    fn size(&self) -> Size {
        let prompt = self.prompt.iter().map(|block| block.to_string().len());
        Size {
            handover: self.handover_bytes,
            prompt: prompt.sum(),
        }
    }
}

impl Worker {
    /// Does what waits in the queue.
    pub(super) async fn turn(&mut self, queued: Arc<Queued>) {
        match queued.work.clone() {
            Work::Prompt | Work::Command => Box::pin(self.prompt(&queued)).await,
            Work::Shell(command) => self.shell(&queued, command).await,
            Work::Compact(purpose) => self.compact(&queued, purpose).await,
        }
    }

    async fn prompt(&mut self, queued: &Queued) {
        if self.passes_over(queued).await {
            return;
        }
        let started = Instant::now();
        let snapshot = self.take_snapshot();
        let mut failed = self.failed_already(queued);
        if failed.is_none()
            && let Some(reached) = self.spent_meanwhile(queued)
        {
            if self.goes_on_for_nothing(&reached).await {
                return;
            }
            failed = Some(unknown(reached.to_string()));
        }
        let (prepared, is_news) = match failed {
            Some(error) => (Err(error), false),
            None => (self.prepare_unless_stopped(queued).await, true),
        };
        match prepared {
            Ok((live, given, transfer)) => {
                let closed = self.cell.committed().runtime().closed_revision;
                if closed < queued.target.revision {
                    self.unproven = Some(queued.target.revision);
                }
                self.report_applied(&queued.target, transfer, started).await;
                if queued.handoff.mode == HandoffMode::Summary {
                    // What it would be was not known when it was announced.
                    self.correct_transfer(&queued.target, transfer).await;
                }
                Box::pin(self.exchange(queued, live, given, snapshot)).await;
            }
            Err(error) => {
                let is_abort = matches!(error, MessageError::MessageAbortedError { .. });
                let began = Some(started).filter(|_| is_news && !is_abort);
                if self.goes_on_without(queued, &error, began).await {
                    return;
                }
                if let Some(began) = began {
                    self.report_failed(&queued.target, error.clone(), began)
                        .await;
                }
                self.fail(queued, error).await;
            }
        }
    }

    /// A prompt that was waiting for a switch that has failed is not tried again by itself.
    fn failed_already(&self, queued: &Queued) -> Option<MessageError> {
        let committed = self.cell.committed();
        let failed = committed.runtime().failed.as_ref()?;
        let waited = failed.target == queued.target && queued.turn <= failed.last_seq;
        waited.then(|| failed.error.clone())
    }

    /// A prompt that waited while others have spent what may be spent is not asked.
    pub(super) fn spent_meanwhile(&self, queued: &Queued) -> Option<LimitReached> {
        let spending = &self.tools.office.spending;
        if spending.is_free(&queued.target.selection) {
            return None;
        }
        limit_reached(self.cell.committed().state(), spending, Spent::default())
    }

    async fn prepare_unless_stopped(
        &mut self,
        queued: &Queued,
    ) -> Result<(Live, Given, Transfer), MessageError> {
        let stopping = self.tools.office.stopping.clone();
        let cell = Arc::clone(&self.cell);
        tokio::select! {
            biased;
            () = queued.abort.cancelled() => Err(Stop::User.error()),
            () = stopping.cancelled() => Err(Stop::ShutDown.error()),
            prepared = told_when_slow(&cell, &queued.target, self.prepare(queued)) => prepared,
        }
    }

    /// Whether, and by whom, a turn is stopped.
    pub(super) fn stop_of(&self, queued: &Queued) -> Option<Stop> {
        match queued.abort.is_cancelled() {
            true => Some(Stop::User),
            false => self
                .tools
                .office
                .stopping
                .is_cancelled()
                .then_some(Stop::ShutDown),
        }
    }

    /// Makes the agent match the turn's snapshot, and puts together what it is given. Given up in the
    /// middle, the native session stays among the live ones.
    async fn prepare(&mut self, queued: &Queued) -> Result<(Live, Given, Transfer), MessageError> {
        let Target { selection, .. } = &queued.target;
        self.reach(&queued.target).await?;
        let prompt = self.prompt_of(queued).await?;
        let Some(mut live) = self.lives.remove(&selection.provider_id) else {
            return Err(unknown("The agent's session is gone.".to_owned()));
        };
        // What another model has begun to answer belongs to what was before.
        let before_turn = queued.turn + u64::from(queued.continues);
        let mode = queued.handoff.mode;
        let handed = self.handover(&mut live, selection, before_turn, mode).await;
        let (mut handover, transfer) = handed?;
        if let Some(note) = &queued.handoff.note {
            let note = transcript::text_block(&handoff::note(note));
            handover.blocks.push(note);
        }
        let (system, format) = match &prompt.info {
            Message::User(user) => (user.system.clone(), user.format.as_ref()),
            Message::Assistant(_) => (None, None),
        };
        let form = Form::of(format);
        let instructions: Vec<_> = system
            .into_iter()
            .chain(form.as_ref().map(Form::instruction))
            .chain(queued.continues.then(|| GO_ON.to_owned()))
            .collect();
        let system = (!instructions.is_empty()).then(|| instructions.join("\n\n"));
        let images = live.agent.info.capabilities.image;
        let given = Given {
            handover: handover.blocks,
            handover_bytes: usize::try_from(transfer.bytes).unwrap_or(usize::MAX),
            prompt: transcript::prompt_blocks(&prompt.parts, system.as_deref(), images),
            form,
        };
        Ok((live, given, transfer))
    }

    /// The prompt. It is in the store for a prompt that was edited while it waited.
    async fn prompt_of(&self, queued: &Queued) -> Result<Arc<MessageWithParts>, MessageError> {
        if let Some(message) = &queued.message {
            return Ok(Arc::clone(message));
        }
        let store = &self.tools.office.store;
        let row = store.message(&self.cell.id, &queued.message_id).await;
        let stored = row.and_then(|row| row.map(transcript::read_one).transpose());
        let stored = stored.map_err(|error| unknown(error.to_string()))?;
        let stored = stored.ok_or_else(|| unknown("The prompt was deleted.".to_owned()))?;
        Ok(Arc::new(*stored.message))
    }

    async fn exchange(&mut self, queued: &Queued, live: Live, given: Given, snapshot: Pending) {
        let before = self.snapshot_in_time(snapshot).await;
        let Some(answer) = self.begin(queued, before.as_ref()).await else {
            return;
        };
        let agent = Arc::clone(&live.agent);
        let form = given.form.clone();
        let (mut live, mut outcome) =
            Box::pin(self.until_taken_in(queued, live, given, &answer)).await;
        let structured = match live.as_mut() {
            Some(live) => {
                self.in_form(form, queued, live, &mut outcome, &answer)
                    .await
            }
            None => None,
        };
        self.cancel_asks().await;
        let provider = queued.target.selection.provider_id.clone();
        let agent = live.as_ref().map_or(agent, |live| Arc::clone(&live.agent));
        let said = self.error_said(&provider, &outcome, &answer);
        let words = said.as_ref().map(|(said, _)| said.as_str());
        let mut verdict = judge(&outcome, &agent, &provider, &answer, words).await;
        let structured = structured
            .and_then(|structured| structured.map_err(|error| verdict.fails_with(error)).ok());
        // An error that is said is no answer.
        let has_begun = match &said {
            Some((_, has_more)) => *has_more,
            None => outcome.asked || answer.lock().has_content(),
        };
        let forgets = self.forgets_unfinished(&provider);
        let is_taken_in = has_taken_in(&outcome, &answer, forgets) && has_begun;
        let handed_on = self.handed_on(queued, &outcome, &answer, words);
        if let Some(live) = live.as_mut().filter(|_| is_taken_in) {
            // What goes on elsewhere is not over: it is told the rest together with what it has seen.
            if handed_on.is_none() {
                live.has_seen(queued.turn);
            }
            self.unproven = None;
        }
        if let Some(handed_on) = &handed_on {
            verdict = Verdict::failed(handed_on.error.clone());
        } else if verdict.error.is_none() {
            self.take_in(queued);
        }
        // What has not even shown that it knows the beginning is not given it twice: the next prompt opens another one.
        let is_left = |live: &Live| !is_taken_in && (live.seen_turn == 0 || was_too_long(&outcome));
        let selection = &queued.target.selection;
        let other_model = self.model_that_answered(&outcome, live.as_mut(), &answer, selection);
        let after = After {
            structured,
            other_model,
            was_asked: matches!(outcome.ended, Ended::Replied(_)) || answer.lock().has_content(),
            binding: live.as_ref().map(Live::binding),
            is_left: live.as_ref().is_some_and(is_left),
            ends_with_error: said.is_some(),
            handed_on: handed_on.map(|handed_on| (handed_on.reason, has_begun)),
        };
        // A server that stops has no time for what has changed.
        let before = before.filter(|_| outcome.stop != Some(Stop::ShutDown));
        let traces = self.traces(queued, before).await;
        let is_left = after.is_left;
        self.finish(queued, &answer, verdict, after, traces).await;
        match (outcome.ended, live) {
            (Ended::Replied(_), Some(mut live)) if is_left => {
                self.hear_rest(&mut live).await;
                self.remove_native(live);
            }
            (Ended::Replied(_), Some(live)) => drop(self.lives.insert(provider, live)),
            (Ended::CancelIgnored, Some(mut live)) => {
                self.end_deaf(&live).await;
                self.hear_no_more(&mut live).await;
            }
            (Ended::AgentGone | Ended::Flooded, Some(mut live)) => {
                self.hear_no_more(&mut live).await;
            }
            (_, None) => {}
        }
    }

    /// Gives the agent the prompt. What was not taken in for a reason that lies in the process or in the native session
    /// is given to the next one. Without a native session, there would be no way to get one.
    async fn until_taken_in(
        &mut self,
        queued: &Queued,
        mut live: Live,
        mut given: Given,
        answer: &LiveAnswer,
    ) -> (Option<Live>, Outcome) {
        let selection = &queued.target.selection;
        let mut tried = Vec::new();
        loop {
            answer.lock().is_metered_from(live.cost);
            let size = given.size();
            let mut outcome = self.hand(queued, &mut live, given, answer).await;
            self.meter(&mut live, &mut outcome, answer);
            self.settle_heard(&mut live, queued, &outcome, answer).await;
            self.learn(&outcome, selection, (&live, size), answer).await;
            let again = again(&outcome, &live, answer, &tried)
                .filter(|again| queued.work.is_prompt() || *again != Again::ReopenedAfterSilence);
            let Some(again) = again else {
                return (Some(live), outcome);
            };
            tried.push(again);
            tracing::info!(
                model = selection.label(),
                "a prompt was not taken in and is given again, {}",
                again.in_words()
            );
            // The next one may be the same native session, opened again.
            drop(live);
            if again == Again::New {
                self.forget_native(&selection.provider_id).await;
            }
            match self.prepare_unless_stopped(queued).await {
                Ok((next, next_given, transfer)) => {
                    self.correct_transfer(&queued.target, transfer).await;
                    (live, given) = (next, next_given);
                }
                Err(_) => {
                    outcome.stop = self.stop_of(queued);
                    return (None, outcome);
                }
            }
        }
    }

    /// Gives the agent what it has missed together with the prompt. One of its own commands has to be at
    /// the beginning of a prompt: then what it has missed goes ahead in a prompt of its own.
    async fn hand(
        &mut self,
        queued: &Queued,
        live: &mut Live,
        given: Given,
        answer: &LiveAnswer,
    ) -> Outcome {
        let noting = self.note_handover(queued, &given.handover);
        let outcome = self.hand_in_turn(queued, live, given, answer).await;
        // Before the answer ends, so that what it is built on can be read with it.
        if let Some(noting) = noting {
            let _noted = noting.await;
        }
        outcome
    }

    async fn hand_in_turn(
        &mut self,
        queued: &Queued,
        live: &mut Live,
        given: Given,
        answer: &LiveAnswer,
    ) -> Outcome {
        let mut blocks = given.handover;
        if queued.work == Work::Command && !blocks.is_empty() {
            blocks.push(transcript::text_block(TAKE_NOTE));
            live.quiet = true;
            let outcome = self.give(queued, live, blocks, answer).await;
            let heard = self.hear_out(live, queued).await;
            live.quiet = false;
            if !heard {
                return Outcome::new(Ended::Flooded);
            }
            if outcome.stop.is_some() || !matches!(outcome.ended, Ended::Replied(Ok(_))) {
                return outcome;
            }
            blocks = Vec::new();
        }
        blocks.extend(given.prompt);
        self.give(queued, live, blocks, answer).await
    }

    /// Ends the answer.
    async fn finish(
        &mut self,
        queued: &Queued,
        answer: &LiveAnswer,
        verdict: Verdict,
        after: After,
        traces: Traces,
    ) {
        // On a copy: an end must not be visible until it is stored.
        let mut done = answer.lock().clone();
        done.message.structured = after.structured.clone();
        if let Some(model) = after.other_model.clone() {
            done.was_given_by(model);
        }
        let mut events = match after.ends_with_error {
            true => done.ends_with_error(),
            false => Vec::new(),
        };
        events.extend(done.finish(
            verdict.reason,
            verdict.tokens,
            verdict.error,
            traces.step.as_ref(),
        ));
        let provider = queued.target.selection.provider_id.clone();
        let (turn, aside) = (queued.turn, std::mem::take(&mut self.aside));
        let wished = queued.target.selection.clone();
        let is_news = was_wished(&wished);
        let context = done.context;
        self.end_with(queued, done, events, move |draft, answer| {
            traces.note(draft, turn);
            aside.note(draft);
            // A model that was never given the prompt has not answered.
            if after.was_asked {
                draft.count(&answer.message, context);
            }
            if after.other_model.is_some() && is_news {
                draft.tell_other_model(&wished, &answer.message);
            }
            let is_bound = draft.runtime().bindings.contains_key(&provider);
            match &after.binding {
                Some(_) if after.is_left => draft.forget_binding(std::slice::from_ref(&provider)),
                Some(binding) if is_bound => draft.bind(&provider, binding.clone()),
                _ => {}
            }
            if let Some((reason, continues)) = &after.handed_on {
                draft.hand_on(reason, *continues);
            }
        })
        .await;
    }

    /// A turn whose prompt was not given to its model: an answer that only says why.
    async fn fail(&mut self, queued: &Queued, error: MessageError) {
        if let Some(answer) = self.begin(queued, None).await {
            let (verdict, traces) = (Verdict::failed(error), Traces::default());
            self.finish(queued, &answer, verdict, After::default(), traces)
                .await;
        }
    }
}
