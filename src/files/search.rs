//! Searches the text of files with ripgrep's own crates.

use std::io;
use std::path::Path;

use grep_matcher::Matcher;
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder, Sink, SinkMatch};

use super::find::files;
use super::{Deadline, FileError, Root};
use crate::opencode::file::{MatchText, Submatch, TextMatch};

/// Lines of one answer, as in OpenCode.
const MATCHES_MAX: usize = 10;
/// A longer line is cut off here, in characters.
const LINE_CHARS: usize = 2_000;
/// What a cut-off line ends in.
const CUT: &str = "...";
/// At most this many matches within one line are returned.
const SUBMATCHES_MAX: usize = 100;
/// A line that needs more memory than this, in bytes, ends the search of its file.
const LINE_MAX_BYTES: usize = 16 * 1024 * 1024;
/// A compiled pattern's size, in bytes.
const PATTERN_MAX_BYTES: usize = 4 * 1024 * 1024;

/// The first lines that match a regular expression. Ignored, binary and hidden-away (`.git`) files are not
/// searched.
///
/// # Errors
/// When the pattern is not a regular expression.
pub fn search(
    root: &Root,
    pattern: &str,
    deadline: &Deadline,
) -> Result<Vec<TextMatch>, FileError> {
    let matcher = RegexMatcherBuilder::new()
        .line_terminator(Some(b'\n'))
        .size_limit(PATTERN_MAX_BYTES)
        .dfa_size_limit(PATTERN_MAX_BYTES)
        .build(pattern)
        .map_err(|error| FileError::Pattern(error.to_string()))?;
    let mut searcher = SearcherBuilder::new()
        .line_number(true)
        .binary_detection(BinaryDetection::quit(0))
        .heap_limit(Some(LINE_MAX_BYTES))
        .build();
    let mut found = Vec::new();
    for path in files(root, deadline) {
        // A file that went away, or that may not be read, has no matches.
        let Ok(file) = root.open_file(&path, "") else {
            continue;
        };
        let lines = Lines {
            path: &path,
            matcher: &matcher,
            found: &mut found,
            deadline,
        };
        let reader = Timely { file, deadline };
        if let Err(error) = searcher.search_reader(&matcher, reader, lines) {
            tracing::debug!("{} was not searched to its end: {error}", path.display());
        }
        if found.len() >= MATCHES_MAX {
            break;
        }
    }
    Ok(found)
}

/// Reads a file until time is over.
struct Timely<'a> {
    file: std::fs::File,
    deadline: &'a Deadline,
}

impl io::Read for Timely<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.deadline.is_over() {
            return Ok(0);
        }
        self.file.read(buffer)
    }
}

/// Collects the lines of a file.
struct Lines<'a> {
    path: &'a Path,
    matcher: &'a RegexMatcher,
    found: &'a mut Vec<TextMatch>,
    deadline: &'a Deadline,
}

impl Sink for Lines<'_> {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, line: &SinkMatch<'_>) -> Result<bool, io::Error> {
        let bytes = line.bytes();
        let mut submatches = Vec::new();
        self.matcher
            .find_iter(bytes, |m| {
                submatches.push(Submatch {
                    r#match: text(bytes.get(m.start()..m.end()).unwrap_or_default()),
                    start: m.start() as u64,
                    end: m.end() as u64,
                });
                submatches.len() < SUBMATCHES_MAX
            })
            .map_err(io::Error::other)?;
        self.found.push(TextMatch {
            path: text(self.path.as_os_str().as_encoded_bytes()),
            lines: text(bytes),
            line_number: line.line_number().unwrap_or(0),
            absolute_offset: line.absolute_byte_offset(),
            submatches,
        });
        Ok(self.found.len() < MATCHES_MAX && !self.deadline.is_over())
    }
}

/// Text for people: valid UTF-8, and not too long.
fn text(bytes: &[u8]) -> MatchText {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    if let Some((end, _)) = text.char_indices().nth(LINE_CHARS) {
        text.truncate(end);
        text.push_str(CUT);
    }
    MatchText { text }
}
