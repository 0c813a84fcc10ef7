//! A command line of the user (`!command`): run by Baton itself, and part of the conversation, so that the
//! next agent is told of it.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::opencode::message::{Message, MessageWithParts};
use crate::opencode::{MessageId, Selection, SessionId};
use crate::registry::{SelectError, Snapshot, Wish};
use crate::session::cell::{Answer, Draft, Reverted, Waiters, Work};
use crate::session::conversation::prompt::{self, text_part};
use crate::session::{Error, Sessions};

/// What agents read above the command and its output.
const ANNOUNCEMENT: &str = "I ran this command myself, in the session's directory:";

/// A command line.
#[derive(Debug, Clone, Default)]
pub struct ShellLine {
    /// The id of the user's message, where the client brings one.
    pub message_id: Option<MessageId>,
    /// The model and agent that it is shown under. This does not select them.
    pub wish: Wish,
    /// The command.
    pub command: String,
}

impl Sessions {
    /// Runs a command line of the user, as soon as the worker gets to it. What comes of it is an answer
    /// of the conversation. The selection stays as it is.
    ///
    /// # Errors
    /// No such session, a busy session, a model or agent that is not known, a message id that exists, or
    /// a failing store.
    pub async fn shell(
        self: &Arc<Self>,
        id: &SessionId,
        line: ShellLine,
    ) -> Result<oneshot::Receiver<Answer>, Error> {
        let cell = self.loaded.find(id).await?;
        self.prepare(&cell.directory, Some(&cell), &line.wish).await;
        let given = line.message_id.clone();
        let (waiters, answer) = Waiters::one();
        let job = move |draft: &mut Draft, reverted: &Reverted| {
            draft.unless_deleted()?;
            draft.unless_busy()?;
            let current = draft.state().selection.as_ref();
            let selection = shown_beside(draft.registry(), current, &line.wish)?;
            let message = Arc::new(user_message(&draft.id, line.message_id.clone(), &selection));
            let work = Work::Shell(line.command.clone());
            draft.admit_work(&message, work, selection, reverted, &waiters)
        };
        self.admit(&cell, given, job).await?;
        Ok(answer)
    }
}

/// The selection that a command line is shown under. Its backend need not run: signing in to it may be
/// just what the command does.
fn shown_beside(
    registry: &Snapshot,
    current: Option<&Selection>,
    wish: &Wish,
) -> Result<Selection, SelectError> {
    match registry.resolve(current, wish) {
        Ok(resolved) => Ok(resolved.selection),
        Err(error @ SelectError::NotConnected { .. }) => {
            let named = wish.model.clone().map(|model| Selection {
                provider_id: model.provider_id,
                model_id: model.model_id,
                variant: None,
                agent: wish.agent.clone().unwrap_or_default(),
                mode: None,
            });
            named.or_else(|| current.cloned()).ok_or(error)
        }
        Err(error) => Err(error),
    }
}

fn user_message(
    session: &SessionId,
    id: Option<MessageId>,
    selection: &Selection,
) -> MessageWithParts {
    let id = id.unwrap_or_else(MessageId::new);
    let announcement = text_part(session, &id, ANNOUNCEMENT, true);
    let info = Message::User(prompt::user_message(id, session, selection));
    MessageWithParts {
        info,
        parts: vec![announcement],
    }
}
