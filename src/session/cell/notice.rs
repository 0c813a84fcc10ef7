//! The line of the transcript that tells of a switch.
//!
//! OpenCode's terminal UI and web UI know no event that changes their model picker: when they open a
//! session they take the model of its last user message, and what they show is messages. A switch that
//! came without a message (by a PATCH, by OpenCode 2's routes, by the agent itself) would stay unseen
//! there. So it gets a user message of its own, whose only text is marked `ignored`: OpenCode's way to
//! say something to the user that no model is given.
//!
//! It is written when the agent has confirmed the switch and no turn is in flight, so it is never
//! followed by a "thinking" that is not meant for it, and a failed switch leaves none. A reverted session
//! gets none: it would stand among what the next prompt removes. Between two prompts
//! there is at most one: a further switch rewrites it, and going back removes it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Draft;
use crate::opencode::event::{EventPayload, MessageRemoved};
use crate::opencode::message::{Message, MessageWithParts, Part, TextPart, UserMessage, UserTime};
use crate::opencode::{MessageId, PartId, Selection, SessionId, now_ms};
use crate::registry::Snapshot;
use crate::session::conversation::{put_message, put_part};
use crate::store::{Change, MessageKey};

/// Where a notice's part has its selections for programs, within `metadata`.
const METADATA_KEY: &str = "modelSwitch";

/// What the user messages of a session say about its selection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// What the last prompt was given to.
    prompt: Selection,
    /// What was told since.
    notice: Option<Notice>,
}

/// A notice that no prompt has followed yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Notice {
    selection: Selection,
    seq: u64,
    created: u64,
    message: MessageId,
    part: PartId,
}

impl Told {
    /// By a prompt, which names what it is given to.
    pub fn by_prompt(selection: Selection) -> Self {
        Self {
            prompt: selection,
            notice: None,
        }
    }

    fn latest(&self) -> &Selection {
        self.notice.as_ref().map_or(&self.prompt, |n| &n.selection)
    }
}

/// Brings the transcript after a selection that the agent has confirmed. Nothing is said of one that the
/// transcript names already, while a turn is in flight, or before the first prompt.
pub(super) fn tell(draft: &mut Draft) {
    let state = draft.state();
    let (Some(selection), Some(told)) = (state.selection.clone(), state.kept.told.clone()) else {
        return;
    };
    let runtime = draft.runtime();
    let confirmed = runtime.applied.as_ref() == Some(&selection);
    let quiet = !runtime.is_busy() && !runtime.is_restoring() && state.revert.is_none();
    if !confirmed || !quiet || *told.latest() == selection {
        return;
    }
    let Told { prompt, notice } = told;
    let notice = if prompt == selection {
        if let Some(notice) = notice {
            remove(draft, notice);
        }
        None
    } else {
        let mut notice = notice.unwrap_or_else(|| Notice {
            selection: selection.clone(),
            seq: draft.next_place_of_notice(),
            created: now_ms(),
            message: MessageId::new(),
            part: PartId::new(),
        });
        notice.selection = selection;
        write(draft, &prompt, &notice);
        Some(notice)
    };
    draft.state_mut().kept.told = Some(Told { prompt, notice });
}

fn remove(draft: &mut Draft, notice: Notice) {
    draft.write(Change::DeleteMessage {
        session: draft.id.clone(),
        id: notice.message.clone(),
    });
    draft.event(EventPayload::MessageRemoved(MessageRemoved {
        session_id: draft.id.clone(),
        message_id: notice.message,
    }));
}

fn write(draft: &mut Draft, previous: &Selection, notice: &Notice) {
    let message = message(&draft.id, previous, notice, &draft.registry);
    let key = MessageKey {
        seq: notice.seq,
        turn: notice.seq,
        id: notice.message.clone(),
    };
    draft.write(put_message(&message.info, &draft.id, &key));
    for part in &message.parts {
        draft.write(put_part(part, &draft.id, 0));
    }
    draft.event_of_message(&message);
}

fn message(
    session: &SessionId,
    previous: &Selection,
    notice: &Notice,
    registry: &Snapshot,
) -> MessageWithParts {
    let selection = &notice.selection;
    let info = Message::User(UserMessage {
        id: notice.message.clone(),
        session_id: session.clone(),
        time: UserTime {
            created: notice.created,
        },
        summary: None,
        agent: selection.agent.clone(),
        model: selection.message_model(),
        system: None,
        format: None,
    });
    let part = Part::Text(TextPart {
        id: notice.part.clone(),
        session_id: session.clone(),
        message_id: notice.message.clone(),
        text: text(previous, selection, registry),
        synthetic: None,
        ignored: Some(true),
        time: None,
        metadata: Some(metadata(previous, selection)),
    });
    MessageWithParts {
        info,
        parts: vec![part],
    }
}

fn metadata(previous: &Selection, current: &Selection) -> Map<String, Value> {
    let switch = json!({ "previous": previous, "current": current });
    Map::from_iter([(METADATA_KEY.to_owned(), switch)])
}

/// The line for people: only what has changed.
fn text(previous: &Selection, current: &Selection, registry: &Snapshot) -> String {
    let name = |selection| model_name(selection, registry);
    let mut changed = Vec::new();
    if previous.model_ref() != current.model_ref() {
        changed.push(format!("Model: {} → {}", name(previous), name(current)));
    }
    if previous.agent != current.agent {
        changed.push(format!("Agent: {} → {}", previous.agent, current.agent));
    }
    changed.join("\n")
}

/// A model as clients' pickers name it, with its backend; its ids where the registry has lost it.
fn model_name(selection: &Selection, registry: &Snapshot) -> String {
    let backend = registry.backend(&selection.provider_id);
    let model = registry
        .catalogue(&selection.provider_id)
        .and_then(|c| c.model(&selection.model_id));
    let model = model.map_or(&selection.model_id, |m| &m.name);
    let backend = backend.map_or(&selection.provider_id, |b| &b.spec.name);
    match &selection.variant {
        Some(variant) => format!("{model}, {variant} ({backend})"),
        None => format!("{model} ({backend})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::fixture::snapshot;

    fn selection(provider: &str, model: &str, variant: Option<&str>, agent: &str) -> Selection {
        Selection {
            provider_id: provider.into(),
            model_id: model.into(),
            variant: variant.map(str::to_owned),
            agent: agent.into(),
        }
    }

    #[test]
    fn the_line_says_what_has_changed_and_no_more() {
        let registry = snapshot();
        let gone = selection("gone", "a/b", None, "build");
        let high = selection("gone", "a/b", Some("high"), "build");
        let plan = selection("gone", "a/b", Some("high"), "plan");
        assert_eq!(
            text(&gone, &high, &registry),
            "Model: a/b (gone) → a/b, high (gone)"
        );
        assert_eq!(text(&high, &plan, &registry), "Agent: build → plan");
        assert_eq!(
            text(&gone, &plan, &registry),
            "Model: a/b (gone) → a/b, high (gone)\nAgent: build → plan"
        );
    }
}
