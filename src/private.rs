//! Keeps the password of a starting server to itself, and that of the database in the URL of its store.
//!
//! What stood in the environment or in the arguments when a program was started stays in `/proc/PID/environ` and
//! `/proc/PID/cmdline` for as long as it runs, whatever it does later, and every program that an agent starts as the
//! same user can read it there. So a Baton that was given a password that way starts itself again, under the same pid,
//! with the password in a pipe.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::environment::PASSWORD_VARIABLE;
use crate::http::auth::PASSWORD_MAX_BYTES;
use crate::store::postgres::{is_postgres, without_password};

/// Tells the new program in which pipe the password is: `PID:FD`. The pid tells a pipe of our own from what was
/// inherited from another Baton.
const PIPE_VARIABLE: &str = "BATON_PASSWORD_PIPE";
/// The flag with the password.
const PASSWORD_FLAG: &str = "--password";
/// The variable with the URL of the store.
const STORE_VARIABLE: &str = "BATON_STORE_URL";
/// The flag with it.
const STORE_FLAG: &str = "--store=";
/// The commands that take one. Others may start these, and pass the variable on.
const STORE_COMMANDS: [&str; 2] = ["serve", "copy"];
/// A longer URL is refused, in bytes.
const URL_MAX_BYTES: usize = 4_096;
/// URLs at most: two that are copied between, and the variable.
const URLS_MAX: usize = 3;
/// Behind this argument there are no flags.
const END_OF_FLAGS: &str = "--";

/// Passwords that Baton was started with, which are no longer in its environment or its arguments.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// `--password`.
    pub flag: Option<String>,
    /// The variable [`PASSWORD_VARIABLE`].
    pub environment: Option<String>,
    /// URLs of stores with their passwords. What is left of them elsewhere has none.
    pub urls: Vec<String>,
}

impl Given {
    /// The URL that was given, of what is left of it.
    pub fn whole_url(&self, shown: String) -> String {
        let whole = self
            .urls
            .iter()
            .find(|url| without_password(url).0 == shown);
        whole.cloned().unwrap_or(shown)
    }
}

/// Why a password could not be taken away, as a sentence for the user.
#[derive(Debug, thiserror::Error)]
pub enum PrivateError {
    /// It could not be handed over.
    #[error("the password cannot be taken out of the environment: {0}. Use --password-file")]
    HandOver(#[from] io::Error),
    /// It cannot be a password.
    #[error("the password is longer than {PASSWORD_MAX_BYTES} bytes. Set a shorter one")]
    TooLong,
    /// They are no URLs of stores.
    #[error(
        "a URL of a store is longer than {URL_MAX_BYTES} bytes, or there are more than {URLS_MAX}"
    )]
    Urls,
    /// Which one is meant is not clear.
    #[error("{PASSWORD_FLAG} is given more than once. Give it once")]
    Several,
    /// It cannot be sent by any client.
    #[error("the password in {0} is no UTF-8 text. Set another one")]
    NotText(&'static str),
}

/// The passwords that this process was given. If they are in its environment or arguments, this starts the
/// program anew and does not return. To be called before there is any other thread.
///
/// # Errors
/// See [`PrivateError`].
pub fn take_passwords() -> Result<Given, PrivateError> {
    if let Some(pipe) = own_pipe() {
        return Ok(read(pipe)?);
    }
    let (mut arguments, flags) = without_passwords(std::env::args_os().skip(1).collect());
    let mut store = std::env::var_os(STORE_VARIABLE);
    let urls = take_urls(&mut arguments, &mut store);
    if urls.len() > URLS_MAX || urls.iter().any(|url| url.len() > URL_MAX_BYTES) {
        return Err(PrivateError::Urls);
    }
    let flag = match <[OsString; 1]>::try_from(flags) {
        Ok([flag]) => Some(flag),
        Err(none) if none.is_empty() => None,
        Err(_several) => return Err(PrivateError::Several),
    };
    let environment = std::env::var_os(PASSWORD_VARIABLE);
    if flag.is_none() && environment.is_none() && urls.is_empty() {
        return Ok(Given::default());
    }
    let given = Given {
        flag: flag.map(|flag| text(flag, PASSWORD_FLAG)).transpose()?,
        environment: environment
            .map(|value| text(value, PASSWORD_VARIABLE))
            .transpose()?,
        urls,
    };
    Err(start_anew(&given, &arguments, store)?.into())
}

