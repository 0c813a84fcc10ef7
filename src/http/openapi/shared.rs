//! What many operations share is defined once, in the document's components.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::tidy::{operations, pascal_case};
use crate::http::responses::SHARED;

/// Where responses are.
const RESPONSES: &str = "#/components/responses/";
/// Where parameters are.
pub(super) const PARAMETERS: &str = "#/components/parameters/";

/// Does all of it.
pub(super) fn share(document: &mut Value) {
    let responses = share_responses(document);
    let parameters = share_parameters(document);
    document["components"]["responses"] = Value::Object(responses);
    document["components"]["parameters"] = Value::Object(parameters);
}

/// Every response that has a mark with its name.
fn share_responses(document: &mut Value) -> Map<String, Value> {
    let mut shared = Map::new();
    for operation in operations(document) {
        let responses = operation["responses"].as_object_mut();
        for response in responses.into_iter().flat_map(Map::values_mut) {
            let mark = response.as_object_mut().and_then(|r| r.remove(SHARED));
            let Some(name) = mark.as_ref().and_then(Value::as_str) else {
                continue;
            };
            let reference = json!({ "$ref": format!("{RESPONSES}{name}") });
            let response = std::mem::replace(response, reference);
            let before = shared.insert(name.to_owned(), response);
            let same = before.is_none_or(|before| before == shared[name]);
            assert!(same, "the name {name} stands for two responses");
        }
    }
    shared.sort_keys();
    shared
}

/// Every parameter that more than one operation has just so. Where a name has several of them, the one that most
/// operations have gets it.
fn share_parameters(document: &mut Value) -> Map<String, Value> {
    let mut uses: HashMap<String, usize> = HashMap::new();
    for operation in operations(document) {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            *uses.entry(parameter.to_string()).or_default() += 1;
        }
    }
    let mut several: Vec<_> = uses.into_iter().filter(|(_, count)| *count > 1).collect();
    several.sort_by(|(a, many), (b, few)| few.cmp(many).then(a.cmp(b)));
    let mut shared = Map::new();
    let mut names = HashMap::new();
    for (text, _) in several {
        let parameter: Value = serde_json::from_str(&text).unwrap_or_default();
        let name = pascal_case(parameter["name"].as_str().unwrap_or_default());
        if !shared.contains_key(&name) {
            shared.insert(name.clone(), parameter);
            names.insert(text, name);
        }
    }
    for operation in operations(document) {
        let parameters = operation
            .get_mut("parameters")
            .and_then(Value::as_array_mut);
        for parameter in parameters.into_iter().flatten() {
            if let Some(name) = names.get(&parameter.to_string()) {
                *parameter = json!({ "$ref": format!("{PARAMETERS}{name}") });
            }
        }
    }
    shared.sort_keys();
    shared
}
