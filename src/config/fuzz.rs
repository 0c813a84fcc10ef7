//! Whatever is in the config file, no error quotes the value of a password, a variable or a command.

use std::path::Path;

use proptest::prelude::*;

use super::file::ConfigFile;
use super::tests::loaded;
use crate::fuzz;

/// Stands in values only, unless a change has made a key of it.
const SECRET: &str = "hunter2secret";
/// So much of it would be too much.
const TOLD_CHARS: usize = 6;
const PIECES: &[&str] = &[
    "\"",
    "'",
    "\"\"\"",
    "'''",
    "=",
    " = ",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    ",",
    "\n",
    "\r\n",
    "#",
    ".",
    "\\",
    "\\u12",
    "é",
    "\0",
    "5",
    "true",
    "1e400",
    "1979-05-27",
    "inf",
    "[server]\n",
    "[agents.x]\n",
    "[agents.x.set]\n",
    "command = ",
    "password = ",
    "env = ",
    "set = ",
    "inherit = ",
    "port = ",
    "hunter2secret",
    "\"hunter2secret\"",
    "models = ",
];

fn unescaped(line: &str) -> String {
    line.replace("\\n", "\n").replace("SECRET", SECRET)
}

fn file() -> impl Strategy<Value = String> {
    let known: Vec<_> = fuzz::corpus("config.toml.txt")
        .iter()
        .map(|line| unescaped(line))
        .collect();
    let some =
        prop::collection::vec(prop::sample::select(known), 1..3).prop_map(|files| files.concat());
    fuzz::mutated_text(some, PIECES)
}

/// Whether a piece of the secret is quoted.
fn tells(said: &str) -> bool {
    let pieces = (0..=SECRET.len() - TOLD_CHARS).map(|at| &SECRET[at..at + TOLD_CHARS]);
    pieces.into_iter().any(|piece| said.contains(piece))
}

/// No error quotes the values of these keys.
const SECRET_KEYS: [&str; 5] = ["password", "env", "set", "command", "template"];

/// Whether it is also where it is not secret: as a key, which has to be named, or under another key.
fn is_elsewhere(value: &toml::Value) -> bool {
    match value {
        toml::Value::Table(table) => table.iter().any(|(key, value)| {
            tells(key)
                || (!SECRET_KEYS.contains(&key.as_str()) && is_elsewhere(value))
                || has_key(value)
        }),
        toml::Value::Array(list) => list.iter().any(is_elsewhere),
        toml::Value::String(text) => tells(text),
        _ => false,
    }
}

fn has_key(value: &toml::Value) -> bool {
    match value {
        toml::Value::Table(table) => table
            .iter()
            .any(|(key, value)| tells(key) || has_key(value)),
        toml::Value::Array(list) => list.iter().any(has_key),
        _ => false,
    }
}

/// The same for a file that may be TOML only up to some line, whose own key is named, too.
fn is_told_as_a_key(text: &str) -> bool {
    let starts = text.match_indices('\n').map(|(at, _)| at + 1);
    std::iter::once(0)
        .chain(starts)
        .chain([text.len()])
        .any(|at| {
            let Ok(before) = toml::from_str::<toml::Value>(&text[..at]) else {
                return false;
            };
            let line = text[at..].lines().next().unwrap_or_default();
            is_elsewhere(&before) || line.split_once('=').is_some_and(|(key, _)| tells(key))
        })
}

fn said_of(text: &str) -> Option<String> {
    let parsed = ConfigFile::parse(text, Path::new("b.toml"));
    match parsed {
        Err(error) => Some(error.to_string()),
        Ok(_) => loaded(text).err(),
    }
}

#[test]
fn no_error_tells_a_value() {
    fuzz::check("config", file(), |text| {
        let elsewhere = is_told_as_a_key(&text);
        if let Some(said) = said_of(&text).filter(|_| !elsewhere) {
            prop_assert!(!tells(&said), "{:?}: {}", text, said);
            prop_assert_eq!(said.lines().count(), 1, "{:?}: {}", text, said);
        }
        Ok(())
    });
}

#[test]
fn the_corpus_tells_nothing() {
    for line in fuzz::corpus("config.toml.txt") {
        if let Some(said) = said_of(&unescaped(&line)) {
            assert!(!tells(&said), "{line}: {said}");
        }
    }
}
