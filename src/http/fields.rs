//! Reads a JSON body field by field, so that an error always says where it is.
//!
//! Unknown fields are ignored, as OpenCode does, except one that differs from a known field only in
//! case, underscores or hyphens: ignoring `provider_id` would answer 200 and change nothing.

use serde_json::{Map, Value};

use super::bounds::{Bound, data_exceeded, too_large};
use super::error::{BadKind, Problem};
use crate::opencode::Metadata;
use crate::opencode::id::InvalidId;
use crate::session::Sizes;

/// The beginning of a wrong string that is quoted in an error, in characters.
const QUOTE_CHARS: usize = 60;
/// The largest integer that a JSON number holds exactly (2^53 - 1).
pub(super) const INTEGER_MAX: u64 = (1 << 53) - 1;

/// The fields of a JSON object, and where in the body it stands.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    map: &'a Map<String, Value>,
    /// Like `["parts"][0]`; empty for the body itself.
    path: String,
    sizes: Sizes,
}

/// What a value is, in an error.
fn described(value: &Value) -> String {
    match value {
        Value::Array(_) => "array".to_owned(),
        Value::Object(_) => "object".to_owned(),
        Value::String(text) if text.chars().count() > QUOTE_CHARS => {
            let start: String = text.chars().take(QUOTE_CHARS).collect();
            format!("{} …", Value::from(start))
        }
        plain => plain.to_string(),
    }
}

fn wrong(expected: &str, got: &str, path: &str) -> Problem {
    located(&format!("Expected {expected}, got {got}"), path)
}

fn located(message: &str, path: &str) -> Problem {
    if path.is_empty() {
        Problem::bad(BadKind::Payload, message)
    } else {
        Problem::bad(BadKind::Payload, format!("{message}\n  at {path}"))
    }
}

fn bare(name: &str) -> String {
    let letters = name.chars().filter(|c| !matches!(c, '_' | '-'));
    letters.flat_map(char::to_lowercase).collect()
}

impl<'a> Fields<'a> {
    /// The fields of the whole body.
    ///
    /// # Errors
    /// When the body is no object, or has a field that is nearly one of the known ones.
    pub fn of_body(body: Option<&'a Value>, known: &[&str]) -> Result<Self, Problem> {
        let Some(body) = body else {
            return Err(wrong("object", "undefined", ""));
        };
        Self::of(body, String::new(), known, Sizes::default())
    }

    /// The same fields with other bounds.
    pub fn within(self, sizes: Sizes) -> Self {
        Self { sizes, ..self }
    }

    /// The bounds.
    pub fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    fn of(value: &'a Value, path: String, known: &[&str], sizes: Sizes) -> Result<Self, Problem> {
        let Value::Object(map) = value else {
            return Err(wrong("object", &described(value), &path));
        };
        let fields = Self { map, path, sizes };
        fields.refuse_near_misses(known)?;
        Ok(fields)
    }

    fn refuse_near_misses(&self, known: &[&str]) -> Result<(), Problem> {
        for name in self.map.keys().filter(|n| !known.contains(&n.as_str())) {
            let meant = known.iter().find(|k| bare(k) == bare(name));
            if let Some(meant) = meant {
                let message = format!("Unknown field \"{name}\". Did you mean \"{meant}\"?");
                return Err(located(&message, &self.at(name)));
            }
        }
        Ok(())
    }

    /// Where a field stands, as in `["model"]["modelID"]`.
    pub fn at(&self, name: &str) -> String {
        format!("{}[{}]", self.path, Value::from(name))
    }

    /// A refusal that names a field.
    pub fn refuse(&self, name: &str, message: &str) -> Problem {
        located(message, &self.at(name))
    }

