//! `POST /tui/publish`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::append_prompt::{self, AppendPrompt};
use super::execute_command::is_name;
use super::select_session::{self, SelectSession};
use super::show_toast::{self, ShowToast};
use super::tell;
use crate::http::error::Problem;
use crate::http::extract::{Body, Directory};
use crate::http::fields::Fields;
use crate::http::responses::{Invalid, NotJson, TooLarge};
use crate::http::state::Shared;
use crate::json;
use crate::opencode::event::{EventPayload, TuiCommandExecute};

#[derive(Clone, Copy)]
enum Kind {
    PromptAppend,
    CommandExecute,
    ToastShow,
    SessionSelect,
}

const TYPES: &[(&str, Kind)] = &[
    ("tui.prompt.append", Kind::PromptAppend),
    ("tui.command.execute", Kind::CommandExecute),
    ("tui.toast.show", Kind::ToastShow),
    ("tui.session.select", Kind::SessionSelect),
];

/// An event for the terminal UIs.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "type", content = "properties")]
#[schema(as = TuiPublishInput)]
pub enum TuiPublish {
    /// Appends to the prompt.
    #[serde(rename = "tui.prompt.append")]
    PromptAppend(AppendPrompt),
    /// Executes a command.
    #[serde(rename = "tui.command.execute")]
    CommandExecute(CommandByName),
    /// Shows a notification.
    #[serde(rename = "tui.toast.show")]
    ToastShow(ShowToast),
    /// Shows a session.
    #[serde(rename = "tui.session.select")]
    SessionSelect(SelectSession),
}

/// A command of the terminal UI, by the terminal UI's own name.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = TuiCommandInput)]
pub struct CommandByName {
    /// The name.
    #[schema(example = "session.new")]
    pub command: String,
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
    let request = json::tree(&event);
    Ok(tell(&state, directory, "/tui/publish", request, event))
}

fn parse(fields: &Fields<'_>) -> Result<EventPayload, Problem> {
    let kind = fields.required_word("type", TYPES)?;
    let properties = |known: &[&str]| {
        let properties = fields.object("properties", known)?;
        properties.ok_or_else(|| fields.missing("properties"))
    };
    Ok(match kind {
        Kind::PromptAppend => {
            EventPayload::TuiPromptAppend(append_prompt::parse(&properties(&["text"])?)?)
        }
        Kind::CommandExecute => {
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
        Kind::ToastShow => {
            EventPayload::TuiToastShow(show_toast::parse(&properties(show_toast::FIELDS)?)?)
        }
        Kind::SessionSelect => {
            EventPayload::TuiSessionSelect(select_session::parse(&properties(&["sessionID"])?)?)
        }
    })
}
