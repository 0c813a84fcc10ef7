//! The error responses of the OpenAPI document, in groups that operations name.
//!
//! A group is a status with the bodies that can come with it. The bodies are the variants of
//! [`ErrorBody`](super::error::ErrorBody), which the document has as schemas of their own.

use std::collections::BTreeMap;

use utoipa::IntoResponses;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::schema::{
    KnownFormat, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat, Type,
};
use utoipa::openapi::{ContentBuilder, Header, Ref, RefOr, Response, ResponseBuilder};

/// Under which name the document has a response, once, for all operations that can answer it. `openapi::shared` takes
/// the mark away.
pub const SHARED: &str = "x-shared";

/// A union gets the name of its group as its title, under which the document has it as a schema.
fn schema_of(group: &str, description: &str, bodies: &[&str]) -> RefOr<Schema> {
    if let [only] = bodies {
        return RefOr::Ref(Ref::from_schema_name(*only));
    }
    let union = OneOfBuilder::new()
        .title(Some(format!("{group}Error")))
        .description(Some(description));
    let union = bodies.iter().fold(union, |union, body| {
        union.item(Ref::from_schema_name(*body))
    });
    union.into()
}

/// What a header of an error has.
fn header_schema(name: &str) -> RefOr<Schema> {
    let schema = match name {
        "Retry-After" => ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .minimum(Some(0)),
        "ETag" => ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(ETAG_PATTERN)),
        _ => ObjectBuilder::new().schema_type(Type::String),
    };
    schema.into()
}

/// A revision as an `ETag`.
pub const ETAG_PATTERN: &str = "^\"[0-9]+\"$";

/// One error response.
fn response(group: &str, description: &str, bodies: &[&str], header: DocumentedHeader) -> Response {
    let content = ContentBuilder::new()
        .schema(Some(schema_of(group, description, bodies)))
        .build();
    let mut response = ResponseBuilder::new()
        .description(description)
        .content("application/json", content)
        .extensions(Some(ExtensionsBuilder::new().add(SHARED, group).build()))
        .build();
    if let Some((name, text)) = header {
        let mut documented = Header::new(header_schema(name));
        documented.description = Some(text.to_owned());
        response
            .headers
            .insert(name.to_owned(), RefOr::T(documented));
    }
    response
}

/// The body of every error of OpenCode 2's routes.
const TAGGED: &str = "TaggedError";

/// A header of a response, with its description.
type DocumentedHeader = Option<(&'static str, &'static str)>;

const RETRY_AFTER: DocumentedHeader = Some(("Retry-After", "Seconds after which to try again."));

/// `NAME = STATUS, DESCRIPTION, [BODIES], HEADER`, and `NAME | NAME` for a response that OpenCode 2's routes have as well.
macro_rules! responses {
    ($($name:ident $(| $tagged:ident)? = $status:literal, $description:literal, [$($body:expr),+], $header:expr;)+) => {
        $(
            responses!(@one $name, $status, $description, [$($body),+], $header);
            $(responses!(@one $tagged, $status, $description, [TAGGED], $header);)?
        )+
    };
    (@one $name:ident, $status:literal, $description:literal, [$($body:expr),+], $header:expr) => {
        #[doc = $description]
        #[derive(Debug)]
        pub struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                let response = response(stringify!($name), $description, &[$($body),+], $header);
                BTreeMap::from([($status.to_owned(), RefOr::T(response))])
            }
        }
    };
}

