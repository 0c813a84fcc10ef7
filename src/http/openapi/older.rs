//! The document in the form of OpenAPI 3.0, for generators that read no other: made from the 3.1 form by rules alone.
//!
//! Many of those generators take one type for all errors of an operation. So there is one here: `Error`, and
//! `TaggedError` below `/api`, for whatever begins with 4 or 5.

use serde_json::{Map, Value, json};

use super::errors::TAGGED;
use super::marks::{keep_used, reach};
use super::shared::PARAMETERS;
use super::tidy::{SCHEMAS, operations};

/// The version that the document says.
pub(super) const VERSION: &str = "3.0.3";
/// Keywords of JSON Schema that 3.0 does not have, and that only say more about what is described otherwise.
const UNKNOWN: &[&str] = &[
    "propertyNames",
    "contentEncoding",
    "contentMediaType",
    "$comment",
];
/// The keywords below which a schema has schemas.
const ONE: &[&str] = &["items", "additionalProperties", "not"];
const LISTS: &[&str] = &["oneOf", "anyOf", "allOf"];

/// Rewrites a 3.1 document.
pub(super) fn rewrite(document: &mut Value) {
    document["openapi"] = json!(VERSION);
    // An identifier is 3.1's.
    document["info"]["license"] = json!({
        "name": "MIT OR Apache-2.0",
        "url": "https://spdx.org/licenses/MIT.html",
    });
    join_errors(document);
    operations(document).for_each(keep_one_kind_of_body);
    keep_one_parameter_of_a_name(document);
    keep_used(document);
    each_schema(document, &mut rewrite_schema);
    let answered = reached_by(document, "responses");
    let schemas = document["components"]["schemas"].clone();
    let all = document["components"]["schemas"].as_object_mut();
    for (name, schema) in all.into_iter().flatten() {
        let is_answered = answered.contains(&format!("{SCHEMAS}{name}"));
        within(schema, &mut |schema| match is_answered {
            true => let_null_in(schema, &schemas),
            false => keep_null_out(schema),
        });
    }
    keep_used(document);
}

/// One response for 4XX and one for 5XX in every operation.
fn join_errors(document: &mut Value) {
    let error = error_of(&document["components"]["schemas"]);
    document["components"]["schemas"]["Error"] = error;
    document["components"]["schemas"]["ErrorData"] = data_of(&document["components"]["schemas"]);
    let answer = |schema: &str| {
        json!({
            "description": "The request has failed; the body says why.",
            "content": { "application/json": { "schema": { "$ref": format!("{SCHEMAS}{schema}") } } },
        })
    };
    for (name, schema) in [("Failure", "Error"), ("TaggedFailure", TAGGED)] {
        document["components"]["responses"][name] = answer(schema);
    }
    for operation in operations(document) {
        let tagged = operation["responses"]["500"]["$ref"]
            .as_str()
            .is_some_and(|reference| reference.contains("Tagged"));
        let name = if tagged { "TaggedFailure" } else { "Failure" };
        let Some(responses) = operation["responses"].as_object_mut() else {
            continue;
        };
        responses.retain(|status, _| !status.starts_with(['4', '5']));
        for range in ["4XX", "5XX"] {
            let reference = json!({ "$ref": format!("#/components/responses/{name}") });
            responses.insert(range.to_owned(), reference);
        }
    }
}

/// The bodies of errors: schemas with a `name` and `data`.
fn errors(schemas: &Value) -> impl Iterator<Item = &Value> {
    let schemas = schemas.as_object().into_iter().flat_map(Map::values);
    schemas.filter(|schema| {
        let properties = &schema["properties"];
        properties["name"]["const"].is_string() && properties["data"]["$ref"].is_string()
    })
}

fn error_of(schemas: &Value) -> Value {
    let names: Vec<_> = errors(schemas)
        .map(|error| &error["properties"]["name"]["const"])
        .filter_map(Value::as_str)
        .collect();
    let names = names.join("`, `");
    json!({
        "type": "object",
        "description": "Why a request has failed.",
        "required": ["name", "data"],
        "properties": {
            "name": { "type": "string", "description": format!("Which error it is: `{names}`.") },
            "data": { "$ref": format!("{SCHEMAS}ErrorData"), "description": "More about it." },
        },
    })
}

/// What any of them can have in `data`. Where two disagree about a property, it can be anything.
fn data_of(schemas: &Value) -> Value {
    let mut properties = Map::new();
    for error in errors(schemas) {
        let reference = error["properties"]["data"]["$ref"].as_str();
        let name = reference
            .and_then(|r| r.strip_prefix(SCHEMAS))
            .unwrap_or_default();
        for (key, schema) in schemas[name]["properties"]
            .as_object()
            .into_iter()
            .flatten()
        {
            let known = properties.entry(key).or_insert_with(|| schema.clone());
            if known["type"] != schema["type"] || known["$ref"] != schema["$ref"] {
                *known = json!({ "description": known["description"] });
            }
        }
    }
    json!({
        "type": "object",
        "description": "What an error says besides its name, which decides which of the optional fields are there.",
        "required": ["message"],
        "properties": properties,
    })
}

