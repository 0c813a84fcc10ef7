//! Files that a prompt mentions: what OpenCode's clients send for `@file`, in a form that every agent gets.
//!
//! As in OpenCode, the text of a file, or the list of a folder, is stored next to the mention as text that clients
//! do not show; so it also is part of the conversation when another model takes over. Only what is in the
//! session's worktree is read here. What is elsewhere goes to the agent as a link, which it reads, or asks about,
//! by its own rules.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use crate::files::{self, FileError, Root, Work};
use crate::opencode::PartId;
use crate::opencode::prompt::{FilePartInput, PartInput, TextPartInput};
use crate::project::{Place, canonical};
use crate::session::Error;
use crate::session::conversation::transcript::OF_FILE;

/// Lines of a file that are given at once, as in OpenCode.
const LINES_MAX: usize = 2_000;
/// A longer line is cut off here, in characters.
const LINE_CHARS: usize = 2_000;
/// The text of a file that is given at once, in bytes.
const TEXT_MAX_BYTES: usize = 50 * 1024;
/// Larger pictures and the like stay links, in bytes.
const BYTES_MAX: usize = 3 * 1024 * 1024;
/// How OpenCode marks a folder.
const FOLDER_MIME: &str = "application/x-directory";
const SCHEME: &str = "file://";

/// A file, and which of its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mention {
    path: String,
    /// The first line, from 1.
    start: Option<usize>,
    /// The last line.
    end: Option<usize>,
}

/// Reads what the parts of a prompt mention.
///
/// # Errors
/// When a `file:` URL cannot be understood.
pub(super) async fn expand(place: &Place, parts: Vec<PartInput>) -> Result<Vec<PartInput>, Error> {
    let mut expanded = Vec::new();
    for (index, part) in parts.into_iter().enumerate() {
        match part {
            PartInput::File(file) if file.url.starts_with(SCHEME) => {
                let mention = Mention::parse(&file.url).ok_or_else(|| Error::Invalid {
                    field: format!("[\"parts\"][{index}][\"url\"]"),
                    message: format!(
                        "Expected a file URL with an absolute path, like file:///a/b.txt, got {}",
                        Value::from(file.url.as_str())
                    ),
                })?;
                expanded.extend(read(place, file, mention).await);
            }
            other => expanded.push(other),
        }
    }
    Ok(expanded)
}

/// Whether some part has to be read.
pub(super) fn mentions_files(parts: &[PartInput]) -> bool {
    let is_file =
        |part: &PartInput| matches!(part, PartInput::File(f) if f.url.starts_with(SCHEME));
    parts.iter().any(is_file)
}

impl Mention {
    fn parse(url: &str) -> Option<Self> {
        let rest = url.strip_prefix(SCHEME)?;
        let rest = rest.strip_prefix("localhost").unwrap_or(rest);
        let rest = rest.split('#').next()?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = percent_decode_str(path).decode_utf8().ok()?.into_owned();
        if !path.starts_with('/') || path.contains('\0') {
            return None;
        }
        let number = |name: &str| {
            let mut fields = query.split('&').filter_map(|field| field.split_once('='));
            let (_, value) = fields.find(|(key, _)| *key == name)?;
            value.parse().ok().filter(|n| *n > 0)
        };
        Some(Self {
            path,
            start: number("start"),
            end: number("end"),
        })
    }

    /// What a tool that reads files would have been asked.
    fn input(&self) -> Value {
        let mut input = json!({ "filePath": self.path });
        if let Some(start) = self.start {
            input["offset"] = json!(start);
        }
        if let Some(end) = self.end {
            let first = self.start.unwrap_or(1);
            input["limit"] = json!(end.saturating_sub(first) + 1);
        }
        input
    }
}

/// What was found where a mention points to.
enum Found {
    /// Text for the model, and the media type to show.
    Text { text: String, mime: String },
    /// Bytes for the model.
    Bytes(Vec<u8>),
    /// Something that is not for us to read.
    Link,
}

async fn read(place: &Place, mut file: FilePartInput, mention: Mention) -> Vec<PartInput> {
    let id = file.id.get_or_insert_with(PartId::new).clone();
    let root = if place.git {
        &place.worktree
    } else {
        &place.directory
    };
    let (mime, asked) = (file.mime.clone(), mention.clone());
    let found = files::run(root, Work::One, move |root, _| look(root, &asked, &mime)).await;
    let called = format!(
        "Called the Read tool with the following input: {}",
        mention.input()
    );
    match found {
        Ok(Found::Link) | Err(FileError::Outside(_)) => vec![PartInput::File(file)],
        Ok(Found::Text { text, mime }) => {
            file.mime = mime;
            vec![
                hidden(called, &id),
                hidden(text, &id),
                PartInput::File(file),
            ]
        }
        Ok(Found::Bytes(bytes)) => {
            file.url = format!("data:{};base64,{}", file.mime, STANDARD.encode(bytes));
            vec![PartInput::File(file)]
        }
        // The mention is answered with why it cannot be read; there is no file to show.
        Err(error) => {
            let path = &mention.path;
            let failed =
                format!("Read tool failed to read {path} with the following error: {error}");
            vec![hidden(called, &id), hidden(failed, &id)]
        }
    }
}

/// Text that the model gets and clients do not show.
fn hidden(text: String, file: &PartId) -> PartInput {
    let metadata = Map::from_iter([(OF_FILE.to_owned(), Value::from(file.as_str()))]);
    PartInput::Text(TextPartInput {
        id: None,
        text,
        synthetic: Some(true),
        ignored: None,
        metadata: Some(metadata),
    })
}

