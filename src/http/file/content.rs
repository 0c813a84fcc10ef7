//! `GET /file/content`.

use axum::Json;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::files::{self, FileBytes, FileError, Work};
use crate::http::error::Problem;
use crate::http::extract::{Directory, Params};
use crate::http::responses::Invalid;
use crate::http::state::Shared;
use crate::opencode::file::{ContentType, FileContent};

/// Read a file
///
/// Text as it is, anything else in base64. A file that does not exist is empty text, as in OpenCode. Nothing outside
/// of the working directory is read, also not through a symlink.
#[utoipa::path(
    get,
    path = "/file/content",
    operation_id = "file.read",
    tag = "file",
    params(
        Directory,
        ("path" = String, Query, description = "The file, relative to the working directory."),
    ),
    responses(
        (status = 200, description = "What stands in it.", body = FileContent),
        Invalid,
    )
)]
pub async fn content(
    State(_state): State<Shared>,
    Directory(directory): Directory,
    params: Params,
) -> Result<Json<FileContent>, Problem> {
    let path = params.required("path")?.to_owned();
    match files::run(&directory, Work::One, move |root, _| {
        Ok(shaped(root.read(&path)?))
    })
    .await
    {
        Err(FileError::NotFound(_)) => Ok(Json(text(""))),
        result => Ok(Json(result?)),
    }
}

fn text(content: &str) -> FileContent {
    FileContent {
        r#type: ContentType::Text,
        content: content.to_owned(),
        encoding: None,
        mime_type: None,
    }
}

fn shaped(file: FileBytes) -> FileContent {
    let mime = mime_guess::from_path(&file.path).first_or_octet_stream();
    // A vector graphic is text, and people edit it as such.
    let picture = mime.type_() == "image" && mime.subtype() != "svg";
    let readable = std::str::from_utf8(&file.bytes).ok();
    match readable.filter(|text| !picture && !text.contains('\0')) {
        Some(readable) => text(readable.trim()),
        None => FileContent {
            r#type: ContentType::Binary,
            content: STANDARD.encode(&file.bytes),
            encoding: Some("base64".to_owned()),
            mime_type: Some(mime.essence_str().to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_base64() {
        let of = |name: &str, bytes: &[u8]| {
            shaped(FileBytes {
                path: name.into(),
                bytes: bytes.to_vec(),
            })
        };
        assert_eq!(of("a.rs", b" x \n"), text("x"));
        assert_eq!(of("a.svg", b"<svg/>"), text("<svg/>"));
        assert_eq!(of("empty.png", b"").mime_type.as_deref(), Some("image/png"));
        let bytes = of("a.bin", b"\0\x01");
        assert_eq!(
            (bytes.r#type, bytes.content.as_str()),
            (ContentType::Binary, "AAE=")
        );
        assert_eq!(
            of("latin1.txt", b"caf\xe9").mime_type.as_deref(),
            Some("text/plain")
        );
    }
}
