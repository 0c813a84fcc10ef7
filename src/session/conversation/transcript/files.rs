//! Files of the conversation: in front of a prompt, sent with a handover, or named in it.

use std::collections::VecDeque;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::handoff::Item;
use super::super::media::{base64_of, decoded_bytes};
use super::{handed_parts, text_block};
use crate::opencode::message::{Attachment, FilePart, MessageWithParts, Part, ToolState};

/// At most this many pictures of the conversation travel with a handover, the newest ones.
const IMAGES_MAX: usize = 8;
/// A picture larger than this is named and counted, not sent; bytes of its base64.
const IMAGE_MAX_BYTES: usize = 5 * 1024 * 1024;
/// All of them together.
const IMAGES_MAX_BYTES: usize = 16 * 1024 * 1024;

/// The pictures that travel with a handover.
pub(super) struct Images {
    /// Which of those that are still to come do.
    chosen: VecDeque<bool>,
    blocks: Vec<Value>,
}

impl Images {
    /// Chooses the newest of the pictures in these messages, as far as there is room.
    pub(super) fn of<'a>(
        messages: impl Iterator<Item = &'a MessageWithParts>,
        takes: bool,
    ) -> Self {
        let sizes: Vec<usize> = messages
            .flat_map(handed_parts)
            .flat_map(|part| own_file(part).into_iter().chain(attachments_of(part)))
            .filter_map(|file| Some(picture(file)?.len()))
            .collect();
        let (mut chosen, mut count, mut bytes) = (VecDeque::new(), 0, 0);
        for size in sizes.into_iter().rev() {
            let fits = takes
                && count < IMAGES_MAX
                && size <= IMAGE_MAX_BYTES
                && bytes + size <= IMAGES_MAX_BYTES;
            if fits {
                count += 1;
                bytes += size;
            }
            chosen.push_front(fits);
        }
        Self {
            chosen,
            blocks: Vec::new(),
        }
    }

    /// The pictures, the oldest first.
    pub(super) fn into_blocks(self) -> Vec<Value> {
        self.blocks
    }

    /// Whether the next picture travels with the text.
    fn attach(&mut self, mime: &str, data: &str) -> bool {
        let is_chosen = self.chosen.pop_front().unwrap_or(false);
        if is_chosen {
            self.blocks.push(image_block(mime, data));
        }
        is_chosen
    }
}

fn own_file(part: &Part) -> Option<&FilePart> {
    match part {
        Part::File(file) => Some(file),
        _ => None,
    }
}

/// The files that a tool call has returned.
pub(super) fn attachments_of(part: &Part) -> impl Iterator<Item = &FilePart> {
    let attachments = match part {
        Part::Tool(tool) => match &tool.state {
            ToolState::Completed { attachments, .. } => attachments.as_slice(),
            _ => &[],
        },
        _ => &[],
    };
    attachments.iter().map(Attachment::file)
}

/// The base64 of a picture that is in the conversation itself.
fn picture(file: &FilePart) -> Option<&str> {
    base64_of(&file.url).filter(|_| file.mime.starts_with("image/"))
}

/// A file in a handover.
pub(super) fn file_item(file: &FilePart, images: &mut Images) -> Item {
    let name = file
        .filename
        .clone()
        .unwrap_or_else(|| short_url(&file.url));
    let attached = picture(file).is_some_and(|data| images.attach(&file.mime, data));
    let bytes = base64_of(&file.url).map(|data| decoded_bytes(data) as u64);
    Item::File {
        name,
        mime: file.mime.clone(),
        bytes,
        attached,
    }
}

fn short_url(url: &str) -> String {
    if url.starts_with("data:") {
        "unnamed".to_owned()
    } else {
        url.to_owned()
    }
}

/// The text of a `data:` URL that is not a picture.
fn text_of(url: &str) -> Option<String> {
    if let Some(data) = base64_of(url) {
        return String::from_utf8(STANDARD.decode(data).ok()?).ok();
    }
    let (_, data) = url.strip_prefix("data:")?.split_once(',')?;
    Some(
        percent_encoding::percent_decode_str(data)
            .decode_utf8_lossy()
            .into_owned(),
    )
}

fn image_block(mime: &str, data: &str) -> Value {
    json!({ "type": "image", "mimeType": mime, "data": data })
}

/// A file of a prompt as an ACP content block.
pub(super) fn file_block(file: &FilePart, takes_images: bool) -> Value {
    let name = file
        .filename
        .clone()
        .unwrap_or_else(|| short_url(&file.url));
    if file.mime.starts_with("image/") {
        return match base64_of(&file.url) {
            Some(data) if takes_images => image_block(&file.mime, data),
            _ => text_block(&format!(
                "[the user attached the picture {name} ({}), which cannot be shown here]",
                file.mime
            )),
        };
    }
    match text_of(&file.url) {
        // As text: one agent ignores embedded resources.
        Some(text) => text_block(&format!("[the user attached {name}]\n{text}")),
        None if file.url.starts_with("data:") => text_block(&format!(
            "[the user attached {name} ({}), which is not text]",
            file.mime
        )),
        None => {
            json!({ "type": "resource_link", "uri": file.url, "name": name, "mimeType": file.mime })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::opencode::{MessageId, PartId, SessionId};

    fn file(bytes: usize) -> Part {
        Part::File(FilePart {
            id: PartId::new(),
            session_id: SessionId::new(),
            message_id: MessageId::new(),
            mime: "image/png".into(),
            filename: Some("a.png".into()),
            url: format!("data:image/png;base64,{}", "A".repeat(bytes)),
            source: None,
        })
    }

    fn chosen(sizes: &[usize], takes: bool) -> Vec<bool> {
        let parts: Vec<Part> = sizes.iter().map(|size| file(*size)).collect();
        let message = super::super::tests::prompt_with(parts);
        let mut images = Images::of(std::iter::once(&message), takes);
        let items = message.parts.iter().filter_map(own_file);
        items
            .map(|part| {
                matches!(
                    file_item(part, &mut images),
                    Item::File { attached: true, .. }
                )
            })
            .collect()
    }

    #[test]
    fn the_newest_pictures_travel_as_far_as_there_is_room() {
        let many = chosen(&[4; IMAGES_MAX + 2], true);
        assert_eq!(many.iter().filter(|is| **is).count(), IMAGES_MAX);
        assert!(!many[0] && !many[1] && many[2]);
        assert_eq!(
            chosen(&[4, IMAGE_MAX_BYTES + 4, 4], true),
            [true, false, true]
        );
        let large = IMAGE_MAX_BYTES / 4 * 4;
        assert_eq!(chosen(&[large; 4], true), [false, true, true, true]);
        assert_eq!(chosen(&[4], false), [false]);
    }
}
