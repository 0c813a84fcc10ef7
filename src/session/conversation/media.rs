//! What agents say that is more than text: pictures, sounds, embedded resources. They become files with their bytes, within
//! bounds; what cannot be kept is told, with its size.

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use serde_json::Value;

use crate::opencode::message::FilePart;
use crate::opencode::{MessageId, PartId, SessionId};
use crate::session::sizes::{Sizes, beginning};

/// The longest media type, and the longest name of a file, in bytes.
const NAME_MAX_BYTES: usize = 256;
/// The longest address of a resource that is told, in bytes.
const URI_MAX_BYTES: usize = 4 * 1024;
/// What has no media type.
const ANY_BYTES: &str = "application/octet-stream";

/// Agents leave out the padding, or write too much of it.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// How much there is room for, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    /// Of one file.
    pub one: usize,
    /// Of what comes.
    pub all: usize,
}

impl Default for Room {
    fn default() -> Self {
        let sizes = Sizes::default();
        Self {
            one: sizes.media_bytes,
            all: sizes.answer_media_bytes,
        }
    }
}

/// A file that an agent has sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Media {
    /// The id of its part.
    pub id: PartId,
    /// Its media type.
    pub mime: String,
    /// Its name.
    pub name: String,
    /// Its bytes, as base64.
    data: String,
}

/// What a content block says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// A text.
    Text(String),
    /// A file.
    File(Media),
}

impl Media {
    /// Its size.
    pub(crate) fn bytes(&self) -> usize {
        decoded_bytes(&self.data)
    }

    /// Whether it is the same file under another id.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.mime == other.mime && self.data == other.data
    }

    /// The file as OpenCode shows it.
    pub(crate) fn part(&self, session: &SessionId, message: &MessageId) -> FilePart {
        FilePart {
            id: self.id.clone(),
            session_id: session.clone(),
            message_id: message.clone(),
            mime: self.mime.clone(),
            filename: Some(self.name.clone()),
            url: format!("data:{};base64,{}", self.mime, self.data),
            source: None,
        }
    }

    /// The file that a part shows.
    pub(crate) fn of_part(part: &FilePart) -> Option<Self> {
        Some(Self {
            id: part.id.clone(),
            mime: part.mime.clone(),
            name: part.filename.clone().unwrap_or_default(),
            data: base64_of(&part.url)?.to_owned(),
        })
    }

    /// Says that it is there, where it cannot be shown.
    pub(crate) fn named(&self) -> String {
        format!("{} ({}, {} bytes)", self.name, self.mime, self.bytes())
    }
}

/// The base64 text of a `data:` URL.
pub(crate) fn base64_of(url: &str) -> Option<&str> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    head.ends_with(";base64").then_some(data)
}

/// How many bytes a base64 text stands for.
pub(crate) fn decoded_bytes(data: &str) -> usize {
    let padding = data.bytes().rev().take_while(|byte| *byte == b'=').count();
    (data.len() - padding) * 3 / 4
}

/// Reads an ACP content block; `None` for what is none.
pub(crate) fn read(block: &Value, room: Room) -> Option<Content> {
    let text = |key: &str| block.get(key).and_then(Value::as_str).unwrap_or_default();
    let kind = block.get("type").and_then(Value::as_str)?;
    Some(match kind {
        "text" => Content::Text(block.get("text")?.as_str()?.to_owned()),
        "image" | "audio" => {
            let what = if kind == "image" {
                "an image"
            } else {
                "a sound"
            };
            let file = Sent {
                what,
                class: Some(kind),
                mime: text("mimeType"),
                uri: text("uri"),
                data: text("data"),
            };
            file.read(room)
        }
        "resource" => resource(block.get("resource").unwrap_or(&Value::Null), room),
        "resource_link" => Content::Text(link(text("name"), text("uri"))),
        other => Content::Text(format!("[{}]", beginning(other, NAME_MAX_BYTES))),
    })
}

fn resource(resource: &Value, room: Room) -> Content {
    let field = |key: &str| resource.get(key).and_then(Value::as_str);
    let uri = field("uri").unwrap_or_default();
    if let Some(text) = field("text") {
        return Content::Text(format!("{}\n{text}", link("", uri)));
    }
    let Some(data) = field("blob") else {
        return Content::Text(link("", uri));
    };
    let file = Sent {
        what: "a file",
        class: None,
        mime: field("mimeType").unwrap_or(ANY_BYTES),
        uri,
        data,
    };
    file.read(room)
}

