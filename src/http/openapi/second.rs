//! The events of OpenCode 2: what `data` carries depends on `type`, so each type is a schema of its own.
//!
//! The events of the first version go through its stream, too, with their `properties` as `data`; those are taken
//! from the first version's union, so that neither list can fall behind.

use serde_json::{Map, Value, json};

use super::tidy::{PAYLOAD, put_first};
use crate::opencode::v2::shape::NOT_OF_THE_SECOND;

/// The event as the code has it: its `data` is free.
const EVENT: &str = "V2Event";
/// The types that only OpenCode 2 has, with what they carry.
const OWN: &str = "V2Said";

/// Makes a union of the event of OpenCode 2.
pub(super) fn type_events(schemas: &mut Map<String, Value>) {
    let Some(Value::Object(own)) = schemas.remove(OWN) else {
        unreachable!("there is no {OWN}");
    };
    let mut variants = own["oneOf"].as_array().cloned().unwrap_or_default();
    let first = schemas[PAYLOAD]["oneOf"].as_array().into_iter().flatten();
    let first = first.filter(|variant| {
        let kind = tag(variant);
        !NOT_OF_THE_SECOND.contains(&kind) && variants.iter().all(|known| tag(known) != kind)
    });
    let mut all: Vec<Value> = first.cloned().map(with_data).collect();
    all.append(&mut variants);
    let event = schemas[EVENT].take();
    for variant in &mut all {
        for optional in ["durable", "location"] {
            variant["properties"][optional] = event["properties"][optional].clone();
        }
        put_first(variant, "id", event["properties"]["id"].clone());
    }
    schemas[EVENT] = json!({ "oneOf": all, "description": event["description"] });
}

fn tag(variant: &Value) -> &str {
    variant["properties"]["type"]["enum"][0]
        .as_str()
        .unwrap_or_default()
}

/// A variant of the first version, in the second one's words.
fn with_data(mut variant: Value) -> Value {
    let properties = variant["properties"]["properties"].take();
    variant["properties"] = json!({
        "type": variant["properties"]["type"],
        "data": properties,
    });
    variant["required"] = json!(["type", "data"]);
    variant
}
