//! `POST /tui/publish`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::execute_command::is_name;
use super::{append_prompt, select_session, show_toast, tell};
use crate::http::error::Problem;
use crate::http::extract::{Body, Directory};
use crate::http::fields::Fields;
use crate::http::responses::{Invalid, NotJson, TooLarge};
use crate::http::state::Shared;
use crate::opencode::event::{EventPayload, TuiCommandExecute};

/// The events that can be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
pub enum TuiEventType {
    /// Appends to the prompt.
    #[serde(rename = "tui.prompt.append")]
    PromptAppend,
    /// Executes a command.
    #[serde(rename = "tui.command.execute")]
    CommandExecute,
    /// Shows a notification.
    #[serde(rename = "tui.toast.show")]
    ToastShow,
    /// Shows a session.
    #[serde(rename = "tui.session.select")]
    SessionSelect,
}

const TYPES: &[(&str, TuiEventType)] = &[
    ("tui.prompt.append", TuiEventType::PromptAppend),
    ("tui.command.execute", TuiEventType::CommandExecute),
    ("tui.toast.show", TuiEventType::ToastShow),
    ("tui.session.select", TuiEventType::SessionSelect),
];

/// An event for the terminal UIs.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = TuiPublishInput)]
pub struct TuiPublish {
    /// Which.
    pub r#type: TuiEventType,
    /// What it carries, as the event of that type on the streams does.
    #[schema(value_type = Object)]
    pub properties: Map<String, Value>,
}

/// Publish an event for terminal UIs
///
/// Publishes one of the `tui.*` events as it is; other events cannot be published. A session to be shown need not exist.
#[utoipa::path(
    post,
    path = "/tui/publish",
    operation_id = "tui.publish",
    tag = "tui",
    params(Directory),
    request_body(content = TuiPublish, description = "The event."),
    responses(
        (status = 200, description = "`true`: the event was published.", body = bool),
        Invalid, TooLarge, NotJson,
    )
)]
pub async fn publish(
    State(state): State<Shared>,
    Directory(directory): Directory,
    body: Body,
) -> Result<Json<bool>, Problem> {
    let fields = body.fields(&["type", "properties"])?;
    let event = parse(&fields)?;
    let request = serde_json::to_value(&event).unwrap_or_default();
    Ok(tell(&state, directory, "/tui/publish", request, event))
}

fn parse(fields: &Fields<'_>) -> Result<EventPayload, Problem> {
    let kind = fields.required_word("type", TYPES)?;
    let properties = |known: &[&str]| {
        let properties = fields.object("properties", known)?;
        properties.ok_or_else(|| fields.missing("properties"))
    };
    Ok(match kind {
        TuiEventType::PromptAppend => {
            EventPayload::TuiPromptAppend(append_prompt::parse(&properties(&["text"])?)?)
        }
        TuiEventType::CommandExecute => {
            let properties = properties(&["command"])?;
            let command = properties.required_string("command")?;
            if !is_name(command) {
                return Err(properties.refuse(
                    "command",
                    "Expected the name of a command, such as \"session.new\"",
                ));
            }
            let command = command.to_owned();
            EventPayload::TuiCommandExecute(TuiCommandExecute { command })
        }
        TuiEventType::ToastShow => {
            EventPayload::TuiToastShow(show_toast::parse(&properties(show_toast::FIELDS)?)?)
        }
        TuiEventType::SessionSelect => {
            EventPayload::TuiSessionSelect(select_session::parse(&properties(&["sessionID"])?)?)
        }
    })
}