/// Generators of 3.0 take one kind of body, and JSON is taken everywhere.
fn keep_one_kind_of_body(operation: &mut Value) {
    let content = operation.pointer_mut("/requestBody/content");
    if let Some(content) = content.and_then(Value::as_object_mut)
        && content.contains_key("application/json")
    {
        content.retain(|kind, _| kind == "application/json");
    }
}

/// `Last-Event-ID` and `lastEventID` are one name to generators that write all of them in one style: of such, the one in
/// the query stays, which every client can send.
fn keep_one_parameter_of_a_name(document: &mut Value) {
    let shared = document["components"]["parameters"].clone();
    let place_and_letters = |parameter: &Value| {
        let reference = parameter["$ref"].as_str();
        let name = reference.and_then(|r| r.strip_prefix(PARAMETERS));
        let parameter = name.map_or(parameter, |name| &shared[name]);
        let letters = parameter["name"].as_str().unwrap_or_default().chars();
        let letters = letters.filter(char::is_ascii_alphanumeric);
        let letters: String = letters.map(|c| c.to_ascii_lowercase()).collect();
        (parameter["in"] == "header", letters)
    };
    for operation in operations(document) {
        let parameters = operation.get_mut("parameters");
        let Some(parameters) = parameters.and_then(Value::as_array_mut) else {
            continue;
        };
        let all: Vec<_> = parameters.iter().map(place_and_letters).collect();
        parameters.retain(|parameter| {
            let (is_header, letters) = place_and_letters(parameter);
            !is_header || !all.contains(&(false, letters))
        });
    }
}

/// Calls `change` with every top-level schema of a document.
fn each_schema(document: &mut Value, change: &mut impl FnMut(&mut Value)) {
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        schemas.values_mut().for_each(&mut *change);
    }
    for kind in ["parameters", "responses"] {
        if let Some(entries) = document["components"][kind].as_object_mut() {
            entries.values_mut().for_each(|entry| below(entry, change));
        }
    }
    for operation in operations(document) {
        for key in ["parameters", "requestBody", "responses"] {
            operation
                .get_mut(key)
                .into_iter()
                .for_each(|part| below(part, change));
        }
    }
}

/// The schemas within something that is not itself a schema.
fn below(value: &mut Value, change: &mut impl FnMut(&mut Value)) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match key.as_str() {
                    "schema" => change(value),
                    // Data, whatever it looks like.
                    "example" | "examples" => {}
                    _ => below(value, change),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| below(value, change)),
        _ => {}
    }
}

/// Calls `change` with a schema and all within it, the inner ones first.
fn within(schema: &mut Value, change: &mut impl FnMut(&mut Value)) {
    if let Some(map) = schema.as_object_mut() {
        for key in ONE {
            // `additionalProperties` may say true or false in 3.0, too.
            let inner = map.get_mut(*key).filter(|inner| inner.is_object());
            inner.into_iter().for_each(|inner| within(inner, change));
        }
        for key in LISTS {
            let list = map.get_mut(*key).and_then(Value::as_array_mut);
            list.into_iter()
                .flatten()
                .for_each(|inner| within(inner, change));
        }
        let properties = map.get_mut("properties").and_then(Value::as_object_mut);
        let properties = properties.into_iter().flat_map(Map::values_mut);
        properties.for_each(|inner| within(inner, change));
    }
    change(schema);
}

fn rewrite_schema(schema: &mut Value) {
    within(schema, &mut rewrite_one);
}

fn rewrite_one(schema: &mut Value) {
    if let Value::Bool(anything) = schema {
        *schema = if *anything {
            json!({})
        } else {
            json!({ "not": {} })
        };
    }
    let Some(map) = schema.as_object_mut() else {
        return;
    };
    UNKNOWN.iter().for_each(|key| drop(map.remove(*key)));
    if let Some(only) = map.remove("const") {
        map.insert("enum".to_owned(), json!([only]));
    }
    if let Some(examples) = map.remove("examples") {
        map.insert("example".to_owned(), examples[0].clone());
    }
    take_null_out_of_type(map);
    take_null_out_of_union(map);
    // Keywords next to a reference are ignored.
    if map.len() > 1
        && let Some(reference) = map.remove("$ref")
    {
        map.insert("allOf".to_owned(), json!([{ "$ref": reference }]));
    }
}

