//! What a backend has not seen of the conversation, and as what its model gets it.

use super::bind::unknown;
use super::late::missed_parts;
use crate::opencode::event::TransferKind;
use crate::opencode::handoff::HandoffMode;
use crate::opencode::message::{MessageError, Part};
use crate::opencode::{Selection, SessionId};
use crate::registry::Snapshot;
use crate::session::cell::Committed;
use crate::session::conversation::transcript::{self, Handover, Stored};
use crate::session::conversation::{cut, handoff};
use crate::store::{MessageRange, MessageRow, Store, StoreError};

/// So many messages are read from the store at once.
const PAGE: u64 = 1_000;

/// A backend that may have missed something.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    /// The backend.
    pub provider: &'a str,
    /// The last turn that its native session has seen; 0 for none.
    pub seen_turn: u64,
    /// The turn that it is prompted in.
    pub before_turn: u64,
}

/// The messages after what a backend has seen, and before its next turn, that its model is to know. Where a summary is
/// wished for and was written, it stands for everything before it.
pub(crate) async fn missed(
    store: &dyn Store,
    committed: &Committed,
    reader: Reader<'_>,
    mode: HandoffMode,
) -> Result<Vec<Stored>, StoreError> {
    let state = committed.state();
    let seen_turn = match mode {
        HandoffMode::None => reader.seen_turn,
        _ => reader.seen_turn.max(state.withheld_up_to(reader.provider)),
    };
    // A revert may begin at a step.
    let with_steps = state.revert.is_some();
    let mut missed = said_after(store, &state.id, seen_turn, with_steps).await?;
    missed.retain(|m| m.turn < reader.before_turn && transcript::is_for_models(&m.message));
    missed.extend(missed_late(store, committed, reader.provider, seen_turn).await?);
    let (cut, revert) = (state.kept.past.cut.as_ref(), state.revert.as_ref());
    let missed = cut::remaining(missed, cut, revert);
    let missed = match mode {
        HandoffMode::Summary => missed,
        _ => transcript::without_handover_summaries(missed),
    };
    Ok(transcript::since_summary(missed))
}

/// What was said after a turn, oldest first. While the store reads on, what it has read is taken apart on another thread:
/// ten thousand messages take each of them tens of milliseconds.
async fn said_after(
    store: &dyn Store,
    session: &SessionId,
    turn: u64,
    with_steps: bool,
) -> Result<Vec<Stored>, StoreError> {
    let read = move |mut rows: Vec<MessageRow>| {
        for row in rows.iter_mut().filter(|_| !with_steps) {
            row.parts.retain(|part| !Part::is_step(part));
        }
        transcript::read(rows)
    };
    let mut range = MessageRange {
        after_turn: Some(turn),
        before_seq: None,
        limit: Some(PAGE),
    };
    let mut pages = Vec::new();
    loop {
        let rows = store.messages(session, range.clone()).await?;
        let is_last = (rows.len() as u64) < PAGE;
        if is_last && pages.is_empty() {
            return read(rows);
        }
        range.before_seq = rows.first().map(|row| row.key.seq);
        pages.push(tokio::task::spawn_blocking(move || read(rows)));
        if is_last {
            break;
        }
    }
    let pages = pages.into_iter().rev();
    let pages = futures_util::future::try_join_all(pages).await;
    let pages = pages.map_err(|error| StoreError::Database(error.to_string()))?;
    let pages: Vec<_> = pages.into_iter().collect::<Result<_, _>>()?;
    Ok(pages.into_iter().flatten().collect())
}

/// What was said of answers that a backend knows, since it has seen them.
async fn missed_late(
    store: &dyn Store,
    committed: &Committed,
    provider: &str,
    seen_turn: u64,
) -> Result<Vec<Stored>, StoreError> {
    let mut missed = Vec::new();
    for (message, parts) in missed_parts(committed, provider, seen_turn) {
        let Some(row) = store.message(&committed.state().id, &message).await? else {
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

/// How much of a conversation a model is given at once. `default` is for one whose context is not known, `fits` what one
/// can take that has refused more, in bytes.
pub(crate) fn budget(
    registry: &Snapshot,
    selection: &Selection,
    default: handoff::Budget,
    fits: Option<usize>,
) -> handoff::Budget {
    let catalogue = registry.catalogue(&selection.provider_id);
    let model = catalogue.and_then(|c| c.model(&selection.model_id));
    let context = model.and_then(|model| model.context_tokens);
    let budget = context.map_or(default, handoff::Budget::from_context_tokens);
    match fits {
        Some(fits) => budget.within(fits),
        None => budget,
    }
}

/// As what a model is given what it has missed, which is something.
pub(crate) fn kind_of(missed: &[Stored], seen_turn: u64, mode: HandoffMode) -> TransferKind {
    let begins = missed.first();
    let is_summary = begins.is_some_and(|first| transcript::is_summary(&first.message));
    match seen_turn {
        _ if is_summary && mode == HandoffMode::Summary => TransferKind::Summary,
        0 => TransferKind::Transcript,
        _ => TransferKind::CatchUp,
    }
}

/// Renders what a model has missed. Megabytes of it take milliseconds, which other sessions should not wait for.
pub(crate) async fn render(
    mut missed: Vec<Stored>,
    seen_turn: u64,
    budget: handoff::Budget,
    takes_images: bool,
) -> Result<Handover, MessageError> {
    let rendered_as = match seen_turn {
        0 => handoff::Kind::Transcript,
        _ => handoff::Kind::CatchUp,
    };
    let rendered = tokio::task::spawn_blocking(move || {
        let handover = transcript::hand_over(&mut missed, rendered_as, &budget, takes_images);
        (handover, missed)
    });
    let (handover, missed) = rendered.await.map_err(|error| unknown(error.to_string()))?;
    // To give back the memory of thousands of messages takes a while, too, for which nobody waits.
    tokio::task::spawn_blocking(move || drop(missed));
    Ok(handover)
}
