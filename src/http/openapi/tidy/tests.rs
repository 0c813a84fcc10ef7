//! What every operation and every schema of the document has to have.

use super::*;
use crate::http::openapi::document;

fn made() -> Value {
    serde_json::from_str(&document()).expect("JSON")
}

/// A document in which references are looked up.
struct Whole(Value);

impl Whole {
    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str().and_then(|r| r.strip_prefix('#')) {
            Some(pointer) => self.0.pointer(pointer).expect("what it refers to"),
            None => value,
        }
    }
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value.as_str() {
                    Some(text) if key == "$ref" => found.push(text.to_owned()),
                    _ => references(value, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|v| references(v, found)),
        _ => {}
    }
}

#[test]
fn every_reference_has_a_schema_and_every_schema_a_description() {
    let document = made();
    let mut found = Vec::new();
    references(&document, &mut found);
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("in this document");
        let to = document.pointer(pointer);
        assert!(to.is_some_and(Value::is_object), "{reference}");
    }
    for (name, schema) in document["components"]["schemas"]
        .as_object()
        .expect("schemas")
    {
        let described = schema["description"].is_string();
        assert!(described, "{name} has no description");
        let properties = schema["properties"].as_object();
        for (property, schema) in properties.into_iter().flatten() {
            let tag = schema["const"].is_string();
            let described = schema["description"].is_string() || schema["$ref"].is_string();
            assert!(
                tag || described || schema["oneOf"].is_array() || schema["anyOf"].is_array(),
                "{name}.{property}"
            );
        }
    }
}

#[test]
fn nothing_is_null() {
    fn check(value: &Value, path: &str) {
        assert!(!value.is_null(), "{path}");
        let entries = value.as_object().into_iter().flatten();
        // Examples are data.
        let entries = entries.filter(|(key, _)| !["example", "examples"].contains(&key.as_str()));
        entries.for_each(|(key, value)| check(value, &format!("{path}/{key}")));
        let elements = value.as_array().into_iter().flatten().enumerate();
        elements.for_each(|(index, value)| check(value, &format!("{path}/{index}")));
    }
    check(&made(), "");
}

#[test]
fn every_operation_is_described() {
    let mut document = made();
    let whole = Whole(made());
    let mut ids = Vec::new();
    for operation in operations(&mut document) {
        let id = operation["operationId"].as_str().expect("an id").to_owned();
        for key in ["summary", "description"] {
            assert!(operation[key].is_string(), "{id} has no {key}");
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let parameter = whole.resolved(parameter);
            assert!(parameter["description"].is_string(), "{id}: {parameter}");
        }
        for (status, response) in operation["responses"].as_object().expect("responses") {
            let response = whole.resolved(response);
            assert!(response["description"].is_string(), "{id}: {status}");
            let headers = response["headers"].as_object();
            for (name, header) in headers.into_iter().flatten() {
                assert!(header["description"].is_string(), "{id}: {status}: {name}");
            }
        }
        assert!(operation["responses"]["500"].is_object(), "{id}");
        ids.push(id);
    }
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "an operation id is there twice");
}

#[test]
fn what_is_json_is_called_json() {
    let mut document = made();
    for operation in operations(&mut document) {
        for (status, response) in operation["responses"].as_object().expect("responses") {
            let plain = &response["content"]["text/plain"]["schema"]["type"];
            assert!(
                plain.is_null() || plain == "string",
                "{}: {status}",
                operation["operationId"]
            );
        }
    }
}

#[test]
fn whatever_an_operation_takes_or_answers_has_a_name() {
    let mut document = made();
    let whole = Whole(made());
    for operation in operations(&mut document) {
        let id = operation["operationId"].clone();
        let request = operation["requestBody"]["content"].as_object();
        let responses = operation["responses"].as_object().expect("responses");
        let responses = responses.values().map(|r| whole.resolved(r));
        let responses = responses.filter_map(|r| r["content"].as_object());
        for (kind, content) in request.into_iter().chain(responses).flatten() {
            for made_up in [
                "oneOf",
                "anyOf",
                "allOf",
                "properties",
                "additionalProperties",
            ] {
                let schema = &content["schema"][made_up];
                assert!(schema.is_null(), "{id}: {kind}: {made_up}: {schema}");
            }
        }
    }
}

