//! The frontmatter of a command file: `key: value` lines between two lines of `---`.
//!
//! Only what command files have is read: scalars at the top level, plain, quoted, or as a block (`|`, `>`).
//! People write descriptions with colons in them that are no valid YAML, and OpenCode takes them; so does this.

use std::collections::BTreeMap;

const FENCE: &str = "---";

/// The fields and the text below them. A file without a head is all text.
pub(super) fn split(file: &str) -> (BTreeMap<String, String>, &str) {
    let text = file.strip_prefix('\u{feff}').unwrap_or(file);
    let Some((head, body)) = head_and_body(text) else {
        return (BTreeMap::new(), text);
    };
    (fields(head), body)
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
        }
    }
}
