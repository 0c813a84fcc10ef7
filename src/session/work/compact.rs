//! Writing the summary of a conversation. It is written in a native session of its own, so that a model
//! which fails leaves nothing behind in those of the conversation.

use std::sync::Arc;

use serde_json::Value;

use super::Worker;
use super::again::Size;
use super::bind::unknown;
use super::live::Live;
use super::outcome::{Ended, Outcome, Stop, Verdict, judge};
use crate::opencode::event::{EventPayload, SessionCompacted, Source};
use crate::opencode::message::{MessageError, Part};
use crate::session::cell::{Draft, LiveAnswer, Queued, Reverted, Waiters};
use crate::session::conversation::prompt::{SummaryFor, continue_prompt};
use crate::session::conversation::transcript;
use crate::session::request::Caller;

/// What the model is asked for, below the conversation.
const INSTRUCTION: &str = "\
Write a summary of the conversation above for the agent that goes on with it. That agent will see your \
summary and nothing else of what was said so far, so whatever it needs has to be in it. Use no tools, change \
nothing, and do not go on with the work itself: your whole answer is the summary.

Say under these headings, briefly and without repeating yourself:
## What the user wants
The task as it stands now, with every wish, limit and preference that the user has named, in their own words \
where they matter.
## What was decided and found out
Decisions with their reasons, facts about the project, things that were tried and did not work.
## What is done
Changes that were made, by file, and how they were checked.
## What is open
What is half done, what fails and with which message, and what comes next.
## Where to look
Files, functions, commands and addresses that are needed again, spelled exactly as they are.

Write \"nothing\" below a heading that has nothing to say. Keep names, paths, numbers and error messages \
word for word. Do not write down passwords or keys.";

impl Worker {
    /// Has the summary written.
    pub(super) async fn compact(&mut self, queued: &Queued, purpose: SummaryFor) {
        let shown = self.persist(|draft| draft.show_compacting());
        if shown.await.is_err() {
            return;
        }
        let prepared = match self.spent_meanwhile(queued) {
            Some(reached) => Err(unknown(reached.to_string())),
            None => self.prepare_summary_unless_stopped(queued).await,
        };
        let Some(answer) = self.begin(queued, None).await else {
            return;
        };
        match prepared {
            Ok((live, blocks)) => {
                self.write_summary(queued, purpose, live, blocks, &answer)
                    .await;
            }
            Err(error) => {
                self.finish_compaction(queued, &answer, Verdict::failed(error), None)
                    .await;
            }
        }
    }

    async fn prepare_summary_unless_stopped(
        &mut self,
        queued: &Queued,
    ) -> Result<(Live, Vec<Value>), MessageError> {
        let stopping = self.tools.office.stopping.clone();
        tokio::select! {
            biased;
            () = queued.abort.cancelled() => Err(Stop::User.error()),
            () = stopping.cancelled() => Err(Stop::ShutDown.error()),
            prepared = self.prepare_summary(queued) => prepared,
        }
    }

    /// A new native session of the summarising model, and what it is given.
    async fn prepare_summary(
        &mut self,
        queued: &Queued,
    ) -> Result<(Live, Vec<Value>), MessageError> {
        let selection = &queued.target.selection;
        let provider = &selection.provider_id;
        let agent = self.start(selection).await?;
        let _working = agent.work();
        let mut live = self.open_new(Arc::clone(&agent), selection).await?;
        if agent.launch.session.is_some() {
            // A process that serves one session has closed the other one that it had.
            self.let_go_of(provider).await;
        }
        self.apply_to(&mut live, selection).await?;
        let handover = self
            .whole_conversation(&live, selection, queued.turn)
            .await?;
        if handover.blocks.is_empty() {
            return Err(unknown("There is nothing to summarise.".to_owned()));
        }
        let mut blocks = handover.blocks;
        blocks.push(transcript::text_block(INSTRUCTION));
        Ok((live, blocks))
    }

