//! Closed sets of words, where the code has a text, and what the parameters of operations are when left out.

use serde_json::{Value, json};

use super::tidy::{SCHEMAS, operations};
use crate::http::v2::cursor::PAGE;
use crate::http::{find, session, v2};
use crate::opencode::event::{TODO_PRIORITIES, TODO_STATUSES};

/// What a property can be.
enum Set {
    /// One of these words, as a schema of this name, which has this description.
    Words(&'static str, &'static str, &'static [&'static str]),
    /// One of the words of a schema that is there anyway.
    Of(&'static str),
    /// Always this word, where it is there.
    Only(&'static str),
}

/// Where the sets belong, as JSON pointers below the schemas.
const SETS: &[(&str, Set)] = &[
    (
        "/Todo/properties/status",
        Set::Words(
            "TodoStatus",
            "How far an entry of a plan is.",
            &TODO_STATUSES,
        ),
    ),
    (
        "/Todo/properties/priority",
        Set::Words(
            "TodoPriority",
            "How much an entry of a plan matters.",
            &TODO_PRIORITIES,
        ),
    ),
    (
        "/SlashCommand/properties/source",
        Set::Words(
            "CommandSource",
            "Where a slash command comes from: Baton's are all `command`, OpenCode has the others, too.",
            &["command", "mcp", "skill"],
        ),
    ),
    (
        "/ServerConfig/properties/share",
        Set::Words(
            "ShareMode",
            "Whether sessions are shared: `disabled`, Baton shares nothing.",
            &["manual", "auto", "disabled"],
        ),
    ),
    (
        "/Model/properties/status",
        Set::Words(
            "ModelStatus",
            "How far a model is: Baton's are all `active`, OpenCode has the others, too.",
            &["alpha", "beta", "deprecated", "active"],
        ),
    ),
    ("/V2Model/properties/status", Set::Of("ModelStatus")),
    (
        "/CompactionMessage/properties/reason",
        Set::Words(
            "CompactionReason",
            "Who wanted a summary: the server itself or the user.",
            &["auto", "manual"],
        ),
    ),
    (
        "/V2CompactionStarted/properties/reason",
        Set::Of("CompactionReason"),
    ),
    (
        "/V2CompactionEnded/properties/reason",
        Set::Of("CompactionReason"),
    ),
    (
        "/WorkspaceStatus/properties/status",
        Set::Words(
            "WorkspaceState",
            "How a workspace is.",
            &["connected", "connecting", "disconnected", "error"],
        ),
    ),
    (
        "/V2PermissionRule/properties/effect",
        Set::Of("PermissionAction"),
    ),
    ("/V2Agent/properties/mode", Set::Of("AgentMode")),
    ("/V2Admitted/properties/delivery", Set::Of("V2Delivery")),
    ("/V2PromptSaid/properties/delivery", Set::Of("V2Delivery")),
    ("/FileContent/properties/encoding", Set::Only("base64")),
    ("/Project/properties/vcs", Set::Only("git")),
    (
        "/ProjectDirectory/properties/strategy",
        Set::Only("git_worktree"),
    ),
    ("/V2Error/properties/type", Set::Only("unknown")),
    ("/PartDelta/properties/field", Set::Only("text")),
];

/// What a parameter is when it is left out, by operation and name.
fn defaults() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("session.list", "limit", json!(session::list::LIMIT)),
        (
            "experimental.session.list",
            "limit",
            json!(session::list::PAGE_EVERYWHERE),
        ),
        ("find.files", "limit", json!(find::LIMIT)),
        ("api.fs.find", "limit", json!(v2::fs::LIMIT)),
        ("api.session.list", "limit", json!(PAGE)),
        ("api.session.messages", "limit", json!(PAGE)),
        (
            "api.session.history",
            "limit",
            json!(v2::session::read::PAGE),
        ),
        ("session.messages", "limit", json!(0)),
        ("session.list", "roots", json!(false)),
        ("experimental.session.list", "roots", json!(false)),
        ("experimental.session.list", "archived", json!(false)),
        ("session.update", "wait", json!(false)),
    ]
}

/// Puts all of it into the document.
pub(super) fn apply(document: &mut Value) {
    for (pointer, set) in SETS {
        close(&mut document["components"]["schemas"], pointer, set);
    }
    for (id, name, value) in defaults() {
        let parameter = operations(document)
            .filter(|operation| operation["operationId"] == id)
            .filter_map(|operation| operation["parameters"].as_array_mut())
            .flatten()
            .find(|parameter| parameter["name"] == name);
        let Some(parameter) = parameter else {
            unreachable!("{id} has no parameter {name}");
        };
        parameter["schema"]["default"] = value;
    }
}

fn close(schemas: &mut Value, pointer: &str, set: &Set) {
    let Some(property) = schemas.pointer_mut(pointer) else {
        unreachable!("there is no {pointer}");
    };
    let description = property["description"].take();
    let reference =
        |name: &str| json!({ "$ref": format!("{SCHEMAS}{name}"), "description": description });
    match set {
        Set::Only(word) => {
            *property = json!({ "type": "string", "description": description, "const": word });
        }
        Set::Of(name) => *property = reference(name),
        Set::Words(name, about, words) => {
            *property = reference(name);
            schemas[*name] = json!({ "type": "string", "description": about, "enum": words });
        }
    }
}