fn look(root: &Root, mention: &Mention, mime: &str) -> Result<Found, FileError> {
    let path = &mention.path;
    // The directory is known by its real path; the mention may have another spelling.
    let real = canonical("/", path).map_err(|_| FileError::Invalid(path.clone()))?;
    if root.is_folder(&real) {
        let text = folder_text(root, &real, path)?;
        return Ok(Found::Text {
            text,
            mime: FOLDER_MIME.to_owned(),
        });
    }
    let bytes = root.read(&real)?.bytes;
    let is_text = mime.starts_with("text/") || mime == FOLDER_MIME;
    if !is_text {
        return Ok(match bytes.len() {
            0..=BYTES_MAX => Found::Bytes(bytes),
            _ => Found::Link,
        });
    }
    let text = String::from_utf8(bytes)
        .ok()
        .filter(|text| !text.contains('\0'));
    let text = text.ok_or_else(|| FileError::NotText(path.clone()))?;
    Ok(Found::Text {
        text: file_text(&text, mention),
        mime: mime.to_owned(),
    })
}

fn folder_text(root: &Root, real: &str, shown: &str) -> Result<String, FileError> {
    let nodes = root.list(real)?;
    let mut text = format!("<path>{shown}</path>\n<type>directory</type>\n<entries>\n");
    for node in nodes.iter().take(LINES_MAX) {
        let slash = if node.path.ends_with('/') { "/" } else { "" };
        // Writing to a String cannot fail.
        let _always_fits = writeln!(text, "{}{slash}", node.name);
    }
    let more = if nodes.len() > LINES_MAX {
        format!(", the first {LINES_MAX} are shown")
    } else {
        String::new()
    };
    let _always_fits = write!(text, "\n({} entries{more})\n</entries>", nodes.len());
    Ok(text)
}

fn file_text(content: &str, mention: &Mention) -> String {
    let total = content.lines().count();
    let first = mention.start.unwrap_or(1);
    let last = mention
        .end
        .unwrap_or(usize::MAX)
        .min(first.saturating_add(LINES_MAX - 1));
    let mut text = format!(
        "<path>{}</path>\n<type>file</type>\n<content>\n",
        mention.path
    );
    let mut shown = first.saturating_sub(1);
    let mut capped = false;
    let lines = content
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line));
    for (number, line) in lines
        .skip(first - 1)
        .take_while(|(number, _)| *number <= last)
    {
        let line: String = match line.char_indices().nth(LINE_CHARS) {
            Some((end, _)) => format!("{}...", &line[..end]),
            None => line.to_owned(),
        };
        if text.len() + line.len() > TEXT_MAX_BYTES {
            capped = true;
            break;
        }
        let _always_fits = writeln!(text, "{number}: {line}");
        shown = number;
    }
    let next = shown + 1;
    let _always_fits = match () {
        () if capped => write!(
            text,
            "\n(Output capped at {} KB. Showing lines {first}-{shown}. Use offset={next} to continue.)",
            TEXT_MAX_BYTES / 1024
        ),
        () if shown < total => write!(
            text,
            "\n(Showing lines {first}-{shown} of {total}. Use offset={next} to continue.)"
        ),
        () => write!(text, "\n(End of file - total {total} lines)"),
    };
    text.push_str("\n</content>");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mention(start: Option<usize>, end: Option<usize>) -> Mention {
        Mention {
            path: "/a".into(),
            start,
            end,
        }
    }

    #[test]
    fn a_file_url_names_a_path_and_lines() {
        let of = |url: &str| Mention::parse(url);
        let plain = of("file:///a%20b/c.rs").expect("a path");
        assert_eq!((plain.path.as_str(), plain.start), ("/a b/c.rs", None));
        let lines = of("file://localhost/c.rs?start=2&end=3#x").expect("a path");
        assert_eq!((lines.start, lines.end), (Some(2), Some(3)));
        assert_eq!(
            lines.input(),
            json!({ "filePath": "/c.rs", "offset": 2, "limit": 2 })
        );
        for bad in [
            "file://src/main.rs",
            "file://",
            "http:///a",
            "file:///a%00b",
            "file:///%ff",
        ] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }

    #[test]
    fn lines_are_numbered_and_their_end_is_told() {
        let content = "one\ntwo\nthree\n";
        let all = file_text(content, &mention(None, None));
        assert!(
            all.contains(
                "<content>\n1: one\n2: two\n3: three\n\n(End of file - total 3 lines)\n</content>"
            ),
            "{all}"
        );
        let two = file_text(content, &mention(Some(2), Some(2)));
        assert!(
            two.contains(
                "<content>\n2: two\n\n(Showing lines 2-2 of 3. Use offset=3 to continue.)"
            ),
            "{two}"
        );
        let long = file_text(&"x".repeat(9_000), &mention(None, None));
        assert!(long.len() < 3_000 && long.contains("x..."));
        let large = file_text(&"some text\n".repeat(60_000), &mention(None, None));
        assert!(
            large.len() < TEXT_MAX_BYTES + 200 && large.contains("Use offset=2001"),
            "{}",
            large.len()
        );
        let wide = file_text(
            &format!("{}\n", "y".repeat(1_000)).repeat(100),
            &mention(None, None),
        );
        assert!(wide.contains("(Output capped at 50 KB."), "{}", wide.len());
    }

    proptest! {
        #[test]
        fn no_url_and_no_range_breaks_it(url in "file://.{0,40}", start in 0usize..9, end in 0usize..9, lines in 0usize..6) {
            let _parsed = Mention::parse(&url);
            let range = |n: usize| (n > 0).then_some(n);
            let text = file_text(&"line\n".repeat(lines), &mention(range(start), range(end)));
            prop_assert!(text.ends_with("</content>"));
        }
    }
}
