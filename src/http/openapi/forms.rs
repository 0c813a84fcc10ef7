//! The forms in which the document is printed and served: OpenAPI 3.1 or 3.0, all of it or its core.

use std::sync::OnceLock;

use serde_json::{Value, json};

use super::{COMMITTED, made, marks, older};

/// Where a served document says its servers.
const SERVERS: &str = "\"servers\": [";

/// Which version of OpenAPI a document is written in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Version {
    /// OpenAPI 3.1.
    #[default]
    #[value(name = "3.1")]
    Current,
    /// OpenAPI 3.0, for generators that read no other.
    #[value(name = "3.0")]
    Older,
}

/// One form of the document.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Form {
    /// The version.
    pub version: Version,
    /// Only the operations that matter.
    pub is_core: bool,
}

impl Form {
    /// The document as the code makes it, indented.
    pub fn document(self) -> String {
        self.written(made())
    }

    /// The committed document in this form, without the line end. It is made once.
    fn committed(self) -> &'static str {
        static FORMS: [OnceLock<String>; 3] = [const { OnceLock::new() }; 3];
        let whole = COMMITTED.trim_end();
        let place = match (self.version, self.is_core) {
            (Version::Current, false) => return whole,
            (Version::Current, true) => &FORMS[0],
            (Version::Older, false) => &FORMS[1],
            (Version::Older, true) => &FORMS[2],
        };
        place.get_or_init(|| self.written(serde_json::from_str(whole).unwrap_or_default()))
    }

    fn written(self, mut document: Value) -> String {
        if self.is_core {
            marks::keep_core(&mut document);
        }
        if self.version == Version::Older {
            older::rewrite(&mut document);
        }
        serde_json::to_string_pretty(&document).unwrap_or_default()
    }

    /// The committed document, with the address at which the server was asked in front of the others.
    pub fn served(self, address: &str) -> String {
        let own = json!({ "url": address, "description": "This server, as it was asked for this document." });
        self.committed()
            .replacen(SERVERS, &format!("{SERVERS}\n    {own},"), 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Value {
        serde_json::from_str(text).expect("JSON")
    }

    #[test]
    fn what_is_served_is_what_is_printed_with_the_address_in_front() {
        for version in [Version::Current, Version::Older] {
            for is_core in [false, true] {
                let form = Form { version, is_core };
                let mut served = read(&form.served("http://[::1]:1"));
                let servers = served["servers"].as_array_mut().expect("a list");
                assert_eq!(servers.remove(0)["url"], "http://[::1]:1");
                assert!(served == read(&form.document()), "{form:?}");
            }
        }
    }
}
