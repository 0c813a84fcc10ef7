//! Which environment a program gets that Baton starts: chosen, not handed on as it is.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::Path;

/// Holds Baton's password. No program gets it, whatever the configuration says.
pub const PASSWORD_VARIABLE: &str = "BATON_PASSWORD";
/// How the names of Baton's own variables begin.
const OWN_PREFIX: &str = "BATON_";
/// At the end of an allowed name: whatever begins like that.
const WILDCARD: char = '*';
/// What a program gets even with [`Inherit::Listed`]: without these hardly any program runs, and
/// none of them holds a secret.
const ALWAYS: [&str; 15] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TZ",
    "TERM",
    "TMPDIR",
    "XDG_*",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
];

/// Which of Baton's own variables a program gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Inherit {
    /// Everything but what is withheld.
    #[default]
    All,
    /// What is allowed by name, and the few variables without which hardly any program runs.
    Listed,
}

/// The environment of a program.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Environment {
    /// Which of Baton's own variables it gets.
    pub inherit: Inherit,
    /// Names that it gets in any case; one that ends with `*` matches every name with that prefix.
    pub allow: Vec<String>,
    /// Names that it does not get unless they are allowed.
    pub withhold: Vec<String>,
    /// Variables that are set for it.
    pub set: BTreeMap<String, String>,
}

impl fmt::Debug for Environment {
    /// Names without values: some of the values are keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("inherit", &self.inherit)
            .field("allow", &self.allow)
            .field("withhold", &self.withhold)
            .field("set", &self.set.keys())
            .finish()
    }
}

impl Environment {
    /// All variables of the program. It has to be started with these and no others.
    pub fn variables(&self) -> Vec<(OsString, OsString)> {
        self.chosen_from(std::env::vars_os())
    }

    /// Has programs of this folder found first.
    pub fn put_in_front_of_path(&mut self, folder: &Path) {
        let own = || Some(std::env::var_os("PATH")?.to_string_lossy().into_owned());
        let rest = self.set.get("PATH").cloned().or_else(own);
        let mut path = folder.to_string_lossy().into_owned();
        if let Some(rest) = rest {
            path.extend([":", &rest]);
        }
        self.set.insert("PATH".to_owned(), path);
    }

    fn chosen_from(
        &self,
        own: impl Iterator<Item = (OsString, OsString)>,
    ) -> Vec<(OsString, OsString)> {
        let set = self.set.iter().map(|(k, v)| (k.into(), v.into()));
        own.filter(|(name, _)| self.passes_on(name))
            .chain(set)
            .collect()
    }

    /// Whether the program gets Baton's own variable of this name.
    fn passes_on(&self, name: &OsStr) -> bool {
        if name == PASSWORD_VARIABLE || self.set.contains_key(&*name.to_string_lossy()) {
            return false;
        }
        if matches_any(&self.allow, name) {
            return true;
        }
        if is_own(name)
            || self
                .withhold
                .iter()
                .any(|withheld| name == withheld.as_str())
        {
            return false;
        }
        match self.inherit {
            Inherit::All => true,
            Inherit::Listed => matches_any(&ALWAYS, name),
        }
    }
}

/// Whether a variable is one of Baton's own.
pub fn is_own(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(OWN_PREFIX.as_bytes())
}

/// What is wrong with a name that is to be allowed, as a sentence for the user.
///
/// # Errors
/// When it can be no name, or is that of the password.
pub fn check_allowed(name: &str) -> Result<(), String> {
    let bare = name.strip_suffix(WILDCARD).unwrap_or(name);
    if name.is_empty() || bare.contains([WILDCARD, '=', '\0']) {
        return Err(format!(
            "\"{name}\" is not the name of a variable; a \"{WILDCARD}\" may stand at its end only"
        ));
    }
    if name == PASSWORD_VARIABLE {
        return Err(format!(
            "{PASSWORD_VARIABLE} is Baton's own password, which no program gets; take it out of the list"
        ));
    }
    Ok(())
}

fn matches_any<P: AsRef<str>>(patterns: &[P], name: &OsStr) -> bool {
    patterns.iter().any(|pattern| {
        let pattern = pattern.as_ref();
        match pattern.strip_suffix(WILDCARD) {
            Some(beginning) => name.as_encoded_bytes().starts_with(beginning.as_bytes()),
            None => name == pattern,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names that a program gets of these.
    fn names(environment: &Environment, own: &[&str]) -> Vec<String> {
        let own = own.iter().map(|&name| (name.into(), "value".into()));
        let chosen = environment.chosen_from(own).into_iter();
        chosen
            .map(|(name, _)| name.to_string_lossy().into_owned())
            .collect()
    }

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|&n| n.to_owned()).collect()
    }

    const OWN: [&str; 6] = [
        "PATH",
        "LC_TIME",
        "OPENAI_API_KEY",
        "OTHER",
        "BATON_PASSWORD",
        "BATON_PORT",
    ];

    #[test]
    fn everything_but_batons_own_and_what_is_withheld() {
        let environment = Environment {
            withhold: strings(&["OPENAI_API_KEY"]),
            ..Environment::default()
        };
        assert_eq!(names(&environment, &OWN), ["PATH", "LC_TIME", "OTHER"]);
    }

    #[test]
    fn what_is_listed_and_little_else() {
        let environment = Environment {
            inherit: Inherit::Listed,
            allow: strings(&["OTH*"]),
            ..Environment::default()
        };
        assert_eq!(names(&environment, &OWN), ["PATH", "LC_TIME", "OTHER"]);
    }

    #[test]
    fn allowing_wins_over_withholding_but_never_for_the_password() {
        let environment = Environment {
            inherit: Inherit::Listed,
            allow: strings(&["*"]),
            withhold: strings(&["OPENAI_API_KEY"]),
            ..Environment::default()
        };
        let got = names(&environment, &OWN);
        assert_eq!(got.len(), OWN.len() - 1);
        assert!(!got.contains(&PASSWORD_VARIABLE.to_owned()));
    }

    #[test]
    fn what_is_set_is_there_once_and_its_value_in_no_debug_output() {
        let set = BTreeMap::from([("OTHER".to_owned(), "sk-value".to_owned())]);
        let environment = Environment {
            set,
            ..Environment::default()
        };
        let own = [("OTHER".into(), "inherited".into())];
        let chosen = environment.chosen_from(own.into_iter());
        assert_eq!(chosen, [("OTHER".into(), "sk-value".into())]);
        assert!(!format!("{environment:?}").contains("sk-value"));
    }

    #[test]
    fn names_that_can_be_none_are_refused() {
        for good in ["A", "AWS_*", "*", "BATON_PORT"] {
            assert!(check_allowed(good).is_ok(), "{good}");
        }
        for bad in ["", "A=b", "A*B", "**", "BATON_PASSWORD"] {
            assert!(check_allowed(bad).is_err(), "{bad}");
        }
    }
}
