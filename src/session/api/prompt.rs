//! Taking in a prompt: its selection, its message and its place in the queue in one step.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::attach;
use crate::opencode::handoff::HandoffMode;
use crate::opencode::message::{MessageError, MessageWithParts};
use crate::opencode::{MessageId, SessionId};
use crate::session::cell::{Answer, Cell, Committed, Draft, Reverted, Waiters};
use crate::session::conversation::structured::Form;
use crate::session::conversation::transcript;
use crate::session::work::structured;
use crate::session::{Caller, Error, Prompt, Sessions};
use crate::store::{MessageRange, Store, StoreError};

/// A prompt that was stored.
#[derive(Debug)]
pub struct Admitted {
    /// The stored prompt.
    pub message: Arc<MessageWithParts>,
    /// Its place in the conversation.
    pub turn: u64,
    /// Comes when it is answered; `None` for a prompt that wants no answer.
    pub answer: Option<oneshot::Receiver<Answer>>,
}

impl Sessions {
    /// Stores a prompt and puts it into the queue; it is answered by the model that is selected now.
    /// Its own model, agent and variant are selected in the same step. A refused prompt leaves no trace.
    ///
    /// # Errors
    /// No such session, a selection that is not available, a full queue, a message id that exists, or a
    /// failing store.
    pub async fn prompt(
        self: &Arc<Self>,
        id: &SessionId,
        mut prompt: Prompt,
        caller: Caller,
    ) -> Result<Admitted, Error> {
        if prompt.parts.is_empty() {
            let message = "Expected at least one part".to_owned();
            return Err(Error::Invalid {
                field: "[\"parts\"]".to_owned(),
                message,
            });
        }
        let cell = self.loaded.find(id).await?;
        if attach::mentions_files(&prompt.parts) {
            let place = self.projects.locate(&cell.directory).await;
            prompt.parts = attach::expand(&place, prompt.parts).await?;
        }
        if let Some(form) = Form::of(prompt.format.as_ref()) {
            let checked = structured::aside(move || form.check()).await;
            checked
                .and_then(|checked| checked)
                .map_err(|why| Error::Invalid {
                    field: "[\"format\"][\"schema\"]".to_owned(),
                    message: format!("The JSON Schema cannot be used: {why}"),
                })?;
        }
        let chosen = cell.committed().state().selection.is_some();
        if !chosen || !prompt.wish.is_empty() {
            self.prepare(&cell.directory, Some(&cell), &prompt.wish)
                .await;
        }
        self.look_outside(&cell, &prompt.wish).await;
        self.weigh_handoff(&cell, &mut prompt).await;
        let (waiters, answer) = Waiters::one();
        let answer = (!prompt.no_reply).then_some(answer);
        let (queue_prompts, given) = (self.tools.settings.queue_prompts, prompt.message_id.clone());
        let job = move |draft: &mut Draft, reverted: &Reverted| {
            draft.admit_prompt(&prompt, &caller, reverted, &waiters, queue_prompts)
        };
        let (message, turn) = self.admit(&cell, given, job).await?;
        Ok(Admitted {
            message,
            turn,
            answer,
        })
    }

    /// Notes what applies where no handover is wished for, and whether the transcript fits where that decides.
    async fn weigh_handoff(&self, cell: &Arc<Cell>, prompt: &mut Prompt) {
        prompt.handoff_default = self.tools.settings.handoff;
        let before = cell.committed().state().kept.handoff.clone();
        let wish = prompt.handoff.clone().unwrap_or_default().or(before);
        let mode = wish.mode.unwrap_or(prompt.handoff_default);
        if mode == HandoffMode::Auto && !prompt.no_reply {
            prompt.is_too_much = self.is_too_much(cell, &prompt.wish).await;
        }
    }

    /// Tells on the event stream that a prompt was refused, for clients that look nowhere else.
    pub async fn tell_refused(&self, id: &SessionId, why: &Error) {
        let Ok(cell) = self.loaded.find(id).await else {
            return;
        };
        let message = why.to_string();
        let told = cell.change(move |draft| {
            draft.unless_deleted()?;
            draft.tell_error(MessageError::UnknownError {
                message: message.clone(),
            });
            Ok(())
        });
        let _deleted = told.await;
    }

    /// Changes a session by something that begins a turn: what is reverted is read first, and a message id
    /// that a client brings must not exist.
    pub(super) async fn admit<T: Send + 'static>(
        &self,
        cell: &Arc<Cell>,
        given: Option<MessageId>,
        job: impl Fn(&mut Draft, &Reverted) -> Result<T, Error> + Send + Sync + 'static,
    ) -> Result<T, Error> {
        let store = &self.office.store;
        let unless_exists = async || match &given {
            Some(id) if store.message(&cell.id, id).await?.is_some() => {
                Err(Error::DuplicateMessage(id.clone()))
            }
            _ => Ok(()),
        };
        unless_exists().await?;
        let read =
            |committed: Arc<Committed>| async move { reverted(store.as_ref(), &committed).await };
        let admitted = cell.prepare_and_change(read, job).await;
        if let Err(Error::Store(StoreError::Database(_))) = &admitted {
            // Of two that bring the same id at the same time, the store refuses one.
            unless_exists().await?;
        }
        admitted
    }
}

/// What the next turn of a session removes for good.
async fn reverted(store: &dyn Store, committed: &Committed) -> Result<Reverted, Error> {
    let read_at = committed.runtime().conversation;
    let Some(cut) = &committed.state().kept.past.cut else {
        return Ok(Reverted::default());
    };
    let range = MessageRange {
        after_turn: Some(cut.turn.saturating_sub(1)),
        ..MessageRange::default()
    };
    let rows = store.messages(&committed.state().id, range).await?;
    Ok(Reverted {
        read_at,
        messages: transcript::read(rows)?,
    })
}
