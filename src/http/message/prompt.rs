//! `POST /session/{sessionID}/message` and `…/prompt_async`.

use std::fmt;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserializer;
use serde::de::{MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::http::bounds::too_large;
use crate::http::handler::*;
use crate::http::message::{EventsAhead, when_answered, with_parts};
use crate::http::read::refusal;
use crate::http::selection::{self, PromptModel};
use crate::opencode::event::Source;
use crate::opencode::handoff::{HandoffMode, HandoffWish};
use crate::opencode::message::OutputFormat;
use crate::opencode::prompt::PartInput;
use crate::opencode::session::{PermissionAction, PermissionRule};
use crate::opencode::{MessageId, MessageWithParts, bounded};
use crate::registry::VariantWish;
use crate::session::{Prompt, Sizes};

/// A prompt.
#[derive(Debug, Deserialize, ToSchema)]
pub struct PromptInput {
    /// The message's id, where the client brings one.
    #[serde(rename = "messageID")]
    pub message_id: Option<MessageId>,
    /// The model that shall answer this prompt and those that follow; left out, the session's.
    pub model: Option<PromptModel>,
    /// The same as `model.providerID`, for clients that send the two without an object around them.
    #[serde(rename = "providerID")]
    #[schema(format = "bound:name")]
    pub provider_id: Option<String>,
    /// The same as `model.modelID`.
    #[serde(rename = "modelID")]
    #[schema(format = "bound:name")]
    pub model_id: Option<String>,
    /// The reasoning effort; left out, the default of the named model, or the session's where none is named.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = "bound:name", example = "high")]
    pub variant: VariantWish,
    /// `build`, `plan`, a backend's id, or the id of a mode that the backend advertises; left out, the session's.
    #[schema(format = "bound:name", example = "build")]
    pub agent: Option<String>,
    /// Only store the prompt; it goes to the model with the next one.
    #[serde(rename = "noReply")]
    pub no_reply: Option<bool>,
    /// An instruction for this prompt alone.
    #[serde(default, deserialize_with = "bounded::text")]
    #[schema(format = "bound:text")]
    pub system: Option<String>,
    /// The form that the answer shall have; text when left out.
    #[serde(default, deserialize_with = "read_format")]
    pub format: Option<OutputFormat>,
    /// Tools that may be used (true) or not (false), by name; `*` means all. They become the session's permission
    /// rules, in place of those that it has. A backend that cannot keep them refuses the prompt.
    #[serde(default, deserialize_with = "bounded::rules")]
    #[schema(value_type = Option<BTreeMap<String, bool>>)]
    pub tools: Option<Switches>,
    /// How the conversation gets to the model of this prompt, where it has not seen all of it: see the same field of PATCH,
    /// which this precedes.
    pub handoff: Option<HandoffMode>,
    /// What the model is told beside it.
    #[serde(default, deserialize_with = "bounded::note")]
    #[schema(format = "bound:note")]
    pub note: Option<String>,
    /// Its parts.
    #[serde(deserialize_with = "bounded::parts")]
    #[schema(min_items = 1)]
    pub parts: Vec<PartInput>,
}

/// Send a message
///
/// Sends a prompt and answers with the complete answer of the model. A model, variant or agent in it
/// is selected as a PATCH would select it; when that is refused, nothing is stored. A session that is
/// busy queues the prompt. The turn goes on when the client disconnects. An answer that takes long is
/// preceded by white space, which keeps the connection alive.
#[utoipa::path(
    post,
    path = "/session/{sessionID}/message",
    operation_id = "session.prompt",
    tag = "message",
    params(SessionPath, Client),
    request_body(
        content = PromptInput,
        description = "The prompt.",
    ),
    responses(
        (status = 200, description = "The answer, which may carry an error; with `noReply`, the stored prompt.", body = MessageWithParts),
        Unselectable, Spent, NotThere, MessageExists, QueueFull, Full,
    )
)]
pub async fn prompt(
    State(state): State<Shared>,
    path: SessionPath,
    client: Client,
    ahead: EventsAhead,
    Body(input): Body<PromptInput>,
) -> Result<Response, Problem> {
    let prompt = input.into_prompt(&state.settings.sizes)?;
    let admitted = state
        .sessions
        .prompt(&path.session, prompt, client.by(Source::Message))
        .await?;
    let (message, answer) = (admitted.message, admitted.answer);
    let Some(answer) = answer else {
        return Ok(Json(&*message).into_response());
    };
    // The answer may take hours.
    drop(message);
    when_answered(&state, &path.session, ahead, answer, with_parts).await
}

