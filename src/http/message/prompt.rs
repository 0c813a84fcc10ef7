//! `POST /session/{sessionID}/message`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{EventsAhead, when_answered, with_parts};
use crate::http::bounds::{Bound, too_large};
use crate::http::error::Problem;
use crate::http::extract::{Body, Client, SessionPath};
use crate::http::fields::{Element, Fields};
use crate::http::responses::{
    MessageExists, NotJson, NotThere, QueueFull, Stopping, TooLarge, Unselectable,
};
use crate::http::selection;
use crate::http::state::Shared;
use crate::opencode::event::Source;
use crate::opencode::message::OutputFormat;
use crate::opencode::prompt::{
    AgentPartInput, FilePartInput, PartInput, SubtaskPartInput, TextPartInput,
};
use crate::opencode::session::{PermissionAction, PermissionRule};
use crate::opencode::{MessageId, MessageWithParts, PartId};
use crate::session::Prompt;

/// The fields of a prompt that Baton knows.
pub(in crate::http) const FIELDS: &[&str] = &[
    "messageID",
    "model",
    "providerID",
    "modelID",
    "variant",
    "agent",
    "noReply",
    "system",
    "parts",
    "tools",
    "format",
];

/// The model of a prompt.
#[derive(Debug, Deserialize, ToSchema)]
pub struct PromptModel {
    /// The backend's id.
    #[serde(rename = "providerID")]
    #[schema(format = "bound:name", example = "claude")]
    pub provider_id: String,
    /// The model's id, verbatim as the backend advertises it.
    #[serde(rename = "modelID")]
    #[schema(format = "bound:name", example = "opus")]
    pub model_id: String,
}

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
    #[schema(format = "bound:name", example = "high")]
    pub variant: Option<String>,
    /// `build`, `plan`, a backend's id, or the id of a mode that the backend advertises; left out, the session's.
    #[schema(format = "bound:name", example = "build")]
    pub agent: Option<String>,
    /// Only store the prompt; it goes to the model with the next one.
    #[serde(rename = "noReply")]
    pub no_reply: Option<bool>,
    /// An instruction for this prompt alone.
    #[schema(format = "bound:text")]
    pub system: Option<String>,
    /// The form that the answer shall have; text when left out.
    pub format: Option<OutputFormat>,
    /// Tools that may be used (true) or not (false), by name; `*` stands for all. They become the session's permission
    /// rules, in place of those that it has. A backend that cannot keep them refuses the prompt.
    pub tools: Option<BTreeMap<String, bool>>,
    /// Its parts.
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
        Unselectable, NotThere, MessageExists, TooLarge, NotJson, QueueFull, Stopping,
    )
)]
pub async fn prompt(
    State(state): State<Shared>,
    path: SessionPath,
    client: Client,
    ahead: EventsAhead,
    body: Body,
) -> Result<Response, Problem> {
    let prompt = body.parse(FIELDS, parse)?;
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

/// Reads a prompt.
pub(in crate::http) fn parse(body: &Fields<'_>) -> Result<Prompt, Problem> {
    let parts = parts_of(body)?.ok_or_else(|| body.missing("parts"))?;
    if parts.is_empty() {
        return Err(body.refuse("parts", "Expected at least one part, got none"));
    }
    let parts = parts.into_iter().map(part).collect::<Result<_, _>>()?;
    Ok(Prompt {
        message_id: body.id("messageID", MessageId::parse)?,
        wish: selection::of_message(body)?,
        parts: check_files(body, parts)?,
        no_reply: body.boolean("noReply")?.unwrap_or(false),
        system: body.text("system", Bound::Text)?.map(str::to_owned),
        format: format_of(body)?,
        tools: tools_of(body)?,
        native_command: false,
    })
}

/// The form that the answer shall have.
fn format_of(body: &Fields<'_>) -> Result<Option<OutputFormat>, Problem> {
    let Some(format) = body.object("format", &["type", "schema", "retryCount"])? else {
        return Ok(None);
    };
    match format.word("type", &[("text", false), ("json_schema", true)])? {
        None => Err(format.missing("type")),
        Some(false) => Ok(None),
        Some(true) => {
            let schema = format.data("schema")?;
            let schema = schema.ok_or_else(|| format.missing("schema"))?;
            let retry_count = format.unsigned("retryCount")?;
            Ok(Some(OutputFormat::JsonSchema {
                schema,
                retry_count: retry_count.map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
            }))
        }
    }
}

/// What a prompt says about tools, as rules. Those that edit files are one permission, as in OpenCode's configuration, and
/// a no to one of them is a no to all.
fn tools_of(body: &Fields<'_>) -> Result<Vec<PermissionRule>, Problem> {
    let most = body.sizes().permission_rules;
    let tools = body.switches("tools", most, "limits.permission_rules")?;
    let rule = |(tool, on): (&str, bool)| PermissionRule {
        permission: match tool {
            "write" | "patch" => "edit".to_owned(),
            name => name.to_owned(),
        },
        pattern: "*".to_owned(),
        action: match on {
            true => PermissionAction::Allow,
            false => PermissionAction::Deny,
        },
    };
    let mut rules: Vec<_> = tools.into_iter().map(rule).collect();
    let is_no =
        |rule: &PermissionRule| rule.permission == "edit" && rule.action == PermissionAction::Deny;
    if rules.iter().any(is_no) {
        rules.retain(|rule| rule.permission != "edit" || is_no(rule));
    }
    Ok(rules)
}

/// The parts of a prompt, where there are any.
pub(in crate::http) fn parts_of<'a>(
    body: &Fields<'a>,
) -> Result<Option<Vec<Element<'a>>>, Problem> {
    let most = body.sizes().prompt_parts;
    body.list_within("parts", most, Some("limits.prompt_parts"))
}