responses! {
    Invalid = "400", "The request cannot be understood; the message has the path of the field.", ["BadRequestError"], None;
    Unselectable | TaggedInvalid = "400", "The request cannot be understood, or the requested selection is not available. Nothing was changed.",
        ["BadRequestError", "ProviderModelNotFoundError", "ProviderNotConnectedError", "AgentNotFoundError"], None;
    Unpatchable = "400", "The request cannot be understood, or the patch does not fit. Nothing was changed.", ["BadRequestError", "VcsApplyError"], None;
    UnknownCommand = "400", "The request cannot be understood, there is no such command, or the requested selection is not available. Nothing was changed.",
        ["BadRequestError", "CommandNotFoundError", "ProviderModelNotFoundError", "ProviderNotConnectedError", "AgentNotFoundError"], None;
    Spent | TaggedSpent = "402", "No more may be spent (limit, [spending]), and no model of the chain costs nothing. Nothing was changed.", ["SpendingLimitError"], None;
    NotThere = "404", "There is no such session, message or request.", ["NotFoundError"], None;
    TaggedNotThere = "404", "There is no such session.", [TAGGED], None;
    TaggedMissing = "404", "There is no such thing, or no such session.", [TAGGED], None;
    TooSlow | TaggedTooSlow = "408", "The body has not arrived in time (timeouts.body_s).", ["BadRequestError"], None;
    Busy = "409", "The session is busy, and this cannot be done at the same time.", ["SessionBusyError"], None;
    MessageExists | TaggedExists = "409", "There is a message with this id already.", ["MessageExistsError"], None;
    BusyOrExists = "409", "The session is busy, or there is a message with this id already.", ["SessionBusyError", "MessageExistsError"], None;
    Imported = "409", "Another session goes on in the native session already.", ["SessionExistsError"], None;
    Stale = "412", "The session has moved on since the revision in If-Match. Nothing was changed.", ["RevisionConflictError"], Some(("ETag", "The session's revision now."));
    TooLarge | TaggedTooLarge = "413", "The body is larger than the server takes (limits.body_bytes).", ["BadRequestError"], None;
    NotJson | TaggedNotJson = "415", "The body's content type is not JSON.", ["BadRequestError"], None;
    QueueFull | TaggedQueueFull = "429", "Too many prompts wait for the session, or too many sign-ins have failed.", ["QueueFullError", "UnauthorizedError"], RETRY_AFTER;
    NotApplied = "502", "The agent could not apply the selection, which was taken back.", ["ModelNotAppliedError"], None;
    Full | TaggedFull = "507", "The disk of the data directory is full. Nothing was changed.", ["InsufficientStorageError"], RETRY_AFTER;
}

/// A shape of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// OpenCode's: `{"name", "data"}`.
    Named,
    /// OpenCode 2's: `{"_tag", "message", …}`.
    Tagged,
}

/// A response of every operation: status, name, description, body, and a header with its description.
type Everywhere = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    DocumentedHeader,
);

const EVERYWHERE: [Everywhere; 6] = [
    (
        "401",
        "NoPassword",
        "A password is set, and the request has none or a wrong one.",
        "UnauthorizedError",
        Some(("WWW-Authenticate", "How to send the password.")),
    ),
    (
        "403",
        "Forbidden",
        "The request comes from a page of another web site, or under a host name that is not the server's.",
        "ForbiddenError",
        None,
    ),
    (
        "405",
        "WrongMethod",
        "The server has this path, and not with this method: an older server than this document's.",
        "MethodNotAllowedError",
        Some(("Allow", "The methods that it has.")),
    ),
    (
        "429",
        "TooManyGuesses",
        "Too many sign-ins from the client's address have failed.",
        "UnauthorizedError",
        RETRY_AFTER,
    ),
    (
        "500",
        "Failed",
        "The server has failed; the log has more under the reference.",
        "UnknownError",
        None,
    ),
    (
        "503",
        "Stopping",
        "The server is shutting down, has too many connections, or cannot store or look up anything for now. Nothing was changed.",
        "ServiceUnavailableError",
        Some((
            "Retry-After",
            "Seconds after which to try again; absent when it shuts down.",
        )),
    ),
];

impl Dialect {
    /// What every operation can answer.
    pub fn everywhere(self) -> BTreeMap<String, RefOr<Response>> {
        let all = EVERYWHERE.map(|(status, name, description, body, header)| {
            let response = match self {
                Self::Named => response(name, description, &[body], header),
                Self::Tagged => response(&format!("Tagged{name}"), description, &[TAGGED], header),
            };
            (status.to_owned(), RefOr::T(response))
        });
        BTreeMap::from(all)
    }

    /// What every operation that takes a body can answer.
    pub fn of_bodies(self) -> BTreeMap<String, RefOr<Response>> {
        let all = match self {
            Self::Named => [
                TooSlow::responses(),
                TooLarge::responses(),
                NotJson::responses(),
            ],
            Self::Tagged => [
                TaggedTooSlow::responses(),
                TaggedTooLarge::responses(),
                TaggedNotJson::responses(),
            ],
        };
        all.into_iter().flatten().collect()
    }
}
