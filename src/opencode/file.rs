//! OpenCode's files: folders, contents, searches, and what version control says about them.

use serde::Serialize;
use utoipa::ToSchema;

/// What an entry of a folder is. Symlinks and devices are neither, and are not listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// A folder.
    Directory,
    /// A regular file.
    File,
}

/// An entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FileNode {
    /// Its name.
    pub name: String,
    /// Its path relative to the working directory; that of a folder ends in `/`.
    #[schema(example = "src/")]
    pub path: String,
    /// Its absolute path.
    pub absolute: String,
    /// What it is.
    pub r#type: FileKind,
    /// Whether `.gitignore` excludes it.
    pub ignored: bool,
}

/// Text, or bytes in base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ContentType {
    /// UTF-8 text.
    Text,
    /// Anything else.
    Binary,
}

/// The content of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FileContent {
    /// Text or bytes.
    pub r#type: ContentType,
    /// The text without white space at its ends, as OpenCode gives it; or the bytes in base64. Empty for a file
    /// that does not exist.
    pub content: String,
    /// `base64`, with bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub encoding: Option<String>,
    /// The media type, with bytes.
    #[serde(rename = "mimeType", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub mime_type: Option<String>,
}

/// How a file differs from the last commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum FileChange {
    /// It is new.
    Added,
    /// It is gone.
    Deleted,
    /// It has changed.
    Modified,
}

/// A file that differs from the last commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ChangedFile)]
pub struct File {
    /// Its path relative to the worktree.
    pub path: String,
    /// Lines added.
    pub added: u64,
    /// Lines removed.
    pub removed: u64,
    /// How it differs.
    pub status: FileChange,
}

/// A piece of text in a search result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct MatchText {
    /// The text; invalid UTF-8 is replaced.
    pub text: String,
}

/// A match within its line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Submatch {
    /// What has matched.
    pub r#match: MatchText,
    /// Its first byte in the line.
    pub start: u64,
    /// The byte after its last one.
    pub end: u64,
}

/// A line that matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TextMatch {
    /// The file, relative to the working directory.
    pub path: MatchText,
    /// The line, with its end; a long one is cut off.
    pub lines: MatchText,
    /// Its number, from 1.
    pub line_number: u64,
    /// Its first byte in the file.
    pub absolute_offset: u64,
    /// The matches in it.
    pub submatches: Vec<Submatch>,
}

/// An entry of a folder, or one that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FileSystemEntry {
    /// Its path relative to the working directory; that of a folder ends in `/`.
    pub path: String,
    /// What it is.
    pub r#type: FileKind,
}

/// A symbol of a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = CodeSymbol)]
pub struct Symbol {
    /// Its name.
    pub name: String,
    /// Its kind, as the Language Server Protocol numbers them.
    pub kind: u64,
    /// Where it is defined.
    pub location: SymbolLocation,
}

/// Where a symbol is defined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SymbolLocation {
    /// The file.
    pub uri: String,
    /// From where to where.
    pub range: SymbolRange,
}

/// A range of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct SymbolRange {
    /// From here.
    pub start: SymbolPosition,
    /// To here.
    pub end: SymbolPosition,
}

/// A position in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct SymbolPosition {
    /// The line, from 0.
    pub line: u64,
    /// The character in it, from 0.
    pub character: u64,
}

/// The state of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct VcsInfo {
    /// The branch; absent outside of a repository and on a detached HEAD.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub branch: Option<String>,
    /// The branch that others start from; absent where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub default_branch: Option<String>,
}

/// A file that differs, without how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct VcsFileStatus {
    /// Its path relative to the worktree.
    pub file: String,
    /// Lines added.
    pub additions: u64,
    /// Lines removed.
    pub deletions: u64,
    /// How it differs.
    pub status: FileChange,
}

/// A file that differs, with how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct VcsFileDiff {
    /// Its path relative to the worktree.
    pub file: String,
    /// The difference as a patch; absent where it is too large.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub patch: Option<String>,
    /// Lines added.
    pub additions: u64,
    /// Lines removed.
    pub deletions: u64,
    /// How it differs.
    pub status: FileChange,
}
