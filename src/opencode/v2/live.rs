//! From the events of the first version, as they come, to OpenCode 2's `session.next.*`.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::event::{Said, Teller};
use super::message::V2Prompt;
use super::project::prompt;
use crate::json;
use crate::opencode::message::{AssistantMessage, Message, Part, ToolPart, ToolState};
use crate::opencode::request::PermissionRequest;
use crate::opencode::{MessageId, SessionId};

/// Prompts, texts and calls that are remembered; a stream that needs more forgets the ones before.
const OPEN_MAX: usize = 4_096;

/// What a part is, for the deltas that name only its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Growing {
    Text,
    Reasoning,
}

/// How much of a tool call was reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Announced,
    Called,
}

/// Follows one stream of events and says what OpenCode 2 calls them. A stream that begins in the middle of an answer is
/// told of its next part on.
#[derive(Debug, Default)]
pub struct Translator {
    /// A prompt whose parts are being sent.
    arriving: Option<(SessionId, MessageId, u64, Vec<Part>)>,
    /// Prompts that no answer was begun to.
    waiting: HashMap<MessageId, V2Prompt>,
    /// Answers that were begun, and whether they are summaries.
    answers: HashMap<MessageId, bool>,
    growing: HashMap<String, Growing>,
    calls: HashMap<String, Told>,
}

#[derive(Deserialize)]
struct Event {
    r#type: String,
    properties: Value,
}

#[derive(Deserialize)]
struct MessageUpdated {
    #[serde(rename = "sessionID")]
    session: SessionId,
    info: Message,
}

#[derive(Deserialize)]
struct PartUpdated {
    #[serde(rename = "sessionID")]
    session: SessionId,
    part: Part,
    time: u64,
}

#[derive(Deserialize)]
struct Delta {
    #[serde(rename = "sessionID")]
    session: SessionId,
    #[serde(rename = "messageID")]
    message: MessageId,
    #[serde(rename = "partID")]
    part: String,
    field: String,
    delta: String,
}

impl Translator {
    /// What OpenCode 2 says about an event of the first version, given as its JSON. `last` means that the events that
    /// were published together with it are over.
    pub fn translate(&mut self, json: &str, last: bool, now: u64) -> Vec<Said> {
        self.forget();
        let mut said = match serde_json::from_str::<Event>(json) {
            Ok(event) => self.of(event, now),
            // Only events of our own making come here.
            Err(_) => Vec::new(),
        };
        if last && let Some((session, id, time, parts)) = self.arriving.take() {
            said.extend(self.arrived(&session, id, time, &parts));
        }
        said
    }

    fn forget(&mut self) {
        fn trim<K, V>(map: &mut HashMap<K, V>) {
            if map.len() > OPEN_MAX {
                map.clear();
            }
        }
        trim(&mut self.waiting);
        trim(&mut self.answers);
        trim(&mut self.growing);
        trim(&mut self.calls);
    }

    fn of(&mut self, event: Event, now: u64) -> Vec<Said> {
        let Event { r#type, properties } = event;
        match r#type.as_str() {
            "message.updated" => match serde_json::from_value::<MessageUpdated>(properties) {
                Ok(update) => self.message(update.session, update.info),
                Err(_) => Vec::new(),
            },
            "message.part.updated" => match serde_json::from_value::<PartUpdated>(properties) {
                Ok(update) => self.part(&update.session, update.part, update.time),
                Err(_) => Vec::new(),
            },
            "message.part.delta" => match serde_json::from_value::<Delta>(properties) {
                Ok(delta) => self.delta(&delta, now).into_iter().collect(),
                Err(_) => Vec::new(),
            },
            "permission.asked" => match serde_json::from_value::<PermissionRequest>(properties) {
                Ok(request) => {
                    let request = super::info::V2Permission::from(request);
                    let data = json::tree(&request);
                    vec![Said {
                        kind: "permission.v2.asked",
                        data,
                    }]
                }
                Err(_) => Vec::new(),
            },
            "permission.replied" => vec![Said {
                kind: "permission.v2.replied",
                data: properties,
            }],
            "question.asked" => vec![Said {
                kind: "question.v2.asked",
                data: properties,
            }],
            "question.replied" => vec![Said {
                kind: "question.v2.replied",
                data: properties,
            }],
            "question.rejected" => vec![Said {
                kind: "question.v2.rejected",
                data: properties,
            }],
            _ => Vec::new(),
        }
    }

