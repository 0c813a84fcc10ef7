//! What a client knows of one of its sessions: what was answered, and what may have happened besides.

use std::fmt::Debug;

use serde_json::Value;

use crate::harness::text_of;

/// A value that clients set. A request without an answer may have set it, or not.
#[derive(Debug, Clone)]
pub(super) struct Field<T> {
    pub sure: T,
    pub maybe: Option<T>,
}

impl<T: PartialEq + Debug> Field<T> {
    pub(super) fn new(sure: T) -> Self {
        Self { sure, maybe: None }
    }

    /// Looks at what is there, which is what is sure from now on.
    fn look(&mut self, found: T, what: &str) {
        let unanswered = self.maybe.take();
        assert!(
            found == self.sure || Some(&found) == unanswered.as_ref(),
            "{what} is {found:?}; answered was {:?}, and not {unanswered:?}",
            self.sure
        );
        self.sure = found;
    }
}

/// A prompt. Each has a text of its own.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub text: String,
    /// The prompt itself was answered with success, or seen.
    pub sure: bool,
    /// What the model has answered, once that was seen whole.
    pub answer: Option<String>,
}

/// A session.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    pub id: String,
    pub title: Field<String>,
    pub model: Field<Option<String>>,
    pub archived: Field<Option<u64>>,
    /// The text of the prompt to which it was reverted.
    pub cut: Field<Option<String>>,
    pub revision: u64,
    pub said: Vec<Said>,
    /// What was reverted and removed.
    pub removed: Vec<String>,
    /// A command that the user has allowed for good.
    pub allowed: Option<String>,
    /// It was to be deleted, and there was no answer.
    pub dying: bool,
}

impl Ledger {
    /// A session as it was answered.
    pub(super) fn new(session: &Value) -> Self {
        Self {
            id: session["id"].as_str().expect("an id").to_owned(),
            title: Field::new(title(session)),
            model: Field::new(selected(session)),
            archived: Field::new(archived(session)),
            cut: Field::new(None),
            revision: 0,
            said: Vec::new(),
            removed: Vec::new(),
            allowed: None,
            dying: false,
        }
    }

    /// Revisions only go forward.
    pub(super) fn note(&mut self, session: &Value) {
        let revision = session["revision"].as_u64().expect("a revision");
        let (id, before) = (&self.id, self.revision);
        assert!(
            revision >= before,
            "{id}: revision {revision} is before {before}"
        );
        self.revision = revision;
    }

    /// Where what is reverted begins.
    fn cut_at(&self) -> Option<usize> {
        let cut = self.cut.sure.as_ref()?;
        self.said.iter().position(|said| said.text == *cut)
    }

    /// A prompt was taken in: what was reverted is removed for good.
    pub(super) fn took(&mut self, text: &str, answer: Option<String>) {
        if let Some(at) = self.cut_at() {
            let removed = self.said.drain(at..).map(|said| said.text);
            self.removed.extend(removed);
        }
        self.cut = Field::new(None);
        let text = text.to_owned();
        self.said.push(Said {
            text,
            sure: true,
            answer,
        });
    }

    /// Whether a prompt was taken in is unknown.
    pub(super) fn may_have_taken(&mut self, text: &str) {
        if let Some(at) = self.cut_at() {
            self.said[at..]
                .iter_mut()
                .for_each(|said| said.sure = false);
            self.cut.maybe = Some(None);
        }
        let text = text.to_owned();
        self.said.push(Said {
            text,
            sure: false,
            answer: None,
        });
    }

    /// Compares with the session as it is after a kill.
    pub(super) fn look(&mut self, session: &Value, messages: &[Value]) {
        self.note(session);
        let id = self.id.clone();
        self.title.look(title(session), &format!("{id}: the title"));
        self.model
            .look(selected(session), &format!("{id}: the model"));
        self.archived
            .look(archived(session), &format!("{id}: the time"));
        assert_eq!(session["runtime"]["status"], "idle", "{id}");
        let cut = session["revert"]["messageID"].as_str().map(|cut| {
            let at = messages.iter().find(|m| m["info"]["id"] == cut);
            text_of(
                at.unwrap_or_else(|| panic!("{id}: it is reverted to {cut}, which is not there")),
            )
        });
        self.cut.look(cut, &format!("{id}: what it is reverted to"));
        self.look_at_messages(messages);
    }

    fn look_at_messages(&mut self, messages: &[Value]) {
        let (id, prompts) = (&self.id, prompts(messages));
        for text in &self.removed {
            assert!(!prompts.contains(text), "{id}: {text} was removed");
        }
        let mut rest = prompts.iter();
        let said = std::mem::take(&mut self.said);
        let kept = said.into_iter().filter(|said| match said.sure {
            true => {
                let found = rest.any(|text| *text == said.text);
                assert!(
                    found,
                    "{id}: {said:?} is lost, or out of order: {prompts:?}"
                );
                true
            }
            false => prompts.contains(&said.text),
        });
        self.said = kept.map(|said| Said { sure: true, ..said }).collect();
        assert_eq!(
            prompts.len(),
            self.said.len(),
            "{id}: {prompts:?} {:?}",
            self.said
        );
        for said in &mut self.said {
            let answers = answers(messages, &said.text);
            assert!(answers.len() <= 1, "{id}: {said:?} has {answers:?}");
            let whole = answers.first().filter(|a| a["info"]["error"].is_null());
            let answer = whole.map(|answer| text_of(answer));
            if said.answer.is_some() {
                assert_eq!(answer, said.answer, "{id}: the answer to {}", said.text);
            }
            said.answer = answer;
        }
        for answer in messages.iter().filter(|m| m["info"]["role"] == "assistant") {
            let completed = &answer["info"]["time"]["completed"];
            assert!(
                completed.is_u64(),
                "{id}: it is still being written: {answer}"
            );
        }
    }
}

fn title(session: &Value) -> String {
    session["title"].as_str().expect("a title").to_owned()
}

fn selected(session: &Value) -> Option<String> {
    session["model"]["id"].as_str().map(str::to_owned)
}

fn archived(session: &Value) -> Option<u64> {
    session["time"]["archived"].as_u64()
}

/// The text of a message that says one, and is not only told to the user.
fn spoken(message: &Value) -> Option<String> {
    let told = message["parts"]
        .as_array()?
        .iter()
        .any(|part| part["ignored"] == true);
    (!told).then(|| text_of(message))
}

/// The texts of a session's prompts.
pub(super) fn prompts(messages: &[Value]) -> Vec<String> {
    let prompts = messages.iter().filter(|m| m["info"]["role"] == "user");
    prompts.filter_map(spoken).collect()
}

/// The prompt with this text.
pub(super) fn prompt_id(messages: &[Value], text: &str) -> Option<String> {
    let mut prompts = messages.iter().filter(|m| m["info"]["role"] == "user");
    let found = prompts.find(|m| spoken(m).as_deref() == Some(text))?;
    found["info"]["id"].as_str().map(str::to_owned)
}

fn answers<'a>(messages: &'a [Value], text: &str) -> Vec<&'a Value> {
    let Some(id) = prompt_id(messages, text) else {
        return Vec::new();
    };
    messages
        .iter()
        .filter(|m| m["info"]["parentID"] == id.as_str())
        .collect()
}
