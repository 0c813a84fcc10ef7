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

use super::answer::{part_event, put_message, put_part};
use super::message_event;
use super::state::{Locked, Session};
use crate::opencode::event::{EventPayload, MessageRemoved};
use crate::opencode::message::{Message, Part, TextPart, UserMessage, UserTime};
use crate::opencode::{MessageId, PartId, Selection, now_ms};
use crate::registry::Snapshot;
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

/// What to write, and then what to publish.
pub(super) type Telling = (Vec<Change>, Vec<EventPayload>);

/// Brings the transcript after a selection that the agent has confirmed; nothing for one that the
/// transcript names already, while a turn is in flight, and before the first prompt.
pub(super) fn tell(session: &Session, locked: &mut Locked, registry: &Snapshot) -> Option<Telling> {
    let selection = locked.state.selection.clone()?;
    let told = locked.state.told.as_mut()?;
    let confirmed = locked.runtime.applied.as_ref() == Some(&selection);
    let quiet =
        !locked.runtime.is_busy() && !locked.runtime.deleted && locked.state.revert.is_none();
    if !confirmed || !quiet || *told.latest() == selection {
        return None;
    }
    let (mut changes, events) = if told.prompt == selection {
        remove(session, told.notice.take()?)
    } else {
        let last_seq = &mut locked.runtime.last_seq;
        let notice = told.notice.get_or_insert_with(|| {
            *last_seq += 1;
            Notice {
                selection: selection.clone(),
                seq: *last_seq,
                created: now_ms(),
                message: MessageId::new(),
                part: PartId::new(),
            }
        });
        notice.selection = selection;
        write(session, &told.prompt, notice, registry)
    };
    changes.push(locked.put_state());
    Some((changes, events))
}

fn remove(session: &Session, notice: Notice) -> Telling {
    let (session_id, message_id) = (session.id.clone(), notice.message);
    let change = Change::DeleteMessage {
        session: session_id.clone(),
        id: message_id.clone(),
    };
    let event = EventPayload::MessageRemoved(MessageRemoved {
        session_id,
        message_id,
    });
    (vec![change], vec![event])
}

fn write(session: &Session, previous: &Selection, notice: &Notice, registry: &Snapshot) -> Telling {
    let selection = &notice.selection;
    let info = Message::User(UserMessage {
        id: notice.message.clone(),
        session_id: session.id.clone(),
        time: UserTime {
            created: notice.created,
        },
        summary: None,
        agent: selection.agent.clone(),
        model: selection.message_model(),
        system: None,
    });
    let part = Part::Text(TextPart {
        id: notice.part.clone(),
        session_id: session.id.clone(),
        message_id: notice.message.clone(),
        text: text(previous, selection, registry),
        synthetic: None,
        ignored: Some(true),
        time: None,
        metadata: Some(metadata(previous, selection)),
    });
    let key = MessageKey {
        seq: notice.seq,
        turn: notice.seq,
        id: notice.message.clone(),
    };
    let changes = vec![
        put_message(&info, &session.id, &key),
        put_part(&part, &session.id, 0),
    ];
    let events = vec![message_event(session, info), part_event(&session.id, part)];
    (changes, events)
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