fn link(name: &str, uri: &str) -> String {
    let (name, uri) = (
        beginning(name, NAME_MAX_BYTES),
        beginning(uri, URI_MAX_BYTES),
    );
    match name.is_empty() || name == uri {
        true => format!("[resource {uri}]"),
        false => format!("[resource {name}: {uri}]"),
    }
}

/// A file as an agent sends it.
struct Sent<'a> {
    what: &'a str,
    /// What its media type has to begin with.
    class: Option<&'a str>,
    mime: &'a str,
    uri: &'a str,
    data: &'a str,
}

impl Sent<'_> {
    fn read(&self, room: Room) -> Content {
        match self.kept(room) {
            Ok(media) => Content::File(media),
            Err(why) => Content::Text(format!("[{} is left out: {why}]", self.told())),
        }
    }

    fn told(&self) -> String {
        let mut told = self.what.to_owned();
        if let Some(name) = name_in(self.uri) {
            told.push(' ');
            told.push_str(&name);
        }
        told
    }

    fn kept(&self, room: Room) -> Result<Media, String> {
        // Some agents send the whole URL.
        let data = base64_of(self.data).unwrap_or(self.data);
        if data.trim().is_empty() {
            return Err(match self.uri.is_empty() {
                true => "its data is empty".to_owned(),
                false => format!(
                    "only its address was sent, {}",
                    beginning(self.uri, URI_MAX_BYTES)
                ),
            });
        }
        let size = decoded_bytes(data);
        let too_large = |setting: &str, most: usize| {
            let mime = beginning(self.mime, NAME_MAX_BYTES);
            format!(
                "{mime}, {size} bytes, are more than the {most} that there is room for ({setting})"
            )
        };
        if size > room.one {
            return Err(too_large("limits.media_bytes", room.one));
        }
        if size > room.all {
            return Err(too_large("limits.answer_media_bytes", room.all));
        }
        let bytes = decode(data).ok_or("its data is no base64")?;
        let mime = self.media_type(&bytes)?;
        Ok(Media {
            id: PartId::new(),
            name: name_in(self.uri).unwrap_or_else(|| self.made_up_name(&mime)),
            data: STANDARD.encode(&bytes),
            mime,
        })
    }

    /// What a picture's first bytes say goes before what its agent says: a model's provider refuses a wrong one.
    fn media_type(&self, bytes: &[u8]) -> Result<String, String> {
        let said = self.mime.split(';').next().unwrap_or_default();
        let said = said.trim().to_ascii_lowercase();
        let seen = picture_type(bytes).filter(|_| self.class != Some("audio"));
        if let Some(seen) = seen {
            return Ok(seen.to_owned());
        }
        let is_token = |word: &str| {
            let valid = |c: char| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c);
            !word.is_empty() && word.chars().all(valid)
        };
        let fits = said.len() <= NAME_MAX_BYTES
            && said.split_once('/').is_some_and(|(class, kind)| {
                is_token(class) && is_token(kind) && self.class.is_none_or(|wanted| wanted == class)
            });
        match fits {
            true => Ok(said),
            false => Err(format!(
                "\"{}\" is no media type of one",
                beginning(self.mime, NAME_MAX_BYTES)
            )),
        }
    }

    fn made_up_name(&self, mime: &str) -> String {
        let ending = match mime.split_once('/').map_or("", |(_, kind)| kind) {
            "jpeg" => "jpg",
            "svg+xml" => "svg",
            "mpeg" => "mp3",
            kind if kind.chars().all(|c| c.is_ascii_alphanumeric()) => kind,
            _ => "bin",
        };
        format!("{}.{ending}", self.class.unwrap_or("file"))
    }
}

fn decode(data: &str) -> Option<Vec<u8>> {
    let plain = |c: char| match c {
        '-' => '+',
        '_' => '/',
        c => c,
    };
    let data: String = data
        .chars()
        .filter(|c| !c.is_ascii_whitespace())
        .map(plain)
        .collect();
    LENIENT.decode(data).ok().filter(|bytes| !bytes.is_empty())
}

fn picture_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => Some("image/webp"),
        _ => None,
    }
}

/// The last name in an address.
fn name_in(uri: &str) -> Option<String> {
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    let is_data = uri.starts_with("data:");
    (!name.is_empty() && !is_data).then(|| beginning(name, NAME_MAX_BYTES).to_owned())
}

#[cfg(test)]
mod tests;
