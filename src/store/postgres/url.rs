//! Where the database is: `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=…`, as libpq takes it.

use std::fmt;
use std::path::{Path, PathBuf};

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode as Wire};

use crate::secret;

/// How the URL of a PostgreSQL begins.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];
/// The parameter of a URL that is a password, too.
const PASSWORD_PARAMETER: &str = "password";
/// What PostgreSQL shows as the name of the client, unless the URL has another.
const APPLICATION: &str = "baton";

/// Whether the connection is encrypted, and how far the server is trusted, as in libpq.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SslMode {
    /// Not encrypted.
    Disable,
    /// Encrypted if the server can.
    Prefer,
    /// Encrypted; whoever answers is believed, unless there is a root certificate.
    Require,
    /// Encrypted, with a certificate of an authority that is trusted.
    VerifyCa,
    /// The same, for the host of the URL.
    VerifyFull,
}

/// The URL of a database. What is shown of it never has its password.
#[derive(Clone)]
pub struct StoreUrl {
    pub(super) config: Config,
    pub(super) ssl: SslMode,
    /// The file with the certificates that are trusted.
    pub(super) root: Option<PathBuf>,
    shown: String,
    password: Option<String>,
}

impl StoreUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence without the password.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (shown, password) = without_password(text);
        let wrong = |why: &str| format!("{shown:?} is no URL of a PostgreSQL: {why}");
        if !is_postgres(text) {
            return Err(wrong("it begins with postgres://"));
        }
        let (text, parameters) = take_parameters(text, &["sslmode", "sslrootcert"]);
        let [mode, root] = parameters;
        let ssl = match mode.as_deref() {
            Some("disable") => SslMode::Disable,
            None | Some("prefer") => SslMode::Prefer,
            Some("require") => SslMode::Require,
            Some("verify-ca") => SslMode::VerifyCa,
            Some("verify-full") => SslMode::VerifyFull,
            Some(_) => {
                return Err(wrong(
                    "sslmode is disable, prefer, require, verify-ca or verify-full",
                ));
            }
        };
        let mut config: Config = text.parse().map_err(|error: tokio_postgres::Error| {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            wrong(&source.unwrap_or_else(|| error.to_string()))
        })?;
        let hosts = config.get_hosts();
        if hosts.is_empty() && config.get_hostaddrs().is_empty() {
            return Err(wrong("it has no host"));
        }
        let is_local = hosts.iter().all(|host| matches!(host, Host::Unix(_))) && !hosts.is_empty();
        // A socket on this machine is never encrypted.
        let ssl = if is_local { SslMode::Disable } else { ssl };
        config.ssl_mode(match ssl {
            SslMode::Disable => Wire::Disable,
            SslMode::Prefer => Wire::Prefer,
            _ => Wire::Require,
        });
        if config.get_application_name().is_none() {
            config.application_name(APPLICATION);
        }
        // The system's own are a matter of course; libpq has this word for them.
        let root = root.filter(|root| root != "system").map(PathBuf::from);
        Ok(Self {
            config,
            ssl,
            root,
            shown,
            password,
        })
    }

    /// Has the password masked wherever something is quoted.
    pub fn learn_secrets(&self) {
        let decoded = self.config.get_password();
        let decoded = decoded.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        secret::learn(decoded.into_iter().chain(self.password.clone()));
    }

    /// The same with a root certificate that is named from a directory.
    pub fn beside(mut self, directory: &Path) -> Self {
        self.root = self.root.map(|root| directory.join(root));
        self
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreUrl({})", self.shown)
    }
}

/// Whether a text is meant as the URL of a PostgreSQL.
pub fn is_postgres(text: &str) -> bool {
    SCHEMES.iter().any(|scheme| text.starts_with(scheme))
}

/// A URL without its password, and the password as it was written.
pub fn without_password(url: &str) -> (String, Option<String>) {
    let (url, [parameter]) = take_parameters(url, &[PASSWORD_PARAMETER]);
    let Some((scheme, rest)) = url.split_once("://") else {
        return (url, parameter);
    };
    // The driver, too, takes all before the first @ for the user and the password.
    let Some((credentials, place)) = rest.split_once('@') else {
        return (url, parameter);
    };
    let Some((user, password)) = credentials.split_once(':') else {
        return (url, parameter);
    };
    // A password with an @ that was not escaped would be cut in two: of such a URL nothing is shown but the host.
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    let password = Some(password.to_owned()).filter(|password| !password.is_empty());
    (format!("{scheme}://{user}@{place}"), password.or(parameter))
}

/// Takes parameters out of a URL, decoded.
fn take_parameters<const N: usize>(url: &str, names: &[&str; N]) -> (String, [Option<String>; N]) {
    let mut taken = [const { None }; N];
    let Some((before, query)) = url.split_once('?') else {
        return (url.to_owned(), taken);
    };
    let mut left = Vec::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
        let wanted = names.iter().position(|wanted| *wanted == name);
        match wanted.and_then(|at| taken.get_mut(at)) {
            Some(place) => {
                let value = percent_encoding::percent_decode_str(value).decode_utf8_lossy();
                *place = Some(value.into_owned());
            }
            None => left.push(pair),
        }
    }
    match left.is_empty() {
        true => (before.to_owned(), taken),
        false => (format!("{before}?{}", left.join("&")), taken),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_shown_nowhere() {
        for url in [
            "postgres://me:hunter2%20secret@db.example:5433/baton?sslmode=require",
            "postgresql://me@db.example/baton?password=hunter2secret&sslmode=verify-full",
            "postgres://me:hunter2@secret@db.example/baton",
            "postgres://me:hunter2@db.example/baton?sslmode=what",
            "postgres://me:hunter2@db.example/baton?pasword=x",
            "postgres://me:hunter2@/baton",
            "postgres://me:hunter2@db.example:port/baton",
            "mysql://me:hunter2@db.example/baton",
        ] {
            let shown = match StoreUrl::parse(url) {
                Ok(url) => format!("{url} {url:?}"),
                Err(error) => error,
            };
            assert!(!shown.contains("hunter2"), "{shown}");
            assert!(!shown.contains("secret"), "{shown}");
        }
    }

    #[test]
    fn it_is_read_as_libpq_reads_it() {
        let url =
            "postgres://me:a%2Fb@db.example:5433/baton?sslmode=verify-full&sslrootcert=ca.pem";
        let url = StoreUrl::parse(url)
            .expect("fine")
            .beside(Path::new("/conf"));
        assert_eq!(
            url.to_string(),
            "postgres://me@db.example:5433/baton?sslmode=verify-full&sslrootcert=ca.pem"
        );
        assert_eq!(url.config.get_password(), Some(&b"a/b"[..]));
        assert_eq!(
            (url.ssl, url.root),
            (SslMode::VerifyFull, Some("/conf/ca.pem".into()))
        );
        let local = StoreUrl::parse("postgres://me@%2Frun%2Fpostgresql/baton?sslmode=require");
        assert_eq!(local.expect("fine").ssl, SslMode::Disable);
        let plain = StoreUrl::parse("postgres://db.example/baton").expect("fine");
        assert_eq!((plain.ssl, plain.root), (SslMode::Prefer, None));
    }
}