    fn message(&mut self, session: SessionId, info: Message) -> Vec<Said> {
        match info {
            Message::User(user) => {
                self.arriving = Some((session, user.id, user.time.created, Vec::new()));
                Vec::new()
            }
            Message::Assistant(answer) => self.answer(&session, &answer),
        }
    }

    /// A prompt with all its parts. One without parts is an old prompt that was sent again.
    fn arrived(
        &mut self,
        session: &SessionId,
        id: MessageId,
        time: u64,
        parts: &[Part],
    ) -> Option<Said> {
        let prompt = prompt(parts);
        if prompt == V2Prompt::default() {
            return None;
        }
        let said = Teller { session, time }.admitted(&id, &prompt);
        self.waiting.insert(id, prompt);
        Some(said)
    }

    fn answer(&mut self, session: &SessionId, answer: &AssistantMessage) -> Vec<Said> {
        let mut said = Vec::new();
        let summary = answer.summary == Some(true);
        let begins = Teller {
            session,
            time: answer.time.created,
        };
        let known = self.answers.insert(answer.id.clone(), summary).is_some();
        if !known {
            let prompt = self.waiting.remove(&answer.parent_id);
            said.extend(prompt.map(|prompt| begins.prompted(&answer.parent_id, &prompt)));
            said.push(match summary {
                true => begins.compaction_started(&answer.id),
                false => begins.step_started(answer),
            });
        }
        if let Some(time) = answer.time.completed {
            self.answers.remove(&answer.id);
            let ends = Teller { session, time };
            if !summary {
                said.push(ends.step_ended(answer));
            }
        }
        said
    }

    fn part(&mut self, session: &SessionId, part: Part, time: u64) -> Vec<Said> {
        if let Some((_, message, _, parts)) = &mut self.arriving
            && message == part.message_id()
        {
            parts.push(part);
            return Vec::new();
        }
        // Parts of prompts, and of messages that are edited later, are no part of an answer that is being written.
        let Some(summary) = self.answers.get(part.message_id()).copied() else {
            return Vec::new();
        };
        let teller = Teller { session, time };
        match part {
            Part::Text(text) if summary => {
                let ended = text.time.is_some_and(|t| t.end.is_some());
                let said = || teller.compaction_ended(&text.message_id, &text.text);
                ended.then(said).into_iter().collect()
            }
            Part::Text(text) => {
                let ended = text.time.is_some_and(|t| t.end.is_some());
                if ended {
                    self.growing.remove(text.id.as_str());
                    return vec![teller.text_ended(&text)];
                }
                let before = self.growing.insert(text.id.to_string(), Growing::Text);
                if before.is_some() {
                    Vec::new()
                } else {
                    vec![teller.text_started(&text)]
                }
            }
            Part::Reasoning(reasoning) if !summary => {
                if reasoning.time.end.is_some() {
                    self.growing.remove(reasoning.id.as_str());
                    return vec![teller.reasoning_ended(&reasoning)];
                }
                let before = self
                    .growing
                    .insert(reasoning.id.to_string(), Growing::Reasoning);
                if before.is_some() {
                    Vec::new()
                } else {
                    vec![teller.reasoning_started(&reasoning)]
                }
            }
            Part::Tool(call) => self.tool(teller, &call),
            _ => Vec::new(),
        }
    }

    fn tool(&mut self, teller: Teller<'_>, call: &ToolPart) -> Vec<Said> {
        let key = call.id.to_string();
        let mut told = self.calls.get(&key).copied();
        let mut said = Vec::new();
        if told.is_none() {
            said.push(teller.input_started(call));
            told = Some(Told::Announced);
        }
        let pending = matches!(call.state, ToolState::Pending { .. });
        let running = matches!(call.state, ToolState::Running { .. });
        if !pending && told < Some(Told::Called) {
            said.extend([teller.input_ended(call), teller.called(call)]);
            told = Some(Told::Called);
            if running {
                self.calls.insert(key, Told::Called);
                return said;
            }
        }
        said.extend(teller.tool(call));
        match told {
            Some(told) if pending || running => drop(self.calls.insert(key, told)),
            _ => drop(self.calls.remove(&key)),
        }
        said
    }

    fn delta(&mut self, delta: &Delta, time: u64) -> Option<Said> {
        let teller = Teller {
            session: &delta.session,
            time,
        };
        if delta.field != "text" {
            return None;
        }
        Some(match self.growing.get(&delta.part)? {
            Growing::Text => teller.text_delta(&delta.message, &delta.part, &delta.delta),
            Growing::Reasoning => teller.reasoning_delta(&delta.message, &delta.part, &delta.delta),
        })
    }
}

#[cfg(test)]
mod tests;
