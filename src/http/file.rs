//! `/file`: the files of the working directory.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::files::{self, FileBytes, FileError, Work};
use crate::http::handler::*;
use crate::opencode::file::{ContentType, File, FileContent, FileNode};
use crate::vcs;

/// List a folder
///
/// Folders first, each kind by name; ignored ones are marked. Nothing outside of the working directory is listed,
/// and neither are symlinks, pipes and devices.
#[utoipa::path(
    get,
    path = "/file",
    operation_id = "file.list",
    tag = "file",
    params(
        Directory,
        ("path" = String, Query, description = "The folder, relative to the working directory; empty for that itself."),
    ),
    responses(
        (status = 200, description = "Its entries.", body = Vec<FileNode>),
        Invalid, NotThere,
    )
)]
pub async fn list(
    State(_state): State<Shared>,
    Directory(directory): Directory,
    params: Params,
) -> Result<Json<Vec<FileNode>>, Problem> {
    let path = params.required("path")?.to_owned();
    let nodes = files::run(&directory, Work::One, move |root, _| root.list(&path)).await?;
    Ok(Json(nodes))
}

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

/// Get the status of files
///
/// The files below the working directory that differ from the last commit; none outside of a repository. (OpenCode
/// 1.18 always answers an empty list here.)
#[utoipa::path(
    get,
    path = "/file/status",
    operation_id = "file.status",
    tag = "file",
    params(Directory),
    responses(
        (status = 200, description = "The files that differ.", body = Vec<File>),
        Invalid,
    )
)]
pub async fn status(
    State(state): State<Shared>,
    directory: Directory,
) -> Result<Json<Vec<File>>, Problem> {
    let changed = vcs::status(&state.settings.data_dir, &directory.place(&state).await).await?;
    let file = |entry: crate::opencode::file::VcsFileStatus| File {
        path: entry.file,
        added: entry.additions,
        removed: entry.deletions,
        status: entry.status,
    };
    Ok(Json(changed.into_iter().map(file).collect()))
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
