//! `POST /tui/show-toast`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::append_prompt::bounded;
use super::tell;
use crate::http::bounds::Bound;
use crate::http::error::Problem;
use crate::http::extract::{Body, Directory};
use crate::http::fields::Fields;
use crate::http::responses::{Invalid, NotJson, TooLarge};
use crate::http::state::Shared;
use crate::json;
use crate::opencode::event::{EventPayload, ToastVariant, TuiToastShow};

/// How long a notification stands when the request does not say, in milliseconds.
const DURATION_MS: u64 = 5_000;
/// The fields of a notification.
pub(super) const FIELDS: &[&str] = &["title", "message", "variant", "duration"];

const VARIANTS: &[(&str, ToastVariant)] = &[
    ("info", ToastVariant::Info),
    ("success", ToastVariant::Success),
    ("warning", ToastVariant::Warning),
    ("error", ToastVariant::Error),
];

/// A notification.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ShowToastInput)]
pub struct ShowToast {
    /// Its title.
    #[schema(format = "bound:title")]
    pub title: Option<String>,
    /// What it says; at most 1 MiB.
    #[schema(format = "bound:tui-text")]
    pub message: String,
    /// How it looks.
    pub variant: ToastVariant,
    /// How long it stands, in milliseconds; 5000 when it is left out. A fraction is dropped.
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
    body: Body,
) -> Result<Json<bool>, Problem> {
    let toast = parse(&body.fields(FIELDS)?)?;
    let request = json::tree(&toast);
    let event = EventPayload::TuiToastShow(toast);
    Ok(tell(&state, directory, "/tui/show-toast", request, event))
}

/// Reads a notification.
pub(super) fn parse(fields: &Fields<'_>) -> Result<TuiToastShow, Problem> {
    let text = |name, text: &str| bounded(fields, name, text);
    let duration = fields.unsigned("duration")?;
    if duration == Some(0) {
        return Err(fields.refuse("duration", "Expected a value greater than 0, got 0"));
    }
    Ok(TuiToastShow {
        title: fields
            .text("title", Bound::Title)?
            .map(|t| text("title", t))
            .transpose()?,
        message: text("message", fields.required_text("message", Bound::Text)?)?,
        variant: fields.required_word("variant", VARIANTS)?,
        duration: Some(duration.unwrap_or(DURATION_MS)),
    })
}
