//! Compaction: a model writes a summary of the conversation, and from then on agents are handed the summary
//! and what came after it. The messages stay, for people to read.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::opencode::message::{CompactionPart, Message, MessageWithParts, Part};
use crate::opencode::{MessageId, PartId, Selection, SessionId};
use crate::registry::{BUILD, ModelWish, PLAN, SelectError, Snapshot, VariantWish, Wish};
use crate::session::cell::{Answer, Draft, Reverted, Waiters, Work};
use crate::session::conversation::prompt;
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
        let queue_prompts = self.tools.settings.queue_prompts;
        let (waiters, answer) = Waiters::one();
        let job = move |draft: &mut Draft, reverted: &Reverted| {
            draft.unless_ending()?;
            draft.check_queue(queue_prompts)?;
            let current = draft.state().selection.as_ref();
            let selection = summariser(draft.registry(), current, &wish)?;
            if draft.runtime().last_seq == 0 {
                return Ok(false);
            }
            // Clients take the model of the last prompt for the one that is selected, and so it has to be.
            let message = Arc::new(user_message(&draft.id, current.unwrap_or(&selection), auto));
            let work = Work::Compact { auto };
            draft.admit_work(&message, work, selection, reverted, &waiters)?;
            Ok(true)
        };
        let admitted = self.admit(&cell, None, job).await?;
        Ok(admitted.then_some(answer))
    }
}

/// The selection that writes the summary. Its mode is the session's where the backend has it; otherwise
/// one that changes nothing, if there is one.
fn summariser(
    registry: &Snapshot,
    current: Option<&Selection>,
    wish: &Wish,
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

fn user_message(session: &SessionId, selection: &Selection, auto: bool) -> MessageWithParts {
    let id = MessageId::new();
    let part = Part::Compaction(CompactionPart {
        id: PartId::new(),
        session_id: session.clone(),
        message_id: id.clone(),
        auto,
    });
    let info = Message::User(prompt::user_message(id, session, selection));
    MessageWithParts {
        info,
        parts: vec![part],
    }
}
