//! What a backend has not seen of the conversation.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::Worker;
use super::bind::unknown;
use super::late::missed_parts;
use super::live::{Live, Origin};
use crate::opencode::event::{Transfer, TransferKind};
use crate::opencode::history::{GivenHandover, HandoverOmission};
use crate::opencode::message::MessageError;
use crate::opencode::{Selection, now_ms};
use crate::session::cell::{Committed, Queued};
use crate::session::conversation::transcript::{self, Handover, Stored};
use crate::session::conversation::{cut, handoff};
use crate::store::{MessageRange, StoreError};

/// A handover that was rendered at a switch is kept this long for the prompt that follows.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// A handover that was rendered at a switch, and what it was rendered from.
#[derive(Debug)]
pub(super) struct Rendered {
    handover: Handover,
    transfer: Transfer,
    conversation: u64,
    last_seq: u64,
    model_id: String,
    until: Instant,
}

impl Rendered {
    /// Whether it is what the prompt of a turn needs. The prompt itself has come since, and may be a notice of
    /// the switch, which no model is given.
    fn fits(&self, committed: &Committed, selection: &Selection, before_turn: Option<u64>) -> bool {
        let own_prompt = u64::from(before_turn.is_some());
        self.model_id == selection.model_id
            && before_turn.is_none_or(|turn| turn > self.last_seq)
            && self.conversation + own_prompt == committed.runtime().conversation
            && Instant::now() < self.until
    }
}

impl Worker {
    /// What will go with the next prompt to the live native session of a selection. It is kept for that
    /// prompt, so that it is rendered once.
    pub(super) async fn foresee_handover(
        &mut self,
        selection: &Selection,
    ) -> Result<Transfer, MessageError> {
        let provider = &selection.provider_id;
        let committed = self.cell.committed();
        let Some(live) = self.lives.get(provider) else {
            return Err(unknown(format!("Backend \"{provider}\" has no session.")));
        };
        if let Some(kept) = &live.rendered
            && kept.fits(&committed, selection, None)
        {
            return Ok(kept.transfer);
        }
        let (handover, transfer) = self.render_handover(live, selection, None).await?;
        let rendered = Rendered {
            handover,
            transfer,
            conversation: committed.runtime().conversation,
            last_seq: committed.runtime().last_seq,
            model_id: selection.model_id.clone(),
            until: Instant::now() + KEPT_FOR,
        };
        if let Some(live) = self.lives.get_mut(provider) {
            live.rendered = Some(rendered).filter(|r| r.transfer.bytes > 0);
        }
        Ok(transfer)
    }

    /// What the agent has not seen of the conversation before a turn.
    pub(super) async fn handover(
        &self,
        live: &mut Live,
        selection: &Selection,
        before_turn: u64,
    ) -> Result<(Handover, Transfer), MessageError> {
        let committed = self.cell.committed();
        match live.rendered.take() {
            Some(kept) if kept.fits(&committed, selection, Some(before_turn)) => {
                Ok((kept.handover, kept.transfer))
            }
            _ => {
                self.render_handover(live, selection, Some(before_turn))
                    .await
            }
        }
    }

    async fn render_handover(
        &self,
        live: &Live,
        selection: &Selection,
        before_turn: Option<u64>,
    ) -> Result<(Handover, Transfer), MessageError> {
        let provider = &selection.provider_id;
        let missed = self.missed(provider, live.seen_turn, before_turn).await?;
        let kind = match (missed.is_empty(), live.seen_turn, live.origin) {
            (true, 0, _) => TransferKind::None,
            (true, _, Origin::New | Origin::Used) => TransferKind::Native,
            (true, _, Origin::Resumed) => TransferKind::Resume,
            (true, _, Origin::Loaded) => TransferKind::Load,
            (false, 0, _) => TransferKind::Transcript,
            (false, ..) => TransferKind::CatchUp,
        };
        if missed.is_empty() {
            let handover = Handover::default();
            let transfer = handover.transfer(kind);
            return Ok((handover, transfer));
        }
        let rendered_as = match kind {
            TransferKind::CatchUp => handoff::Kind::CatchUp,
            _ => handoff::Kind::Transcript,
        };
        let snapshot = self.tools.office.registry.at(&self.cell.directory);
        let catalogue = snapshot.catalogue(&selection.provider_id);
        let model = catalogue.and_then(|c| c.model(&selection.model_id));
        let budget = model.and_then(|model| model.context_tokens).map_or(
            self.tools.settings.budget,
            handoff::Budget::from_context_tokens,
        );
        let budget = match self.fits.get(&selection.label()) {
            Some(fits) => budget.within(*fits),
            None => budget,
        };
        let images = live.agent.info.capabilities.image;
        // Rendering megabytes takes milliseconds, which other sessions should not wait for.
        let rendered = tokio::task::spawn_blocking(move || {
            transcript::hand_over(missed, rendered_as, &budget, images)
        });
        let handover = rendered.await.map_err(|error| unknown(error.to_string()))?;
        let transfer = handover.transfer(kind);
        Ok((handover, transfer))
    }

