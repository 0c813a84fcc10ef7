//! Brings utoipa's document into the form that generators of clients deal with best.
//!
//! A Rust enum becomes a `oneOf` of unnamed objects there, for which generators make up names like
//! `MessageOneOf1`. Here each variant is a schema with a name of its own, and the union says by which
//! property its variants are told apart.

use serde_json::{Map, Value, json};

use crate::http::responses::{Everywhere, TaggedEverywhere};

const SCHEMAS: &str = "#/components/schemas/";
/// The union of the error bodies, which operations refer to one by one.
const ERRORS: &str = "ErrorBody";
/// The union that a message's `error` is.
const MESSAGE_ERRORS: &str = "MessageError";
/// The event as the code has it: without its id.
const PAYLOAD: &str = "EventPayload";
/// The event as the stream has it.
const EVENT: &str = "Event";

/// Does all of it.
pub fn tidy(document: &mut Value) {
    add_common_responses(document);
    plain_paths(document);
    for operation in operations(document) {
        drop_null_of_inputs(operation);
    }
    name_unions_of_responses(document);
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        give_events_their_id(schemas);
        name_variants(schemas);
        // Its variants are what operations refer to.
        schemas.remove(ERRORS);
        tell_variants_apart(schemas);
        schemas.sort_keys();
    }
    write_tags_as_constants(document);
    unwrap_descriptions(document);
}

/// A path's last parameter may have slashes, for which the router has a sign of its own and OpenAPI has none.
fn plain_paths(document: &mut Value) {
    if let Some(paths) = document["paths"].as_object_mut() {
        let renamed = std::mem::take(paths).into_iter();
        paths.extend(renamed.map(|(path, item)| (path.replace("{*", "{"), item)));
    }
}

fn operations(document: &mut Value) -> impl Iterator<Item = &mut Value> {
    let paths = document["paths"].as_object_mut();
    let items = paths.into_iter().flat_map(Map::values_mut);
    items
        .filter_map(Value::as_object_mut)
        .flat_map(Map::values_mut)
}

/// What every operation can answer stands in every operation.
fn add_common_responses(document: &mut Value) {
    let of = |responses: std::collections::BTreeMap<_, _>| {
        serde_json::to_value(responses).unwrap_or_default()
    };
    let named = of(<Everywhere as utoipa::IntoResponses>::responses());
    let tagged = of(<TaggedEverywhere as utoipa::IntoResponses>::responses());
    for operation in operations(document) {
        let second = operation["operationId"]
            .as_str()
            .is_some_and(|id| id.starts_with("v2."));
        let common = if second { &tagged } else { &named };
        if let (Some(responses), Some(common)) =
            (operation["responses"].as_object_mut(), common.as_object())
        {
            responses.extend(common.clone());
            responses.sort_keys();
        }
    }
}

/// A parameter or a body that is optional can be left out; it cannot be sent as null.
fn drop_null_of_inputs(operation: &mut Value) {
    let parameters = operation
        .get_mut("parameters")
        .and_then(Value::as_array_mut);
    let parameters = parameters.into_iter().flatten();
    parameters.for_each(drop_null_of_schema);
    let contents = operation.pointer_mut("/requestBody/content");
    let contents = contents.and_then(Value::as_object_mut);
    let contents = contents.into_iter().flat_map(Map::values_mut);
    contents.for_each(drop_null_of_schema);
}

fn drop_null_of_schema(holder: &mut Value) {
    let Some(schema) = holder.get_mut("schema") else {
        return;
    };
    let without_null = |schema: &Value, key: &str| {
        let alternatives = schema.get(key)?.as_array()?;
        let others = alternatives
            .iter()
            .filter(|a| *a != "null" && a["type"] != "null");
        match others.collect::<Vec<_>>().as_slice() {
            [only] => Some(Value::clone(only)),
            _ => None,
        }
    };
    if let Some(only) = without_null(schema, "type") {
        schema["type"] = only;
    }
    if let Some(only) = without_null(schema, "oneOf") {
        *schema = only;
    }
}

/// A union that a response has in place is a schema of its own, under its title: a generator would
/// otherwise make up a name for it in every operation.
fn name_unions_of_responses(document: &mut Value) {
    let mut unions = Map::new();
    for operation in operations(document) {
        let responses = operation["responses"].as_object_mut();
        for response in responses.into_iter().flat_map(Map::values_mut) {
            let Some(schema) = response.pointer_mut("/content/application~1json/schema") else {
                continue;
            };
            let Some(name) = schema["title"].as_str().map(str::to_owned) else {
                continue;
            };
            let reference = json!({ "$ref": format!("{SCHEMAS}{name}") });
            let mut union = std::mem::replace(schema, reference);
            union.as_object_mut().map(|union| union.remove("title"));
            unions.insert(name, union);
        }
    }
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        schemas.extend(unions);
    }
}

