//! From stored messages to OpenCode 2's. Pure: the same messages always make the same.

use serde_json::{Map, Value};

use super::message::{
    AgentSwitchedMessage, CompactionMessage, Content, CreatedTime, ModelSwitchedMessage,
    PromptAgent, PromptFile, PromptSource, ReasoningContent, SessionMessage, SpanTime,
    SyntheticMessage, TextContent, ToolContent, ToolOutput, ToolProvider, ToolTime,
    V2AssistantMessage, V2Error, V2Prompt, V2Snapshot, V2ToolState, V2UserMessage,
};
use crate::opencode::history::ModelSwitch;
use crate::opencode::message::{
    AssistantMessage, Message, MessageWithParts, Part, PartTime, ReasoningPart, ToolPart,
    ToolState, UserMessage,
};
use crate::opencode::session::ModelRef;
use crate::opencode::{MessageId, SessionId};

/// A session's conversation, in order, as OpenCode 2 lists it. `messages` are in the order of the conversation,
/// `switches` in that of their revisions; a change is where it was made.
pub fn conversation(
    session: &SessionId,
    messages: &[MessageWithParts],
    switches: &[ModelSwitch],
) -> Vec<SessionMessage> {
    let mut switches = switches.iter().peekable();
    let mut all = Vec::new();
    for message in messages {
        // A message's own choice is made in the same moment, and before it.
        while let Some(switch) = switches.next_if(|s| s.time <= created(message)) {
            all.extend(switched(session, switch));
        }
        all.extend(self::message(message));
    }
    all.extend(switches.flat_map(|switch| switched(session, switch)));
    all
}

/// When a message was made, in milliseconds since the Unix epoch.
pub fn created(message: &MessageWithParts) -> u64 {
    match &message.info {
        Message::User(user) => user.time.created,
        Message::Assistant(answer) => answer.time.created,
    }
}

/// One message; none for what is only a notice of the server.
pub fn message(message: &MessageWithParts) -> Option<SessionMessage> {
    match &message.info {
        Message::User(info) => user(info, &message.parts),
        // A summary that has failed is an answer that has failed; one that is being written is none yet.
        Message::Assistant(info) if info.summary == Some(true) && info.error.is_none() => {
            info.time.completed?;
            Some(SessionMessage::Compaction(compaction(info, &message.parts)))
        }
        Message::Assistant(info) => {
            Some(SessionMessage::Assistant(assistant(info, &message.parts)))
        }
    }
}

/// A change of the selection: up to two messages, whose ids are always the same.
pub fn switched(session: &SessionId, switch: &ModelSwitch) -> Vec<SessionMessage> {
    let time = CreatedTime {
        created: switch.time,
    };
    let mut messages = Vec::new();
    if let Some(model) = new_model(switch) {
        let id = switch_id(session, switch, "model");
        messages.push(SessionMessage::ModelSwitched(ModelSwitchedMessage {
            id,
            time,
            model,
        }));
    }
    if let Some(agent) = new_agent(switch) {
        let (id, agent) = (switch_id(session, switch, "agent"), agent.to_owned());
        messages.push(SessionMessage::AgentSwitched(AgentSwitchedMessage {
            id,
            time,
            agent,
        }));
    }
    messages
}

/// The revision that a session begins with: what it selects from its beginning was not changed.
const FIRST_REVISION: u64 = 1;

/// The model that a change has selected, when it was another one before.
pub fn new_model(switch: &ModelSwitch) -> Option<ModelRef> {
    if switch.revision == FIRST_REVISION {
        return None;
    }
    let current = switch.current.model_ref();
    let before = switch.previous.as_ref().map(|p| p.model_ref());
    (before.as_ref() != Some(&current)).then_some(current)
}

/// The agent that a change has selected, when it was another one before.
pub fn new_agent(switch: &ModelSwitch) -> Option<&str> {
    if switch.revision == FIRST_REVISION {
        return None;
    }
    let before = switch.previous.as_ref().map(|p| p.agent.as_str());
    let current = switch.current.agent.as_str();
    (before != Some(current)).then_some(current)
}

