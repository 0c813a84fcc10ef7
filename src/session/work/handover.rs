//! What a backend has not seen of the conversation.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::Worker;
use super::bind::unknown;
use super::live::{Live, Origin};
use super::missed::{self, Reader};
use crate::opencode::event::{Transfer, TransferKind};
use crate::opencode::handoff::HandoffMode;
use crate::opencode::history::{GivenHandover, HandoverOmission};
use crate::opencode::message::MessageError;
use crate::opencode::session::MessageModel;
use crate::opencode::{MessageId, Selection, now_ms};
use crate::session::cell::{Committed, Queued};
use crate::session::conversation::handoff;
use crate::session::conversation::transcript::Handover;

/// A handover that was rendered at a switch is kept this long for the prompt that follows.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// A handover that was rendered at a switch, and what it was rendered from.
#[derive(Debug)]
pub(super) struct Rendered {
    handover: Handover,
    transfer: Transfer,
    conversation: u64,
    last_seq: u64,
    /// Up to where its user wished that nothing is told.
    withheld: u64,
    model_id: String,
    mode: HandoffMode,
    until: Instant,
}

impl Rendered {
    /// Whether it is what the prompt of a turn needs. The prompt itself has come since, and may be a notice of
    /// the switch, which no model is given.
    fn fits(&self, committed: &Committed, selection: &Selection, before_turn: Option<u64>) -> bool {
        let own_prompt = u64::from(before_turn.is_some());
        let is_same_for_all = self.transfer.bytes == 0;
        (is_same_for_all || self.model_id == selection.model_id)
            && self.withheld == committed.state().withheld_up_to(&selection.provider_id)
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
        let mode = self.foreseen_mode(&committed, provider);
        if let Some(kept) = &live.rendered
            && kept.mode == mode
            && kept.fits(&committed, selection, None)
        {
            return Ok(kept.transfer);
        }
        if mode == HandoffMode::Summary {
            // It is not written yet.
            return Ok(Handover::default().transfer(TransferKind::Summary));
        }
        // A prompt that has come meanwhile is no part of it.
        let before_turn = committed.runtime().next_turn();
        let rendered = self.render_handover(live, selection, before_turn, mode);
        let (handover, transfer) = rendered.await?;
        let rendered = Rendered {
            handover,
            transfer,
            conversation: committed.runtime().conversation,
            last_seq: committed.runtime().last_seq,
            withheld: committed.state().withheld_up_to(provider),
            model_id: selection.model_id.clone(),
            mode,
            until: Instant::now() + KEPT_FOR,
        };
        if let Some(live) = self.lives.get_mut(provider) {
            live.rendered = Some(rendered);
        }
        Ok(transfer)
    }

    /// What will be handed over with the next prompt, as far as it is known before that.
    fn foreseen_mode(&self, committed: &Committed, provider: &str) -> HandoffMode {
        let wish = committed.state().kept.handoff.as_ref();
        let mode = wish.and_then(|wish| wish.mode);
        match mode.unwrap_or(self.tools.settings.handoff) {
            HandoffMode::Summary if committed.who_knows(provider).is_some() => HandoffMode::Summary,
            HandoffMode::None => HandoffMode::None,
            _ => HandoffMode::Transcript,
        }
    }

    /// What the agent has not seen of the conversation before a turn.
    pub(super) async fn handover(
        &self,
        live: &mut Live,
        selection: &Selection,
        before_turn: u64,
        mode: HandoffMode,
    ) -> Result<(Handover, Transfer), MessageError> {
        let committed = self.cell.committed();
        match live.rendered.take() {
            Some(kept)
                if kept.mode == mode && kept.fits(&committed, selection, Some(before_turn)) =>
            {
                Ok((kept.handover, kept.transfer))
            }
            _ => {
                self.render_handover(live, selection, before_turn, mode)
                    .await
            }
        }
    }

