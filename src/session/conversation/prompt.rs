//! A prompt as it is stored.

use super::super::request::Prompt;
use crate::opencode::message::{
    AgentPart, CompactionPart, FilePart, Message, MessageWithParts, Part, SubtaskPart, TextPart,
    UserMessage, UserTime,
};
use crate::opencode::prompt::{PartInput, TextPartInput};
use crate::opencode::{MessageId, PartId, Selection, SessionId, now_ms};

/// What the model is told after a summary that the user has not asked for themselves.
const GO_ON: &str = "\
Go on with what is open according to the summary. If nothing is, or if it is not clear how to go on, say so \
and wait.";
/// Marks such a prompt, as OpenCode does.
const GO_ON_MARK: &str = "compaction_continue";

/// What a summary is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SummaryFor {
    /// Everybody goes on with it from then on.
    All,
    /// The same, and the selected model is asked to continue the work afterwards.
    GoingOn,
    /// The model that a prompt hands the conversation to.
    Handover,
}

/// A message of the user's, with nothing in it yet.
pub(crate) fn user_message(
    id: MessageId,
    session: &SessionId,
    selection: &Selection,
) -> UserMessage {
    UserMessage {
        id,
        session_id: session.clone(),
        time: UserTime { created: now_ms() },
        summary: None,
        agent: selection.agent.clone(),
        model: selection.message_model(),
        system: None,
        format: None,
        overrides: None,
        pinned_over: None,
        handoff: None,
    }
}

/// The wish for a summary, by a message that names what is selected: clients take the model of the last prompt for that.
pub(crate) fn summary_wish(
    id: MessageId,
    session: &SessionId,
    selection: &Selection,
    purpose: SummaryFor,
) -> MessageWithParts {
    let part = Part::Compaction(CompactionPart {
        id: PartId::new(),
        session_id: session.clone(),
        message_id: id.clone(),
        auto: purpose == SummaryFor::GoingOn,
    });
    let mut message = user_message(id, session, selection);
    message.handoff = (purpose == SummaryFor::Handover).then_some(true);
    MessageWithParts {
        info: Message::User(message),
        parts: vec![part],
    }
}

/// A prompt as a message, to what is selected.
pub(crate) fn prompt_message(
    prompt: &Prompt,
    session: &SessionId,
    selection: &Selection,
) -> MessageWithParts {
    let id = prompt.message_id.clone().unwrap_or_else(MessageId::new);
    let parts = prompt.parts.iter();
    let parts = parts.map(|part| stored_part(part, session, &id)).collect();
    let mut message = user_message(id, session, selection);
    message.system.clone_from(&prompt.system);
    message.format.clone_from(&prompt.format);
    MessageWithParts {
        info: Message::User(message),
        parts,
    }
}

fn stored_part(input: &PartInput, session: &SessionId, message: &MessageId) -> Part {
    let id = input.id().cloned().unwrap_or_else(PartId::new);
    let (session_id, message_id) = (session.clone(), message.clone());
    match input.clone() {
        PartInput::Text(p) => Part::Text(TextPart {
            id,
            session_id,
            message_id,
            text: p.text,
            synthetic: p.synthetic,
            ignored: p.ignored,
            time: None,
            metadata: p.metadata,
        }),
        PartInput::File(p) => Part::File(FilePart {
            id,
            session_id,
            message_id,
            mime: p.mime,
            filename: p.filename,
            url: p.url,
            source: p.source,
        }),
        PartInput::Agent(p) => Part::Agent(AgentPart {
            id,
            session_id,
            message_id,
            name: p.name,
            source: p.source,
        }),
        PartInput::Subtask(p) => Part::Subtask(SubtaskPart {
            id,
            session_id,
            message_id,
            prompt: p.prompt,
            description: p.description,
            agent: p.agent,
        }),
    }
}

/// A text of the user's, or one that Baton says for them.
pub(crate) fn text_part(
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

/// The prompt that follows a summary which the user has not asked for themselves.
pub(crate) fn continue_prompt() -> Prompt {
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