/// The id of a change. It is made of what names the change, so that it is the same whenever it is read.
pub fn switch_id(session: &SessionId, switch: &ModelSwitch, what: &str) -> MessageId {
    let session = session.as_str().rsplit('_').next().unwrap_or_default();
    let text = format!("msg_{:012x}{what}{}{session}", switch.time, switch.revision);
    // Digits, letters and the session's own characters, within the length of an id.
    MessageId::parse(&text).unwrap_or_else(|_| MessageId::new())
}

fn user(info: &UserMessage, parts: &[Part]) -> Option<SessionMessage> {
    let time = CreatedTime {
        created: info.time.created,
    };
    let prompt = prompt(parts);
    if prompt != V2Prompt::default() {
        let V2Prompt {
            text,
            files,
            agents,
        } = prompt;
        let id = info.id.clone();
        return Some(SessionMessage::User(V2UserMessage {
            id,
            time,
            text,
            files,
            agents,
        }));
    }
    let made_by_the_server = |part: &Part| match part {
        Part::Text(text) if text.synthetic == Some(true) && text.ignored != Some(true) => {
            Some(text.text.clone())
        }
        _ => None,
    };
    let text: Vec<_> = parts.iter().filter_map(made_by_the_server).collect();
    (!text.is_empty()).then(|| {
        SessionMessage::Synthetic(SyntheticMessage {
            id: info.id.clone(),
            time,
            session_id: info.session_id.clone(),
            text: text.join("\n"),
        })
    })
}

/// What the parts of a prompt say, without what the server has added to them.
pub fn prompt(parts: &[Part]) -> V2Prompt {
    let mut texts = Vec::new();
    let mut prompt = V2Prompt::default();
    for part in parts {
        match part {
            Part::Text(text) if text.synthetic != Some(true) && text.ignored != Some(true) => {
                texts.push(text.text.as_str());
            }
            Part::Subtask(task) => texts.push(&task.prompt),
            Part::File(file) => prompt.files.push(PromptFile {
                uri: file.url.clone(),
                mime: file.mime.clone(),
                name: file.filename.clone(),
                // The place in the text is one level deeper in a file's source.
                source: file
                    .source
                    .as_ref()
                    .and_then(|s| s.get("text")?.as_object())
                    .and_then(source),
            }),
            Part::Agent(agent) => prompt.agents.push(PromptAgent {
                name: agent.name.clone(),
                source: agent.source.as_ref().and_then(source),
            }),
            _ => {}
        }
    }
    prompt.text = texts.join("\n");
    prompt
}

fn source(place: &Map<String, Value>) -> Option<PromptSource> {
    Some(PromptSource {
        start: place.get("start")?.as_u64()?,
        end: place.get("end")?.as_u64()?,
        text: place.get("value")?.as_str()?.to_owned(),
    })
}

/// An answer's model.
pub fn model_of(info: &AssistantMessage) -> ModelRef {
    ModelRef {
        id: info.model_id.clone(),
        provider_id: info.provider_id.clone(),
        variant: info.variant.clone(),
    }
}

fn assistant(info: &AssistantMessage, parts: &[Part]) -> V2AssistantMessage {
    let ended = info.time.completed.is_some();
    V2AssistantMessage {
        id: info.id.clone(),
        time: SpanTime {
            created: info.time.created,
            completed: info.time.completed,
        },
        agent: info.agent.clone(),
        model: model_of(info),
        content: parts
            .iter()
            .filter_map(|part| content(part, info))
            .collect(),
        snapshot: snapshot(parts),
        finish: info.finish.clone(),
        cost: ended.then_some(info.cost),
        tokens: ended.then(|| info.tokens.into()),
        error: info.error.as_ref().map(|e| V2Error::new(e.message())),
    }
}

