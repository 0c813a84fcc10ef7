//! `POST /tui/show-toast`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::tell;
use crate::http::error::Problem;
use crate::http::extract::{Body, Directory};
use crate::http::responses::{Invalid, NotJson, TooLarge};
use crate::http::state::Shared;
use crate::json;
use crate::opencode::bounded;
use crate::opencode::event::{EventPayload, ToastVariant, TuiToastShow};

/// How long a notification stands when the request does not say, in milliseconds.
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
    /// How long it stands, in milliseconds; 5000 when it is left out. A fraction is dropped.
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
        Invalid, TooLarge, NotJson,
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