/// Takes the passwords out of the URLs in the arguments and in the variable. Answers the URLs that had one.
fn take_urls(arguments: &mut [OsString], variable: &mut Option<OsString>) -> Vec<String> {
    let is_for_store = |first: &OsString| STORE_COMMANDS.iter().any(|command| first == command);
    if !arguments.first().is_some_and(is_for_store) {
        return Vec::new();
    }
    let mut urls = Vec::new();
    for place in arguments.iter_mut().chain(variable) {
        let Some(text) = place.to_str() else { continue };
        let (flag, url) = match text.strip_prefix(STORE_FLAG) {
            Some(url) => (STORE_FLAG, url),
            None => ("", text),
        };
        let (shown, password) = without_password(url);
        if is_postgres(url) && password.is_some() {
            urls.push(url.to_owned());
            *place = format!("{flag}{shown}").into();
        }
    }
    urls
}

/// Keeps others of the same user from reading this process's memory, and the memory out of core files.
///
/// # Errors
/// What to warn of: there is no log yet when this is called.
pub fn forbid_reading() -> Result<(), String> {
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_dumpable(false).map_err(|error| {
        format!("Baton's memory can be read by other programs of this user: {error}")
    })?;
    Ok(())
}

fn text(value: OsString, source: &'static str) -> Result<String, PrivateError> {
    if value.len() > PASSWORD_MAX_BYTES {
        return Err(PrivateError::TooLong);
    }
    value
        .into_string()
        .map_err(|_| PrivateError::NotText(source))
}

/// The arguments without passwords, and the passwords.
fn without_passwords(arguments: Vec<OsString>) -> (Vec<OsString>, Vec<OsString>) {
    let (mut rest, mut found) = (Vec::new(), Vec::new());
    let mut left = arguments.into_iter();
    while let Some(argument) = left.next() {
        if argument == END_OF_FLAGS {
            rest.push(argument);
            rest.extend(left.by_ref());
        } else if argument == PASSWORD_FLAG {
            match left.next() {
                Some(value) => found.push(value),
                // Nothing follows: the parser says so.
                None => rest.push(argument),
            }
        } else if let Some(value) = value_of(&argument) {
            found.push(value.to_owned());
        } else {
            rest.push(argument);
        }
    }
    (rest, found)
}

/// `--password=VALUE` → `VALUE`.
fn value_of(argument: &OsStr) -> Option<&OsStr> {
    let rest = argument.as_bytes().strip_prefix(PASSWORD_FLAG.as_bytes())?;
    rest.strip_prefix(b"=").map(OsStr::from_bytes)
}

/// Starts the program again in this process. It returns only when that fails, with the reason.
fn start_anew(
    given: &Given,
    arguments: &[OsString],
    store: Option<OsString>,
) -> io::Result<io::Error> {
    let program = own_program()?;
    let (reader, writer) = nix::unistd::pipe().map_err(io::Error::from)?;
    let pipe = format!("{}:{}", std::process::id(), reader.as_raw_fd());
    // Far less than a pipe holds, so this does not block.
    File::from(writer).write_all(&pack(given))?;
    let mut command = Command::new(program);
    if let Some(name) = std::env::args_os().next() {
        command.arg0(name);
    }
    command
        .args(arguments)
        .env_remove(PASSWORD_VARIABLE)
        .env(PIPE_VARIABLE, pipe);
    if let Some(store) = store {
        command.env(STORE_VARIABLE, store);
    }
    Ok(command.exec())
}

/// The program that runs here; also when its file was replaced by an update since.
fn own_program() -> io::Result<PathBuf> {
    let path = std::env::current_exe()?;
    let running = Path::new("/proc/self/exe");
    match !path.exists() && running.exists() {
        true => Ok(running.to_owned()),
        false => Ok(path),
    }
}

/// The pipe that this very process has made before it started anew.
fn own_pipe() -> Option<RawFd> {
    let variable = std::env::var(PIPE_VARIABLE).ok()?;
    let (pid, pipe) = variable.split_once(':')?;
    let own = pid.parse() == Ok(std::process::id());
    own.then(|| pipe.parse().ok()).flatten()
}