fn snapshot(parts: &[Part]) -> Option<V2Snapshot> {
    let mut patches = parts.iter().filter_map(|part| match part {
        Part::Patch(patch) => Some(patch),
        _ => None,
    });
    let first = patches.next()?;
    let mut files = first.files.clone();
    files.extend(patches.flat_map(|patch| patch.files.clone()));
    files.sort();
    files.dedup();
    Some(V2Snapshot {
        start: Some(first.hash.clone()),
        files,
    })
}

fn compaction(info: &AssistantMessage, parts: &[Part]) -> CompactionMessage {
    let texts = parts.iter().filter_map(|part| match part {
        Part::Text(text) => Some(text.text.as_str()),
        _ => None,
    });
    CompactionMessage {
        id: info.id.clone(),
        time: CreatedTime {
            created: info.time.created,
        },
        reason: "manual".to_owned(),
        summary: texts.collect::<Vec<_>>().join("\n"),
        recent: String::new(),
    }
}

fn content(part: &Part, info: &AssistantMessage) -> Option<Content> {
    match part {
        Part::Text(text) => Some(Content::Text(TextContent {
            id: text.id.to_string(),
            text: text.text.clone(),
        })),
        Part::Reasoning(reasoning) => Some(Content::Reasoning(reasoned(reasoning))),
        Part::Tool(call) => Some(Content::Tool(Box::new(tool(call, info)))),
        _ => None,
    }
}

fn reasoned(part: &ReasoningPart) -> ReasoningContent {
    ReasoningContent {
        id: part.id.to_string(),
        text: part.text.clone(),
        time: SpanTime {
            created: part.time.start,
            completed: part.time.end,
        },
    }
}

fn tool(call: &ToolPart, info: &AssistantMessage) -> ToolContent {
    let time = tool_time(&call.state);
    ToolContent {
        id: call.call_id.clone(),
        name: call.tool.clone(),
        provider: ToolProvider { executed: false },
        state: tool_state(&call.state),
        time: ToolTime {
            // An announced call does not say when; the answer that it belongs to does.
            created: time.map_or(info.time.created, |t| t.start),
            ran: time.map(|t| t.start),
            completed: time.and_then(|t| t.end),
        },
    }
}

/// When a call ran.
pub fn tool_time(state: &ToolState) -> Option<PartTime> {
    match state {
        ToolState::Pending { .. } => None,
        ToolState::Running { time, .. }
        | ToolState::Completed { time, .. }
        | ToolState::Error { time, .. } => Some(*time),
    }
}

/// A call's state as OpenCode 2 has it.
pub fn tool_state(state: &ToolState) -> V2ToolState {
    match state.clone() {
        ToolState::Pending { input, raw } => V2ToolState::Pending {
            input: if raw.is_empty() {
                Value::from(input).to_string()
            } else {
                raw
            },
        },
        ToolState::Running {
            input, metadata, ..
        } => {
            let structured = metadata.unwrap_or_default();
            // The output of a running command is in its metadata.
            let output = structured.get("output").and_then(Value::as_str);
            let content = output.filter(|o| !o.is_empty()).map(ToolOutput::text);
            let content = content.into_iter().collect();
            V2ToolState::Running {
                input,
                structured,
                content,
            }
        }
        ToolState::Completed {
            input,
            output,
            metadata,
            attachments,
            ..
        } => {
            let files = attachments
                .iter()
                .map(|attachment| ToolOutput::file(attachment.file()));
            V2ToolState::Completed {
                input,
                structured: metadata,
                content: std::iter::once(ToolOutput::text(output))
                    .chain(files)
                    .collect(),
            }
        }
        ToolState::Error {
            input,
            error,
            metadata,
            ..
        } => V2ToolState::Error {
            input,
            structured: metadata.unwrap_or_default(),
            content: Vec::new(),
            error: V2Error::new(error),
        },
    }
}

#[cfg(test)]
mod tests;
