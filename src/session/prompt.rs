//! Admitting a prompt: its selection, its message and its place in the queue in one locked step.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{oneshot, watch};

use super::answer::{part_event, put_message, put_part};
use super::notice::Told;
use super::state::{Locked, Queued, Session, SessionState, Target, Work, put};
use super::{
    Admitted, Caller, Error, Prompt, Sessions, Update, attach, detached, message_event, select,
};
use crate::opencode::event::{EventPayload, SessionEvent, SessionStatus, SessionStatusEvent};
use crate::opencode::message::{
    AgentPart, FilePart, Message, MessageWithParts, Part, SubtaskPart, TextPart, UserMessage,
    UserTime,
};
use crate::opencode::prompt::{PartInput, TextPartInput};
use crate::opencode::{MessageId, PartId, Selection, SessionId, now_ms};
use crate::registry::{SelectError, Wish};
use crate::store::{Change, MessageKey};

/// What the model is told after a summary that was not asked for by the user himself.
const GO_ON: &str = "\
Go on with what is open according to the summary. If nothing is, or if it is not clear how to go on, say so \
and wait.";
/// Marks such a prompt, as OpenCode does.
const GO_ON_MARK: &str = "compaction_continue";

/// A title made from a prompt has at most this many characters.
const TITLE_CHARS: usize = 80;

impl Sessions {
    /// Stores a prompt and puts it into the queue; it is answered by the model that is selected now.
    /// Its own model, agent and variant are selected in the same step. A refused prompt leaves no trace.
    ///
    /// # Errors
    /// No such session, a selection that cannot be had, a full queue, a message id that exists, or a
    /// failing store.
    pub async fn prompt(
        self: &Arc<Self>,
        id: &SessionId,
        prompt: Prompt,
        caller: Caller,
    ) -> Result<Admitted, Error> {
        if prompt.parts.is_empty() {
            let message = "Expected at least one part".to_owned();
            return Err(Error::Invalid {
                field: "[\"parts\"]".to_owned(),
                message,
            });
        }
        let session = self.find(id)?;
        let mut prompt = prompt;
        if attach::mentions_files(&prompt.parts) {
            let place = self.projects.locate(&session.directory).await;
            prompt.parts = attach::expand(&place, prompt.parts).await?;
        }
        let chosen = session.locked.lock().await.state.selection.is_some();
        if !chosen || !prompt.wish.is_empty() {
            self.prepare(Some(&session), &prompt.wish).await;
        }
        let this = Arc::clone(self);
        detached(async move { this.admit(&session, prompt, &caller).await }).await
    }

    async fn admit(
        self: &Arc<Self>,
        session: &Arc<Session>,
        prompt: Prompt,
        caller: &Caller,
    ) -> Result<Admitted, Error> {
        let mut locked = session.at_rest().await;
        if *self.stopping.borrow() {
            return Err(Error::ShutDown);
        }
        self.check_admission(session, &locked, &prompt).await?;
        let registry = self.registry.snapshot();
        let wish = match &locked.state.selection {
            None if prompt.wish.model.is_none() && prompt.wish.agent.is_none() => Wish {
                model: Some(registry.default_selection()?),
                ..prompt.wish.clone()
            },
            _ => prompt.wish.clone(),
        };
        let update = Update {
            wish,
            ..Update::default()
        };
        let mut planned = select::plan(&locked.state, &update, &registry, now_ms())?;
        let mut next = planned
            .as_ref()
            .map_or_else(|| locked.state.clone(), |p| p.next().clone());
        let selection = next.selection.clone().ok_or(SelectError::NothingToSelect)?;
        let seq = locked.runtime.last_seq + 1;
        let message = user_message(session, &prompt, &selection);
        note_prompt(&mut next, &message.parts);
        let forgotten = self.forget_reverted(&locked, &mut next).await?;
        next.told = Some(Told::by_prompt(selection.clone()));

        let mut beside = forgotten.changes.clone();
        beside.extend(changes(session, &message, seq));
        let mut events = forgotten.events.clone();
        events.extend(match &mut planned {
            Some(planned) => {
                *planned.next_mut() = next;
                self.commit(session, &mut locked, planned.clone(), caller, beside)
                    .await?
            }
            None => {
                let mut batch = vec![put(&next, Some(next.revision))];
                batch.extend(beside);
                if let Err(error) = self.store.commit(batch).await {
                    self.reload(session, &mut locked).await;
                    return Err(error.into());
                }
                locked.state = next;
                let info = locked.info();
                vec![EventPayload::SessionUpdated(SessionEvent {
                    session_id: session.id.clone(),
                    info,
                })]
            }
        });
        forgotten.let_go(&mut locked);
        locked.runtime.last_seq = seq;
        events.extend(message_events(session, &message));
        let id = message.info.id().clone();
        let work = match prompt.native_command {
            true => Work::Command,
            false => Work::Prompt,
        };
        let answer = (!prompt.no_reply)
            .then(|| enqueue(session, &mut locked, id, seq, work, selection, &mut events));
        self.publish(session, &events);
        self.ensure_worker(session, &mut locked);
        session.wake.notify_one();
        Ok(Admitted {
            message,
            turn: seq,
            answer,
        })
    }

