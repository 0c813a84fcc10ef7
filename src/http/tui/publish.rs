//! `POST /tui/publish`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::append_prompt::AppendPrompt;
use super::execute_command::is_name;
use super::select_session::SelectSession;
use super::show_toast::ShowToast;
use super::tell;
use crate::http::error::Problem;
use crate::http::extract::{Body, Directory};
use crate::http::read::refusal;
use crate::http::responses::{Invalid, NotJson, TooLarge};
use crate::http::state::Shared;
use crate::json;
use crate::opencode::event::{EventPayload, TuiCommandExecute, TuiPromptAppend, TuiSessionSelect};

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
    Body(input): Body<TuiPublish>,
) -> Result<Json<bool>, Problem> {
    let event = input.into_event()?;
    let request = json::tree(&event);
    Ok(tell(&state, directory, "/tui/publish", request, event))
}

impl TuiPublish {
    fn into_event(self) -> Result<EventPayload, Problem> {
        Ok(match self {
            Self::PromptAppend(AppendPrompt { text }) => {
                EventPayload::TuiPromptAppend(TuiPromptAppend { text })
            }
            Self::CommandExecute(CommandByName { command }) if is_name(&command) => {
                EventPayload::TuiCommandExecute(TuiCommandExecute { command })
            }
            Self::CommandExecute(_) => {
                let message = "Expected the name of a command, such as \"session.new\"";
                return Err(refusal(&["properties", "command"], message));
            }
            Self::ToastShow(toast) => EventPayload::TuiToastShow(toast.into_event()),
            Self::SessionSelect(SelectSession { session_id }) => {
                EventPayload::TuiSessionSelect(TuiSessionSelect { session_id })
            }
        })
    }
}
