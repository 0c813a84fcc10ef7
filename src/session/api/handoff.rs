//! What a handover would be, before it is made.

use std::sync::Arc;

use crate::opencode::SessionId;
use crate::opencode::event::TransferKind;
use crate::opencode::handoff::{HandoffMode, HandoffPreview, HandoffWish, SummaryPreview};
use crate::opencode::message::MessageError;
use crate::opencode::session::{MessageModel, Selection};
use crate::registry::{Snapshot, Wish};
use crate::session::cell::handoff::summariser;
use crate::session::cell::{Cell, Committed};
use crate::session::conversation::handoff::{self, BYTES_PER_TOKEN};
use crate::session::conversation::transcript::Handover;
use crate::session::work::handover::omissions;
use crate::session::work::missed::{self, Reader};
use crate::session::{Error, Sessions};

/// A conversation, and what may be handed over of it.
struct Foreseen<'a> {
    sessions: &'a Sessions,
    committed: Arc<Committed>,
    registry: Arc<Snapshot>,
}

impl Sessions {
    /// What a model would be given with the next prompt, and what that takes. Nothing is written, and no model is asked.
    ///
    /// # Errors
    /// No such session, a model that is not available, or a failing store.
    pub async fn preview_handoff(
        self: &Arc<Self>,
        id: &SessionId,
        wish: &Wish,
        handoff: HandoffWish,
    ) -> Result<HandoffPreview, Error> {
        let cell = self.loaded.find(id).await?;
        self.prepare(&cell.directory, Some(&cell), wish).await;
        let foreseen = self.foresee(&cell);
        let state = foreseen.committed.state();
        let selection = foreseen.resolve(wish)?;
        let handoff = handoff.or(state.kept.handoff.clone());
        let mode = handoff.mode.unwrap_or(self.tools.settings.handoff);
        let mut preview = foreseen.preview(&selection, mode).await?;
        if let (Some(note), Some(text)) = (&handoff.note, &mut preview.text) {
            text.push_str(&handoff::note(note));
        }
        Ok(preview)
    }

    /// Whether the transcript does not fit into the context of the model that is to be given it.
    pub(super) async fn is_too_much(&self, cell: &Arc<Cell>, wish: &Wish) -> bool {
        let foreseen = self.foresee(cell);
        let Ok(selection) = foreseen.resolve(wish) else {
            return false;
        };
        let transcript = foreseen.transcript(&selection, HandoffMode::Transcript);
        transcript.await.is_ok_and(|(given, _)| given.elided > 0)
    }

    fn foresee(&self, cell: &Cell) -> Foreseen<'_> {
        Foreseen {
            sessions: self,
            committed: cell.committed(),
            registry: self.office.registry.at(&cell.directory),
        }
    }
}

impl Foreseen<'_> {
    fn resolve(&self, wish: &Wish) -> Result<Selection, Error> {
        let current = self.committed.state().selection.as_ref();
        Ok(self.registry.resolve(current, wish)?.selection)
    }

    /// The last turn that a backend's native session has seen.
    fn seen_turn(&self, provider: &str) -> u64 {
        let bindings = &self.committed.runtime().bindings;
        bindings.get(provider).map_or(0, |known| known.seen_turn)
    }

    /// What a model has not seen, as text; and by which way.
    async fn transcript(
        &self,
        selection: &Selection,
        mode: HandoffMode,
    ) -> Result<(Handover, TransferKind), Error> {
        let seen_turn = self.seen_turn(&selection.provider_id);
        self.text_for(selection, seen_turn, mode).await
    }

    async fn text_for(
        &self,
        selection: &Selection,
        seen_turn: u64,
        mode: HandoffMode,
    ) -> Result<(Handover, TransferKind), Error> {
        let provider = &selection.provider_id;
        let reader = Reader {
            provider,
            seen_turn,
            before_turn: self.committed.runtime().next_turn(),
        };
        let store = &self.sessions.office.store;
        let missed = missed::missed(store.as_ref(), &self.committed, reader, mode).await?;
        if missed.is_empty() || mode == HandoffMode::None {
            let kind = match missed.is_empty() && seen_turn > 0 {
                true => TransferKind::Native,
                false => TransferKind::None,
            };
            let handover = Handover {
                elided: missed.len() as u64,
                ..Handover::default()
            };
            return Ok((handover, kind));
        }
        let kind = missed::kind_of(&missed, seen_turn, mode);
        let default = self.sessions.tools.settings.budget;
        let budget = missed::budget(&self.registry, selection, default, None);
        let catalogue = self.registry.catalogue(provider);
        let images = catalogue.is_some_and(|c| c.info.capabilities.image);
        let rendered = missed::render(missed, seen_turn, budget, images).await;
        let failed = |error: MessageError| Error::Internal(error.message().to_owned());
        Ok((rendered.map_err(failed)?, kind))
    }

    async fn preview(
        &self,
        selection: &Selection,
        mode: HandoffMode,
    ) -> Result<HandoffPreview, Error> {
        let way = match mode {
            HandoffMode::None => HandoffMode::None,
            _ => HandoffMode::Transcript,
        };
        let (given, kind) = self.transcript(selection, way).await?;
        let is_summarised = match mode {
            HandoffMode::Summary => true,
            HandoffMode::Auto => given.elided > 0,
            HandoffMode::Transcript | HandoffMode::None => false,
        };
        let writer = self.committed.who_knows(&selection.provider_id);
        let model = selection.message_model();
        if let Some(by) = writer.filter(|_| is_summarised)
            && let Ok(writer) = summariser(&self.registry, Some(selection), &Wish::of(&by))
        {
            let read = self.text_for(&writer, 0, HandoffMode::Transcript).await?.0;
            return Ok(HandoffPreview {
                model,
                handoff: HandoffMode::Summary,
                kind: TransferKind::Summary,
                messages: 0,
                bytes: 0,
                images: 0,
                elided: 0,
                text: None,
                left_out: Vec::new(),
                summary: Some(summary(by, &read)),
            });
        }
        let texts = || {
            given
                .blocks
                .iter()
                .filter_map(|block| block["text"].as_str())
        };
        let text: String = texts().collect();
        Ok(HandoffPreview {
            model,
            handoff: way,
            kind,
            messages: given.messages,
            bytes: given.bytes,
            images: (given.blocks.len() - texts().count()) as u64,
            elided: given.elided,
            left_out: omissions(&text),
            text: Some(text),
            summary: None,
        })
    }
}

fn summary(by: MessageModel, read: &Handover) -> SummaryPreview {
    SummaryPreview {
        by,
        messages: read.messages,
        bytes: read.bytes,
        tokens: read.bytes.div_ceil(BYTES_PER_TOKEN),
    }
}
