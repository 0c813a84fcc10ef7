//! The line of the transcript about a switch.
//!
//! OpenCode's terminal UI and web UI know no event that changes their model picker: when they open a
//! session they take the model of its last user message, and what they show is messages. A switch that
//! came without a message (by a PATCH, by OpenCode 2's routes, by the agent itself) would stay unseen
//! there. So it gets a user message of its own, whose only text is marked `ignored`: OpenCode's way to
//! say something to the user that no model is given.
//!
//! It is written when the agent has confirmed the switch and no turn is in flight, so it is never
//! followed by a "thinking" that is not meant for it. A reverted session gets none: it would be among what the next
//! prompt removes. Between two prompts there is at most one: a further switch rewrites it, and going back removes it. It
//! also says that a switch has failed, and that a handover left something out.
//!
//! A prompt whose own model takes back what somebody else has selected gets such a line above it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Draft;
use crate::opencode::event::{EventPayload, MessageRemoved, Source};
use crate::opencode::history::Overrides;
use crate::opencode::message::{Message, MessageWithParts, Part, TextPart, UserMessage, UserTime};
use crate::opencode::{MessageId, PartId, Selection, SessionId, now_ms};
use crate::registry::Snapshot;
use crate::session::conversation::{put_message, put_part};
use crate::session::sizes::beginning;
use crate::store::{Change, MessageKey};

/// Where a notice's part has its selections for programs, within `metadata`.
const METADATA_KEY: &str = "modelSwitch";

/// Begins what is more than a change: where a client shows the line as the user's own words, it still says whose they are.
const VOICE: &str = "Baton: ";
/// At most this much of a client's name is shown, in bytes.
const CLIENT_SHOWN_BYTES: usize = 60;

/// What the user messages of a session say about its selection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// What the last prompt was given to.
    prompt: Selection,
    /// What was shown since.
    notice: Option<Notice>,
    /// What to say besides the selection.
    #[serde(default)]
    remarks: Remarks,
}

/// What a notice says besides the selection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Remarks {
    /// A switch that has failed.
    failed: Option<String>,
    /// A handover that left something out.
    elided: Option<String>,
    /// Models that could not answer, and what went on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    handed_on: Vec<String>,
    /// A native session that was imported and in which nothing goes on any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    left: Option<String>,
}

/// A notice that no prompt has followed yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Notice {
    selection: Selection,
    seq: u64,
    created: u64,
    message: MessageId,
    part: PartId,
    #[serde(default)]
    remarks: Remarks,
}

/// A prompt that takes back what somebody else has selected.
pub(super) struct TakenBack<'a> {
    pub overrides: &'a Overrides,
    /// What was selected.
    pub before: &'a Selection,
    /// What the prompt selects.
    pub now: &'a Selection,
    /// The prompt.
    pub prompt: &'a MessageId,
}

impl Told {
    /// By a prompt, which names what it is given to.
    pub(crate) fn by_prompt(selection: Selection) -> Self {
        Self {
            prompt: selection,
            notice: None,
            remarks: Remarks::default(),
        }
    }

    fn latest(&self) -> &Selection {
        self.notice.as_ref().map_or(&self.prompt, |n| &n.selection)
    }

    /// Whether the transcript says all of this already.
    fn says(&self, selection: &Selection) -> bool {
        let said = self.notice.as_ref().map(|n| &n.remarks);
        self.latest() == selection && *said.unwrap_or(&Remarks::default()) == self.remarks
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
    let quiet = !runtime.is_busy() && !runtime.is_restoring() && state.revert.is_none();
    // After a failed switch the line has to name what clients continue with.
    let is_known = runtime.applied.as_ref() == Some(&selection) || told.remarks.failed.is_some();
    let selection = match is_known {
        true => selection,
        false => told.latest().clone(),
    };
    if !quiet || told.says(&selection) {
        return;
    }
    let Told {
        prompt,
        notice,
        remarks,
    } = told;
    let notice = if prompt == selection && remarks == Remarks::default() {
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
            remarks: Remarks::default(),
        });
        notice.selection = selection;
        notice.remarks.clone_from(&remarks);
        let text = notice.text(&prompt, &draft.registry);
        write(draft, &prompt, &notice, text);
        Some(notice)
    };
    draft.state_mut().kept.told = Some(Told {
        prompt,
        notice,
        remarks,
    });
}

/// Notes that a switch has failed, for the line about it. One that succeeds after it makes it void.
pub(super) fn remark_failed(draft: &mut Draft, text: Option<String>) {
    if let Some(told) = &draft.state().kept.told
        && told.remarks.failed != text
        && let Some(told) = &mut draft.state_mut().kept.told
    {
        told.remarks.failed = text.map(|text| format!("{VOICE}{text}"));
    }
}

