//! Marks on the fields of what clients send: which bound a field has.
//!
//! A field names its mark twice, as `#[serde(deserialize_with = "bounded::title")]` and, for the document, as
//! `#[schema(format = "bound:title")]`. The reader of request bodies (`http::read`) knows what the marks mean;
//! every other one reads what is inside. A text without a mark is a name, an id or another short one.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Visitor};

macro_rules! marks {
    ($($(#[doc = $doc:literal])+ $name:ident = $mark:literal;)+) => {$(
        $(#[doc = $doc])+
        ///
        /// # Errors
        /// When what is inside cannot be read, or is out of bounds.
        pub fn $name<'de, D, T>(deserializer: D) -> Result<T, D::Error>
        where
            D: Deserializer<'de>,
            T: Deserialize<'de>,
        {
            deserializer.deserialize_newtype_struct($mark, Inside(PhantomData))
        }
    )+};
}

marks! {
    /// The title of a session, and the like.
    title = "bound:title";
    /// What a model is told beside a handover.
    note = "bound:note";
    /// The pattern of a permission rule.
    pattern = "bound:pattern";
    /// A path.
    path = "bound:path";
    /// What clients keep for themselves.
    metadata = "bound:metadata";
    /// A text that is said, a command line, arguments.
    text = "bound:text";
    /// A file as a URL, or a patch.
    attachment = "bound:attachment";
    /// What a terminal UI is told.
    tui_text = "bound:tui-text";
    /// Free data.
    data = "bound:data";
    /// The parts of a prompt.
    parts = "list:parts";
    /// Permission rules, or what becomes some.
    rules = "list:rules";
    /// The answers to a request's questions, and what is chosen in one of them.
    answers = "list:answers";
    /// A number of at least zero whose fraction is dropped.
    from_0 = "number:from-0";
    /// A number of at least one whose fraction is dropped.
    from_1 = "number:from-1";
}

/// Reads what is inside a mark.
struct Inside<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Inside<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a bounded value")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inside: D) -> Result<T, D::Error> {
        T::deserialize(inside)
    }
}
