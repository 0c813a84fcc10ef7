//! The beginning of an answer: from then on clients see it grow.

use std::sync::Arc;

use super::Worker;
use crate::session::cell::{LiveAnswer, Queued, Work};
use crate::session::conversation::answer::Answering;
use crate::snapshot::Snapshot;

impl Worker {
    /// Makes the answer's message; `None` when the session was deleted.
    pub(super) async fn begin(
        &self,
        queued: &Queued,
        before: Option<&Snapshot>,
    ) -> Option<LiveAnswer> {
        let is_summary = matches!(queued.work, Work::Compact(_));
        let tree = before.map(|snapshot| snapshot.tree.clone());
        self.begin_with(move |answering| {
            if is_summary {
                answering.becomes_summary();
            }
            answering.begin(tree.clone())
        })
        .await
    }

    /// The same, with what the answer has from the beginning.
    pub(super) async fn begin_with(
        &self,
        make: impl Fn(&mut Answering) -> Vec<crate::opencode::EventPayload> + Clone + Send + 'static,
    ) -> Option<LiveAnswer> {
        let is_shared = self.tools.office.nodes.is_shared();
        let begun = self.persist(move |draft| {
            let (id, directory) = (draft.id.clone(), Arc::clone(&draft.directory));
            let sizes = draft.sizes;
            draft.begin_answer(|queued, seq| {
                let selection = &queued.target.selection;
                let parent = &queued.message_id;
                let mut answering =
                    Answering::new(&id, parent, queued.turn, seq, selection, &directory)
                        .within(sizes)
                        .always_whole(is_shared);
                let message = &mut answering.message;
                message.revision = Some(queued.target.revision);
                message.overrides.clone_from(&queued.overrides);
                message.pinned_over.clone_from(&queued.pinned_over);
                let events = make(&mut answering);
                (answering, events)
            })
        });
        match begun.await {
            Ok(answer) => Some(answer),
            Err(error) => {
                tracing::debug!("the answer was not begun: {error}");
                let dropped = self.cell.change(|draft| {
                    draft.drop_turn();
                    Ok(())
                });
                let _nothing_to_store = dropped.await;
                None
            }
        }
    }
}
