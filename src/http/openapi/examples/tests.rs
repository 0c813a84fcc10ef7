//! Whatever the document shows as an example is what its schemas say.

use super::*;
use crate::http::openapi::{Form, Version};

/// A checker for one schema of a document. In 3.0 null is said in another way than JSON Schema's, so only 3.1 is checked.
fn is_valid(document: &Value, schema: &Value, example: &Value, place: &str) {
    let mut whole = schema.clone();
    whole["components"] = document["components"].clone();
    let checker = jsonschema::validator_for(&whole).expect("a schema");
    let errors: Vec<_> = checker
        .iter_errors(example)
        .map(|e| format!("{}: {e}", e.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{place}: {errors:?}: {example}");
}

fn check(document: &Value, content: &Value, place: &str, count: &mut usize) {
    let single = content.get("example").into_iter();
    let named = content["examples"]
        .as_object()
        .into_iter()
        .flat_map(Map::values);
    for example in single.chain(named.map(|example| &example["value"])) {
        is_valid(document, &content["schema"], example, place);
        *count += 1;
    }
}

#[test]
fn examples_are_what_the_schemas_say() {
    let text = Form::default().document();
    let mut document: Value = serde_json::from_str(&text).expect("JSON");
    let whole = document.clone();
    let mut count = 0;
    for operation in operations(&mut document) {
        let id = operation["operationId"].to_string();
        let body = operation["requestBody"]["content"]
            .as_object()
            .into_iter()
            .flatten();
        let responses = operation["responses"].as_object().into_iter().flatten();
        let answers = responses
            .filter_map(|(_, r)| r["content"].as_object())
            .flatten();
        for (kind, content) in body.chain(answers) {
            check(&whole, content, &format!("{id}: {kind}"), &mut count);
        }
    }
    for (name, response) in whole["components"]["responses"]
        .as_object()
        .expect("responses")
    {
        let contents = response["content"].as_object().into_iter().flatten();
        contents.for_each(|(kind, content)| {
            check(&whole, content, &format!("{name}: {kind}"), &mut count)
        });
    }
    assert!(count > 60, "{count} examples");
}

#[test]
fn the_operations_that_matter_have_examples() {
    let form = Form {
        version: Version::Current,
        is_core: true,
    };
    let mut document: Value = serde_json::from_str(&form.document()).expect("JSON");
    let mut without = Vec::new();
    for operation in operations(&mut document) {
        let answers = operation["responses"]["200"]["content"]
            .as_object()
            .into_iter()
            .flatten();
        let shown = answers
            .map(|(_, c)| c)
            .all(|c| c.get("example").or(c.get("examples")).is_some());
        let body = operation["requestBody"]["content"]
            .as_object()
            .into_iter()
            .flatten();
        if !shown || !body.map(|(_, c)| c).all(|c| c.get("example").is_some()) {
            without.push(operation["operationId"].clone());
        }
    }
    assert_eq!(without, [""; 0]);
}

/// What no test can bring about.
const WITHOUT_EXAMPLE: [&str; 1] = ["TaggedFailed"];

#[test]
fn each_error_that_a_test_can_bring_about_has_an_example() {
    let document: Value = serde_json::from_str(&Form::default().document()).expect("JSON");
    let responses = document["components"]["responses"].as_object();
    let without: Vec<_> = responses
        .expect("responses")
        .iter()
        .filter(|(_, response)| response["content"][JSON].get("examples").is_none())
        .map(|(name, _)| name)
        .collect();
    assert_eq!(without, WITHOUT_EXAMPLE);
}
