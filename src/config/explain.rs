//! What is wrong with the config file: where, and under which key, but never the text there. It may be a
//! password without its quotation marks, and errors end up in logs, terminals and bug reports.

use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::{ConfigError, meant};

/// A word of a message that is also in the file counts as a part of a value if it is this long, in characters.
const WORD_MIN_CHARS: usize = 4;
/// Said of what is not TOML, where the parser's own words would quote the file.
const NOT_TOML: &str = "this is not valid TOML. A text stands in quotation marks: key = \"text\"";
/// How serde's message about an unusable value begins; the value follows.
const WITH_VALUE: [&str; 3] = ["invalid type: ", "invalid value: ", "unknown variant "];

/// An error of the parser, for the user.
pub(super) fn explain(text: &str, error: &toml::de::Error, path: &Path) -> ConfigError {
    let place = error.span().map_or_else(String::new, |span| {
        let (line, column) = position(text, span.start);
        let key = key_at(text, &span).map_or_else(String::new, |key| format!(", at {key}"));
        format!(", line {line}, column {column}{key}")
    });
    let file = path.display();
    let message = without_values(error.message(), text);
    ConfigError(format!("in the config file {file}{place}: {message}"))
}

/// Line and column of a byte, both from 1; columns count characters.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..boundary(text, at)];
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    let line = before.matches('\n').count() + 1;
    (line, before[line_start..].chars().count() + 1)
}