/// Notes that a prompt went on to another model.
pub(super) fn remark_handed_on(draft: &mut Draft, text: &str) {
    if draft.state().kept.told.is_some()
        && let Some(told) = &mut draft.state_mut().kept.told
    {
        told.remarks.handed_on.push(format!("{VOICE}{text}"));
    }
}

/// Notes that a handover left something out.
pub(super) fn remark_elided(draft: &mut Draft, text: &str) {
    if draft.state().kept.told.is_some()
        && let Some(told) = &mut draft.state_mut().kept.told
    {
        told.remarks.elided = Some(format!("{VOICE}{text}"));
    }
}

/// Notes that nothing goes on any more in a native session that was imported: its user may look for it there.
pub(super) fn remark_left(draft: &mut Draft, backend: &str, native: &str) {
    if draft.state().kept.told.is_some()
        && let Some(told) = &mut draft.state_mut().kept.told
    {
        told.remarks.left = Some(format!(
            "{VOICE}{backend} does not go on in native session {native} any more, which stays as it is. It was given the \
             conversation in a new one."
        ));
    }
}

/// Says above a prompt that it takes something back: in the line about that change, or in one of its own.
pub(super) fn tell_taken_back(draft: &mut Draft, told: Option<Told>, taken: &TakenBack<'_>) {
    let said = told.and_then(|told| Some((told.prompt, told.notice?)));
    let mut lines = Vec::new();
    let (previous, notice) = match said {
        Some((prompt, notice)) => {
            lines.push(notice.text(&prompt, &draft.registry));
            (prompt, notice)
        }
        None => {
            let notice = Notice {
                selection: taken.now.clone(),
                seq: draft.next_place_of_notice(),
                created: now_ms(),
                message: MessageId::before(taken.prompt),
                part: PartId::new(),
                remarks: Remarks::default(),
            };
            (taken.before.clone(), notice)
        }
    };
    lines.push(changes(taken.before, taken.now, &draft.registry));
    lines.push(format!(
        "{VOICE}the next message names this itself. It takes back what {} has selected.",
        setter(taken.overrides)
    ));
    write(draft, &previous, &notice, lines.join("\n"));
}

/// Who has selected something, in words.
pub(super) fn setter(overrides: &Overrides) -> String {
    let way = match overrides.source {
        Source::Create => "whoever made the session",
        Source::Patch => "a PATCH",
        Source::Message => "another message",
        Source::Init => "an /init",
        Source::Command => "a command",
        Source::Fork | Source::Agent | Source::Revert | Source::Fallback => "the agent itself",
    };
    match &overrides.client {
        Some(client) => format!("{way} (by {})", beginning(client, CLIENT_SHOWN_BYTES)),
        None => way.to_owned(),
    }
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

fn write(draft: &mut Draft, previous: &Selection, notice: &Notice, text: String) {
    let message = message(&draft.id, previous, notice, text);
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
    text: String,
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
        overrides: None,
        pinned_over: None,
        handoff: None,
    });
    let part = Part::Text(TextPart {
        id: notice.part.clone(),
        session_id: session.clone(),
        message_id: notice.message.clone(),
        text,
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

impl Notice {
    /// The lines for people.
    fn text(&self, prompt: &Selection, registry: &Snapshot) -> String {
        let Remarks {
            failed,
            elided,
            handed_on,
            left,
        } = &self.remarks;
        let changes = changes(prompt, &self.selection, registry);
        let changes = (!changes.is_empty()).then_some(changes);
        let remarks = failed.iter().chain(handed_on).chain(elided).chain(left);
        let lines = changes.iter().chain(remarks);
        lines.cloned().collect::<Vec<_>>().join("\n")
    }
}

/// What has changed, for people: only that.
pub(super) fn changes(previous: &Selection, current: &Selection, registry: &Snapshot) -> String {
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
pub(super) fn model_name(selection: &Selection, registry: &Snapshot) -> String {
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
            mode: None,
        }
    }

    #[test]
    fn the_line_says_what_has_changed_and_no_more() {
        let registry = snapshot();
        let gone = selection("gone", "a/b", None, "build");
        let high = selection("gone", "a/b", Some("high"), "build");
        let plan = selection("gone", "a/b", Some("high"), "plan");
        assert_eq!(
            changes(&gone, &high, &registry),
            "Model: a/b (gone) → a/b, high (gone)"
        );
        assert_eq!(changes(&high, &plan, &registry), "Agent: build → plan");
        assert_eq!(
            changes(&gone, &plan, &registry),
            "Model: a/b (gone) → a/b, high (gone)\nAgent: build → plan"
        );
    }
}