    /// The field as it stands, also when it is null.
    pub fn raw(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name)
    }

    /// The field, unless it is null.
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.raw(name).filter(|v| !v.is_null())
    }

    fn required<T>(&self, name: &str, found: Option<T>) -> Result<T, Problem> {
        found.ok_or_else(|| self.missing(name))
    }

    /// The refusal of a body that lacks this field.
    pub fn missing(&self, name: &str) -> Problem {
        self.refuse(name, "Missing key")
    }

    fn typed<T>(
        &self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let expected = format!("{expected} | null");
        let read = read(value).ok_or_else(|| wrong(&expected, &described(value), &self.at(name)));
        read.map(Some)
    }

    /// A name, an id or another short text; null counts as absent. See [`Fields::text`] for longer ones.
    ///
    /// # Errors
    /// When it is something else, or too long.
    pub fn string(&self, name: &str) -> Result<Option<&'a str>, Problem> {
        self.text(name, Bound::Name)
    }

    /// The same, which has to be there.
    ///
    /// # Errors
    /// When it is absent, something else, or too long.
    pub fn required_string(&self, name: &str) -> Result<&'a str, Problem> {
        self.required_text(name, Bound::Name)
    }

    /// A text of some kind; null counts as absent.
    ///
    /// # Errors
    /// When it is something else, or too long.
    pub fn text(&self, name: &str, bound: Bound) -> Result<Option<&'a str>, Problem> {
        let text = self.typed(name, "string", Value::as_str)?;
        match text.and_then(|text| bound.exceeded(&self.sizes, text)) {
            Some(message) => Err(self.refuse(name, &message)),
            None => Ok(text),
        }
    }

    /// A text of some kind, which has to be there.
    ///
    /// # Errors
    /// When it is absent, something else, or too long.
    pub fn required_text(&self, name: &str, bound: Bound) -> Result<&'a str, Problem> {
        self.required(name, self.text(name, bound)?)
    }

    /// A truth value; null counts as absent.
    ///
    /// # Errors
    /// When it is something else.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, Problem> {
        self.typed(name, "boolean", Value::as_bool)
    }

    /// A number of at least zero, without its fraction; null counts as absent.
    ///
    /// # Errors
    /// When it is something else.
    pub fn unsigned(&self, name: &str) -> Result<Option<u64>, Problem> {
        self.typed(name, "a number between 0 and 2^53 - 1", |value| {
            let number = value
                .as_f64()
                .filter(|n| (0.0..=INTEGER_MAX as f64).contains(n))?;
            // Within these bounds the conversion is exact.
            Some(number as u64)
        })
    }

    /// Free data; null counts as absent.
    ///
    /// # Errors
    /// When it is no object, or too large.
    pub fn data(&self, name: &str) -> Result<Option<Map<String, Value>>, Problem> {
        Ok(self.bounded_data(name)?.cloned())
    }

    /// The free data of a session; null counts as absent.
    ///
    /// # Errors
    /// When it is no object, or too large.
    pub fn metadata(&self, name: &str) -> Result<Option<Metadata>, Problem> {
        Ok(self.bounded_data(name)?.map(Metadata::new))
    }

    fn bounded_data(&self, name: &str) -> Result<Option<&'a Map<String, Value>>, Problem> {
        let data = self.typed(name, "object", Value::as_object)?;
        let exceeded = self.get(name).and_then(|v| data_exceeded(&self.sizes, v));
        match exceeded {
            Some(message) => Err(self.refuse(name, &message)),
            None => Ok(data),
        }
    }

    /// An object with fields of its own; null counts as absent.
    ///
    /// # Errors
    /// When it is no object, or has a field that is nearly one of the known ones.
    pub fn object(&self, name: &str, known: &[&str]) -> Result<Option<Fields<'a>>, Problem> {
        let value = self.get(name);
        value
            .map(|value| Fields::of(value, self.at(name), known, self.sizes))
            .transpose()
    }

    /// The elements of a list, each with its path; null counts as absent.
    ///
    /// # Errors
    /// When it is no list, or is longer than `at_most`.
    pub fn list(&self, name: &str, at_most: usize) -> Result<Option<Vec<Element<'a>>>, Problem> {
        self.list_within(name, at_most, None)
    }

    /// The same, where the bound is a setting.
    ///
    /// # Errors
    /// When it is no list, or is longer than `at_most`.
    pub fn list_within(
        &self,
        name: &str,
        at_most: usize,
        setting: Option<&str>,
    ) -> Result<Option<Vec<Element<'a>>>, Problem> {
        let Some(list) = self.typed(name, "array", Value::as_array)? else {
            return Ok(None);
        };
        if list.len() > at_most {
            let message = match setting {
                Some(setting) => too_large(at_most, "elements", list.len(), setting),
                None => format!("Expected at most {at_most} elements, got {}", list.len()),
            };
            return Err(self.refuse(name, &message));
        }
        let element = |(index, value)| Element {
            value,
            path: format!("{}[{index}]", self.at(name)),
            sizes: self.sizes,
        };
        Ok(Some(list.iter().enumerate().map(element).collect()))
    }

    /// An object of switches by name, in its order; null counts as absent, also for one of them.
    ///
    /// # Errors
    /// When it is no object of booleans, has more than `at_most` of them, or a name that is too long.
    pub fn switches(
        &self,
        name: &str,
        at_most: usize,
        setting: &str,
    ) -> Result<Vec<(&'a str, bool)>, Problem> {
        let Some(fields) = self.object(name, &[])? else {
            return Ok(Vec::new());
        };
        if fields.map.len() > at_most {
            let message = too_large(at_most, "fields", fields.map.len(), setting);
            return Err(self.refuse(name, &message));
        }
        let mut switches = Vec::new();
        for key in fields.map.keys() {
            if let Some(message) = Bound::Name.exceeded(&self.sizes, key) {
                return Err(self.refuse(name, &message));
            }
            let on = fields.boolean(key)?;
            switches.extend(on.map(|on| (key.as_str(), on)));
        }
        Ok(switches)
    }

    /// An id; null counts as absent.
    ///
    /// # Errors
    /// When it is no string, or cannot be such an id.
    pub fn id<T>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, InvalidId>,
    ) -> Result<Option<T>, Problem> {
        let text = self.string(name)?;
        text.map(|text| parse(text).map_err(|error| self.refuse(name, &error.to_string())))
            .transpose()
    }

    /// One of several words; null counts as absent.
    ///
    /// # Errors
    /// When it is something else.
    pub fn word<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, Problem> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let found = words.iter().find(|(word, _)| value.as_str() == Some(word));
        let found = found.ok_or_else(|| {
            let all: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            wrong(&all.join(" | "), &described(value), &self.at(name))
        });
        found.map(|(_, meaning)| Some(*meaning))
    }

    /// One of several words, which has to be there.
    ///
    /// # Errors
    /// When it is absent or something else.
    pub fn required_word<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<T, Problem> {
        self.required(name, self.word(name, words)?)
    }
}

