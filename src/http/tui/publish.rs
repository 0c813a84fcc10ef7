//! `POST /tui/publish`, and `POST /tui/show-toast`, one of whose events has a body of its own.

use crate::http::handler::*;
use crate::http::read::refusal;
use crate::http::tui::commands::{AppendPrompt, SelectSession};
use crate::http::tui::execute_command::is_name;
use crate::http::tui::tell;
use crate::json;
use crate::opencode::bounded;
use crate::opencode::event::{
    EventPayload, ToastVariant, TuiCommandExecute, TuiPromptAppend, TuiSessionSelect, TuiToastShow,
};

/// How long a notification is shown when the request does not say, in milliseconds.
const DURATION_MS: u64 = 5_000;

/// A notification.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ShowToastInput)]
pub struct ShowToast {
    /// Its title.
    #[serde(default, deserialize_with = "bounded::title")]
    #[schema(format = "bound:title")]
    pub title: Option<String>,
    /// What it says; at most 1 MiB.
    #[serde(deserialize_with = "bounded::tui_text")]
    #[schema(format = "bound:tui-text")]
    pub message: String,
    /// How it looks.
    pub variant: ToastVariant,
    /// How long it is shown, in milliseconds; 5000 when it is left out. A fraction is dropped.
    #[serde(default, deserialize_with = "bounded::from_1")]
    #[schema(value_type = Option<f64>, format = "number:from-1")]
    pub duration: Option<u64>,
}

/// Show a notification
///
/// Shows a notification in the terminal UIs of the directory, with the event `tui.toast.show`.
#[utoipa::path(
    post,
    path = "/tui/show-toast",
    operation_id = "tui.showToast",
    tag = "tui",
    params(Directory),
    request_body(content = ShowToast, description = "The notification."),
    responses(
        (status = 200, description = "`true`: the event was published.", body = bool),
        Invalid,
    )
)]
pub async fn show_toast(
    State(state): State<Shared>,
    Directory(directory): Directory,
    Body(input): Body<ShowToast>,
) -> Result<Json<bool>, Problem> {
    let toast = input.into_event();
    let request = json::tree(&toast);
    let event = EventPayload::TuiToastShow(toast);
    Ok(tell(&state, directory, "/tui/show-toast", request, event))
}

impl ShowToast {
    /// The notification as an event has it.
    pub(super) fn into_event(self) -> TuiToastShow {
        TuiToastShow {
            title: self.title,
            message: self.message,
            variant: self.variant,
            duration: Some(self.duration.unwrap_or(DURATION_MS)),
        }
    }
}

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
        Invalid,
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