#[test]
fn unions_have_named_variants() {
    let document = made();
    let schemas = &document["components"]["schemas"];
    assert_eq!(
        schemas["Message"]["oneOf"][0]["$ref"],
        format!("{SCHEMAS}UserMessage")
    );
    assert_eq!(
        schemas["UserMessage"]["properties"]["role"]["const"],
        "user"
    );
    assert_eq!(schemas["UserMessage"]["required"][0], "role");
    let mapping = &schemas["ServerEvent"]["discriminator"]["mapping"];
    let changed = format!("{SCHEMAS}EventSessionModelChanged");
    assert_eq!(mapping["session.model_changed"], changed);
    let changed = &schemas["EventSessionModelChanged"];
    assert_eq!(
        changed["properties"]["properties"]["$ref"],
        format!("{SCHEMAS}ModelChanged")
    );
    assert_eq!(
        changed["properties"]["id"]["$ref"],
        format!("{SCHEMAS}EventId")
    );
    for name in [
        "BadRequestError",
        "UnknownError",
        "MessageUnknownError",
        "ToolStatePending",
    ] {
        assert!(schemas[name].is_object(), "{name}");
    }
    let mapping = &schemas["UnselectableError"]["discriminator"]["mapping"];
    assert_eq!(mapping["BadRequest"], format!("{SCHEMAS}BadRequestError"));
    for gone in [ERRORS, PAYLOAD] {
        assert!(schemas[gone].is_null(), "{gone}");
    }
}

/// What generators put behind the name of an operation, for a second function or a type.
const SUFFIXES: [&str; 10] = [
    "async",
    "raw",
    "sync",
    "withhttpinfo",
    "request",
    "response",
    "call",
    "builder",
    "error",
    "params",
];
/// Names that some language, its library or the support code of a generator has already.
const OWNED: [&str; 32] = [
    "Event",
    "File",
    "Symbol",
    "Part",
    "Selection",
    "Config",
    "Content",
    "Command",
    "Durable",
    "Entries",
    "Shell",
    "Delivery",
    "Request",
    "Response",
    "Headers",
    "Body",
    "Error",
    "Object",
    "String",
    "Map",
    "Set",
    "Date",
    "Option",
    "Result",
    "Box",
    "Vec",
    "List",
    "Process",
    "Thread",
    "Client",
    "Iterator",
    "Notification",
];

fn letters(text: &str) -> String {
    let letters = text.chars().filter(char::is_ascii_alphabetic);
    letters.map(|c| c.to_ascii_lowercase()).collect()
}

#[test]
fn no_two_names_are_the_same_to_a_generator() {
    let mut document = made();
    let ids =
        operations(&mut document).map(|o| o["operationId"].as_str().expect("an id").to_owned());
    let ids: Vec<String> = ids.collect();
    let bare: Vec<_> = ids.iter().map(|id| letters(id)).collect();
    for (place, id) in bare.iter().enumerate() {
        assert!(!bare[..place].contains(id), "{id}: twice");
        for suffix in SUFFIXES {
            assert!(!bare.contains(&format!("{id}{suffix}")), "{id} + {suffix}");
        }
    }
    // Digits would be words of their own: `v_2_session_get`.
    assert!(
        ids.iter()
            .all(|id| !id.contains(|c: char| c.is_ascii_digit())),
        "{ids:?}"
    );
    let schemas = document["components"]["schemas"]
        .as_object()
        .expect("schemas");
    for schema in schemas.keys() {
        assert!(
            !OWNED.contains(&schema.as_str()),
            "{schema} is somebody else's name"
        );
        assert!(
            !bare.contains(&letters(schema)),
            "{schema} is an operation, too"
        );
    }
}

#[test]
fn the_marks_name_operations_that_are_there() {
    let mut document = made();
    let ids: Vec<_> = operations(&mut document)
        .map(|o| o["operationId"].clone())
        .collect();
    for name in super::super::marks::names() {
        assert!(ids.iter().any(|id| id == name), "{name}");
    }
}
