//! Characters that an agent has cut between two pieces of its answer: the halves come together again.
//!
//! An agent that cuts a string by JavaScript's units writes one half of a surrogate pair at the end of a piece and the
//! other at the beginning of the next. Each alone is no character.

use super::{ESCAPE_BYTES, first_half, unit};

/// Pieces that end with half a character and whose next one has not come. More are not waited for.
const WAITING_MAX: usize = 16;
/// What stands before the text of a piece.
const TEXT: &[u8] = b"\"text\":";
/// What a line has to have to be a piece.
const PIECE: &[u8] = b"_chunk\"";

/// The first halves whose second ones have not come yet.
#[derive(Debug, Default)]
pub struct Halves {
    waiting: Vec<Half>,
}

#[derive(Debug)]
struct Half {
    /// The line up to its text: that of the next piece of the same answer is the same.
    before: Vec<u8>,
    escape: [u8; ESCAPE_BYTES],
}

impl Halves {
    /// Moves the half at the end of a piece, a line of JSON, to the beginning of the next one.
    pub fn join(&mut self, line: &mut Vec<u8>) {
        if !has(line, PIECE) || (self.waiting.is_empty() && !has(line, b"\\u")) {
            return;
        }
        let Some(start) = text_start(line) else {
            return;
        };
        let known = self
            .waiting
            .iter()
            .position(|half| half.before == line[..start]);
        if let Some(half) = known.map(|known| self.waiting.swap_remove(known))
            && matches!(unit(line, start), Some(0xDC00..=0xDFFF))
        {
            line.splice(start..start, half.escape);
        }
        let Some(end) = text_end(line, start) else {
            return;
        };
        let at = end.saturating_sub(ESCAPE_BYTES);
        if !ends_with_half(line, start, end) || self.waiting.len() >= WAITING_MAX {
            return;
        }
        if let Ok(escape) = <[u8; ESCAPE_BYTES]>::try_from(&line[at..end]) {
            let before = line[..start].to_vec();
            self.waiting.push(Half { before, escape });
            line.drain(at..end);
        }
    }
}

fn has(line: &[u8], what: &[u8]) -> bool {
    line.windows(what.len()).any(|window| window == what)
}

/// Where the text of a piece begins, behind its quotation mark.
fn text_start(line: &[u8]) -> Option<usize> {
    let named = line.windows(TEXT.len()).position(|window| window == TEXT)?;
    let value = named + TEXT.len();
    let space = line
        .get(value..)?
        .iter()
        .take_while(|byte| byte.is_ascii_whitespace());
    let quote = value + space.count();
    (line.get(quote) == Some(&b'"')).then_some(quote + 1)
}

/// Where it ends, before its quotation mark.
fn text_end(line: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        match line.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

fn ends_with_half(line: &[u8], start: usize, end: usize) -> bool {
    let text = &line[start..end];
    let mut from = 0;
    while let Some(at) = first_half(text, from) {
        if at + ESCAPE_BYTES == text.len() {
            return matches!(unit(text, at), Some(0xD800..=0xDBFF));
        }
        from = at + ESCAPE_BYTES;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(session: &str, text: &str) -> Vec<u8> {
        format!(r#"{{"params":{{"sessionId":"{session}","update":{{"sessionUpdate":"agent_message_chunk","content":{{"type":"text","text": "{text}"}}}}}}}}"#)
            .into_bytes()
    }

    fn joined(pieces: &[(&str, &str)]) -> Vec<String> {
        let mut halves = Halves::default();
        let lines = pieces.iter().map(|(session, text)| {
            let mut line = piece(session, text);
            halves.join(&mut line);
            let read: serde_json::Value =
                serde_json::from_slice(&crate::repair::json(&line)).expect("JSON");
            let text = read.pointer("/params/update/content/text").expect("a text");
            text.as_str().expect("text").to_owned()
        });
        lines.collect()
    }

    #[test]
    fn two_halves_in_two_pieces_are_one_character() {
        assert_eq!(
            joined(&[("a", r"x \ud83d"), ("a", r"\ude00 y")]),
            ["x ", "😀 y"]
        );
        assert_eq!(
            joined(&[("a", r"\ud83d"), ("a", r"\ude00\ud83d"), ("a", r"\ude00")]),
            ["", "😀", "😀"]
        );
        // Pieces of other sessions come in between.
        assert_eq!(
            joined(&[("a", r"x\ud83d"), ("b", r"\ude00"), ("a", r"\ude00")]),
            ["x", "\u{fffd}", "😀"]
        );
    }

    #[test]
    fn a_half_that_stays_alone_is_none_and_what_only_looks_like_one_stays() {
        assert_eq!(
            joined(&[("a", r"x\ud83d"), ("a", "y"), ("a", r"\ude00")]),
            ["x", "y", "\u{fffd}"]
        );
        assert_eq!(joined(&[("a", r"x\\ud83d"), ("a", "y")]), [r"x\ud83d", "y"]);
        assert_eq!(joined(&[("a", r"\ud83d\ude00"), ("a", "y")]), ["😀", "y"]);
    }

    #[test]
    fn no_line_is_too_odd() {
        for line in [
            "",
            "_chunk\"\\u\"text\":",
            "_chunk\" \"text\":\"\\",
            "_chunk\" \"text\":\"\\u",
            "_chunk\"\"text\":\"\\ud83d",
        ] {
            let mut halves = Halves::default();
            let mut bytes = line.as_bytes().to_vec();
            halves.join(&mut bytes);
            assert_eq!(bytes, line.as_bytes());
        }
    }
}