/// An element of a list, and where it stands.
#[derive(Debug, Clone)]
pub struct Element<'a> {
    value: &'a Value,
    path: String,
    sizes: Sizes,
}

impl<'a> Element<'a> {
    /// The element's fields.
    ///
    /// # Errors
    /// When it is no object, or has a field that is nearly one of the known ones.
    pub fn object(self, known: &[&str]) -> Result<Fields<'a>, Problem> {
        Fields::of(self.value, self.path, known, self.sizes)
    }

    /// The element as a list of at most so many texts.
    ///
    /// # Errors
    /// When it is something else, or too large.
    pub fn strings(self, at_most: usize) -> Result<Vec<String>, Problem> {
        let Value::Array(list) = self.value else {
            return Err(wrong("array", &described(self.value), &self.path));
        };
        if list.len() > at_most {
            let message = format!("Expected at most {at_most} elements, got {}", list.len());
            return Err(located(&message, &self.path));
        }
        let string = |(index, value): (usize, &Value)| match value {
            Value::String(text) => match Bound::Text.exceeded(&self.sizes, text) {
                Some(message) => Err(located(&message, &format!("{}[{index}]", self.path))),
                None => Ok(text.clone()),
            },
            other => Err(wrong(
                "string",
                &described(other),
                &format!("{}[{index}]", self.path),
            )),
        };
        list.iter().enumerate().map(string).collect()
    }
}