impl PromptInput {
    /// The prompt.
    ///
    /// # Errors
    /// When it has no parts, when its files are too large together, or when half a model is named.
    pub(in crate::http) fn into_prompt(self, sizes: &Sizes) -> Result<Prompt, Problem> {
        if self.parts.is_empty() {
            return Err(refusal(&["parts"], "Expected at least one part, got none"));
        }
        check_files(&["parts"], &self.parts, sizes)?;
        let halves = (self.provider_id, self.model_id);
        let is_json = |format: &OutputFormat| *format != OutputFormat::Text {};
        Ok(Prompt {
            message_id: self.message_id,
            wish: selection::of_message(halves, self.model, self.variant, self.agent)?,
            parts: self.parts,
            no_reply: self.no_reply.unwrap_or(false),
            system: self.system,
            format: self.format.filter(is_json),
            tools: self.tools.map(rules_of).unwrap_or_default(),
            native_command: false,
            handoff: HandoffWish::of(self.handoff, self.note),
            ..Prompt::default()
        })
    }
}

/// How [`OutputFormat`] is read (see [`PartInput`]).
#[derive(Deserialize)]
#[serde(remote = "OutputFormat", rename = "tagged", rename_all = "snake_case")]
enum Format {
    Text {},
    JsonSchema {
        #[serde(deserialize_with = "bounded::data")]
        schema: Map<String, Value>,
        #[serde(rename = "retryCount", default, deserialize_with = "present")]
        retry_count: Option<u32>,
    },
}

/// A field that can be left out and is not null.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    field: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(field).map(Some)
}

