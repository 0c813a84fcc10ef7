//! Taking in what a user says: the message, its place, and its turn in the queue.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::handoff::Handoff;
use super::notice::{self, TakenBack, Told};
use super::runtime::{Queued, Waiters, Work};
use super::state::SessionState;
use super::{Draft, Reverted, Signs, Target, can_keep};
use crate::opencode::event::{SessionStatus, SessionStatusEvent};
use crate::opencode::history::Overrides;
use crate::opencode::message::{Message, MessageWithParts, Part};
use crate::opencode::session::MessageModel;
use crate::opencode::{EventPayload, MessageId, Selection};
use crate::registry::{SelectError, VariantWish};
use crate::session::Error;
use crate::session::ask::fence;
use crate::session::conversation::prompt::prompt_message;
use crate::session::conversation::{message_event, part_event, put_message, put_part};
use crate::session::request::{Caller, Prompt, Update};
use crate::store::MessageKey;

/// A title made from a prompt has at most this many characters.
const TITLE_CHARS: usize = 80;
/// A prompt that waits is kept in memory up to this size, in bytes.
const QUEUED_MAX_BYTES: usize = 256 * 1024;

/// What to do about a message that was just stored.
struct Admission {
    /// The message.
    message: Arc<MessageWithParts>,
    /// Its place in the session.
    turn: u64,
    /// What to do.
    work: Work,
    /// What its own wish has taken back.
    overrides: Option<Overrides>,
    /// What it wished for in vain.
    pinned_over: Option<MessageModel>,
    /// What it is answered by.
    selection: Selection,
    /// Who waits for the answer.
    waiters: Arc<Waiters>,
    /// How the conversation gets there.
    handoff: Handoff,
}

impl Draft {
    /// Refuses when too many prompts wait already.
    ///
    /// # Errors
    /// [`Error::QueueFull`].
    pub(crate) fn check_queue(&self, limit: usize) -> Result<(), Error> {
        match self.runtime.queue.len() >= limit {
            true => Err(Error::QueueFull { limit }),
            false => Ok(()),
        }
    }

    /// Stores a prompt and puts it into the queue; it is answered by the model that is selected now. Its
    /// own model, agent and variant are selected in the same step.
    ///
    /// # Errors
    /// A selection that is not available, a full queue, or [`Error::MovedOn`].
    pub(crate) fn admit_prompt(
        &mut self,
        prompt: &Prompt,
        caller: &Caller,
        reverted: &Reverted,
        waiters: &Arc<Waiters>,
        queue_prompts: usize,
    ) -> Result<(Arc<MessageWithParts>, u64), Error> {
        self.unless_ending()?;
        self.at_rest()?;
        match prompt.no_reply {
            true => self.check_stored(prompt)?,
            false => self.check_queue(queue_prompts)?,
        }
        let (mut wish, pinned_over) = self.hold_to_pinned(prompt)?;
        if self.state().selection.is_none() && wish.model.is_none() && wish.agent.is_none() {
            wish.agent = Some(self.registry.default_agent().to_owned());
        }
        let current = self.state().selection.as_ref();
        // A profile names its own. In a pinned session no prompt does.
        let wish = self.registry.with_profile(current, &wish)?;
        let names_model = wish.model.is_some() && !self.state().pinned;
        let mut update = Update {
            wish,
            tools: prompt.tools.clone(),
            handoff_now: prompt.handoff.clone(),
            ..Update::default()
        };
        self.forget_reverted(reverted)?;
        if !names_model {
            self.return_to_first_choice();
        }
        if !prompt.no_reply && self.go_on_for_nothing(&update.wish)? {
            update.wish.model = None;
            update.wish.variant = VariantWish::Keep;
        }
        let (mut message, mut wished) = (None, None);
        let session = self.id.clone();
        let (before, told) = (
            self.state().selection.clone(),
            self.state().kept.told.clone(),
        );
        let selected = self.select(&update, caller, |next| {
            if let Some(selection) = next.selection.clone() {
                let stored = prompt_message(prompt, &session, &selection);
                next.note_prompt(&stored, &selection);
                next.kept.stored.note(prompt);
                next.kept.set_by.hear(&caller.who());
                if !prompt.no_reply {
                    wished = next.kept.handoff.take();
                }
                message = Some((stored, selection));
            }
        })?;
        if selected.told.is_none() {
            self.event_of_session();
        }
        let (mut message, selection) = message.ok_or(SelectError::NothingToSelect)?;
        // The session may be older than what its backend is known to keep.
        let fence = fence(&self.state().rules());
        can_keep(&self.registry, &selection.provider_id, &fence).map_err(|message| {
            let field = "[\"model\"]".to_owned();
            Error::Invalid { field, message }
        })?;
        let overrides = selected.overrides;
        if let Message::User(user) = &mut message.info {
            user.overrides.clone_from(&overrides);
            user.pinned_over.clone_from(&pinned_over);
        }
        if let (Some(overrides), Some(before)) = (&overrides, &before) {
            let taken = TakenBack {
                overrides,
                before,
                now: &selection,
                prompt: message.info.id(),
            };
            notice::tell_taken_back(self, told, &taken);
            self.toast_taken_back(&taken);
        }
        if let Some(named) = &pinned_over {
            self.toast_pinned(named, &selection);
        }
        let message = Arc::new(message);
        let handoff = match prompt.no_reply {
            true => Handoff::default(),
            false => self.hand_off(prompt, wished, message.info.id(), &selection),
        };
        let turn = self.put_prompt(&message);
        self.event_of_message(&message);
        if !prompt.no_reply {
            self.enqueue(Admission {
                message: Arc::clone(&message),
                turn,
                work: match prompt.native_command {
                    true => Work::Command,
                    false => Work::Prompt,
                },
                overrides,
                pinned_over,
                selection,
                waiters: Arc::clone(waiters),
                handoff,
            });
        }
        Ok((message, turn))
    }