/// A property with one possible value is a constant: generators make an enum of one variant of it
/// otherwise.
fn write_tags_as_constants(value: &mut Value) {
    match value {
        Value::Object(map) => {
            let only = match map.get("enum").and_then(Value::as_array).map(Vec::as_slice) {
                Some([only @ Value::String(_)]) => Some(only.clone()),
                _ => None,
            };
            if let Some(only) = only {
                map.remove("enum");
                map.insert("const".to_owned(), only);
            }
            map.values_mut().for_each(write_tags_as_constants);
        }
        Value::Array(list) => list.iter_mut().for_each(write_tags_as_constants),
        _ => {}
    }
}

/// `Event` is the union of events with their ids, in place of a union and an id beside it.
fn give_events_their_id(schemas: &mut Map<String, Value>) {
    let Some(mut payload) = schemas.remove(PAYLOAD) else {
        return;
    };
    let id = schemas[EVENT]["allOf"][1]["properties"]["id"].take();
    let variants = payload.get_mut("oneOf").and_then(Value::as_array_mut);
    for variant in variants.into_iter().flatten() {
        put_first(variant, "id", id.clone());
    }
    payload["description"] = schemas[EVENT]["description"].take();
    schemas.insert(EVENT.to_owned(), payload);
}

/// Adds a required property, in front of the others.
fn put_first(schema: &mut Value, name: &str, property: Value) {
    let mut properties = Map::from_iter([(name.to_owned(), property)]);
    properties.extend(
        schema["properties"]
            .as_object()
            .cloned()
            .unwrap_or_default(),
    );
    schema["properties"] = Value::Object(properties);
    let mut required = vec![Value::from(name)];
    required.extend(schema["required"].as_array().cloned().unwrap_or_default());
    schema["required"] = Value::Array(required);
}