    async fn check_admission(
        &self,
        session: &Session,
        locked: &Locked,
        prompt: &Prompt,
    ) -> Result<(), Error> {
        if !prompt.no_reply {
            self.check_queue(locked)?;
        }
        let given = prompt.message_id.as_ref();
        self.check_message(session, locked, given).await
    }

    /// Whether the queue takes one more.
    pub(super) fn check_queue(&self, locked: &Locked) -> Result<(), Error> {
        let limit = self.settings.queue_prompts;
        if locked.runtime.queue.len() >= limit {
            return Err(Error::QueueFull { limit });
        }
        Ok(())
    }

    /// Whether a message can be stored now, under this id if there is one.
    pub(super) async fn check_message(
        &self,
        session: &Session,
        locked: &Locked,
        given: Option<&MessageId>,
    ) -> Result<(), Error> {
        if *self.stopping.borrow() {
            return Err(Error::ShutDown);
        }
        if locked.runtime.deleted {
            return Err(Error::NotFound(session.id.clone()));
        }
        if let Some(id) = given
            && self.store.message(&session.id, id).await?.is_some()
        {
            return Err(Error::DuplicateMessage(id.clone()));
        }
        Ok(())
    }

    /// Stores a message of the user that is no prompt and selects nothing, and puts what is to be done
    /// about it into the queue. The caller holds the lock, from [`Session::at_rest`].
    pub(super) async fn admit_work(
        self: &Arc<Self>,
        session: &Arc<Session>,
        locked: &mut Locked,
        message: MessageWithParts,
        work: Work,
        selection: Selection,
    ) -> Result<oneshot::Receiver<super::Answer>, Error> {
        let mut next = locked.state.clone();
        next.time.updated = now_ms().max(next.time.updated);
        let seq = locked.runtime.last_seq + 1;
        let forgotten = self.forget_reverted(locked, &mut next).await?;
        let mut batch = vec![put(&next, Some(next.revision))];
        batch.extend(forgotten.changes.clone());
        batch.extend(changes(session, &message, seq));
        if let Err(error) = self.store.commit(batch).await {
            self.reload(session, locked).await;
            return Err(error.into());
        }
        locked.state = next;
        forgotten.let_go(locked);
        locked.runtime.last_seq = seq;
        let mut events = forgotten.events.clone();
        let id = message.info.id().clone();
        let answer = enqueue(session, locked, id, seq, work, selection, &mut events);
        events.extend(message_events(session, &message));
        self.publish(session, &events);
        self.ensure_worker(session, locked);
        session.wake.notify_one();
        Ok(answer)
    }
}

fn enqueue(
    session: &Session,
    locked: &mut Locked,
    message_id: MessageId,
    turn: u64,
    work: Work,
    selection: Selection,
    events: &mut Vec<EventPayload>,
) -> oneshot::Receiver<super::Answer> {
    if !locked.runtime.is_busy() {
        let status = SessionStatus::Busy;
        events.push(EventPayload::SessionStatus(SessionStatusEvent {
            session_id: session.id.clone(),
            status,
        }));
    }
    let (sender, receiver) = oneshot::channel();
    locked.runtime.queue.push_back(Queued {
        message_id,
        turn,
        work,
        target: Target {
            selection,
            revision: locked.state.selection_revision,
        },
        admitted: Instant::now(),
        abort: watch::Sender::new(false),
        answers: vec![sender],
    });
    receiver
}

/// The prompt that follows a summary which was not asked for by the user himself.
pub(super) fn continue_prompt() -> Prompt {
    let mark = serde_json::Map::from_iter([(GO_ON_MARK.to_owned(), true.into())]);
    let text = PartInput::Text(TextPartInput {
        id: None,
        text: GO_ON.to_owned(),
        synthetic: Some(true),
        ignored: None,
        metadata: Some(mark),
    });
    Prompt {
        parts: vec![text],
        ..Prompt::default()
    }
}

fn message_events(session: &Session, message: &MessageWithParts) -> Vec<EventPayload> {
    let parts = message.parts.iter();
    let parts = parts.map(|part| part_event(&session.id, part.clone()));
    let mut events = vec![message_event(session, message.info.clone())];
    events.extend(parts);
    events
}

