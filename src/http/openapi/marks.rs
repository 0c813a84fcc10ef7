//! What the document says about itself and about its operations: where the server is, whom to ask, which operations
//! matter, and which are there for OpenCode's clients only.

use serde_json::{Value, json};

use super::tidy::operations;

/// Marks operations that only OpenCode's clients need; a program written for Baton does not.
pub(super) const COMPAT: &str = "x-baton-compat";
/// The paragraph of a handler that does nothing begins with it.
const STUB: &str = "Stub: ";
/// Operations that do what another one does.
const DOUBLES: &[(&str, &str)] = &[
    ("permission.respond", "permission.reply"),
    ("config.providers", "provider.list"),
    ("api.health.get", "global.health"),
    ("root.health", "global.health"),
    ("root.api.health", "global.health"),
    ("experimental.session.list", "session.list"),
    ("global.config.get", "config.get"),
    ("global.config.update", "config.update"),
    ("provider.auth", "backend.list"),
    ("provider.oauth.authorize", "backend.authenticate"),
    ("provider.oauth.callback", "backend.authenticate"),
];
/// Operations that are always refused, with what to do instead.
const REFUSED: &[&str] = &["auth.set", "auth.remove", "session.share"];
/// The operations that matter: sessions, what is said in them, what agents ask, and what can be selected.
pub(super) const CORE: [&str; 25] = [
    "global.health",
    "event.subscribe",
    "session.list",
    "session.create",
    "session.status",
    "session.get",
    "session.update",
    "session.delete",
    "session.messages",
    "session.message",
    "session.prompt",
    "session.queuePrompt",
    "session.modelHistory",
    "session.abort",
    "session.fork",
    "session.revert",
    "session.unrevert",
    "session.summarize",
    "session.command",
    "command.list",
    "permission.list",
    "permission.reply",
    "question.list",
    "question.reply",
    "backend.list",
];

/// Does all of it.
pub(super) fn mark(document: &mut Value) {
    document["info"]["contact"] = json!({ "name": "The people who run this server" });
    document["info"]["license"] = json!({
        "name": "MIT OR Apache-2.0",
        "identifier": "MIT OR Apache-2.0",
    });
    if let Some(document) = document.as_object_mut() {
        // Behind the version and the information, where readers look for it.
        document.shift_insert(2, "servers".to_owned(), servers());
    }
    for operation in operations(document) {
        if let Some(compat) = compat_of(operation) {
            operation[COMPAT] = json!(compat);
        }
    }
}

/// A program that reads the document from a file finds the server by the first entry; one that reads it from a server
/// resolves the second one.
fn servers() -> Value {
    json!([
        {
            "url": "http://{host}:{port}",
            "description": "A server on this machine, unless the variables say otherwise.",
            "variables": {
                "host": { "default": "127.0.0.1", "description": "The server's address." },
                "port": { "default": "2468", "description": "The server's port." },
            },
        },
        { "url": "/", "description": "The server that this document comes from." },
    ])
}

fn compat_of(operation: &Value) -> Option<String> {
    let id = operation["operationId"].as_str().unwrap_or_default();
    let description = operation["description"].as_str().unwrap_or_default();
    if description.split("\n\n").any(|p| p.starts_with(STUB)) {
        return Some("stub".to_owned());
    }
    if let Some((_, of)) = DOUBLES.iter().find(|(double, _)| *double == id) {
        return Some(format!("double of {of}"));
    }
    if REFUSED.contains(&id) {
        return Some("refused".to_owned());
    }
    id.starts_with("api.").then(|| "opencode 2".to_owned())
}

/// Leaves [`CORE`] of a document, and what it refers to.
pub(super) fn keep_core(document: &mut Value) {
    if let Some(paths) = document["paths"].as_object_mut() {
        for item in paths.values_mut().filter_map(Value::as_object_mut) {
            item.retain(|_, operation| {
                let id = operation["operationId"].as_str();
                id.is_some_and(|id| CORE.contains(&id))
            });
        }
        paths.retain(|_, item| item.as_object().is_some_and(|item| !item.is_empty()));
    }
    let used: Vec<Value> = operations(document)
        .flat_map(|operation| operation["tags"].as_array().cloned().unwrap_or_default())
        .collect();
    if let Some(tags) = document["tags"].as_array_mut() {
        tags.retain(|tag| used.contains(&tag["name"]));
    }
    keep_used(document);
}

/// Leaves of the components what the operations refer to.
pub(super) fn keep_used(document: &mut Value) {
    let mut used = Vec::new();
    reach(&document["paths"], document, &mut used);
    let Some(components) = document["components"].as_object_mut() else {
        return;
    };
    for (kind, entries) in components.iter_mut() {
        // A scheme is not referred to, but named.
        if kind == "securitySchemes" {
            continue;
        }
        if let Some(entries) = entries.as_object_mut() {
            entries.retain(|name, _| used.contains(&format!("#/components/{kind}/{name}")));
        }
    }
    components.retain(|_, entries| entries.as_object().is_some_and(|e| !e.is_empty()));
}

/// Notes what a value refers to, and what that refers to.
pub(super) fn reach(value: &Value, document: &Value, used: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            if let Some(reference) = map.get("$ref").and_then(Value::as_str)
                && !used.iter().any(|u| u == reference)
            {
                used.push(reference.to_owned());
                let to = reference
                    .strip_prefix('#')
                    .and_then(|p| document.pointer(p));
                to.into_iter().for_each(|to| reach(to, document, used));
            }
            map.values().for_each(|value| reach(value, document, used));
        }
        Value::Array(list) => list.iter().for_each(|value| reach(value, document, used)),
        _ => {}
    }
}

/// The operations that this file names.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let doubles = DOUBLES.iter().flat_map(|(double, of)| [*double, *of]);
    doubles.chain(REFUSED.iter().copied()).chain(CORE)
}