fn read_format<'de, D: Deserializer<'de>>(field: D) -> Result<Option<OutputFormat>, D::Error> {
    #[derive(Deserialize)]
    struct Read(#[serde(with = "Format")] OutputFormat);
    Ok(Option::<Read>::deserialize(field)?.map(|read| read.0))
}

/// Switches by name, in the order of the client.
#[derive(Debug)]
pub struct Switches(Vec<(String, bool)>);

impl<'de> Deserialize<'de> for Switches {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Switches;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of booleans")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Switches, A::Error> {
                let mut switches = Vec::new();
                while let Some(switch) = map.next_entry()? {
                    switches.push(switch);
                }
                Ok(Switches(switches))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

/// What a prompt says about tools, as rules. Those that edit files are one permission, as in OpenCode's configuration, and
/// a no to one of them is a no to all.
fn rules_of(tools: Switches) -> Vec<PermissionRule> {
    let rule = |(tool, on): (String, bool)| PermissionRule {
        permission: match tool.as_str() {
            "write" | "patch" => "edit".to_owned(),
            _ => tool,
        },
        pattern: "*".to_owned(),
        action: match on {
            true => PermissionAction::Allow,
            false => PermissionAction::Deny,
        },
    };
    let mut rules: Vec<_> = tools.0.into_iter().map(rule).collect();
    let is_no =
        |rule: &PermissionRule| rule.permission == "edit" && rule.action == PermissionAction::Deny;
    if rules.iter().any(is_no) {
        rules.retain(|rule| rule.permission != "edit" || is_no(rule));
    }
    rules
}

/// Refuses parts whose files are too large together.
pub(in crate::http) fn check_files(
    at: &[&str],
    parts: &[PartInput],
    sizes: &Sizes,
) -> Result<(), Problem> {
    let bytes = |part: &PartInput| match part {
        PartInput::File(file) => file.url.len(),
        _ => 0,
    };
    let (all, most) = (parts.iter().map(bytes).sum(), sizes.attachment_bytes);
    if all > most {
        let counted = "bytes of files in all";
        let message = too_large(most, counted, all, "limits.attachment_bytes");
        return Err(refusal(at, message));
    }
    Ok(())
}

/// Send a message without waiting
///
/// The same as `session.prompt`, answered as soon as the prompt is stored. The answer comes as events; a prompt that is
/// refused is told as `session.error`, too.
#[utoipa::path(
    post,
    path = "/session/{sessionID}/prompt_async",
    operation_id = "session.queuePrompt",
    tag = "message",
    params(SessionPath, Client),
    request_body(
        content = PromptInput,
        description = "The prompt.",
    ),
    responses(
        (status = 204, description = "The prompt is stored."),
        Unselectable, Spent, NotThere, MessageExists, QueueFull, Full,
    )
)]
pub async fn prompt_async(
    State(state): State<Shared>,
    path: SessionPath,
    client: Client,
    Body(input): Body<PromptInput>,
) -> Result<StatusCode, Problem> {
    let prompt = input.into_prompt(&state.settings.sizes)?;
    let caller = client.by(Source::Message);
    let prompted = state.sessions.prompt(&path.session, prompt, caller).await;
    if let Err(error) = &prompted {
        // Its clients look at the stream, the only place where OpenCode reports it.
        state.sessions.tell_refused(&path.session, error).await;
    }
    prompted?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::read::body as body_of;

    fn read(body: &Value) -> Result<Prompt, String> {
        let sizes = Sizes::default();
        let input: Result<PromptInput, _> = body_of(Some(body), &sizes);
        let prompt = input.and_then(|input| input.into_prompt(&sizes));
        prompt.map_err(|e| e.message())
    }

    #[test]
    fn a_prompt_as_opencodes_terminal_ui_sends_it() {
        let body = json!({
            "messageID": "msg_202251794001T5xuqPOlqRuPz6", "agent": "build", "variant": "high",
            "model": {"providerID": "mock", "modelID": "mock-strong"}, "tools": {"bash": true},
            "parts": [
                {"id": "prt_202251794001T5xuqPOlqRuPz6", "type": "text", "text": "hello"},
                {"type": "file", "mime": "image/png", "url": "data:image/png;base64,AAAA",
                    "source": {"type": "file"}},
                {"type": "agent", "name": "plan"},
            ],
        });
        let prompt = read(&body).expect("fine");
        assert_eq!(prompt.wish.variant, VariantWish::Set("high".to_owned()));
        assert_eq!(prompt.parts.len(), 3);
        assert!(prompt.parts[0].id().is_some() && prompt.parts[1].id().is_none());
        assert!(!prompt.no_reply);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let text = json!([{"type": "text", "text": "x"}]);
        for (body, expected) in [
            (json!({}), "Missing key\n  at [\"parts\"]"),
            (
                json!({"parts": []}),
                "Expected at least one part, got none\n  at [\"parts\"]",
            ),
            (
                json!({"parts": ["x"]}),
                "Expected object, got \"x\"\n  at [\"parts\"][0]",
            ),
            (
                json!({"parts": [{"type": "text"}]}),
                "Missing key\n  at [\"parts\"][0][\"text\"]",
            ),
            (
                json!({"parts": [{"type": "video"}]}),
                "Expected \"text\" | \"file\" | \"agent\" | \"subtask\", got \"video\"\n  at [\"parts\"][0][\"type\"]",
            ),
            (
                json!({"parts": text, "model": "p/m"}),
                "Expected object, got \"p/m\"\n  at [\"model\"]",
            ),
            (
                json!({"parts": text, "model": {"providerID": "p", "id": "m"}}),
                "Missing key\n  at [\"model\"][\"modelID\"]",
            ),
            (
                json!({"parts": text, "noreply": true}),
                "Unknown field \"noreply\". Did you mean \"noReply\"?\n  at [\"noreply\"]",
            ),
        ] {
            assert_eq!(read(&body).expect_err("refused"), expected);
        }
        let refused = read(&json!({"parts": text, "messageID": "prt_1"})).expect_err("refused");
        assert!(refused.contains("starts with \"msg\"") && refused.ends_with("[\"messageID\"]"));
    }
}