    /// Refuses when too much was only stored since the last prompt that is answered: nothing else would bound it.
    fn check_stored(&self, prompt: &Prompt) -> Result<(), Error> {
        let (stored, sizes) = (self.state().kept.stored, self.sizes);
        if stored.prompts >= sizes.stored_prompts {
            return Err(Error::TooManyStored {
                limit: sizes.stored_prompts,
                counted: "messages",
                setting: "limits.stored_prompts",
            });
        }
        match stored.bytes.saturating_add(prompt.bytes()) > sizes.stored_prompt_bytes {
            true => Err(Error::TooManyStored {
                limit: sizes.stored_prompt_bytes,
                counted: "bytes",
                setting: "limits.stored_prompt_bytes",
            }),
            false => Ok(()),
        }
    }

    /// Stores a message of the user that is not a prompt and selects nothing, and queues what to do
    /// about it into the queue.
    ///
    /// # Errors
    /// When the session is ending, or [`Error::MovedOn`].
    pub(crate) fn admit_work(
        &mut self,
        message: &Arc<MessageWithParts>,
        work: Work,
        selection: Selection,
        reverted: &Reverted,
        waiters: &Arc<Waiters>,
    ) -> Result<(), Error> {
        self.unless_ending()?;
        self.at_rest()?;
        self.forget_reverted(reverted)?;
        self.touch();
        self.put_work(message, work, selection, waiters);
        Ok(())
    }

    /// The same after these checks.
    pub(super) fn put_work(
        &mut self,
        message: &Arc<MessageWithParts>,
        work: Work,
        selection: Selection,
        waiters: &Arc<Waiters>,
    ) {
        let turn = self.put_prompt(message);
        self.enqueue(Admission {
            message: Arc::clone(message),
            turn,
            work,
            overrides: None,
            pinned_over: None,
            selection,
            waiters: Arc::clone(waiters),
            handoff: Handoff::default(),
        });
        self.event_of_message(message);
    }

    /// Stores a message of the user after all others, and returns its place.
    fn put_prompt(&mut self, message: &MessageWithParts) -> u64 {
        let seq = self.next_seq();
        let key = MessageKey {
            seq,
            turn: seq,
            id: message.info.id().clone(),
        };
        self.write(put_message(&message.info, &self.id, &key));
        for (place, part) in message.parts.iter().enumerate() {
            self.write(put_part(part, &self.id, place));
        }
        seq
    }

    /// Tells everybody of a message with its parts.
    pub(crate) fn event_of_message(&mut self, message: &MessageWithParts) {
        self.event(message_event(&self.id, message.info.clone()));
        for part in &message.parts {
            self.event(part_event(&self.id, part.clone()));
        }
    }

    /// Notes that the session was used now.
    pub(crate) fn touch(&mut self) {
        self.state_mut().touch();
    }

    /// Queues what to do about a message.
    fn enqueue(&mut self, admission: Admission) {
        if !self.runtime.is_busy() {
            self.event_of_status(SessionStatus::Busy);
        }
        self.runtime.queue.push_back(Arc::new(Queued {
            message_id: admission.message.info.id().clone(),
            // A large one is read again when its turn comes: many may wait.
            message: (bytes_of(&admission.message) <= QUEUED_MAX_BYTES)
                .then_some(admission.message),
            turn: admission.turn,
            work: admission.work,
            overrides: admission.overrides,
            pinned_over: admission.pinned_over,
            target: Target {
                selection: admission.selection,
                revision: self.state().kept.selection_revision,
            },
            rules: self.state().turn_rules(),
            abort: CancellationToken::new(),
            signs: Signs::default(),
            waiters: admission.waiters,
            tried: Vec::new(),
            continues: false,
            handoff: admission.handoff,
        }));
    }

    /// A message that waits was edited: its turn reads it again.
    pub(crate) fn queued_is_edited(&mut self, message: &MessageId) {
        for queued in &mut self.runtime.queue {
            if queued.message_id == *message {
                *queued = Arc::new(Queued {
                    message: None,
                    ..queued.anew()
                });
            }
        }
    }

    pub(super) fn event_of_status(&mut self, status: SessionStatus) {
        let session_id = self.id.clone();
        self.event(EventPayload::SessionStatus(SessionStatusEvent {
            session_id,
            status,
        }));
    }
}

/// Bytes of a message's texts and files, roughly.
fn bytes_of(message: &MessageWithParts) -> usize {
    let bytes = |part: &Part| match part {
        Part::Text(text) => text.text.len(),
        Part::File(file) => file.url.len(),
        Part::Subtask(task) => task.prompt.len(),
        _ => 0,
    };
    message.parts.iter().map(bytes).sum()
}

impl SessionState {
    /// What a prompt changes besides the selection: nothing that a client can set, so no revision. The
    /// first one gives the session a title.
    pub(crate) fn note_prompt(&mut self, message: &MessageWithParts, selection: &Selection) {
        self.touch();
        self.kept.told = Some(Told::by_prompt(selection.clone()));
        if !self.kept.title_is_default {
            return;
        }
        let text = message.parts.iter().find_map(|part| match part {
            Part::Text(text) if text.synthetic != Some(true) => text
                .text
                .lines()
                .map(str::trim)
                .find(|line| !line.is_empty()),
            _ => None,
        });
        if let Some(text) = text {
            self.title = text.chars().take(TITLE_CHARS).collect();
            self.kept.title_is_default = false;
        }
    }
}