    /// The messages after one turn and before another that models are to know.
    async fn missed(
        &self,
        provider: &str,
        seen_turn: u64,
        before_turn: Option<u64>,
    ) -> Result<Vec<Stored>, MessageError> {
        let range = MessageRange {
            after_turn: Some(seen_turn),
            ..MessageRange::default()
        };
        let rows = self.tools.office.store.messages(&self.cell.id, range).await;
        let stored = rows.and_then(transcript::read);
        let mut missed = stored.map_err(|error| unknown(error.to_string()))?;
        missed.retain(|m| {
            before_turn.is_none_or(|turn| m.turn < turn) && transcript::is_for_models(&m.message)
        });
        let committed = self.cell.committed();
        let late = self.missed_late(&committed, provider, seen_turn).await;
        missed.extend(late.map_err(|error| unknown(error.to_string()))?);
        let state = committed.state();
        let (cut, revert) = (state.kept.past.cut.as_ref(), state.revert.as_ref());
        Ok(transcript::since_summary(cut::remaining(
            missed, cut, revert,
        )))
    }

    /// What was said of answers that a backend knows, since it has seen them.
    async fn missed_late(
        &self,
        committed: &Committed,
        provider: &str,
        seen_turn: u64,
    ) -> Result<Vec<Stored>, StoreError> {
        let mut missed = Vec::new();
        for (message, parts) in missed_parts(committed, provider, seen_turn) {
            let store = &self.tools.office.store;
            let Some(row) = store.message(&self.cell.id, &message).await? else {
                continue;
            };
            let mut stored = transcript::read_one(row)?;
            let all = &mut stored.message.parts;
            all.retain(|part| parts.contains(part.id()));
            if !all.is_empty() {
                missed.push(stored);
            }
        }
        Ok(missed)
    }

    /// Notes what an agent is given of the conversation, so that its user can read it. It is not part of the work: a
    /// store that fails loses it, and holds up nothing.
    pub(super) async fn note_handover(&self, queued: &Queued, blocks: &[Value]) {
        let Some(given) = given_handover(queued, blocks) else {
            return;
        };
        let (turn, revision) = (queued.turn, queued.target.revision);
        let noted = self.cell.change(move |draft| {
            draft.unless_deleted()?;
            draft.put_handover(turn, revision, &given);
            Ok(())
        });
        if let Err(error) = noted.await {
            tracing::debug!(session = %self.cell.id, "the text of a handover is not kept: {error}");
        }
    }

    /// The whole conversation, for a native session that has seen nothing.
    pub(super) async fn whole_conversation(
        &self,
        live: &Live,
        selection: &Selection,
        before_turn: u64,
    ) -> Result<Handover, MessageError> {
        let rendered = self.render_handover(live, selection, Some(before_turn));
        Ok(rendered.await?.0)
    }
}

/// What is kept of the blocks that go ahead of a prompt; `None` where there are none.
fn given_handover(queued: &Queued, blocks: &[Value]) -> Option<GivenHandover> {
    let text = blocks.last()?["text"].as_str()?.to_owned();
    let left_out = handoff::left_out(&text).into_iter();
    let left_out = left_out.map(|it| HandoverOmission {
        of: it.of,
        tool: it.tool,
        what: it.what,
    });
    Some(GivenHandover {
        message_id: queued.message_id.clone(),
        model: queued.target.selection.message_model(),
        time: now_ms(),
        images: blocks.len() as u64 - 1,
        left_out: left_out.collect(),
        text,
    })
}
