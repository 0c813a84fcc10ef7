//! What `opencode serve` is started with. Clients pass flags of every version of it, so an unknown one is reported and
//! otherwise ignored; only what cannot be meant is refused.

use std::ffi::OsString;
use std::path::PathBuf;

/// The port that OpenCode takes when none is given, if it is free.
const USUAL_PORT: u16 = 4096;
/// The host that is listened on unless another is given.
const DEFAULT_HOST: &str = "127.0.0.1";
/// Flags of OpenCode that mean nothing here, and whether a value follows.
const IGNORED: [(&str, bool); 5] = [
    ("--log-level", true),
    ("--print-logs", false),
    ("--mdns", false),
    ("--mdns-domain", true),
    ("--pure", false),
];

/// How a front is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arguments {
    /// The ports to try, in order; 0 takes a free one.
    pub ports: Vec<u16>,
    /// The host to listen on.
    pub hostname: String,
    /// Web origins that may use it.
    pub origins: Vec<String>,
    /// The data directory, where one is given.
    pub data_dir: Option<PathBuf>,
    /// Only the help is wanted.
    pub help: bool,
    /// What is reported on stderr.
    pub warnings: Vec<String>,
}

impl Arguments {
    /// Reads them, in both spellings: `--flag value` and `--flag=value`.
    ///
    /// # Errors
    /// A sentence for the user when a value is missing or cannot be meant.
    pub(super) fn read(given: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        let mut read = Self {
            ports: vec![USUAL_PORT, 0],
            hostname: DEFAULT_HOST.to_owned(),
            origins: Vec::new(),
            data_dir: None,
            help: false,
            warnings: Vec::new(),
        };
        let mut left = given.into_iter().peekable();
        while let Some(argument) = left.next() {
            let text = argument.to_string_lossy().into_owned();
            let (flag, inline) = match text.split_once('=') {
                Some((flag, value)) if flag.starts_with("--") => (flag, Some(value.to_owned())),
                _ => (text.as_str(), None),
            };
            let is_value = |next: &OsString| !next.to_string_lossy().starts_with('-');
            let mut value = || {
                let given = inline.clone();
                let given =
                    given.or_else(|| Some(left.next_if(is_value)?.to_string_lossy().into_owned()));
                given
                    .filter(|value| !value.is_empty())
                    .ok_or_else(|| format!("{flag} needs a value"))
            };
            match flag {
                "--port" => read.ports = vec![port(&value()?)?],
                "--hostname" => read.hostname = value()?,
                "--data-dir" => read.data_dir = Some(value()?.into()),
                "--cors" => read.origins.push(value()?),
                "--help" | "-h" => read.help = true,
                flag => match IGNORED.iter().find(|(name, _)| *name == flag) {
                    Some((_, true)) => drop(value()?),
                    Some((_, false)) => {}
                    None => {
                        read.warnings.push(format!("{flag} is ignored"));
                        if flag.starts_with('-') && inline.is_none() {
                            left.next_if(is_value);
                        }
                    }
                },
            }
        }
        Ok(read)
    }
}

fn port(text: &str) -> Result<u16, String> {
    let refused = |_| format!("--port {text:?} is no port: give a number from 0 to 65535");
    text.parse().map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(given: &[&str]) -> Result<Arguments, String> {
        Arguments::read(given.iter().map(OsString::from))
    }

    #[test]
    fn both_spellings_are_read() {
        for given in [
            &[
                "--hostname",
                "h",
                "--port",
                "7",
                "--cors",
                "http://a",
                "--cors",
                "http://b",
            ][..],
            &[
                "--hostname=h",
                "--port=7",
                "--cors=http://a",
                "--cors=http://b",
            ],
            &[
                "--print-logs",
                "--port",
                "7",
                "--log-level",
                "DEBUG",
                "--hostname",
                "h",
                "--cors",
                "http://a",
                "--cors=http://b",
            ],
        ] {
            let read = read(given).expect("readable");
            assert_eq!(
                (read.ports.as_slice(), read.hostname.as_str()),
                (&[7][..], "h")
            );
            assert_eq!(read.origins, ["http://a", "http://b"]);
            assert_eq!(read.warnings, Vec::<String>::new());
        }
        assert_eq!(read(&[]).expect("readable").ports, [USUAL_PORT, 0]);
    }

    #[test]
    fn what_is_not_known_is_told_and_what_cannot_be_meant_refused() {
        let some = read(&["--new", "x", "--other=1", "word", "--port", "7"]).expect("readable");
        assert_eq!(some.ports, [7]);
        let told = ["--new is ignored", "--other is ignored", "word is ignored"];
        assert_eq!(some.warnings, told);
        for bad in [
            &["--port"][..],
            &["--port", "x"],
            &["--port=65536"],
            &["--port="],
            &["--port", "--print-logs"],
            &["--hostname"],
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
