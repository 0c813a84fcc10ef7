//! Where a command writes: data to stdout, words to stderr, and colours only where somebody looks.

use std::borrow::Cow;
use std::env;
use std::io::{self, IsTerminal, Write};

use crate::secret;

/// Set to anything but nothing, it asks for no colours (<https://no-color.org>).
const NO_COLOR: &str = "NO_COLOR";

/// How a text stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// A heading.
    Bold,
    /// What matters less.
    Dim,
    /// What is wrong.
    Red,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Red => "31",
        }
    }
}

/// The two outputs of a command.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    out: Kind,
    err: Kind,
}

/// What is at the other end of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A file or a pipe: it gets what there is, as it is.
    File,
    /// A screen.
    Screen {
        /// It may be coloured.
        colored: bool,
    },
}

impl Kind {
    fn of(output: &impl IsTerminal) -> Self {
        if !output.is_terminal() {
            return Self::File;
        }
        let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self::Screen {
            colored: !set(NO_COLOR) && !dumb,
        }
    }

    fn paint(self, style: Style, text: &str) -> String {
        match self {
            Self::Screen { colored: true } => format!("\x1b[{}m{text}\x1b[0m", style.code()),
            _ => text.to_owned(),
        }
    }
}

impl Terminal {
    /// Those of this process.
    pub fn of_this_process() -> Self {
        Self {
            out: Kind::of(&io::stdout()),
            err: Kind::of(&io::stderr()),
        }
    }

    /// A heading and the like on stdout.
    pub fn paint(&self, style: Style, text: &str) -> String {
        self.out.paint(style, text)
    }

    /// Whether somebody looks at stdout.
    pub fn is_screen(&self) -> bool {
        self.out != Kind::File
    }

    /// Writes a line of data.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn line(&self, line: &str) -> io::Result<()> {
        self.data(&format!("{line}\n"))
    }

    /// Writes data as it comes. A screen is spared what would move its cursor or worse; a file gets the text as it is.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn text(&self, text: &str) -> io::Result<()> {
        match self.out {
            Kind::File => self.data(text),
            Kind::Screen { .. } => self.data(&harmless(text)),
        }
    }

    fn data(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush())
    }

    /// Says something to the user who runs the command.
    pub fn say(&self, words: &str) {
        self.say_as(Style::Dim, words);
    }

    /// Says that something is wrong.
    pub fn warn(&self, words: &str) {
        self.say_as(Style::Red, words);
    }

    fn say_as(&self, style: Style, words: &str) {
        let words = harmless(words);
        let words = self.err.paint(style, &secret::mask(&words));
        // Without a stderr there is no one to tell.
        let _unheard = writeln!(io::stderr(), "{words}");
    }
}

/// A text without control characters, other than line ends and tabs: what a model or another client has written must not
/// control the reader's terminal.
pub fn harmless(text: &str) -> Cow<'_, str> {
    let is_bad = |c: char| c.is_control() && c != '\n' && c != '\t';
    match text.contains(is_bad) {
        true => text
            .chars()
            .map(|c| if is_bad(c) { '\u{fffd}' } else { c })
            .collect::<String>()
            .into(),
        false => text.into(),
    }
}

/// A text in one line, without control characters.
pub fn one_line(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    harmless(&words.join(" ")).into_owned()
}

/// The beginning of a text in one line, of at most this many characters.
pub fn beginning(text: &str, chars: usize) -> String {
    let line = one_line(text);
    match line.chars().count() > chars {
        true => {
            let kept: String = line.chars().take(chars.saturating_sub(1)).collect();
            format!("{}…", kept.trim_end())
        }
        false => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_have_written_does_not_steer_the_terminal() {
        assert_eq!(harmless("a\tb\nc ä"), "a\tb\nc ä");
        assert_eq!(harmless("\x1b[2J\u{9b}x\r"), "\u{fffd}[2J\u{fffd}x\u{fffd}");
        assert_eq!(one_line(" a \n\n b\x07 "), "a b\u{fffd}");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(beginning("äöü", 3), "äöü");
        assert_eq!(beginning("äöü x", 4), "äöü…");
        assert_eq!(beginning("", 4), "");
    }

    #[test]
    fn only_a_screen_is_coloured() {
        let screen = Kind::Screen { colored: true };
        assert_eq!(screen.paint(Style::Bold, "x"), "\x1b[1mx\x1b[0m");
        for plain in [Kind::File, Kind::Screen { colored: false }] {
            assert_eq!(plain.paint(Style::Red, "x"), "x");
        }
    }
}
