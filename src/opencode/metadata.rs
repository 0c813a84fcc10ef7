//! The free data of a client.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

/// An object that only clients understand. It is kept as its JSON, which takes a fraction of the memory of the parsed
/// value, and copies share it: a session is copied with every change.
#[derive(Debug, Clone)]
pub struct Metadata(Arc<RawValue>);

impl Metadata {
    /// Takes an object.
    pub fn new(object: &Map<String, Value>) -> Self {
        // A tree of values always serialises.
        Self(to_raw_value(object).unwrap_or_default().into())
    }

    /// Its JSON.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for Metadata {
    /// Whatever the order of the fields.
    fn eq(&self, other: &Self) -> bool {
        let parsed = |text: &str| serde_json::from_str::<Value>(text).ok();
        self.as_str() == other.as_str() || parsed(self.as_str()) == parsed(other.as_str())
    }
}

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(raw.into()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_is_the_same_object_whatever_the_order() {
        let read = |text: &str| serde_json::from_str::<Metadata>(text).expect("JSON");
        let (one, other) = (read(r#"{"a":1, "b":[]}"#), read(r#"{"b":[],"a":1}"#));
        assert_eq!(one, other);
        assert_ne!(one, read(r#"{"a":1,"b":[2]}"#));
        assert_eq!(
            serde_json::to_value(&one).expect("JSON"),
            json!({"b": [], "a": 1})
        );
    }
}
