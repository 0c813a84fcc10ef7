//! Compaction: a model writes a summary of the conversation, and from then on agents are handed the summary
//! and what came after it. The messages stay, for people to read.
//!
//! The summary is written in a native session of its own, so that a model which fails leaves nothing
//! behind in those that the conversation goes on in. Once it is there, all of them are forgotten in the
//! same batch: the next turn opens a new one, whose context is small again.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};

use super::outcome::{Ended, Outcome, Stop};
use super::prompt::continue_prompt;
use super::reconcile::Live;
use super::state::{Queued, Session, Work};
use super::turn::raised;
use super::worker::Worker;
use super::{Answer, Caller, Error, Sessions, detached, error_event, transcript};
use crate::opencode::event::{EventPayload, SessionCompacted, SessionEvent, Source};
use crate::opencode::message::{
    CompactionPart, Message, MessageError, MessageWithParts, Part, UserMessage, UserTime,
};
use crate::opencode::session::Tokens;
use crate::opencode::{MessageId, PartId, Selection, SessionId, now_ms};
use crate::registry::{BUILD, ModelWish, PLAN, SelectError, Snapshot, VariantWish, Wish};
use crate::store::Change;

/// What the model is asked for, below the conversation.
const INSTRUCTION: &str = "\
Write a summary of the conversation above for the agent that goes on with it. That agent will see your \
summary and nothing else of what was said so far, so whatever it needs has to be in it. Use no tools, change \
nothing, and do not go on with the work itself: your whole answer is the summary.

Say under these headings, briefly and without repeating yourself:
## What the user wants
The task as it stands now, with every wish, limit and preference that the user has named, in his own words \
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

impl Sessions {
    /// Has a model summarise the conversation, after what waits already. The selection stays as it is.
    /// With `auto`, the selected model is asked to go on with the work afterwards. `None` when nothing
    /// was said yet.
    ///
    /// # Errors
    /// No such session, a model that cannot be had, a full queue, or a failing store.
    pub async fn summarize(
        self: &Arc<Self>,
        id: &SessionId,
        model: ModelWish,
        auto: bool,
    ) -> Result<Option<oneshot::Receiver<Answer>>, Error> {
        let session = self.find(id)?;
        let wish = Wish {
            model: Some(model),
            variant: VariantWish::Default,
            agent: None,
        };
        self.prepare(Some(&session), &wish).await;
        let this = Arc::clone(self);
        detached(async move { this.admit_compaction(&session, wish, auto).await }).await
    }

    async fn admit_compaction(
        self: &Arc<Self>,
        session: &Arc<Session>,
        wish: Wish,
        auto: bool,
    ) -> Result<Option<oneshot::Receiver<Answer>>, Error> {
        let mut locked = session.at_rest().await;
        self.check_message(session, &locked, None).await?;
        self.check_queue(&locked)?;
        let current = locked.state.selection.as_ref();
        let selection = summariser(&self.registry.snapshot(), current, wish)?;
        if locked.runtime.last_seq == 0 {
            return Ok(None);
        }
        // Clients take the model of the last prompt for the one that is selected, and so it has to be.
        let message = user_message(session, current.unwrap_or(&selection), auto);
        let work = Work::Compact { auto };
        let answer = self
            .admit_work(session, &mut locked, message, work, selection)
            .await?;
        Ok(Some(answer))
    }
}

/// The selection that writes the summary. Its mode is the session's where the backend has it; otherwise
/// one that changes nothing, if there is one.
fn summariser(
    registry: &Snapshot,
    current: Option<&Selection>,
    wish: Wish,
) -> Result<Selection, SelectError> {
    let in_mode = |agent: &str| {
        let wish = Wish {
            agent: Some(agent.to_owned()),
            ..wish.clone()
        };
        Ok(registry.resolve(None, &wish)?.selection)
    };
    match in_mode(current.map_or(BUILD, |c| c.agent.as_str())) {
        Err(SelectError::UnknownAgent { .. }) => in_mode(PLAN).or_else(|_| in_mode(BUILD)),
        found => found,
    }
}

fn user_message(session: &Session, selection: &Selection, auto: bool) -> MessageWithParts {
    let id = MessageId::new();
    let part = Part::Compaction(CompactionPart {
        id: PartId::new(),
        session_id: session.id.clone(),
        message_id: id.clone(),
        auto,
    });
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
        parts: vec![part],
    }
}

impl Worker {
    /// Has the summary written.
    pub(super) async fn compact(&mut self, queued: Queued, auto: bool) {
        self.show_compacting().await;
        let abort = queued.abort.subscribe();
        let (mut aborted, mut stopping) = (abort.clone(), self.stopping.clone());
        let prepared = tokio::select! {
            biased;
            () = raised(&mut aborted) => Err(Stop::User.error()),
            () = raised(&mut stopping) => Err(Stop::ShutDown.error()),
            prepared = self.prepare_summary(&queued) => prepared,
        };
        self.begin(&queued, 0.0, None).await;
        match prepared {
            Ok((live, blocks)) => {
                self.write_summary(&queued, auto, live, blocks, abort).await;
            }
            Err(error) => {
                let aborted = matches!(error, MessageError::MessageAbortedError { .. });
                let reason = if aborted { "aborted" } else { "error" };
                self.finish_compaction(reason, Tokens::default(), Some(error))
                    .await;
            }
        }
    }