/// A text of the user's, or one that Baton says for him.
pub(super) fn text_part(
    session: &SessionId,
    message: &MessageId,
    text: &str,
    synthetic: bool,
) -> Part {
    Part::Text(TextPart {
        id: PartId::new(),
        session_id: session.clone(),
        message_id: message.clone(),
        text: text.to_owned(),
        synthetic: synthetic.then_some(true),
        ignored: None,
        time: None,
        metadata: None,
    })
}

fn changes(session: &Session, message: &MessageWithParts, seq: u64) -> Vec<Change> {
    let key = MessageKey {
        seq,
        turn: seq,
        id: message.info.id().clone(),
    };
    let mut changes = vec![put_message(&message.info, &session.id, &key)];
    changes.extend(
        message
            .parts
            .iter()
            .enumerate()
            .map(|(place, part)| put_part(part, &session.id, place)),
    );
    changes
}

fn user_message(session: &Session, prompt: &Prompt, selection: &Selection) -> MessageWithParts {
    let id = prompt.message_id.clone().unwrap_or_else(MessageId::new);
    let parts = prompt
        .parts
        .iter()
        .map(|part| stored_part(part, &session.id, &id))
        .collect();
    let info = Message::User(UserMessage {
        id,
        session_id: session.id.clone(),
        time: UserTime { created: now_ms() },
        summary: None,
        agent: selection.agent.clone(),
        model: selection.message_model(),
        system: prompt.system.clone(),
    });
    MessageWithParts { info, parts }
}

fn stored_part(input: &PartInput, session: &SessionId, message: &MessageId) -> Part {
    let id = input.id().cloned().unwrap_or_else(PartId::new);
    let (session_id, message_id) = (session.clone(), message.clone());
    match input.clone() {
        PartInput::Text(p) => {
            let (text, synthetic, ignored, metadata) = (p.text, p.synthetic, p.ignored, p.metadata);
            Part::Text(TextPart {
                id,
                session_id,
                message_id,
                text,
                synthetic,
                ignored,
                time: None,
                metadata,
            })
        }
        PartInput::File(p) => {
            let (mime, filename, url, source) = (p.mime, p.filename, p.url, p.source);
            Part::File(FilePart {
                id,
                session_id,
                message_id,
                mime,
                filename,
                url,
                source,
            })
        }
        PartInput::Agent(p) => Part::Agent(AgentPart {
            id,
            session_id,
            message_id,
            name: p.name,
            source: p.source,
        }),
        PartInput::Subtask(p) => {
            let (prompt, description, agent) = (p.prompt, p.description, p.agent);
            Part::Subtask(SubtaskPart {
                id,
                session_id,
                message_id,
                prompt,
                description,
                agent,
            })
        }
    }
}

/// What a prompt changes about its session, besides the selection: nothing that a client can set, so
/// no revision. The first one gives it a title.
fn note_prompt(state: &mut SessionState, parts: &[Part]) {
    state.time.updated = now_ms().max(state.time.updated);
    let text = parts.iter().find_map(|part| match part {
        Part::Text(text) if text.synthetic != Some(true) => text
            .text
            .lines()
            .map(str::trim)
            .find(|line| !line.is_empty()),
        _ => None,
    });
    if let Some(text) = text.filter(|_| state.title_is_default) {
        state.title = text.chars().take(TITLE_CHARS).collect();
        state.title_is_default = false;
    }
}

/// The title of a session that has none yet, as OpenCode makes it.
pub(super) fn default_title(now_ms: u64) -> String {
    let ms = i64::try_from(now_ms).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    format!("New session - {}", time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ"))
}

/// Two words for a session, always the same for the same id.
pub(super) fn slug(id: &SessionId) -> String {
    const FIRST: [&str; 16] = [
        "amber", "brave", "calm", "clever", "cosmic", "eager", "gentle", "happy", "jolly", "lucky",
        "misty", "neon", "quiet", "rapid", "sunny", "vivid",
    ];
    const SECOND: [&str; 16] = [
        "anchor", "breeze", "cactus", "comet", "falcon", "forest", "harbor", "lagoon", "meadow",
        "orchid", "pebble", "planet", "river", "tiger", "walnut", "wolf",
    ];
    let sum = id.as_str().bytes().fold(0usize, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(usize::from(byte))
    });
    format!("{}-{}", FIRST[sum % 16], SECOND[sum / 16 % 16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_has_the_time_as_opencode_writes_it() {
        assert_eq!(
            default_title(1_795_332_950_408),
            "New session - 2026-11-22T07:35:50.408Z"
        );
        assert_eq!(default_title(0), "New session - 1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn a_slug_is_two_words() {
        let id = SessionId::new();
        assert_eq!(slug(&id), slug(&id));
        assert_eq!(slug(&id).split('-').count(), 2);
    }
}
