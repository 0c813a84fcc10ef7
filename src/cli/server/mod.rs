//! The running server, as the commands for people talk to it: over its HTTP API.
//!
//! The one of a data directory is found as `baton opencode` finds it, and lets its owner in by the token that lies there.
//! One at another address is asked with its password.

mod events;
mod http;
mod session;

use std::path::{Path, PathBuf};

use axum::http::Uri;
use axum::http::uri::Scheme;
use clap::Args;

use super::DataDirArgs;
use super::failure::Failure;
use crate::config::{Places, read_password_file};
use crate::front::running::{self, Running};
use crate::http::router::PREFIX;
use crate::secret;
use crate::store::data_dir::DataDir;

pub use events::{Event, Events};
pub use http::{Answer, Refused};
pub use session::SessionArgs;

/// The port of an address that names none.
const HTTP_PORT: u16 = 80;

/// Which server.
#[derive(Debug, Clone, Default, Args)]
pub struct ServerArgs {
    /// Talk to the server at this address, and not to that of the data directory
    #[arg(long, env = "BATON_URL", value_name = "URL")]
    pub url: Option<String>,

    /// The file with the password of that server; or BATON_PASSWORD
    #[arg(long, env = "BATON_PASSWORD_FILE", value_name = "FILE")]
    pub password_file: Option<PathBuf>,

    /// Of which data directory.
    #[command(flatten)]
    pub data: DataDirArgs,
}

/// How a request is let in.
#[derive(Clone)]
enum Pass {
    /// Nothing is asked for, or nothing is known.
    None,
    /// The token of the data directory.
    Token(String),
    /// The password.
    Password(String),
}

impl std::fmt::Debug for Pass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pass(…)")
    }
}

/// A running server.
#[derive(Debug, Clone)]
pub struct Server {
    /// `HOST:PORT`, to connect to and as the name that is asked for.
    authority: String,
    /// The prefix of every path.
    base: String,
    pass: Pass,
    /// Whose server it is, where it was found by its data directory.
    pub home: Option<Home>,
    /// How the next command finds the same server: empty, or flags with a space in front.
    pub flags: String,
}

/// A data directory with its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// The data directory.
    pub data_dir: PathBuf,
    /// What the server says of itself there.
    pub running: Running,
}

impl Server {
    /// Finds the server. `password` is what the environment held.
    ///
    /// # Errors
    /// When none runs, or when its address or password cannot be used.
    pub fn find(args: &ServerArgs, password: Option<&str>) -> Result<Self, Failure> {
        match args.url.as_deref().filter(|url| !url.is_empty()) {
            Some(url) => Self::at(url, password_of(args, password)?),
            None => Self::of_data_dir(args),
        }
    }

    fn of_data_dir(args: &ServerArgs) -> Result<Self, Failure> {
        let places = Places::of_this_process().map_err(usage)?;
        let given = args.data.data_dir.as_deref();
        let data_dir = places.data_dir(given).map_err(usage)?;
        let running =
            running::find(&data_dir).ok_or_else(|| Failure::Failed(none_runs(&data_dir)))?;
        secret::learn([running.token.clone()]);
        let is_usual = places.data_dir(None).is_ok_and(|usual| usual == data_dir);
        let flags = match is_usual {
            true => String::new(),
            false => format!(" --data-dir {}", data_dir.display()),
        };
        Ok(Self {
            authority: running.address.to_string(),
            base: PREFIX.to_owned(),
            pass: Pass::Token(running.token.clone()),
            home: Some(Home { data_dir, running }),
            flags,
        })
    }