fn read(pipe: RawFd) -> io::Result<Given> {
    let mut bytes = Vec::new();
    // Opening it anew needs no unsafe code, and works as the writing end is closed and what was written is there.
    let most = 2 * (PASSWORD_MAX_BYTES + 2) + URLS_MAX * (URL_MAX_BYTES + 2);
    let limit = u64::try_from(most).unwrap_or(u64::MAX);
    File::open(format!("/dev/fd/{pipe}"))?
        .take(limit)
        .read_to_end(&mut bytes)?;
    nix::unistd::close(pipe)?;
    unpack(&bytes)
}

/// Each password as a mark, its text and a NUL, which neither can contain.
fn pack(given: &Given) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (mark, password) in [(b'f', &given.flag), (b'e', &given.environment)] {
        if let Some(password) = password {
            bytes.push(mark);
            bytes.extend(password.as_bytes());
            bytes.push(0);
        }
    }
    for url in &given.urls {
        bytes.push(b'u');
        bytes.extend(url.as_bytes());
        bytes.push(0);
    }
    bytes
}

fn unpack(bytes: &[u8]) -> io::Result<Given> {
    let mut given = Given::default();
    for entry in bytes.split(|byte| *byte == 0) {
        let Some((mark, password)) = entry.split_first() else {
            continue;
        };
        let password = String::from_utf8(password.to_vec()).map_err(io::Error::other)?;
        match mark {
            b'f' => given.flag = Some(password),
            b'u' => given.urls.push(password),
            _ => given.environment = Some(password),
        }
    }
    Ok(given)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(texts: &[&str]) -> Vec<OsString> {
        texts.iter().map(OsString::from).collect()
    }

    #[test]
    fn the_password_is_taken_out_of_the_arguments_in_both_spellings() {
        for given in [
            &["serve", "--password", "p=w", "--port", "0"][..],
            &["serve", "--password=p=w", "--port", "0"],
        ] {
            let (rest, password) = without_passwords(arguments(given));
            assert_eq!(rest, arguments(&["serve", "--port", "0"]));
            assert_eq!(password, arguments(&["p=w"]));
        }
        for left in [
            &["serve", "--password"][..],
            &["serve", "--password-file", "f"],
            &["serve", "--", "--password", "x"],
        ] {
            let (rest, password) = without_passwords(arguments(left));
            assert_eq!((rest, password.len()), (arguments(left), 0));
        }
        let twice = arguments(&["--password=a", "x", "--password", "b"]);
        let (rest, passwords) = without_passwords(twice);
        assert_eq!(
            (rest, passwords),
            (arguments(&["x"]), arguments(&["a", "b"]))
        );
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        for (flag, environment) in [
            (None, Some("")),
            (Some("f"), None),
            (Some(""), Some("ein längeres")),
        ] {
            let given = Given {
                flag: flag.map(str::to_owned),
                environment: environment.map(str::to_owned),
                urls: vec!["postgres://a:b@c".to_owned(), "postgres://d:e@f".to_owned()],
            };
            assert_eq!(unpack(&pack(&given)).expect("packed by us"), given);
        }
    }

    #[test]
    fn passwords_are_taken_out_of_the_urls_of_stores() {
        let mut given = arguments(&[
            "serve",
            "--store",
            "postgres://a:b@c/d",
            "--store=postgres://e:f@g/h",
        ]);
        let mut variable = Some("postgres://i@j/k?password=l&sslmode=require".into());
        let urls = take_urls(&mut given, &mut variable);
        let shown = [
            "serve",
            "--store",
            "postgres://a@c/d",
            "--store=postgres://e@g/h",
        ];
        assert_eq!(given, arguments(&shown));
        assert_eq!(variable, Some("postgres://i@j/k?sslmode=require".into()));
        let given = Given {
            urls,
            ..Given::default()
        };
        assert_eq!(
            given.whole_url("postgres://e@g/h".to_owned()),
            "postgres://e:f@g/h"
        );
        let other = "postgres://x@y/z".to_owned();
        assert_eq!(given.whole_url(other.clone()), other);
        // A front passes it on to the server that it starts.
        let mut front = arguments(&["opencode", "postgres://a:b@c/d"]);
        assert!(take_urls(&mut front, &mut None).is_empty());
    }

    #[test]
    fn what_is_too_long_for_the_pipe_is_refused() {
        let long = OsString::from("x".repeat(PASSWORD_MAX_BYTES + 1));
        let refused = text(long, PASSWORD_FLAG).expect_err("refused");
        assert!(!refused.to_string().contains("xx"));
    }
}
