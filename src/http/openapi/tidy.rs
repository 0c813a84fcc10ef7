//! Brings utoipa's document into the form that generators of clients deal with best.
//!
//! A Rust enum becomes a `oneOf` of unnamed objects there, for which generators make up names like
//! `MessageOneOf1`. Here each variant is a schema with a name of its own, and the union says by which
//! property its variants are told apart.

use serde_json::{Map, Value, json};

use super::{errors, second};

/// Where schemas are.
pub(super) const SCHEMAS: &str = "#/components/schemas/";
/// The union of the error bodies, which operations refer to one by one.
pub(super) const ERRORS: &str = "ErrorBody";
/// The union that a message's `error` is.
const MESSAGE_ERRORS: &str = "MessageError";
/// The event as the code has it: without its id.
pub(super) const PAYLOAD: &str = "EventPayload";
/// The event as the stream has it.
const EVENT: &str = "ServerEvent";

/// Does all of it.
pub(super) fn tidy(document: &mut Value) {
    plain_paths(document);
    for operation in operations(document) {
        drop_null_of_inputs(operation);
    }
    name_unions_of_responses(document);
    write_primitives_as_json(document);
    name_maps_of_responses(document);
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        second::type_events(schemas);
        errors::tag(schemas);
        give_events_their_id(schemas);
        name_variants(schemas);
        // Its variants are what operations refer to.
        schemas.remove(ERRORS);
        errors::show_both_shapes(schemas);
        tell_variants_apart(schemas);
        let unions = schemas
            .iter()
            .filter(|(_, s)| s["discriminator"].is_object());
        let unions: Vec<_> = unions.map(|(name, _)| format!("{SCHEMAS}{name}")).collect();
        schemas
            .values_mut()
            .for_each(|schema| let_null_beside(schema, &unions));
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

/// All operations.
pub(super) fn operations(document: &mut Value) -> impl Iterator<Item = &mut Value> {
    let paths = document["paths"].as_object_mut();
    let items = paths.into_iter().flat_map(Map::values_mut);
    items
        .filter_map(Value::as_object_mut)
        .flat_map(Map::values_mut)
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

/// An answer that is a map is a schema of its own, named after its operation.
fn name_maps_of_responses(document: &mut Value) {
    let mut maps = Map::new();
    for operation in operations(document) {
        let name = format!(
            "{}Map",
            pascal_case(operation["operationId"].as_str().unwrap_or_default())
        );
        let Some(response) = operation.pointer_mut("/responses/200") else {
            continue;
        };
        let description = response["description"].clone();
        let Some(schema) = response.pointer_mut("/content/application~1json/schema") else {
            continue;
        };
        if !schema["additionalProperties"].is_object() {
            continue;
        }
        let reference = json!({ "$ref": format!("{SCHEMAS}{name}") });
        let mut map = std::mem::replace(schema, reference);
        map["description"] = description;
        maps.insert(name, map);
    }
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        schemas.extend(maps);
    }
}

/// utoipa takes a body of `true` or of a number for plain text; it is JSON, as every answer is.
fn write_primitives_as_json(document: &mut Value) {
    for operation in operations(document) {
        let responses = operation["responses"].as_object_mut();
        for response in responses.into_iter().flat_map(Map::values_mut) {
            let content = response.get_mut("content").and_then(Value::as_object_mut);
            let Some(content) = content else { continue };
            let kind = content.get("text/plain").map(|c| &c["schema"]["type"]);
            if !kind.is_some_and(|k| k == "boolean" || k == "integer" || k == "number") {
                continue;
            }
            if let Some(body) = content.remove("text/plain") {
                content.insert("application/json".to_owned(), body);
            }
        }
    }
}

/// Calls `change` with every object in a value, the outer ones first.
pub(super) fn each_object(value: &mut Value, change: &mut impl FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Object(map) => {
            change(map);
            map.values_mut()
                .for_each(|value| each_object(value, change));
        }
        Value::Array(list) => list.iter_mut().for_each(|value| each_object(value, change)),
        _ => {}
    }
}

/// A property with one possible value is a constant: generators make an enum of one variant of it
/// otherwise.
fn write_tags_as_constants(document: &mut Value) {
    each_object(document, &mut |map| {
        let words = map.get("enum").and_then(Value::as_array);
        if let Some([Value::String(only)]) = words.map(Vec::as_slice) {
            let only = json!(only);
            map.remove("enum");
            map.insert("const".to_owned(), only);
        }
    });
}

/// `Event` is the union of events with their ids, instead of a union with an id next to it.
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
pub(super) fn put_first(schema: &mut Value, name: &str, property: Value) {
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

/// A union of named schemas also says how they are told apart.
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

/// Validators that look at a discriminator accept null for each variant of a union: next to null, the union is `anyOf`,
/// not `oneOf`.
fn let_null_beside(schema: &mut Value, unions: &[String]) {
    let is_union = |variants: &Value| {
        let reference = variants[0]["$ref"].as_str();
        reference.is_some_and(|reference| unions.iter().any(|union| union == reference))
            && variants[1]["type"] == "null"
    };
    each_object(schema, &mut |map| {
        if map.get("oneOf").is_some_and(is_union)
            && let Some(variants) = map.remove("oneOf")
        {
            map.insert("anyOf".to_owned(), variants);
        }
    });
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

/// Gives the content next to the tag a name, when it is an object without one.
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
        EVENT => format!("Event{}", pascal_case(tag)),
        _ => format!("{union}{}", pascal_case(tag)),
    }
}

pub(super) fn pascal_case(tag: &str) -> String {
    let words = tag.split(|c: char| !c.is_ascii_alphanumeric());
    let capital = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    words.map(capital).collect()
}

/// Lines end in a comment where the editor is full; a description has paragraphs.
fn unwrap_descriptions(document: &mut Value) {
    each_object(document, &mut |map| {
        if let Some(Value::String(text)) = map.get_mut("description") {
            let paragraphs: Vec<_> = text.split("\n\n").map(|p| p.replace('\n', " ")).collect();
            *text = paragraphs.join("\n\n");
        }
    });
}

#[cfg(test)]
mod tests;
