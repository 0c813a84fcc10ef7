//! One word of a command: what it says for certain, and what it may say.

use tree_sitter::Node;

use super::pattern::{ANY, ONE};
use super::walk::Walk;
use crate::session::conversation::tool::quote;

/// A word as the shell hands it to the program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Word {
    /// The text without its quotes; expansions are in it as written.
    pub text: String,
    /// The text with what is unknown marked by [`ANY`] and [`ONE`].
    pub shape: String,
    /// Whether `text` is what the program gets, apart from globs.
    pub literal: bool,
    /// Whether it has a glob or a brace expansion.
    pub glob: bool,
    /// Whether it is quoted from its beginning, so that nothing splits it.
    pub quoted: bool,
}

impl Word {
    /// A word of plain text.
    pub(crate) fn plain(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            shape: text.to_owned(),
            literal: true,
            glob: false,
            quoted: false,
        }
    }

    /// Whether it may turn into an option, or into several words, when it runs.
    pub(crate) fn may_be_option(&self) -> bool {
        if self.literal {
            return false;
        }
        let first = self.shape.chars().next();
        !self.quoted || first.is_none_or(|c| c == ANY || c == ONE || c == '-')
    }

    /// The word as text for rules: quoted where it would not be one word otherwise.
    pub(crate) fn canonical(&self) -> String {
        match self.literal {
            true => quote(&self.text),
            false => self.text.clone(),
        }
    }

    fn push(&mut self, c: char) {
        self.text.push(c);
        self.shape.push(c);
    }

    fn push_unknown(&mut self, source: &str) {
        self.text.push_str(source);
        self.shape.push(ANY);
        self.literal = false;
    }
}

