//! Names for what generators would call the same.

use std::collections::HashMap;

use serde_json::{Value, json};

/// Go has one name space for the words of all sets: a set with a word that another one has, too, says how its words
/// are to be called.
pub fn tell_words_apart(document: &mut Value) {
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
        let set = screaming(name);
        let names = words
            .iter()
            .map(|word| format!("{set}_{}", screaming(word)));
        let names: Vec<_> = names.collect();
        schema["x-enum-varnames"] = json!(names);
    }
}

fn words_of(schema: &Value) -> Vec<&str> {
    let words = schema["enum"].as_array().into_iter().flatten();
    words.filter_map(Value::as_str).collect()
}

/// `FileChange` and `not-clean` in capital letters: `FILE_CHANGE`, `NOT_CLEAN`.
fn screaming(text: &str) -> String {
    let mut name = String::new();
    let mut before = '_';
    for letter in text.chars() {
        let begins = letter.is_ascii_uppercase() && before.is_ascii_lowercase();
        if begins || !letter.is_ascii_alphanumeric() {
            name.push('_');
        }
        if letter.is_ascii_alphanumeric() {
            name.push(letter.to_ascii_uppercase());
        }
        before = letter;
    }
    name
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
        } } });
        tell_words_apart(&mut document);
        let schemas = &document["components"]["schemas"];
        let names = |name: &str| schemas[name]["x-enum-varnames"].clone();
        assert_eq!(
            names("FileChange"),
            json!(["FILE_CHANGE_ADDED", "FILE_CHANGE_NOT_CLEAN"])
        );
        assert_eq!(names("Other"), json!(["OTHER_ADDED"]));
        assert_eq!(names("Alone"), Value::Null);
    }
}
