//! What a line may run that was not understood: its words between anything that could end a command,
//! whatever the quotes say. It finds too much rather than too little, and only a deny is looked for in it.

use super::line::{Part, program};
use super::word::Word;
use super::wrapper;

/// How much of a line is searched, in bytes.
const MAX_BYTES: usize = 32 * 1024;
/// The most commands that are found.
const MAX_FOUND: usize = 512;
/// How many words of a command may be the beginning of another one.
const MAX_STARTS: usize = 32;
/// How many words of a command are looked at.
const MAX_WORDS: usize = 128;
/// Words of the shell's language that come before commands.
const KEYWORDS: [&str; 19] = [
    "if", "then", "elif", "else", "fi", "while", "until", "do", "done", "case", "esac", "in",
    "for", "select", "time", "!", "coproc", "function", "[[",
];

/// The commands that a text may run.
pub(super) fn commands(text: &str) -> Vec<Part> {
    let mut end = text.len().min(MAX_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let plain = with_variables(&bare(&text[..end]));
    let mut found = Vec::new();
    let segments = plain.split(|c: char| c.is_control() || ";&|()`".contains(c));
    for segment in segments {
        let redirected = segment.contains(['<', '>']);
        let segment = segment.replace(['<', '>', '{', '}'], " ");
        let words: Vec<_> = segment.split_whitespace().take(MAX_WORDS).collect();
        let skipped = words
            .iter()
            .take_while(|word| KEYWORDS.contains(word) || is_assignment(word));
        let words: Vec<_> = words[skipped.count()..]
            .iter()
            .map(|word| Word::plain(word))
            .collect();
        let Some(first) = words.first() else { continue };
        let name = program(&words);
        let starts = redirected
            || first.text.starts_with('$')
            || matches!(name, "echo" | "printf")
            || wrapper::is_wrapper(name)
            || words
                .get(1)
                .is_some_and(|sub| wrapper::is_runner(name, &sub.text));
        let most = if starts {
            words.len().min(MAX_STARTS)
        } else {
            1
        };
        for from in 0..most {
            if found.len() >= MAX_FOUND {
                return found;
            }
            found.push(Part {
                words: words[from..].to_vec(),
                ..Part::default()
            });
        }
    }
    found
}

/// The text without quotes and escapes.
fn bare(text: &str) -> String {
    let text = text.replace("\\\n", "");
    let braces = text.contains('{');
    let mut bare = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' | '"' => {}
            ',' if braces => bare.push(' '),
            '\\' => {
                let (radix, most) = match chars.peek() {
                    Some('x') => (16, 2),
                    Some('0'..='7') => (8, 3),
                    _ => continue,
                };
                if radix == 16 {
                    chars.next();
                }
                let mut digits = String::new();
                while digits.len() < most && chars.peek().is_some_and(|c| c.is_digit(radix)) {
                    digits.extend(chars.next());
                }
                let code = u32::from_str_radix(&digits, radix)
                    .ok()
                    .and_then(char::from_u32);
                bare.extend(code);
            }
            c => bare.push(c),
        }
    }
    // ${x:-rm} may be rm.
    bare.replace(":-", " ")
        .replace(":=", " ")
        .replace(":+", " ")
}

/// Puts in what the text itself assigns.
fn with_variables(text: &str) -> String {
    let mut filled = text.to_owned();
    let words = text.split(|c: char| c.is_whitespace() || ";&|()`".contains(c));
    for (name, value) in words
        .filter(|word| is_assignment(word))
        .take(16)
        .filter_map(|word| word.split_once('='))
    {
        if !value.contains('$') && filled.len() < MAX_BYTES {
            filled = filled
                .replace(&format!("${{{name}}}"), value)
                .replace(&format!("${name}"), value);
        }
    }
    filled
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.chars().all(|c| c == '_' || c.is_alphanumeric())
    })
}
