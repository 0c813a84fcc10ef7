//! `GET /session/{sessionID}/handoff`: Baton's own route.

use crate::http::handler::*;
use crate::http::selection;
use crate::opencode::handoff::{HandoffMode, HandoffPreview, HandoffWish};
use crate::registry::VariantWish;

/// The modes, by their words.
const MODES: &[(&str, HandoffMode)] = &[
    ("transcript", HandoffMode::Transcript),
    ("summary", HandoffMode::Summary),
    ("none", HandoffMode::None),
    ("auto", HandoffMode::Auto),
];

/// Preview a handover
///
/// What a model would be given of the conversation with the next prompt: the very text, its size, what would be left out,
/// and, where a summary would be written first, what that takes. Nothing is selected, written or asked. An agent that has
/// its own session still is given nothing, or what it has missed.
#[utoipa::path(
    get,
    path = "/session/{sessionID}/handoff",
    operation_id = "session.handoff",
    tag = "session",
    params(
        SessionPath,
        ("providerID" = Option<String>, Query, description = "The backend; the session's if left out. `modelID` has to come with it."),
        ("modelID" = Option<String>, Query, description = "The model."),
        ("handoff" = Option<HandoffMode>, Query, description = "How the conversation gets there; left out, as the session's next prompt would."),
        ("note" = Option<String>, Query, description = "What the model would be told beside it."),
    ),
    responses(
        (status = 200, description = "What would be handed over.", body = HandoffPreview),
        Unselectable, NotThere,
    )
)]
pub async fn handoff(
    State(state): State<Shared>,
    path: SessionPath,
    params: Params,
) -> Result<Json<HandoffPreview>, Problem> {
    let text = |name: &str| params.text(name).map(str::to_owned);
    let halves = (text("providerID"), text("modelID"));
    let wish = selection::of_session(halves, None, VariantWish::Keep, None)?;
    let handoff = HandoffWish {
        mode: params.word("handoff", MODES)?,
        note: text("note"),
    };
    let preview = state
        .sessions
        .preview_handoff(&path.session, &wish, handoff)
        .await?;
    Ok(Json(preview))
}
