//! The frontmatter of a command file: `key: value` lines between two lines of `---`.
//!
//! Only what command files have is read: scalars at the top level, plain, quoted, or as a block (`|`, `>`).
//! People write descriptions with colons in them that are no valid YAML, and OpenCode takes them; so does this.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

const FENCE: &str = "---";

/// The fields and the text below them. A file without a head is all text.
pub(super) fn split(file: &str) -> (BTreeMap<String, String>, &str) {
    let text = file.strip_prefix('\u{feff}').unwrap_or(file);
    let Some((head, body)) = head_and_body(text) else {
        return (BTreeMap::new(), text);
    };
    (fields(head), body)
}

/// The same with tables in it, one in the other: `permission` of an agent file. What is no table is a text.
pub(crate) fn split_nested(file: &str) -> (Map<String, Value>, &str) {
    let text = file.strip_prefix('\u{feff}').unwrap_or(file);
    let Some((head, body)) = head_and_body(text) else {
        return (Map::new(), text);
    };
    let mut table: Map<String, Value> = fields(head)
        .into_iter()
        .map(|(key, text)| (key, scalar(&text)))
        .collect();
    let mut lines = head.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(key) = line
            .trim_end()
            .strip_suffix(':')
            .filter(|_| is_top_level(line))
        else {
            continue;
        };
        let is_inner = |l: &&str| l.trim().is_empty() || !is_top_level(l);
        let inner: Vec<_> = std::iter::from_fn(|| lines.next_if(is_inner)).collect();
        let inner: Vec<_> = inner.into_iter().filter(|l| has_entry(l)).collect();
        if !inner.is_empty() {
            table.insert(unquoted(key), Value::Object(nested(&inner, 0)));
        }
    }
    (table, body)
}

/// Tables one in the other, at most.
const DEPTH_MAX: usize = 4;

fn has_entry(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with('#')
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn nested(mut lines: &[&str], depth: usize) -> Map<String, Value> {
    let mut table = Map::new();
    while let Some((line, rest)) = lines.split_first() {
        let deeper = rest.iter().take_while(|l| indent(l) > indent(line));
        let (inner, others) = rest.split_at(deeper.count());
        let (key, text) = key_and_value(line.trim());
        let value = match text {
            "" if !inner.is_empty() && depth < DEPTH_MAX => Value::Object(nested(inner, depth + 1)),
            text => scalar(&unquoted(text)),
        };
        table.insert(key, value);
        lines = others;
    }
    table
}

/// The key of a line, which may be quoted and have colons in it, and what comes after it.
fn key_and_value(line: &str) -> (String, &str) {
    for quote in ['"', '\''] {
        if let Some((key, rest)) = line.strip_prefix(quote).and_then(|l| l.split_once(quote)) {
            return (
                key.to_owned(),
                rest.trim_start().trim_start_matches(':').trim(),
            );
        }
    }
    let (key, value) = line
        .rsplit_once(": ")
        .unwrap_or_else(|| line.split_once(':').unwrap_or((line, "")));
    (key.trim_end_matches(':').trim().to_owned(), value.trim())
}

/// A text, or one of the words that are none.
fn scalar(text: &str) -> Value {
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        text => Value::String(text.to_owned()),
    }
}

fn head_and_body(text: &str) -> Option<(&str, &str)> {
    let (first, rest) = text.split_once('\n')?;
    if first.trim_end() != FENCE {
        return None;
    }
    let mut at = 0;
    for line in rest.split_inclusive('\n') {
        if line.trim_end() == FENCE {
            return Some((&rest[..at], &rest[at + line.len()..]));
        }
        at += line.len();
    }
    None
}

fn fields(head: &str) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    let mut lines = head.lines().peekable();
    while let Some(line) = lines.next() {
        // Lists and nested tables have nothing to say here.
        let Some((key, value)) = line.split_once(':').filter(|_| is_top_level(line)) else {
            continue;
        };
        let value = match value.trim() {
            block if block.starts_with(['|', '>']) => {
                let mut inner = Vec::new();
                while let Some(line) = lines.next_if(|l| l.trim().is_empty() || !is_top_level(l)) {
                    inner.push(line.trim());
                }
                let between = if block.starts_with('|') { "\n" } else { " " };
                inner.join(between).trim().to_owned()
            }
            plain => unquoted(plain),
        };
        if !value.is_empty() {
            fields.insert(key.trim().to_owned(), value);
        }
    }
    fields
}

fn is_top_level(line: &str) -> bool {
    line.starts_with(|c: char| !c.is_whitespace() && c != '#' && c != '-')
}

fn unquoted(value: &str) -> String {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote)
            && let Some(end) = inner.find(quote)
        {
            return inner[..end].to_owned();
        }
    }
    let comment = value.find(" #").unwrap_or(value.len());
    value[..comment].trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(file: &str, key: &str) -> Option<String> {
        split(file).0.remove(key)
    }

    #[test]
    fn fields_are_read_as_people_write_them() {
        let file = "---\r\ndescription: Reviews: all of it # really\r\nagent: \"plan\"\nmodel: 'a/b'\nsubtask: true\nempty:\n\
            tools:\n  write: false\nlong: >\n  one\n  two\nblock: |\n  three\n\n  four\n---\nthe *template*\n---\nmore\n";
        let (fields, body) = split(file);
        assert_eq!(body, "the *template*\n---\nmore\n");
        let expected = [
            ("agent", "plan"),
            ("block", "three\n\nfour"),
            ("description", "Reviews: all of it"),
            ("long", "one two"),
            ("model", "a/b"),
            ("subtask", "true"),
        ];
        let fields: Vec<_> = fields
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(fields, expected);
    }

    #[test]
    fn tables_are_read_one_in_the_other() {
        let file = "---\nmode: primary\nhidden: true\npermission:\n  edit: deny # never\n  bash:\n\n    # all\n    \"*\": ask\n    'git log: *': allow\n    npm run x:y: deny\n  read: allow\nafter: text\n---\nbody";
        let (fields, body) = split_nested(file);
        assert_eq!(body, "body");
        let bash = serde_json::json!({"*": "ask", "git log: *": "allow", "npm run x:y": "deny"});
        let permission = serde_json::json!({"edit": "deny", "bash": bash, "read": "allow"});
        let expected = serde_json::json!({"after": "text", "hidden": true, "mode": "primary", "permission": permission});
        assert_eq!(Value::Object(fields), expected);
        // What this does not read as a table is no rule that could be left out in silence.
        assert_eq!(
            split_nested("---\npermission: {edit: deny}\n---\n").0["permission"],
            "{edit: deny}"
        );
        assert_eq!(
            split_nested("---\npermission:\n  - edit\n---\n").0["permission"]["- edit"],
            ""
        );
    }

    #[test]
    fn a_file_without_a_head_is_all_text() {
        for file in [
            "",
            "text",
            "---",
            "---\nagent: plan",
            "text\n---\nagent: plan\n---\n",
        ] {
            assert_eq!(split(file), (BTreeMap::new(), file));
        }
        assert_eq!(split("---\n---\nx").1, "x");
        assert_eq!(
            field("\u{feff}---\nagent: plan\n---\n", "agent").as_deref(),
            Some("plan")
        );
    }

    proptest::proptest! {
        #[test]
        fn no_file_makes_it_panic(file in "(---\n)?([a-z]{0,3}[: |>'\"#-]{0,4}\\PC{0,6}\n?){0,8}(---\n)?\\PC{0,10}") {
            let (_, body) = split(&file);
            proptest::prop_assert!(file.ends_with(body));
            proptest::prop_assert_eq!(split_nested(&file).1, body);
        }
    }
}