/// Refuses parts whose files are too large together.
pub(in crate::http) fn check_files(
    body: &Fields<'_>,
    parts: Vec<PartInput>,
) -> Result<Vec<PartInput>, Problem> {
    let bytes = |part: &PartInput| match part {
        PartInput::File(file) => file.url.len(),
        _ => 0,
    };
    let (all, most) = (parts.iter().map(bytes).sum(), body.sizes().attachment_bytes);
    if all > most {
        let counted = "bytes of files in all";
        let message = too_large(most, counted, all, "limits.attachment_bytes");
        return Err(body.refuse("parts", &message));
    }
    Ok(parts)
}

#[derive(Clone, Copy)]
enum Kind {
    Text,
    File,
    Agent,
    Subtask,
}

const KINDS: &[(&str, Kind)] = &[
    ("text", Kind::Text),
    ("file", Kind::File),
    ("agent", Kind::Agent),
    ("subtask", Kind::Subtask),
];

/// The fields of any part.
pub(in crate::http) const PART_FIELDS: &[&str] = &[
    "id",
    "type",
    "text",
    "synthetic",
    "ignored",
    "metadata",
    "mime",
    "filename",
    "url",
    "source",
    "name",
    "prompt",
    "description",
    "agent",
];

fn part(element: Element<'_>) -> Result<PartInput, Problem> {
    let part = element.object(PART_FIELDS)?;
    let id = part.id("id", PartId::parse)?;
    let required = |name, bound| part.required_text(name, bound).map(str::to_owned);
    Ok(match part.required_word("type", KINDS)? {
        Kind::Text => PartInput::Text(TextPartInput {
            id,
            text: required("text", Bound::Text)?,
            synthetic: part.boolean("synthetic")?,
            ignored: part.boolean("ignored")?,
            metadata: part.data("metadata")?,
        }),
        Kind::File => file_part(&part)?,
        Kind::Agent => PartInput::Agent(AgentPartInput {
            id,
            name: required("name", Bound::Name)?,
            source: part.data("source")?,
        }),
        Kind::Subtask => PartInput::Subtask(SubtaskPartInput {
            id,
            prompt: required("prompt", Bound::Text)?,
            description: required("description", Bound::Title)?,
            agent: required("agent", Bound::Name)?,
        }),
    })
}

/// Reads a file of a prompt.
pub(in crate::http) fn file_part(part: &Fields<'_>) -> Result<PartInput, Problem> {
    Ok(PartInput::File(FilePartInput {
        id: part.id("id", PartId::parse)?,
        mime: part.required_string("mime")?.to_owned(),
        filename: part.text("filename", Bound::Path)?.map(str::to_owned),
        url: part.required_text("url", Bound::Attachment)?.to_owned(),
        source: part.data("source")?,
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::http::fields::any_json;
    use crate::registry::VariantWish;

    fn read(body: &Value) -> Result<Prompt, String> {
        let fields = Fields::of_body(Some(body), FIELDS).map_err(|e| e.message())?;
        parse(&fields).map_err(|e| e.message())
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

    proptest::proptest! {
        #[test]
        fn no_body_makes_it_panic(body in any_json()) {
            let _whatever = read(&body);
        }
    }
}
