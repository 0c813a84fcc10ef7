//! Commands for a directory's terminal UIs that are a single event.

use serde_json::{Value, json};

use crate::http::handler::*;
use crate::http::tui::tell;
use crate::opencode::event::{EventPayload, TuiCommandExecute, TuiPromptAppend, TuiSessionSelect};
use crate::opencode::{SessionId, bounded};

/// A text for the prompt of a terminal UI.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = AppendPromptInput)]
pub struct AppendPrompt {
    /// The text; at most 1 MiB.
    #[serde(deserialize_with = "bounded::tui_text")]
    #[schema(format = "bound:tui-text")]
    pub text: String,
}

/// Append to the prompt
///
/// Appends a text to the prompt of the terminal UIs of the directory, with the event `tui.prompt.append`.
#[utoipa::path(
    post,
    path = "/tui/append-prompt",
    operation_id = "tui.appendPrompt",
    tag = "tui",
    params(Directory),
    request_body(content = AppendPrompt, description = "The text."),
    responses(
        (status = 200, description = "`true`: the event was published.", body = bool),
        Invalid,
    )
)]
pub async fn append_prompt(
    State(state): State<Shared>,
    Directory(directory): Directory,
    Body(input): Body<AppendPrompt>,
) -> Result<Json<bool>, Problem> {
    let append = TuiPromptAppend { text: input.text };
    let request = json!({ "text": append.text });
    let event = EventPayload::TuiPromptAppend(append);
    Ok(tell(
        &state,
        directory,
        "/tui/append-prompt",
        request,
        event,
    ))
}

/// The session to show.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = SelectSessionInput)]
pub struct SelectSession {
    /// The session.
    #[serde(rename = "sessionID")]
    pub session_id: SessionId,
}

/// Show a session
///
/// Shows a session in the terminal UIs of the directory, with the event `tui.session.select`.
#[utoipa::path(
    post,
    path = "/tui/select-session",
    operation_id = "tui.selectSession",
    tag = "tui",
    params(Directory),
    request_body(content = SelectSession, description = "The session."),
    responses(
        (status = 200, description = "`true`: the event was published.", body = bool),
        Invalid, NotThere,
    )
)]
pub async fn select_session(
    State(state): State<Shared>,
    Directory(directory): Directory,
    Body(select): Body<SelectSession>,
) -> Result<Json<bool>, Problem> {
    state.sessions.info(&select.session_id).await?;
    let request = json!({ "sessionID": select.session_id });
    let event = EventPayload::TuiSessionSelect(TuiSessionSelect {
        session_id: select.session_id,
    });
    Ok(tell(
        &state,
        directory,
        "/tui/select-session",
        request,
        event,
    ))
}

macro_rules! commands {
    ($($(#[doc = $doc:tt])+ $name:ident = $path:tt, $id:tt, $command:tt;)+) => {$(
        $(#[doc = $doc])+
        #[utoipa::path(
            post,
            path = $path,
            operation_id = $id,
            tag = "tui",
            params(Directory),
            responses(
                (status = 200, description = "`true`: the event was published.", body = bool),
                Invalid,
            )
        )]
        pub async fn $name(
            State(state): State<Shared>,
            Directory(directory): Directory,
        ) -> Json<bool> {
            let command = $command.to_owned();
            let event = EventPayload::TuiCommandExecute(TuiCommandExecute { command });
            tell(&state, directory, $path, Value::Null, event)
        }
    )+};
}

commands! {
    /// Clear the prompt
    ///
    /// Clears the prompt in the terminal UIs of the directory, with the event `tui.command.execute`.
    clear_prompt = "/tui/clear-prompt", "tui.clearPrompt", "prompt.clear";

    /// Open the help dialog
    ///
    /// Opens the help dialog in the terminal UIs of the directory, with the event `tui.command.execute`.
    open_help = "/tui/open-help", "tui.openHelp", "help.show";

    /// Open the model dialog
    ///
    /// Opens the model picker in the terminal UIs of the directory, with the event `tui.command.execute`.
    open_models = "/tui/open-models", "tui.openModels", "model.list";

    /// Open the session dialog
    ///
    /// Opens the list of sessions in the terminal UIs of the directory, with the event `tui.command.execute`.
    open_sessions = "/tui/open-sessions", "tui.openSessions", "session.list";

    /// Open the theme dialog
    ///
    /// Opens the theme dialog in the terminal UIs of the directory, with the event `tui.command.execute`.
    open_themes = "/tui/open-themes", "tui.openThemes", "session.list";

    /// Submit the prompt
    ///
    /// Submits the text in the prompt of the terminal UIs of the directory, with the event `tui.command.execute`.
    submit_prompt = "/tui/submit-prompt", "tui.submitPrompt", "prompt.submit";
}