    async fn render_handover(
        &self,
        live: &Live,
        selection: &Selection,
        before_turn: u64,
        mode: HandoffMode,
    ) -> Result<(Handover, Transfer), MessageError> {
        let reader = Reader {
            provider: &selection.provider_id,
            seen_turn: live.seen_turn,
            before_turn,
        };
        let (store, committed) = (&self.tools.office.store, self.cell.committed());
        let missed = missed::missed(store.as_ref(), &committed, reader, mode).await;
        let missed = missed.map_err(|error| unknown(error.to_string()))?;
        if missed.is_empty() || mode == HandoffMode::None {
            let kind = match (missed.is_empty(), live.seen_turn, live.origin) {
                (false, ..) | (true, 0, _) => TransferKind::None,
                (true, _, Origin::New | Origin::Used) => TransferKind::Native,
                (true, _, Origin::Resumed) => TransferKind::Resume,
                (true, _, Origin::Loaded) => TransferKind::Load,
            };
            let handover = Handover {
                elided: missed.len() as u64,
                ..Handover::default()
            };
            let transfer = handover.transfer(kind);
            return Ok((handover, transfer));
        }
        let kind = missed::kind_of(&missed, live.seen_turn, mode);
        let registry = self.tools.office.registry.at(&self.cell.directory);
        let fits = self.fits.get(&selection.label()).copied();
        let budget = missed::budget(&registry, selection, self.tools.settings.budget, fits);
        let images = live.agent.info.capabilities.image;
        let handover = missed::render(missed, live.seen_turn, budget, images).await?;
        let transfer = handover.transfer(kind);
        Ok((handover, transfer))
    }

    /// Notes what an agent is given of the conversation, so that its user can read it, while the agent does. It is not part
    /// of the work: a store that fails loses it, and holds up nothing.
    pub(super) fn note_handover(
        &self,
        queued: &Queued,
        blocks: &[Value],
    ) -> Option<JoinHandle<()>> {
        if blocks.is_empty() {
            return None;
        }
        let (turn, revision) = (queued.turn, queued.target.revision);
        let (prompt, model) = (
            queued.message_id.clone(),
            queued.target.selection.message_model(),
        );
        let (cell, blocks) = (Arc::clone(&self.cell), blocks.to_owned());
        let noting = async move {
            let given = tokio::task::spawn_blocking(move || given_handover(prompt, model, &blocks));
            let Ok(Some(given)) = given.await else { return };
            let noted = cell.change(move |draft| {
                draft.unless_deleted()?;
                draft.put_handover(turn, revision, &given);
                Ok(())
            });
            if let Err(error) = noted.await {
                tracing::debug!(session = %cell.id, "the text of a handover is not kept: {error}");
            }
        };
        Some(self.tools.office.tasks.spawn(noting))
    }

    /// The whole conversation, for a native session that has seen nothing.
    pub(super) async fn whole_conversation(
        &self,
        live: &Live,
        selection: &Selection,
        before_turn: u64,
    ) -> Result<Handover, MessageError> {
        let mode = HandoffMode::Transcript;
        let rendered = self.render_handover(live, selection, before_turn, mode);
        Ok(rendered.await?.0)
    }
}

/// What is kept of the blocks that go ahead of a prompt; `None` where there are none.
fn given_handover(
    message_id: MessageId,
    model: MessageModel,
    blocks: &[Value],
) -> Option<GivenHandover> {
    let texts = || blocks.iter().filter_map(|block| block["text"].as_str());
    let text: String = texts().collect();
    (!text.is_empty()).then(|| GivenHandover {
        message_id,
        model,
        time: now_ms(),
        images: (blocks.len() - texts().count()) as u64,
        left_out: omissions(&text),
        text,
    })
}

/// What a handover says it leaves out.
pub(crate) fn omissions(text: &str) -> Vec<HandoverOmission> {
    let left_out = handoff::left_out(text).into_iter();
    let left_out = left_out.map(|it| HandoverOmission {
        of: it.of,
        tool: it.tool,
        what: it.what,
    });
    left_out.collect()
}
