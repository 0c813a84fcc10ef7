//! `GET /api/session`.

use crate::http::handler::*;
use crate::http::v2::cursor::{self, Order, Page};
use crate::opencode::SessionId;
use crate::opencode::v2::answer::V2Sessions;
use crate::opencode::v2::info::V2Session;
use crate::session::{self, ListFilter};

/// List sessions
///
/// The sessions of all directories, most recently created first, in pages.
#[utoipa::path(
    get,
    path = "/api/session",
    operation_id = "api.session.list",
    tag = "session",
    params(
        ("directory" = Option<String>, Query, description = "Only sessions of this directory."),
        ("project" = Option<String>, Query, description = "Only sessions of this project."),
        ("search" = Option<String>, Query, description = "Only sessions with this text in their title, whatever its case."),
        ("limit" = Option<u64>, Query, format = "range:page", description = "At most this many sessions, up to 10,000; 50 when it is left out."),
        ("order" = Option<Order>, Query, description = "`desc`, the newest first, when it is left out."),
        ("cursor" = Option<String>, Query, description = "A cursor of the answer before."),
    ),
    responses(
        (status = 200, description = "A page of sessions.", body = V2Sessions),
        TaggedInvalid,
    )
)]
pub async fn list(
    State(state): State<Shared>,
    params: Params,
) -> Result<Json<V2Sessions>, Problem> {
    let page = Page::of(&params)?;
    let filter = ListFilter {
        project_id: params.text("project").map(str::to_owned),
        directory: params.text("directory").map(str::to_owned),
        search: params.text("search").map(str::to_owned),
        limit: Some(page.limit()),
        ..ListFilter::default()
    };
    let (after, backwards) = page.starts_behind(SessionId::parse)?;
    let order = session::Page {
        oldest_first: page.is_oldest_first() != backwards,
        after,
    };
    let found = state.sessions.page(filter, order).await?;
    let (mut sessions, more) = found.ok_or_else(cursor::gone)?;
    if backwards {
        sessions.reverse();
    }
    let cursor = page.cursors(&sessions, more, |session| session.id.to_string());
    let data = sessions.into_iter().map(V2Session::from).collect();
    Ok(Json(V2Sessions { data, cursor }))
}
