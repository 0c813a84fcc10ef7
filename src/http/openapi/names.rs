//! Names for what generators would call the same.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::tidy::pascal_case;

/// Go's generators have one name space for the words of all sets: a set with a word that another one has, too, says how its words
/// are to be called.
pub(super) fn tell_words_apart(document: &mut Value) {
    let Some(schemas) = document["components"]["schemas"].as_object_mut() else {
        return;
    };
    let mut sets_with: HashMap<String, usize> = HashMap::new();
    for schema in schemas.values() {
        for word in words_of(schema) {
            *sets_with.entry(screaming(word)).or_default() += 1;
        }
    }
    for (name, schema) in schemas.iter_mut() {
        let words = words_of(schema);
        if words.iter().all(|word| sets_with[&screaming(word)] == 1) {
            continue;
        }
        // As Go and Rust spell them; generators of other languages spell them anew.
        let names = words
            .iter()
            .map(|word| format!("{name}{}", pascal_case(word)));
        let names: Vec<_> = names.collect();
        schema["x-enum-varnames"] = json!(names);
    }
}

fn words_of(schema: &Value) -> Vec<&str> {
    let words = schema["enum"].as_array().into_iter().flatten();
    // A set of one word.
    let words = words.chain(schema.get("const"));
    words.filter_map(Value::as_str).collect()
}

/// A word in capital letters, as generators write constants: `not-clean` is `NOT_CLEAN`.
fn screaming(word: &str) -> String {
    let letter = |c: char| match c.is_ascii_alphanumeric() {
        true => c.to_ascii_uppercase(),
        false => '_',
    };
    word.chars().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_two_sets_are_told_apart() {
        let mut document = json!({ "components": { "schemas": {
            "FileChange": { "enum": ["added", "not-clean"] },
            "Other": { "enum": ["ADDED"] },
            "Alone": { "enum": ["apart"] },
            "One": { "const": "Added" },
        } } });
        tell_words_apart(&mut document);
        let schemas = &document["components"]["schemas"];
        let names = |name: &str| schemas[name]["x-enum-varnames"].clone();
        assert_eq!(
            names("FileChange"),
            json!(["FileChangeAdded", "FileChangeNotClean"])
        );
        assert_eq!(names("Other"), json!(["OtherADDED"]));
        assert_eq!(names("One"), json!(["OneAdded"]));
        assert_eq!(names("Alone"), Value::Null);
    }
}