fn take_null_out_of_type(map: &mut Map<String, Value>) {
    let Some(Value::Array(types)) = map.get_mut("type") else {
        return;
    };
    let before = types.len();
    types.retain(|kind| kind != "null");
    let is_nullable = types.len() < before;
    if let [only] = types.as_slice() {
        let only = only.clone();
        map.insert("type".to_owned(), only);
    }
    if is_nullable {
        map.insert("nullable".to_owned(), json!(true));
    }
}

fn take_null_out_of_union(map: &mut Map<String, Value>) {
    let key = if map.contains_key("anyOf") {
        "anyOf"
    } else {
        "oneOf"
    };
    let Some(Value::Array(variants)) = map.get_mut(key) else {
        return;
    };
    let before = variants.len();
    variants.retain(|variant| variant["type"] != "null");
    if variants.len() == before {
        return;
    }
    if variants.len() == 1 {
        let only = variants.remove(0);
        map.remove(key);
        // The outer keywords take precedence over the inner ones.
        let outside = std::mem::take(map);
        map.extend(only.as_object().cloned().unwrap_or_default());
        map.extend(outside);
    }
    map.insert("nullable".to_owned(), json!(true));
}

/// Keywords next to a reference do not make its target nullable, so the target is inlined.
fn let_null_in(schema: &mut Value, schemas: &Value) {
    let reference = schema["allOf"][0]["$ref"].as_str();
    let name = reference.and_then(|reference| reference.strip_prefix(SCHEMAS));
    let target = name.and_then(|name| schemas[name].as_object()).cloned();
    let (Some(target), Some(map)) = (target, schema.as_object_mut()) else {
        return;
    };
    if map.get("nullable") != Some(&Value::Bool(true)) {
        return;
    }
    let union = map.remove("allOf").unwrap_or_default();
    if target.contains_key("oneOf") {
        map.remove("nullable");
        let nothing = json!({ "type": "object", "nullable": true, "enum": [null] });
        map.insert("anyOf".to_owned(), json!([union[0], nothing]));
        return;
    }
    for (key, value) in target {
        map.entry(key).or_insert(value);
    }
}

/// In requests, null means the same as leaving it out.
fn keep_null_out(schema: &mut Value) {
    if let Some(map) = schema.as_object_mut()
        && map.contains_key("allOf")
    {
        map.remove("nullable");
    }
}

/// What one part of the operations refers to, and what that refers to.
fn reached_by(document: &Value, part: &str) -> Vec<String> {
    let items = document["paths"]
        .as_object()
        .into_iter()
        .flat_map(Map::values);
    let operations = items.filter_map(Value::as_object).flat_map(Map::values);
    let mut reached = Vec::new();
    operations.for_each(|operation| reach(&operation[part], document, &mut reached));
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(mut schema: Value) -> Value {
        rewrite_schema(&mut schema);
        schema
    }

    #[test]
    fn a_header_that_is_called_like_a_parameter_of_the_query_goes() {
        let operation = json!({ "parameters": [
            { "$ref": "#/components/parameters/LastEventID" },
            { "name": "x-client-id", "in": "header" },
            { "name": "lastEventID", "in": "query" },
        ] });
        let mut document = json!({
            "paths": { "/event": { "get": operation }, "/none": { "get": {} } },
            "components": { "parameters": { "LastEventID": { "name": "Last-Event-ID", "in": "header" } } },
        });
        keep_one_parameter_of_a_name(&mut document);
        let left = &document["paths"]["/event"]["get"]["parameters"];
        let left: Vec<_> = left
            .as_array()
            .expect("a list")
            .iter()
            .map(|p| &p["name"])
            .collect();
        assert_eq!(left, ["x-client-id", "lastEventID"]);
    }

    #[test]
    fn a_schema_is_written_as_3_0_has_it() {
        let reference = json!({ "$ref": "#/components/schemas/A" });
        for (new, old) in [
            (json!({ "const": "a" }), json!({ "enum": ["a"] })),
            (
                json!({ "type": ["string", "null"] }),
                json!({ "type": "string", "nullable": true }),
            ),
            (
                json!({ "oneOf": [{ "$ref": "#/components/schemas/A", "description": "x" }, { "type": "null" }] }),
                json!({ "description": "x", "nullable": true, "allOf": [reference] }),
            ),
            (
                json!({ "$ref": "#/components/schemas/A", "description": "x" }),
                json!({ "description": "x", "allOf": [reference] }),
            ),
            (reference.clone(), reference.clone()),
            (
                json!({ "type": "object", "propertyNames": { "type": "string" }, "additionalProperties": true }),
                json!({ "type": "object", "additionalProperties": true }),
            ),
            // A property may be called like a keyword.
            (
                json!({ "properties": { "const": { "const": "a" }, "type": { "type": "string" } } }),
                json!({ "properties": { "const": { "enum": ["a"] }, "type": { "type": "string" } } }),
            ),
            (json!(true), json!({})),
        ] {
            assert_eq!(rewritten(new.clone()), old, "{new}");
        }
    }
}
