//! The OpenAPI document: what utoipa makes of the routes, in the form that generators of clients deal
//! with best.

mod closed;
mod errors;
mod examples;
mod forms;
mod limits;
mod marks;
mod names;
mod older;
mod second;
mod shared;
mod tidy;

pub use forms::{Form, Version};
use serde_json::Value;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::docs::OpenApiDocument;
use super::error::body::ErrorBody;
use super::error::tagged;
use super::router::description;
use super::session::list::Scope;
use super::v2::cursor::Order;
use super::vcs::Mode;
use crate::opencode::file::FileKind;
use crate::opencode::v2::shape::V2Said;
use crate::session::AtAbort;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Baton",
        description = "Hands a live coding session from one model to another, over the OpenCode HTTP API and the Agent \
                       Client Protocol. `PATCH /opencode/session/{sessionID}` changes the model, the provider, the agent \
                       or the reasoning effort of a session and keeps its conversation. What is described under \
                       `/opencode` answers at the root as well, `/session` like `/opencode/session`, for clients that \
                       take no path in a server's address.",
    ),
    tags(
        (name = "session", description = "Sessions, and what they select."),
        (name = "message", description = "Prompts and answers."),
        (name = "event", description = "Event streams."),
        (name = "command", description = "Slash commands."),
        (name = "permission", description = "What agents want to be allowed."),
        (name = "question", description = "What agents ask."),
        (name = "provider", description = "The backends with their models."),
        (name = "agent", description = "What can be selected as `agent`."),
        (name = "config", description = "What OpenCode's clients ask before they start."),
        (name = "project", description = "Directories and paths."),
        (name = "file", description = "Files of the working directory."),
        (name = "find", description = "Searches in the working directory."),
        (name = "vcs", description = "What git says about the working directory."),
        (name = "global", description = "The server itself."),
        (name = "node", description = "Servers that share the sessions in one PostgreSQL."),
        (name = "tui", description = "Drives attached terminal UIs."),
        (name = "experimental", description = "What OpenCode's clients ask about features that Baton does not have."),
    ),
    // Schemas that only parameters, derived responses or nothing refers to are not collected from the routes.
    components(schemas(AtAbort, ErrorBody, OpenApiDocument, tagged::Tag, tagged::Fields, Order, FileKind, Mode, Scope, V2Said)),
    modifiers(&Passwords),
    // Without a password set, none is asked for. Generators take the first one.
    security(("basic" = []), ("bearer" = []), ()),
)]
struct Base;

struct Passwords;

impl Modify for Passwords {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let http = |scheme, text: &str| {
            let mut http = Http::new(scheme);
            http.description = Some(text.to_owned());
            SecurityScheme::Http(http)
        };
        let basic = http(
            HttpAuthScheme::Basic,
            "The server's password, with any user name.",
        );
        let bearer = http(HttpAuthScheme::Bearer, "The server's password.");
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("basic", basic);
        components.add_security_scheme("bearer", bearer);
    }
}

/// The document as the code makes it, indented, in the order of the routes. A server serves
/// [`COMMITTED`], which a test holds to this.
pub fn document() -> String {
    Form::default().document()
}

fn made() -> Value {
    let mut document = Base::openapi();
    document.merge(description());
    // A document that is not JSON could not be printed either; an empty one fails the drift test.
    let mut document = serde_json::to_value(&document).unwrap_or(Value::Null);
    tidy::tidy(&mut document);
    limits::apply(&mut document);
    closed::apply(&mut document);
    names::tell_words_apart(&mut document);
    marks::mark(&mut document);
    examples::show(&mut document);
    shared::share(&mut document);
    document
}

/// The document as committed. It ends with the line end that `baton openapi` prints.
pub const COMMITTED: &str = include_str!("../../openapi/openapi.json");
