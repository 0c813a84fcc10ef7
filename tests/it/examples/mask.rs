//! What differs from run to run (ids, times, folders), written as if the run had been somebody's.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::harness::Server;

/// What every time is written as, in milliseconds since the Unix epoch.
const TIME: u64 = 1_795_000_000_000;
/// Numbers from here on are times.
const TIMES_FROM: u64 = 1_600_000_000_000;
/// The characters of an id after its prefix: twelve digits and fourteen letters.
const ID_CHARS: usize = 26;
const HASH_CHARS: usize = 40;
/// The digits of a native session's id.
const NATIVE_CHARS: usize = 16;
const PREFIXES: [&str; 6] = ["ses", "msg", "prt", "per", "que", "evt"];

/// Writes what differs from run to run in the same way every time.
pub(super) struct Mask {
    ids: HashMap<String, usize>,
    texts: Vec<(String, &'static str)>,
}

impl Mask {
    /// What is masked of a server.
    pub(super) fn new(server: &Server) -> Self {
        let folder = server.folder.path().canonicalize().expect("a folder");
        let folder = folder.to_str().expect("a path").to_owned();
        let texts = vec![
            (format!("{folder}/work"), "/home/ada/parser"),
            (format!("{}/work", &folder[1..]), "home/ada/parser"),
            (folder, "/home/ada"),
            (env!("CARGO_BIN_EXE_baton").to_owned(), "baton"),
        ];
        Self {
            ids: HashMap::new(),
            texts,
        }
    }

    /// A value as it is written.
    pub(super) fn apply(&mut self, value: &Value) -> Value {
        match value {
            Value::Object(map) => {
                let entries = map
                    .iter()
                    .map(|(key, value)| (self.text(key), self.field(key, value)));
                Value::Object(entries.collect())
            }
            Value::Array(list) => list.iter().map(|value| self.apply(value)).collect(),
            Value::String(text) => Value::String(self.text(text)),
            Value::Number(number) if number.as_u64().is_some_and(|n| n > TIMES_FROM) => json!(TIME),
            other => other.clone(),
        }
    }

    fn field(&mut self, key: &str, value: &Value) -> Value {
        match key {
            "durationMs" => json!(12),
            "slug" => json!("brave-comet"),
            // How much an aborted answer has cost depends on when it was aborted.
            "cost" if value.is_number() => json!(0.0021),
            "tokens" if value["input"].is_number() => {
                let mut tokens = value.clone();
                for (kind, count) in [("input", 220), ("output", 17), ("total", 237)] {
                    if tokens[kind].is_number() {
                        tokens[kind] = json!(count);
                    }
                }
                tokens
            }
            "ref" => json!("err_3kTz9Qa1Xw0B"),
            "requestID" if value.is_string() => json!("req_7Hc2Lp9Qx4Vb"),
            _ => self.apply(value),
        }
    }

    fn text(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for (from, to) in &self.texts {
            text = text.replace(from, to);
        }
        let mut masked = String::new();
        let mut rest = text.as_str();
        while let Some(letter) = rest.chars().next() {
            let word = rest
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_');
            let length = word.count();
            if length == 0 {
                masked.push(letter);
                rest = &rest[letter.len_utf8()..];
                continue;
            }
            masked.push_str(&self.word(&rest[..length]));
            rest = &rest[length..];
        }
        masked
    }

    fn word(&mut self, word: &str) -> String {
        let is_hash = word.len() == HASH_CHARS && word.bytes().all(|b| b.is_ascii_hexdigit());
        if is_hash {
            return "4b825dc642cb6eb9a060e54bf8d69288fbee4904".to_owned();
        }
        let is_native = word.len() == NATIVE_CHARS && word.bytes().all(|b| b.is_ascii_hexdigit());
        if is_native {
            return "5d1c0f2e9a7b3846".to_owned();
        }
        if word.starts_with("call_") {
            return "call_c84b0ebd84d01fd5".to_owned();
        }
        let id = PREFIXES.iter().find(|prefix| {
            let rest = word
                .strip_prefix(*prefix)
                .and_then(|rest| rest.strip_prefix('_'));
            rest.is_some_and(|rest| rest.len() == ID_CHARS)
        });
        let Some(prefix) = id else {
            return word.to_owned();
        };
        let count = self.ids.len() + 1;
        let number = self.ids.entry(word.to_owned()).or_insert(count);
        format!("{prefix}_20b3{number:08x}Baton000000000")
    }
}