/// Gives a name to every variant of every union that has a property to tell them apart.
fn name_variants(schemas: &mut Map<String, Value>) {
    let unions: Vec<String> = schemas
        .iter()
        .filter(|(_, schema)| schema["oneOf"].is_array())
        .map(|(name, _)| name.clone())
        .collect();
    for union in unions {
        let variants = schemas[&union]["oneOf"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let told_apart: Option<Vec<_>> = variants.iter().map(tag_of).collect();
        let Some(tags) = told_apart else { continue };
        let Some((property, _)) = tags.first().cloned() else {
            continue;
        };
        let mut references = Vec::new();
        let mut mapping = Map::new();
        for (variant, (_, tag)) in variants.into_iter().zip(tags) {
            let name = place_variant(schemas, &union, &property, &tag, variant);
            let reference = format!("{SCHEMAS}{name}");
            mapping.insert(tag, Value::from(reference.clone()));
            references.push(json!({ "$ref": reference }));
        }
        schemas[&union]["oneOf"] = Value::Array(references);
        schemas[&union]["discriminator"] = json!({ "propertyName": property, "mapping": mapping });
    }
}

/// A union of schemas that have names of their own says, too, how they are told apart.
fn tell_variants_apart(schemas: &mut Map<String, Value>) {
    let mut discriminators = Vec::new();
    for (union, schema) in schemas.iter() {
        let variants = schema["oneOf"].as_array().map_or(&[][..], Vec::as_slice);
        if variants.is_empty() || schema["discriminator"].is_object() {
            continue;
        }
        let tagged: Option<Vec<_>> = variants
            .iter()
            .map(|v| tag_of_reference(schemas, v))
            .collect();
        let Some([(property, _, _), ..]) = tagged.as_deref() else {
            continue;
        };
        let mapping: Map<_, _> = tagged
            .iter()
            .flatten()
            .map(|(_, tag, to)| (tag.clone(), to.clone()))
            .collect();
        let discriminator = json!({ "propertyName": property, "mapping": mapping });
        discriminators.push((union.clone(), discriminator));
    }
    for (union, discriminator) in discriminators {
        schemas[&union]["discriminator"] = discriminator;
    }
}

/// The tag of the schema that a variant refers to, and the reference.
fn tag_of_reference(
    schemas: &Map<String, Value>,
    variant: &Value,
) -> Option<(String, String, Value)> {
    let reference = variant["$ref"].as_str()?;
    let (property, tag) = tag_of(schemas.get(reference.strip_prefix(SCHEMAS)?)?)?;
    Some((property, tag, Value::from(reference)))
}

/// The property with one possible value, and that value.
fn tag_of(variant: &Value) -> Option<(String, String)> {
    let tagged = match variant["allOf"].as_array() {
        Some(all_of) => all_of.last()?,
        None => variant,
    };
    let properties = tagged["properties"].as_object()?;
    properties.iter().find_map(|(name, schema)| {
        let [value] = schema["enum"].as_array()?.as_slice() else {
            return None;
        };
        Some((name.clone(), value.as_str()?.to_owned()))
    })
}

/// Makes a variant a schema of its own and returns its name.
fn place_variant(
    schemas: &mut Map<String, Value>,
    union: &str,
    property: &str,
    tag: &str,
    mut variant: Value,
) -> String {
    // A variant that is another schema with a tag: the tag goes into that schema, which is used
    // nowhere without it.
    let inner = variant.pointer("/allOf/0/$ref").and_then(Value::as_str);
    if let Some(name) = inner.and_then(|i| i.strip_prefix(SCHEMAS)) {
        let name = name.to_owned();
        let tag_schema = variant["allOf"][1]["properties"][property].take();
        put_first(&mut schemas[&name], property, tag_schema);
        return name;
    }
    let name = variant_name(union, tag);
    name_content(schemas, &name, &mut variant);
    if let Some(variant) = variant.as_object_mut() {
        // utoipa loses the comment of a variant without content.
        let described = || Value::from(format!("`{tag}`: one case of `{union}`."));
        variant.entry("description").or_insert_with(described);
    }
    schemas.insert(name.clone(), variant);
    name
}

/// The content beside the tag, when it is an object without a name, gets one.
fn name_content(schemas: &mut Map<String, Value>, name: &str, variant: &mut Value) {
    for (property, suffix) in [("data", "Data"), ("properties", "Properties")] {
        let Some(content) = variant["properties"].get_mut(property) else {
            continue;
        };
        let fields = content.get("properties").and_then(Value::as_object);
        if fields.is_some_and(|fields| !fields.is_empty()) {
            let content_name = format!("{name}{suffix}");
            let reference = json!({ "$ref": format!("{SCHEMAS}{content_name}") });
            schemas.insert(content_name, std::mem::replace(content, reference));
        }
    }
}

fn variant_name(union: &str, tag: &str) -> String {
    match union {
        ERRORS if tag.ends_with("Error") => tag.to_owned(),
        ERRORS => format!("{tag}Error"),
        MESSAGE_ERRORS if tag.starts_with("Message") => tag.to_owned(),
        MESSAGE_ERRORS => format!("Message{tag}"),
        _ => format!("{union}{}", pascal_case(tag)),
    }
}

fn pascal_case(tag: &str) -> String {
    let words = tag.split(|c: char| !c.is_ascii_alphanumeric());
    let capital = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    words.map(capital).collect()
}

/// Lines end in a comment where the editor is full; a description has paragraphs.
fn unwrap_descriptions(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(text)) = map.get_mut("description") {
                let paragraphs: Vec<_> = text.split("\n\n").map(|p| p.replace('\n', " ")).collect();
                *text = paragraphs.join("\n\n");
            }
            map.values_mut().for_each(unwrap_descriptions);
        }
        Value::Array(list) => list.iter_mut().for_each(unwrap_descriptions),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::openapi::document;

    fn made() -> Value {
        serde_json::from_str(document()).expect("JSON")
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
            let name = reference.strip_prefix(SCHEMAS).expect("a schema");
            assert!(
                document["components"]["schemas"][name].is_object(),
                "{name}"
            );
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
                    tag || described || schema["oneOf"].is_array(),
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
            entries.for_each(|(key, value)| check(value, &format!("{path}/{key}")));
            let elements = value.as_array().into_iter().flatten().enumerate();
            elements.for_each(|(index, value)| check(value, &format!("{path}/{index}")));
        }
        check(&made(), "");
    }

    #[test]
    fn every_operation_is_described() {
        let mut document = made();
        let mut ids = Vec::new();
        for operation in operations(&mut document) {
            let id = operation["operationId"].as_str().expect("an id").to_owned();
            for key in ["summary", "description"] {
                assert!(operation[key].is_string(), "{id} has no {key}");
            }
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert!(parameter["description"].is_string(), "{id}: {parameter}");
            }
            for (status, response) in operation["responses"].as_object().expect("responses") {
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
        let mapping = &schemas["Event"]["discriminator"]["mapping"];
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
}
