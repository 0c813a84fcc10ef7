//! Where the password comes from, and what is wrong with one.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::file::ConfigFile;
use super::{ConfigError, Places, ServeArgs};
use crate::environment::PASSWORD_VARIABLE;
use crate::http::auth::{PASSWORD_MAX_BYTES, Password};

/// A shorter password is warned of, in characters.
pub(super) const PASSWORD_ADVISED_CHARS: usize = 8;
/// Permissions by which somebody else can read a file.
const READABLE_BY_OTHERS: u32 = 0o044;
/// A line's end after the password in a file, in bytes.
const LINE_END_BYTES: usize = 2;

/// The password of these arguments and this file.
///
/// # Errors
/// When it is empty or too long, or when its file cannot be read.
pub(super) fn of(
    args: &ServeArgs,
    file: &ConfigFile,
    config_file: Option<&Path>,
    places: &Places,
    warnings: &mut Vec<String>,
) -> Result<Option<Password>, ConfigError> {
    let flag_file = args.password_file.as_ref();
    let flag_file = flag_file.map(|path| places.directory.join(path));
    // Beside the config file that names it, so that it does not depend on where Baton is started.
    let folder = config_file
        .and_then(Path::parent)
        .unwrap_or(&places.directory);
    let configured_file = file.server.password_file.as_ref();
    let configured_file = configured_file.map(|path| folder.join(path));
    if file.server.password.is_some()
        && let Some(path) = config_file
        && is_readable_by_others(path)
    {
        warnings.push(others_can_read("the config file with the password", path));
    }
    let sources = Sources {
        flag: args.password.as_deref(),
        file: flag_file.as_deref(),
        environment: args.environment_password.as_deref(),
        configured: file.server.password.as_deref(),
        configured_file: configured_file.as_deref(),
    };
    resolve(&sources, warnings)
}

/// What the sources of a password say; the first that says anything counts.
#[derive(Debug, Default)]
struct Sources<'a> {
    /// `--password`.
    pub flag: Option<&'a str>,
    /// `--password-file`, or the variable of that name.
    pub file: Option<&'a Path>,
    /// [`PASSWORD_VARIABLE`].
    pub environment: Option<&'a str>,
    /// `password` in `[server]`.
    pub configured: Option<&'a str>,
    /// `password_file` in `[server]`.
    pub configured_file: Option<&'a Path>,
}

/// The password, if there is one, and what to tell the user about it.
///
/// # Errors
/// When it is empty or too long, or when its file cannot be read.
fn resolve(
    sources: &Sources<'_>,
    warnings: &mut Vec<String>,
) -> Result<Option<Password>, ConfigError> {
    let from_file = |path: &Path, warnings: &mut Vec<String>| {
        Ok::<_, ConfigError>((read(path, warnings)?, path.display().to_string()))
    };
    let (text, source) = if let Some(text) = sources.flag {
        (text.to_owned(), "--password".to_owned())
    } else if let Some(path) = sources.file {
        from_file(path, warnings)?
    } else if let Some(text) = sources.environment {
        (text.to_owned(), PASSWORD_VARIABLE.to_owned())
    } else if sources.configured.is_some() && sources.configured_file.is_some() {
        return Err(ConfigError(
            "[server] of the config file has both password and password_file; remove one of them"
                .to_owned(),
        ));
    } else if let Some(text) = sources.configured {
        (
            text.to_owned(),
            "password in [server] of the config file".to_owned(),
        )
    } else if let Some(path) = sources.configured_file {
        from_file(path, warnings)?
    } else {
        return Ok(None);
    };
    check(&text, &source, warnings)?;
    Ok(Some(Password::new(&text)))
}

/// The password in a file, for a client.
///
/// # Errors
/// When it cannot be read, or holds none.
pub fn read_password_file(path: &Path) -> Result<String, ConfigError> {
    let text = read(path, &mut Vec::new())?;
    check(&text, &path.display().to_string(), &mut Vec::new())?;
    Ok(text)
}

fn check(text: &str, source: &str, warnings: &mut Vec<String>) -> Result<(), ConfigError> {
    if text.trim().is_empty() {
        return Err(ConfigError(format!(
            "the password is empty ({source}). Set one of at least {PASSWORD_ADVISED_CHARS} characters, or remove it to \
             run without a password, on this machine only"
        )));
    }
    if text.len() > PASSWORD_MAX_BYTES {
        return Err(ConfigError(format!(
            "the password is longer than {PASSWORD_MAX_BYTES} bytes ({source}). Set a shorter one"
        )));
    }
    if text.chars().count() < PASSWORD_ADVISED_CHARS {
        warnings.push(format!(
            "the password is short ({source}): set one of at least {PASSWORD_ADVISED_CHARS} characters, or it can be guessed"
        ));
    }
    Ok(())
}