    fn at(url: &str, password: Option<String>) -> Result<Self, Failure> {
        let unusable = |why: &str| Failure::Usage(format!("--url {}: {why}", without_user(url)));
        let named = match url.contains("://") {
            true => url.to_owned(),
            false => format!("http://{url}"),
        };
        let uri: Uri = named
            .parse()
            .map_err(|_| unusable("this is no address. Give one such as http://127.0.0.1:2468"))?;
        if uri.scheme() != Some(&Scheme::HTTP) {
            return Err(unusable(
                "only http:// can be spoken from here. Use the server's own address, or a tunnel to it (ssh -L)",
            ));
        }
        let authority = uri
            .authority()
            .ok_or_else(|| unusable("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(unusable(
                "leave the user and the password out, and set BATON_PASSWORD or give --password-file",
            ));
        }
        let path = uri.path().trim_end_matches('/');
        let path = path.strip_suffix(PREFIX).unwrap_or(path);
        let port = authority.port_u16().unwrap_or(HTTP_PORT);
        secret::learn(password.clone());
        Ok(Self {
            authority: format!("{}:{port}", authority.host()),
            base: format!("{path}{PREFIX}"),
            pass: password.map_or(Pass::None, Pass::Password),
            home: None,
            flags: format!(" --url {url}"),
        })
    }

    /// Its address, for people.
    pub fn url(&self) -> String {
        let base = self.base.strip_suffix(PREFIX).unwrap_or(&self.base);
        format!("http://{}{base}", self.authority)
    }

    /// Whether it is still that server which listens there, and no stranger who has got its port since.
    fn is_still_there(&self) -> bool {
        let home = self.home.as_ref();
        home.is_none_or(|home| running::find(&home.data_dir).as_ref() == Some(&home.running))
    }

    /// Why nothing listens at its address.
    fn gone(&self, why: &dyn std::fmt::Display) -> Failure {
        match &self.home {
            Some(home) if !self.is_still_there() => Failure::Failed(none_runs(&home.data_dir)),
            _ => Failure::Failed(format!(
                "Baton does not answer at {}: {why}. Is it running there?",
                self.url()
            )),
        }
    }
}

fn usage(error: impl ToString) -> Failure {
    Failure::Usage(error.to_string())
}

fn password_of(args: &ServerArgs, password: Option<&str>) -> Result<Option<String>, Failure> {
    match &args.password_file {
        Some(path) => read_password_file(path).map(Some).map_err(usage),
        None => Ok(password.map(str::to_owned)),
    }
}

fn none_runs(data_dir: &Path) -> String {
    let shown = data_dir.display();
    match DataDir::is_claimed(data_dir) {
        true => format!(
            "the server of the data directory {shown} does not say where it listens. It is starting or stopping, or of \
             an older version: try again in a moment, or name its address with --url."
        ),
        false => format!(
            "no Baton runs for the data directory {shown}. Start one with `baton serve`, or name another one with \
             --data-dir or --url."
        ),
    }
}

/// An address without a user and a password in it.
fn without_user(url: &str) -> String {
    match url.rsplit_once('@') {
        Some((before, host)) => {
            let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
            let mark = if scheme.is_empty() { "" } else { "://" };
            format!("{scheme}{mark}…@{host}")
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: &str) -> Result<(String, String), String> {
        let found = Server::at(url, None).map_err(|error| error.to_string())?;
        Ok((found.authority, found.base))
    }

    #[test]
    fn an_address_may_be_the_root_or_opencodes_and_lie_below_a_path() {
        for (url, authority, base) in [
            ("http://127.0.0.1:2468", "127.0.0.1:2468", "/opencode"),
            (
                "http://127.0.0.1:2468/opencode/",
                "127.0.0.1:2468",
                "/opencode",
            ),
            ("localhost:2468", "localhost:2468", "/opencode"),
            ("http://host/baton/", "host:80", "/baton/opencode"),
            ("http://[::1]:7", "[::1]:7", "/opencode"),
        ] {
            let expected = (authority.to_owned(), base.to_owned());
            assert_eq!(at(url), Ok(expected), "{url}");
        }
    }

    #[test]
    fn an_address_that_cannot_be_used_is_refused_without_its_password() {
        for (url, why) in [
            ("https://host", "only http://"),
            ("http://", "no address"),
            ("http://user:hunter2@host", "BATON_PASSWORD"),
            ("https://user:hunter2@host", "only http://"),
        ] {
            let refused = at(url).expect_err("refused");
            assert!(refused.contains(why), "{refused}");
            assert!(!refused.contains("hunter2"), "{refused}");
        }
    }
}
