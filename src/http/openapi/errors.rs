//! OpenCode 2's shape of errors, made from the bodies of the first version, so that neither can fall behind.

use serde_json::{Map, Value, json};

use super::tidy::{ERRORS, SCHEMAS};

/// The error as OpenCode 2 writes it.
pub(super) const TAGGED: &str = "TaggedError";
/// The names of such errors. The code has those here that differ from the first version's.
const TAGS: &str = "ErrorTag";
/// What such an error has in addition to the data of the first version's.
const FIELDS: &str = "TaggedFields";
/// Errors that always have another name in OpenCode 2.
const RENAMED: [&str; 2] = ["BadRequest", "MessageExistsError"];
/// Errors that no route of OpenCode 2 answers with.
pub(super) const NAMED_ONLY: [&str; 5] = [
    "CommandNotFoundError",
    "SessionExistsError",
    "RevisionConflictError",
    "ModelNotAppliedError",
    "VcsApplyError",
];
/// Errors that can have both shapes at once (`Problem::in_both_shapes`).
const IN_BOTH_SHAPES: [&str; 2] = ["NotFoundError", "SessionBusyError"];

/// Makes `TaggedError`, from the union of the error bodies.
pub(super) fn tag(schemas: &mut Map<String, Value>) {
    let mut tags = Vec::new();
    let mut properties = Map::from_iter([
        ("_tag".to_owned(), reference(TAGS, "Its name.")),
        ("message".to_owned(), Value::Null),
    ]);
    let bodies = schemas[ERRORS]["oneOf"].as_array().into_iter().flatten();
    let bodies = bodies.map(|body| &body["properties"]);
    for body in bodies {
        let name = &body["name"]["enum"][0];
        if NAMED_ONLY.iter().any(|only| name == only) {
            continue;
        }
        if !RENAMED.iter().any(|renamed| name == renamed) {
            tags.push(name.clone());
        }
        add(&mut properties, data_of(schemas, body));
    }
    add(&mut properties, &schemas[FIELDS]);
    properties["message"] = schemas["ErrorMessage"]["properties"]["message"].clone();
    schemas.remove(FIELDS);
    if let Some(own) = schemas[TAGS]["enum"].as_array_mut() {
        own.append(&mut tags);
    }
    schemas[TAGS]["description"] = json!("The names of errors in OpenCode 2's shape.");
    let tagged = json!({
        "type": "object",
        "description": "An error of OpenCode 2's routes. Which of the optional fields are there depends on `_tag`.",
        "required": ["_tag", "message"],
        "properties": properties,
    });
    schemas.insert(TAGGED.to_owned(), tagged);
}

/// The schema of a body's data.
fn data_of<'a>(schemas: &'a Map<String, Value>, body: &Value) -> &'a Value {
    let name = body["data"]["$ref"].as_str();
    let name = name.and_then(|name| name.strip_prefix(SCHEMAS));
    let Some(data) = name.and_then(|name| schemas.get(name)) else {
        unreachable!("an error has no data: {body}");
    };
    data
}

/// Adds the properties of a schema. One that means several things is described by all of them.
fn add(properties: &mut Map<String, Value>, schema: &Value) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let known = properties.entry(name).or_insert_with(|| property.clone());
        let (Some(before), Some(also)) = (
            known["description"].as_str(),
            property["description"].as_str(),
        ) else {
            continue;
        };
        if !before.contains(also) {
            known["description"] = json!(format!("{before} {also}"));
        }
    }
}

/// What an error in both shapes has besides its name and data: the data once more, and OpenCode 2's name.
pub(super) fn show_both_shapes(schemas: &mut Map<String, Value>) {
    for name in IN_BOTH_SHAPES {
        let fields = data_of(schemas, &schemas[name]["properties"])["properties"].clone();
        let body = &mut schemas[name]["properties"];
        body["_tag"] = reference(TAGS, "Its name in OpenCode 2, where OpenCode sends both.");
        for (field, schema) in fields.as_object().into_iter().flatten() {
            body[field] = schema.clone();
        }
    }
}

fn reference(name: &str, description: &str) -> Value {
    json!({ "$ref": format!("{SCHEMAS}{name}"), "description": description })
}