    /// Clients see that the session is being compacted, and since when.
    async fn show_compacting(&self) {
        let mut locked = self.session.locked.lock().await;
        locked.runtime.compacting = Some(now_ms());
        if locked.runtime.deleted {
            return;
        }
        let info = locked.info();
        let event = EventPayload::SessionUpdated(SessionEvent {
            session_id: self.session.id.clone(),
            info,
        });
        self.sessions.publish(&self.session, &[event]);
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
        let mut live = self.open_new(Arc::clone(&agent), provider).await?;
        if agent.launch.session.is_some() {
            // A process that serves one session has closed the other one that it had.
            self.lives.remove(provider);
        }
        self.apply(&mut live, selection).await?;
        let (handover, _) = self.handover(&live, selection, Some(queued.turn)).await?;
        if handover.blocks.is_empty() {
            let message = "There is nothing to summarise.".to_owned();
            return Err(MessageError::UnknownError { message });
        }
        let mut blocks = handover.blocks;
        blocks.push(transcript::text_block(INSTRUCTION));
        Ok((live, blocks))
    }

    async fn write_summary(
        &mut self,
        queued: &Queued,
        auto: bool,
        mut live: Live,
        blocks: Vec<Value>,
        abort: watch::Receiver<bool>,
    ) {
        let mut outcome = self.give(queued, &mut live, blocks, abort.clone()).await;
        if outcome.dead_on_arrival
            && let Ok((next, blocks)) = self.prepare_summary(queued).await
        {
            live = next;
            outcome = self.give(queued, &mut live, blocks, abort).await;
        }
        self.sessions.cancel_asks(&self.session).await;
        let provider = &queued.target.selection.provider_id;
        let (reason, tokens, error) = self.judge(&outcome, &live, provider).await;
        let error = match error {
            None => self.no_summary(provider).await,
            error => error,
        };
        if auto && error.is_none() {
            // Before the turn ends, so that the session is not taken for idle in between.
            self.go_on().await;
        }
        self.finish_compaction(&reason, tokens, error).await;
        self.let_go(live, &outcome).await;
    }

    /// An answer without a text is no summary.
    async fn no_summary(&self, provider: &str) -> Option<MessageError> {
        let locked = self.session.locked.lock().await;
        let answering = locked.runtime.answering.as_ref()?;
        let says_something =
            |part: &Part| matches!(part, Part::Text(text) if !text.text.trim().is_empty());
        if answering.parts.iter().any(says_something) {
            return None;
        }
        let message = format!("Backend \"{provider}\" has ended its turn without a summary.");
        Some(MessageError::UnknownError { message })
    }

    /// Ends the summary. If it is one, every native session is forgotten in the same batch.
    async fn finish_compaction(&self, reason: &str, tokens: Tokens, error: Option<MessageError>) {
        let mut locked = self.session.locked.lock().await;
        locked.runtime.compacting = None;
        let Some(mut answering) = locked.runtime.answering.take() else {
            return;
        };
        let done = error.is_none();
        let mut events = answering.finish(reason, tokens, error.clone(), None);
        let mut batch = answering.take_changes();
        locked.state.count(&answering.message);
        locked.state.time.updated = now_ms().max(locked.state.time.updated);
        batch.push(locked.put_state());
        let session = self.session.id.clone();
        if done {
            batch.push(Change::DeleteBindings {
                session: session.clone(),
            });
            locked.runtime.bindings.clear();
            locked.runtime.bindings_epoch += 1;
            let session_id = session;
            events.push(EventPayload::SessionCompacted(SessionCompacted {
                session_id,
            }));
        }
        events.extend(error.map(|error| error_event(&self.session, error)));
        let answer = Answer {
            message: answering.message,
            parts: answering.parts,
        };
        self.end_turn(&mut locked, batch, events, None, answer)
            .await;
    }

    /// The native session of a summary is needed no more.
    async fn let_go(&self, live: Live, outcome: &Outcome) {
        match outcome.ended {
            Ended::Replied(_) if live.agent.info.capabilities.close => {
                let timeout = self.sessions.settings.timeouts.switch;
                let params = json!({ "sessionId": live.native_session });
                // An agent that cannot keeps it until its process is evicted.
                let connection = Arc::clone(&live.agent.connection);
                let _kept = connection.call("session/close", params, timeout).await;
            }
            Ended::CancelIgnored if live.agent.working() == 0 => {
                self.sessions.pool.discard(&live.agent).await;
            }
            _ => {}
        }
    }

    async fn go_on(&self) {
        let caller = Caller {
            source: Source::Message,
            client: None,
        };
        let prompted = self
            .sessions
            .prompt(&self.session.id, continue_prompt(), caller)
            .await;
        if let Err(error) = prompted {
            tracing::warn!(session = %self.session.id, "not gone on after the summary: {error}");
        }
    }
}