/// The character that a byte is part of.
fn boundary(text: &str, at: usize) -> usize {
    let mut starts = (0..=at.min(text.len())).rev();
    starts.find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// The key of the value that an error is about, with its table: `server.password`.
///
/// In a file that is not TOML a line of a value may look like a key, or like a table. If what comes before the line of the
/// error is valid TOML, no value continues into that line.
fn key_at(text: &str, span: &Range<usize>) -> Option<String> {
    if let Ok(whole) = DeTable::parse(text) {
        return Some(keys_to(whole.get_ref(), span.start)?.join("."));
    }
    let at = boundary(text, span.start);
    let line = text[..at].rfind('\n').map_or(0, |before| before + 1);
    let key = text[line..].lines().next()?.split_once('=')?.0.trim();
    // A key in the line's place shows which table it is in.
    let probe = format!("{}{PROBE} = 0\n", &text[..line]);
    let before = DeTable::parse(&probe).ok()?;
    let mut keys = keys_to(before.get_ref(), line)?;
    keys.pop();
    keys.push(key);
    is_key(key).then(|| keys.join("."))
}

/// A key that no configuration has.
const PROBE: &str = "the-line-of-the-error";

fn is_key(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    !text.is_empty() && text.chars().all(fits)
}

/// The keys that lead to the innermost value at a place.
fn keys_to<'a>(table: &'a DeTable<'_>, at: usize) -> Option<Vec<&'a str>> {
    table.iter().find_map(|(key, value)| {
        let inner = match value.get_ref() {
            DeValue::Table(table) => keys_to(table, at),
            DeValue::Array(list) => list.iter().find_map(|value| match value.get_ref() {
                DeValue::Table(table) => keys_to(table, at),
                _ => None,
            }),
            _ => None,
        };
        let is_here = key.span().contains(&at) || value.span().contains(&at);
        let behind = inner.or_else(|| is_here.then(Vec::new))?;
        Some(
            std::iter::once(key.get_ref().as_ref())
                .chain(behind)
                .collect(),
        )
    })
}

/// The parser's message without what it quotes of the file's values.
fn without_values(message: &str, text: &str) -> String {
    let first = message.lines().next().unwrap_or_default();
    if let Some(beginning) = WITH_VALUE.iter().find(|b| first.starts_with(**b)) {
        let kind = beginning.trim_end_matches([':', ' ']);
        let expected = first.rsplit_once("expected ").map(|(_, what)| what);
        return match expected {
            Some(what) => format!("{kind}, expected {what}"),
            None => kind.to_owned(),
        };
    }
    if first.starts_with("unknown field") || first.starts_with("missing field") {
        // Keys are no secrets, and which one is meant has to be said.
        return format!("{first}{}", meant_key(first));
    }
    let quotes = first
        .split(|c: char| !c.is_alphanumeric())
        .any(|word| word.chars().count() >= WORD_MIN_CHARS && stands_in_a_value(word, text));
    if quotes {
        return NOT_TOML.to_owned();
    }
    first.to_owned()
}

/// Which of the expected keys an unknown one may mean: serde names the unknown one first, each between backquotes.
fn meant_key(message: &str) -> String {
    let mut names = message.split('`').skip(1).step_by(2);
    let unknown = names
        .next()
        .filter(|_| message.starts_with("unknown field"));
    let expected: Vec<_> = names.collect();
    let question = unknown.map(|unknown| meant(unknown, &expected));
    let question = question.filter(|question| !question.is_empty());
    question.map_or_else(String::new, |question| format!(".{question}"))
}

fn stands_in_a_value(word: &str, text: &str) -> bool {
    text.lines().any(|line| {
        line.split_once('=')
            .map_or(line, |(_, value)| value)
            .contains(word)
    })
}

#[cfg(test)]
mod tests {
    use super::super::file::ConfigFile;
    use super::*;

    fn refused(text: &str) -> String {
        let parsed = ConfigFile::parse(text, Path::new("b.toml"));
        parsed.map(drop).expect_err("refused").to_string()
    }

    #[test]
    fn it_says_where_and_under_which_key() {
        for (text, place) in [
            (
                "[server]\nport = \"x\"\n",
                "b.toml, line 2, column 8, at server.port: ",
            ),
            (
                "[server]\nhost = \"a\"\npassword = 12345678\n",
                "line 3, column 12, at server.password: ",
            ),
            (
                "default_model = 1\n",
                "line 1, column 17, at default_model: ",
            ),
            (
                "[agents.x]\ncommand = [\n  \"ä\", 7,\n]\n",
                "line 3, column 8, at agents.x.command: ",
            ),
            (
                "[server]\n\nprot = 1\n",
                "line 3, column 1, at server.prot: ",
            ),
        ] {
            let said = refused(text);
            assert!(said.contains(place), "{said}");
        }
    }

    #[test]
    fn a_typo_in_a_key_is_told_with_what_was_meant() {
        for (text, meant) in [
            ("[server]\nprot = 1\n", ". Did you mean port"),
            ("defualt_model = \"x/y\"\n", ". Did you mean default_model"),
            ("[agents.claude]\ncomand = []\n", ". Did you mean command"),
        ] {
            let said = refused(text);
            assert!(said.contains(meant), "{said}");
        }
        assert!(!refused("[server]\nzzzzzz = 1\n").contains("Did you mean"));
    }

    #[test]
    fn no_error_quotes_what_stands_in_the_file() {
        for text in [
            "[server]\npassword = hunter2secret\n",
            "[server]\npassword = 'hunter2secret\n",
            "[server]\npassword = \"hunter2secret\n",
            "[server]\npassword = \"\"\"hunter2secret\n",
            "[server]\npassword = \"hunter2secret\" \"again\"\n",
            "[server]\npassword = hunter2secret = 1\n",
            "[server]\npassword: hunter2secret\n",
            "[server]\npassword hunter2secret\n",
            "[server]\npassword = [\"hunter2secret\"]\n",
            "[server]\npassword = { hunter2secret = 1 }\n",
            "[server]\npassword = \"\\hunter2secret\"\n",
            "[server]\nport = \"hunter2secret\"\n",
            "[server]\npassword = \"a\"\npassword = \"hunter2secret\"\n",
            "[agents.x]\nenv = hunter2secret\n",
            "[agents.x]\nenv = { KEY = hunter2secret }\n",
            "[agents.x]\nenv = { KEY = [\"hunter2secret\"] }\n",
            "[agents.x]\nset = \"hunter2secret\"\n",
            "[agents.x]\ninherit = \"hunter2secret\"\n",
            "[agents.x.set]\nKEY = hunter2secret\n",
            "[agents.x]\ncommand = \"agent --key hunter2secret\"\n",
            "[agents.x]\ncommand = [agent, hunter2secret]\n",
            "[agents.x]\ncommand = [\"agent\" \"hunter2secret\"]\n",
            "[environment]\nset = { A = hunter2secret\n",
            "hunter2secret\n",
            "snapshot = hunter2secret\n",
        ] {
            let said = refused(text);
            assert!(!said.contains("hunter2"), "{text:?}: {said}");
            assert!(said.contains("b.toml, line "), "{text:?}: {said}");
            assert!(said.lines().count() == 1, "{text:?}: {said}");
        }
    }
}