    async fn write_summary(
        &mut self,
        queued: &Queued,
        purpose: SummaryFor,
        mut live: Live,
        blocks: Vec<Value>,
        answer: &LiveAnswer,
    ) {
        answer.lock().is_metered_from(live.cost);
        let mut outcome = self.give(queued, &mut live, blocks, answer).await;
        if outcome.dead_on_arrival {
            match self.prepare_summary_unless_stopped(queued).await {
                Ok((next, blocks)) => {
                    live = next;
                    outcome = self.give(queued, &mut live, blocks, answer).await;
                }
                Err(_) => outcome.stop = self.stop_of(queued),
            }
        }
        self.meter(&mut live, &mut outcome, answer);
        self.cancel_asks().await;
        let selection = &queued.target.selection;
        // What it has not got in front of it cannot be less.
        self.learn(&outcome, selection, (&live, Size::default()), answer)
            .await;
        let provider = &selection.provider_id;
        let said = self.error_said(provider, &outcome, answer);
        let mut verdict = judge(
            &outcome,
            &live.agent,
            provider,
            answer,
            said.as_ref().map(|(said, _)| said.as_str()),
        )
        .await;
        if verdict.error.is_none() {
            verdict.error = no_summary(answer, provider);
        }
        self.finish_compaction(queued, answer, verdict, Some(purpose))
            .await;
        self.let_go(live, &outcome).await;
    }

    /// Ends the summary. If it is one, every native session is forgotten in the same batch; and where the
    /// model was asked for one after which the work goes on, that is in the same batch, too, so that the
    /// session is not taken for idle in between.
    async fn finish_compaction(
        &self,
        queued: &Queued,
        answer: &LiveAnswer,
        verdict: Verdict,
        asked: Option<SummaryFor>,
    ) {
        let is_summary = verdict.error.is_none();
        let mut done = answer.lock().clone();
        let events = done.finish(verdict.reason, verdict.tokens, verdict.error, None);
        let queue_prompts = self.tools.settings.queue_prompts;
        let context = done.context;
        self.end_with(queued, done, events, move |draft, answer| {
            // A model that was never asked has not answered.
            if asked.is_some() {
                draft.count(&answer.message, context);
            }
            // Whoever knows the conversation goes on with it as it is.
            if !is_summary || asked == Some(SummaryFor::Handover) {
                return;
            }
            draft.unbind_all();
            let session_id = draft.id.clone();
            draft.event(EventPayload::SessionCompacted(SessionCompacted {
                session_id,
            }));
            if asked == Some(SummaryFor::GoingOn) {
                go_on(draft, queue_prompts);
            }
        })
        .await;
    }

    /// The native session of a summary is no longer needed.
    async fn let_go(&self, live: Live, outcome: &Outcome) {
        match outcome.ended {
            Ended::Replied(_) => self.remove_native(live),
            Ended::CancelIgnored => self.end_deaf(&live).await,
            _ => {}
        }
    }
}

/// An answer without a text is not a summary.
fn no_summary(answer: &LiveAnswer, provider: &str) -> Option<MessageError> {
    let says_something =
        |part: &Part| matches!(part, Part::Text(text) if !text.text.trim().is_empty());
    if answer.lock().parts.iter().any(says_something) {
        return None;
    }
    let message = format!("Backend \"{provider}\" has ended its turn without a summary.");
    Some(unknown(message))
}

fn go_on(draft: &mut Draft, queue_prompts: usize) {
    let caller = Caller::nobody(Source::Message);
    // The answer is not awaited.
    let (waiters, _) = Waiters::one();
    let (prompt, reverted) = (continue_prompt(), Reverted::default());
    let admitted = draft.admit_prompt(&prompt, &caller, &reverted, &waiters, queue_prompts);
    if let Err(error) = admitted {
        tracing::warn!(session = %draft.id, "not gone on after the summary: {error}");
    }
}
