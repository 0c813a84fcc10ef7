//! Holds every error in OpenCode 2's shape that a test receives to the committed document.

use std::sync::LazyLock;

use baton::http::openapi::COMMITTED;
use jsonschema::Validator;
use serde_json::{Value, json};

/// `TaggedError`, with no other fields than those that it has.
static TAGGED: LazyLock<Validator> = LazyLock::new(|| {
    let document: Value = serde_json::from_str(COMMITTED).expect("the document");
    let components = document["components"].clone();
    let mut schema = components["schemas"]["TaggedError"].clone();
    schema["additionalProperties"] = json!(false);
    schema["components"] = components;
    jsonschema::validator_for(&schema).expect("a schema")
});

/// Panics over an error whose name or fields are not in the document.
pub(crate) fn check(answer: &Value) {
    if answer["_tag"].is_null() {
        return;
    }
    let mut error = answer.clone();
    if let Some(error) = error.as_object_mut() {
        // An error in both shapes.
        error.remove("name");
        error.remove("data");
    }
    let wrong: Vec<_> = TAGGED.iter_errors(&error).map(|e| e.to_string()).collect();
    assert!(
        wrong.is_empty(),
        "not in the document: {wrong:?}: {answer:#}"
    );
}

#[test]
fn an_undocumented_name_or_field_is_noticed() {
    check(&json!({ "_tag": "UnauthorizedError", "message": "no" }));
    for odd in [
        json!({ "_tag": "OddError", "message": "no" }),
        json!({ "_tag": "UnauthorizedError", "message": "no", "odd": 1 }),
    ] {
        assert!(std::panic::catch_unwind(|| check(&odd)).is_err(), "{odd}");
    }
}