/// The password in a file, which may be a pipe, too: without the end of its line.
fn read(path: &Path, warnings: &mut Vec<String>) -> Result<String, ConfigError> {
    let unusable = |why: &dyn std::fmt::Display| {
        ConfigError(format!(
            "the password file {} cannot be read: {why}",
            path.display()
        ))
    };
    let file = File::open(path).map_err(|e| unusable(&e))?;
    let metadata = file.metadata().map_err(|e| unusable(&e))?;
    if metadata.is_file() && metadata.permissions().mode() & READABLE_BY_OTHERS != 0 {
        warnings.push(others_can_read("the password file", path));
    }
    // One byte more than fits, so that a file that is too long is noticed.
    let limit = u64::try_from(PASSWORD_MAX_BYTES + LINE_END_BYTES + 1).unwrap_or(u64::MAX);
    let mut text = String::new();
    file.take(limit)
        .read_to_string(&mut text)
        .map_err(|e| unusable(&e))?;
    if let Some(line) = text.strip_suffix('\n') {
        text.truncate(line.strip_suffix('\r').unwrap_or(line).len());
    }
    Ok(text)
}

/// Warns of a file with a password that others can read.
pub(super) fn others_can_read(what: &str, path: &Path) -> String {
    let path = path.display();
    format!("{what} {path} can be read by other users of this machine: chmod 600 {path}")
}

/// Whether others can read a file.
pub(super) fn is_readable_by_others(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|m| m.is_file() && m.permissions().mode() & READABLE_BY_OTHERS != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(sources: &Sources<'_>) -> (Result<Option<Password>, String>, Vec<String>) {
        let mut warnings = Vec::new();
        let found = resolve(sources, &mut warnings).map_err(|error| error.to_string());
        (found, warnings)
    }

    fn file(text: &[u8], mode: u32) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("password");
        std::fs::write(&path, text).expect("written");
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&path, mode).expect("set");
        (folder, path)
    }

    #[test]
    fn the_first_source_counts() {
        let (_folder, path) = file(b"of-the-file\n", 0o600);
        let mut sources = Sources {
            flag: Some("of-the-flag"),
            file: Some(&path),
            environment: Some("of-the-environment"),
            configured: Some("of-the-configuration"),
            configured_file: None,
        };
        let is = |sources: &Sources<'_>, text: &str| {
            let (found, warnings) = resolved(sources);
            assert_eq!(found, Ok(Some(Password::new(text))));
            assert_eq!(warnings, Vec::<String>::new());
        };
        is(&sources, "of-the-flag");
        sources.flag = None;
        is(&sources, "of-the-file");
        sources.file = None;
        is(&sources, "of-the-environment");
        sources.environment = None;
        is(&sources, "of-the-configuration");
        sources.configured_file = Some(&path);
        let (refused, _) = resolved(&sources);
        assert!(refused.expect_err("two").contains("both"));
        sources.configured = None;
        is(&sources, "of-the-file");
        sources.configured_file = None;
        assert_eq!(resolved(&sources).0, Ok(None));
    }

    #[test]
    fn an_empty_password_is_refused_from_wherever_it_comes() {
        let (_folder, path) = file(b"\n", 0o600);
        for sources in [
            Sources {
                flag: Some(""),
                ..Sources::default()
            },
            Sources {
                flag: Some(" \t"),
                ..Sources::default()
            },
            Sources {
                environment: Some(""),
                ..Sources::default()
            },
            Sources {
                configured: Some(""),
                ..Sources::default()
            },
            Sources {
                file: Some(&path),
                ..Sources::default()
            },
            Sources {
                configured_file: Some(&path),
                ..Sources::default()
            },
        ] {
            let refused = resolved(&sources).0.expect_err("refused");
            assert!(
                refused.contains("password is empty") && refused.contains("remove it"),
                "{refused}"
            );
        }
    }

    #[test]
    fn a_short_password_and_an_open_file_are_warned_of() {
        let (_folder, path) = file(b"short", 0o644);
        let sources = Sources {
            file: Some(&path),
            ..Sources::default()
        };
        let (found, warnings) = resolved(&sources);
        assert_eq!(found, Ok(Some(Password::new("short"))));
        assert!(
            warnings[0].contains("chmod 600") && warnings[1].contains("8 characters"),
            "{warnings:?}"
        );
        assert!(!warnings.concat().contains("short\""));
    }

    #[test]
    fn of_a_file_only_one_end_of_a_line_is_cut_off() {
        for (text, password) in [
            (&b"pass word \r\n"[..], "pass word "),
            (b"password\n\n", "password\n"),
            (b"password", "password"),
        ] {
            let (_folder, path) = file(text, 0o600);
            let sources = Sources {
                file: Some(&path),
                ..Sources::default()
            };
            assert_eq!(resolved(&sources).0, Ok(Some(Password::new(password))));
        }
    }

    #[test]
    fn a_file_that_has_no_end_or_is_no_text_is_refused() {
        let (_folder, binary) = file(b"\xff\xfe\xfd", 0o600);
        let long = "x".repeat(PASSWORD_MAX_BYTES + 1);
        let (_folder_of_long, long) = file(long.as_bytes(), 0o600);
        for path in [
            Path::new("/dev/zero"),
            &binary,
            &long,
            Path::new("/"),
            Path::new("/missing"),
        ] {
            let sources = Sources {
                file: Some(path),
                ..Sources::default()
            };
            let refused = resolved(&sources).0.expect_err("refused");
            assert!(refused.len() < 300 && !refused.contains("xxx"), "{refused}");
        }
    }
}