/// Any JSON, with our own field names in it every now and then.
#[cfg(test)]
pub(super) fn any_json() -> impl proptest::strategy::Strategy<Value = Value> {
    use proptest::prelude::*;
    let name = prop_oneof![
        Just("model".to_owned()),
        Just("providerID".to_owned()),
        Just("modelID".to_owned()),
        Just("variant".to_owned()),
        Just("time".to_owned()),
        Just("archived".to_owned()),
        Just("permission".to_owned()),
        Just("parts".to_owned()),
        Just("type".to_owned()),
        "\\PC{0,6}",
    ];
    let word = prop_oneof![
        Just("text".to_owned()),
        Just("ask".to_owned()),
        "\\PC{0,80}"
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 8, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec((name.clone(), inner), 0..8)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(result: Result<impl std::fmt::Debug, Problem>) -> String {
        result.expect_err("refused").message()
    }

    #[test]
    fn errors_say_where() {
        let body =
            json!({"title": 5, "model": {"id": []}, "list": [{}, 1], "long": "x".repeat(90)});
        let fields = Fields::of_body(Some(&body), &[]).expect("an object");
        assert_eq!(
            message(fields.string("title")),
            "Expected string | null, got 5\n  at [\"title\"]"
        );
        let model = fields.object("model", &[]).expect("fine").expect("there");
        assert_eq!(
            message(model.string("id")),
            "Expected string | null, got array\n  at [\"model\"][\"id\"]"
        );
        assert_eq!(
            message(model.required_string("modelID")),
            "Missing key\n  at [\"model\"][\"modelID\"]"
        );
        let list = fields.list("list", 2).expect("fine").expect("there");
        assert_eq!(
            message(list[1].clone().object(&[])),
            "Expected object, got 1\n  at [\"list\"][1]"
        );
        assert!(message(fields.list("list", 1)).starts_with("Expected at most 1 elements, got 2"));
        assert!(message(fields.boolean("long")).len() < 120);
    }

    #[test]
    fn only_an_object_is_a_body() {
        for (body, got) in [
            (None, "undefined"),
            (Some(json!(null)), "null"),
            (Some(json!([])), "array"),
            (Some(json!("x")), "\"x\""),
        ] {
            let refused = message(Fields::of_body(body.as_ref(), &[]));
            assert_eq!(refused, format!("Expected object, got {got}"));
        }
    }

    #[test]
    fn a_near_miss_is_refused_and_another_field_is_ignored() {
        let known = ["providerID", "modelID"];
        for near in ["provider_id", "providerId", "PROVIDER-ID", "modelid"] {
            let body = json!({ near: "x" });
            let refused = message(Fields::of_body(Some(&body), &known));
            assert!(refused.contains("Did you mean"), "{refused}");
            assert!(refused.contains(near), "{refused}");
        }
        let body = json!({"providers": 1, "": 2, "model": 3, "providerID": 4});
        assert!(Fields::of_body(Some(&body), &known).is_ok());
    }

    #[test]
    fn numbers_are_bounded() {
        let body = json!({"a": 0, "b": 1.9, "c": -1, "d": 1e300, "e": "1", "f": null});
        let fields = Fields::of_body(Some(&body), &[]).expect("an object");
        assert_eq!(fields.unsigned("a").expect("fine"), Some(0));
        assert_eq!(fields.unsigned("b").expect("fine"), Some(1));
        assert_eq!(fields.unsigned("f").expect("fine"), None);
        for bad in ["c", "d", "e"] {
            assert!(fields.unsigned(bad).is_err(), "{bad}");
        }
    }
}
