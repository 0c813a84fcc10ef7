//! Examples, in the document. They were recorded from a real server by `tests/it/examples.rs`, which also tells when
//! they are out of date.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::tidy::{SCHEMAS, operations};
use crate::http::responses::SHARED;

/// Requests and answers by operation, errors, and events.
const RECORDED: &str = include_str!("../../../openapi/examples.json");
const JSON: &str = "application/json";
/// The operation whose stream has the recorded events.
const STREAM: &str = "event.subscribe";

/// Puts all of them into the document.
pub(super) fn show(document: &mut Value) {
    let recorded: Value = serde_json::from_str(RECORDED).unwrap_or_default();
    let errors = by_schema(&recorded["errors"]);
    let unions = unions(document);
    for operation in operations(document) {
        let id = operation["operationId"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let example = &recorded["operations"][&id];
        if let Some(request) = example.get("request") {
            let bodies = operation["requestBody"]["content"].as_object_mut();
            for body in bodies.into_iter().flat_map(Map::values_mut) {
                body["example"] = request.clone();
            }
        }
        if let (Some(answer), Some(status)) = (example.get("answer"), example["status"].as_str())
            && let Some(content) = operation["responses"][status]["content"].get_mut(JSON)
        {
            content["example"] = answer.clone();
        }
        if id == STREAM && recorded["events"].is_object() {
            operation["responses"]["200"]["content"]["text/event-stream"]["examples"] =
                recorded["events"].clone();
        }
        let responses = operation["responses"].as_object_mut();
        for (status, response) in responses.into_iter().flatten() {
            if response[SHARED].is_string() {
                show_errors(status, response, &errors, &unions);
            }
        }
    }
}

/// The errors that an error response can have.
fn show_errors(
    status: &str,
    response: &mut Value,
    errors: &HashMap<(String, String), Map<String, Value>>,
    unions: &HashMap<String, Vec<String>>,
) {
    let schema = name(&response["content"][JSON]["schema"]);
    let variants = unions.get(&schema).cloned().unwrap_or_else(|| vec![schema]);
    let mut examples = Map::new();
    for variant in variants {
        let found = errors.get(&(status.to_owned(), variant));
        examples.extend(found.cloned().unwrap_or_default());
    }
    if !examples.is_empty() {
        response["content"][JSON]["examples"] = Value::Object(examples);
    }
}

/// The recorded errors, by status and by the schema that their body has.
fn by_schema(errors: &Value) -> HashMap<(String, String), Map<String, Value>> {
    let mut found: HashMap<_, Map<_, _>> = HashMap::new();
    for (key, error) in errors.as_object().into_iter().flatten() {
        let schema = error["schema"].as_str().unwrap_or_default().to_owned();
        let status = error["status"].as_str().unwrap_or_default().to_owned();
        let example = json!({ "summary": error["cause"], "value": error["body"] });
        let of_schema = found.entry((status, schema)).or_default();
        of_schema.insert(key.clone(), example);
    }
    found
}

/// The schemas of each union, by its name.
fn unions(document: &Value) -> HashMap<String, Vec<String>> {
    let schemas = document["components"]["schemas"].as_object();
    let unions = schemas.into_iter().flatten().filter_map(|(union, schema)| {
        let variants = schema["oneOf"].as_array()?.iter().map(name);
        Some((union.clone(), variants.collect()))
    });
    unions.collect()
}

fn name(reference: &Value) -> String {
    let reference = reference["$ref"].as_str().unwrap_or_default();
    reference
        .strip_prefix(SCHEMAS)
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests;
