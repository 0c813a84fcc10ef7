//! Compaction: a model writes a summary of the conversation, and from then on agents are handed the summary
//! and what came after it. The messages stay, for people to read.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::opencode::{MessageId, SessionId};
use crate::registry::{ModelWish, VariantWish, Wish};
use crate::session::cell::handoff::summariser;
use crate::session::cell::{Answer, Draft, Reverted, Waiters, Work};
use crate::session::conversation::prompt::{SummaryFor, summary_wish};
use crate::session::{Error, Sessions};

impl Sessions {
    /// Has a model summarise the conversation, after what waits already. The selection stays as it is.
    /// With `auto`, the selected model is asked to continue the work afterwards. `None` when nothing
    /// was said yet.
    ///
    /// # Errors
    /// No such session, a model that is not available, a full queue, or a failing store.
    pub async fn summarize(
        self: &Arc<Self>,
        id: &SessionId,
        model: ModelWish,
        auto: bool,
    ) -> Result<Option<oneshot::Receiver<Answer>>, Error> {
        let cell = self.loaded.find(id).await?;
        let wish = Wish {
            model: Some(model),
            variant: VariantWish::Default,
            agent: None,
        };
        self.prepare(&cell.directory, Some(&cell), &wish).await;
        let purpose = match auto {
            true => SummaryFor::GoingOn,
            false => SummaryFor::All,
        };
        let queue_prompts = self.tools.settings.queue_prompts;
        let (waiters, answer) = Waiters::one();
        let job = move |draft: &mut Draft, reverted: &Reverted| {
            draft.unless_ending()?;
            draft.check_queue(queue_prompts)?;
            let current = draft.state().selection.as_ref();
            let selection = summariser(draft.registry(), current, &wish)?;
            draft.check_spending(&selection)?;
            if draft.runtime().last_seq == 0 {
                return Ok(false);
            }
            let id = MessageId::new();
            let message = summary_wish(id, &draft.id, current.unwrap_or(&selection), purpose);
            let (message, work) = (Arc::new(message), Work::Compact(purpose));
            draft.admit_work(&message, work, selection, reverted, &waiters)?;
            Ok(true)
        };
        let admitted = self.admit(&cell, None, job).await?;
        Ok(admitted.then_some(answer))
    }
}