impl Walk<'_> {
    /// Reads a word. What is not certain is noted; what is nested in it is walked.
    pub(super) fn word(&mut self, node: Node<'_>) -> Word {
        let mut word = Word {
            literal: true,
            quoted: matches!(node.kind(), "string" | "raw_string" | "ansi_c_string"),
            ..Word::default()
        };
        self.piece(node, &mut word);
        let braces = word.text.contains('{') && word.text.contains('}');
        if braces && (word.text.contains(',') || word.text.contains("..")) && !word.quoted {
            word.glob = true;
        }
        word
    }

    fn piece(&mut self, node: Node<'_>, word: &mut Word) {
        if !self.descend() {
            return word.push_unknown("");
        }
        let source = self.source(node);
        match node.kind() {
            "command_name" | "concatenation" => {
                self.without_gaps(node);
                self.children(node, |walk, child| walk.piece(child, word));
            }
            "word" | "number" | "variable_name" | "{" | "}" | "[" | "]" | "," | "%" | "#" | ":"
            | "=" | "+" | "-" | "." | ".." => self.bare(source, word),
            "raw_string" => self.raw(source, word),
            "ansi_c_string" => self.ansi(source, word),
            "string" => self.string(node, word),
            "translated_string" => self.children(node, |walk, child| match child.kind() {
                "$" => {}
                _ => walk.piece(child, word),
            }),
            "simple_expansion" => self.simple_expansion(node, word),
            "expansion" => self.expansion(node, word),
            "command_substitution" | "process_substitution" => {
                self.nested(node);
                word.push_unknown(source);
            }
            "arithmetic_expansion" => {
                self.only_arithmetic(source);
                self.visit_children(node);
                word.push_unknown(source);
            }
            _ => {
                self.doubt();
                self.visit_children(node);
                word.push_unknown(source);
            }
        }
        self.ascend();
    }

    /// A word without quotes: nothing in it may be a character that ends words.
    fn bare(&mut self, source: &str, word: &mut Word) {
        let mut chars = source.chars();
        while let Some(c) = chars.next() {
            match c {
                '\\' => match chars.next() {
                    Some(escaped) if escaped != '\n' => word.push(escaped),
                    _ => self.doubt(),
                },
                '*' | '[' => {
                    word.text.push(c);
                    word.shape.push(ANY);
                    word.glob = true;
                }
                '?' => {
                    word.text.push(c);
                    word.shape.push(ONE);
                    word.glob = true;
                }
                c if c.is_whitespace() || ";&|<>()'\"`$".contains(c) => {
                    self.doubt();
                    word.push(c);
                }
                c => word.push(c),
            }
        }
    }

    fn raw(&mut self, source: &str, word: &mut Word) {
        let inner = source.strip_prefix('\'').and_then(|s| s.strip_suffix('\''));
        match inner.filter(|inner| !inner.contains('\'')) {
            Some(inner) => inner.chars().for_each(|c| word.push(c)),
            None => self.doubt(),
        }
    }

    /// `$'…'`: the escapes of C.
    fn ansi(&mut self, source: &str, word: &mut Word) {
        let inner = source.strip_prefix("$'").and_then(|s| s.strip_suffix('\''));
        match inner.and_then(decode_ansi) {
            Some(text) => text.chars().for_each(|c| word.push(c)),
            None => {
                self.doubt();
                word.push_unknown(source);
            }
        }
    }

    fn string(&mut self, node: Node<'_>, word: &mut Word) {
        // The grammar leaves blanks between the pieces of a string out of the tree.
        let end = node.end_byte().saturating_sub(1);
        let mut at = node.start_byte() + 1;
        self.children(node, |walk, child| {
            if child.kind() == "\"" {
                return;
            }
            walk.quoted(at, child.start_byte(), word);
            match child.kind() {
                "string_content" => walk.quoted(child.start_byte(), child.end_byte(), word),
                "$" => word.push('$'),
                _ => walk.piece(child, word),
            }
            at = child.end_byte();
        });
        self.quoted(at, end, word);
    }

    /// Text inside double quotes.
    fn quoted(&mut self, from: usize, to: usize, word: &mut Word) {
        let Some(source) = self.text.get(from..to.max(from)) else {
            return self.doubt();
        };
        let mut chars = source.chars();
        while let Some(c) = chars.next() {
            match c {
                '\\' => match chars.next() {
                    Some(escaped @ ('$' | '`' | '"' | '\\')) => word.push(escaped),
                    Some(other) => {
                        word.push('\\');
                        word.push(other);
                    }
                    None => self.doubt(),
                },
                '"' | '`' => self.doubt(),
                c => word.push(c),
            }
        }
        if source.replace("\\$", "").contains("$(") || source.contains("${") {
            self.doubt();
        }
    }

    fn simple_expansion(&mut self, node: Node<'_>, word: &mut Word) {
        let source = self.source(node);
        let name = source.trim_start_matches('$');
        if !name
            .chars()
            .all(|c| c == '_' || c.is_alphanumeric() || "#?!@*-$".contains(c))
        {
            self.doubt();
        }
        self.value_of(name, source, word);
    }

    /// `${…}`. Only a plain name, and a default of plain text, are certain.
    fn expansion(&mut self, node: Node<'_>, word: &mut Word) {
        let source = self.source(node);
        let inner = source.strip_prefix("${").and_then(|s| s.strip_suffix('}'));
        let inner = inner.unwrap_or_default();
        let is_name = |c: char| c == '_' || c.is_alphanumeric();
        let name = &inner[..inner.find(|c| !is_name(c)).unwrap_or(inner.len())];
        let rest = &inner[name.len()..];
        if rest.is_empty() && !name.is_empty() {
            return self.value_of(name, source, word);
        }
        let default = [":-", "-", ":=", "=", ":+", "+"]
            .iter()
            .find_map(|op| rest.strip_prefix(op));
        let plain = |text: &&str| {
            text.chars()
                .all(|c| c.is_alphanumeric() || " _./-".contains(c))
        };
        match default.filter(plain) {
            // It is one of two texts: the one that is written is the one to fear.
            Some(text) => {
                word.text.push_str(source);
                word.shape.push_str(text);
                word.literal = false;
                if rest.contains('=') {
                    self.doubt();
                }
            }
            None => {
                self.doubt();
                self.visit_children(node);
                word.push_unknown(source);
            }
        }
    }

    /// A variable: what was assigned to it in this line, as far as it is known.
    fn value_of(&mut self, name: &str, source: &str, word: &mut Word) {
        match self.variables.get(name) {
            Some(value) => {
                word.text.push_str(source);
                word.shape.push_str(value);
                word.literal = false;
            }
            None => word.push_unknown(source),
        }
    }
}

fn decode_ansi(source: &str) -> Option<String> {
    let mut text = String::new();
    let mut chars = source.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        let code = match chars.next()? {
            'n' => '\n',
            't' => '\t',
            c @ ('\\' | '\'' | '"' | '?') => c,
            kind @ ('x' | 'u' | 'U' | '0'..='7') => {
                let (radix, most, mut digits) = match kind {
                    'x' => (16, 2, String::new()),
                    'u' => (16, 4, String::new()),
                    'U' => (16, 8, String::new()),
                    first => (8, 3, String::from(first)),
                };
                while digits.len() < most && chars.peek().is_some_and(|c| c.is_digit(radix)) {
                    digits.extend(chars.next());
                }
                let code = u32::from_str_radix(&digits, radix).ok()?;
                // Bytes beyond ASCII depend on the locale, and NUL ends the word.
                let ascii = radix == 16 && most > 2 || code < 0x80;
                char::from_u32(code).filter(|c| *c != '\0' && ascii)?
            }
            _ => return None,
        };
        text.push(code);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_c_are_decoded() {
        assert_eq!(decode_ansi(r"\x72m\040\u0078\t").as_deref(), Some("rm x\t"));
        for unknown in [r"\c", r"\xff", r"\0", r"\", r"\x"] {
            assert_eq!(decode_ansi(unknown), None, "{unknown}");
        }
    }
}
