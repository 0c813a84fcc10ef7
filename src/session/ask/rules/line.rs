//! What a command line runs: its simple commands, with those inside of them, and the files that it writes.

use super::word::Word;
use super::wrapper::{self, Seen};
use super::{naive, risky, walk};

/// The longest command line that is read, in bytes. A longer one is asked.
pub(super) const MAX_BYTES: usize = 16 * 1024;
/// How deep scripts inside of scripts (`sh -c "sh -c …"`) are read.
pub(super) const MAX_SCRIPTS: usize = 4;
/// The most simple commands of one line, nested ones included.
pub(super) const MAX_PARTS: usize = 256;
/// The most words of a command that are looked at. One with more is asked.
const MAX_WORDS: usize = 512;
/// The most places of one command where another may begin.
const MAX_STARTS: usize = 32;
/// The most guesses about one line.
const MAX_GUESSES: usize = 1_024;

/// A command line, read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Line {
    /// As the agent gave it, without blanks around it.
    pub text: String,
    /// Its simple commands.
    pub parts: Vec<Part>,
    /// Whether what it does was understood in full. What was not is asked.
    pub certain: bool,
    /// Whether it is one simple command and nothing else: no redirection, substitution or assignment.
    pub plain: bool,
    /// Files that it writes to by redirection; `None` where the name is known only when it runs.
    pub writes: Vec<Option<String>>,
    /// Whether it changes its working directory, so that relative names mean other files.
    pub moves: bool,
    /// What it may run where it was not understood, in the words that a careless shell would see.
    pub guesses: Vec<Part>,
    /// The number of its simple commands so far, nested ones included.
    pub(super) size: usize,
}

/// A simple command.
#[derive(Debug, Clone, Default)]
pub(crate) struct Part {
    /// The program and its arguments.
    pub words: Vec<Word>,
    /// As it is written.
    pub source: String,
    /// What a wrapper (`sudo`, `find -exec`, `sh -c`) runs.
    pub inner: Vec<Inner>,
    /// Whether the wrapper only passes on (`time`, `nohup`), so that it needs no rule of its own.
    pub transparent: bool,
    /// Whether it was understood. Options that run other programs are not looked into.
    pub sure: bool,
}

/// What a wrapper runs.
#[derive(Debug, Clone)]
pub(crate) struct Inner {
    /// The number of words of the wrapper which a rule has to spell out to speak for this, too.
    pub named_by: usize,
    /// The commands.
    pub parts: Vec<Part>,
}

impl Line {
    /// Reads a command line. What cannot be read with certainty is still searched for what it may run.
    pub(crate) fn read(text: &str) -> Self {
        Self::nested(text, 0)
    }

    /// A script inside of `depth` others.
    pub(super) fn nested(text: &str, depth: usize) -> Self {
        let trimmed = text.trim_matches([' ', '\t', '\n']);
        let mut line = if trimmed.len() > MAX_BYTES || depth > MAX_SCRIPTS {
            Self::default()
        } else {
            walk::read(trimmed, depth)
        };
        line.text = trimmed.to_owned();
        line.certain &= !line.parts.is_empty() || !line.writes.is_empty();
        if line.feeds_a_shell() {
            line.certain = false;
        }
        if !line.certain {
            line.plain = false;
            line.guesses.extend(naive::commands(trimmed));
        }
        line
    }

    /// Whether a shell in it reads its commands from somewhere else in the line.
    fn feeds_a_shell(&self) -> bool {
        !self.plain && self.parts.iter().any(Part::is_bare_shell)
    }
}

impl Part {
    /// A command of these words; `line` takes what scripts inside of it bring along.
    pub(super) fn new(mut words: Vec<Word>, source: &str, line: &mut Line, depth: usize) -> Self {
        let whole = words.len() <= MAX_WORDS && line.size < MAX_PARTS;
        words.truncate(MAX_WORDS);
        line.size += 1;
        let mut part = Self {
            sure: whole && !risky::is_risky(&words) && is_plain_program(&words),
            source: source.to_owned(),
            ..Self::default()
        };
        if depth > MAX_SCRIPTS || !whole {
            part.sure = false;
            part.words = words;
            return part;
        }
        let seen = wrapper::see_through(&words);
        part.transparent = seen.transparent;
        part.sure &= seen.sure;
        part.look_into(&words, seen, line, depth);
        part.words = words;
        part
    }

    fn look_into(&mut self, words: &[Word], seen: Seen, line: &mut Line, depth: usize) {
        for (from, to) in seen.commands {
            let inner = words[from..to].to_vec();
            let source: Vec<_> = inner.iter().map(Word::canonical).collect();
            let part = Self::new(inner, &source.join(" "), line, depth + 1);
            self.inner.push(Inner {
                named_by: from + 1,
                parts: vec![part],
            });
        }
        for (at, script) in seen.scripts.into_iter().take(MAX_STARTS) {
            let script = Line::nested(&script, depth + 1);
            line.size += script.size;
            self.sure &= script.certain;
            line.writes.extend(script.writes);
            line.moves |= script.moves;
            line.guesses.extend(script.guesses);
            self.inner.push(Inner {
                named_by: at + 1,
                parts: script.parts,
            });
        }
        for from in seen.guesses.into_iter().take(MAX_STARTS) {
            line.guesses.push(Self {
                words: words[from..].to_vec(),
                ..Self::default()
            });
        }
        line.guesses.truncate(MAX_GUESSES);
    }

    fn is_bare_shell(&self) -> bool {
        let inner = self.inner.iter().flat_map(|inner| &inner.parts);
        wrapper::reads_stdin(&self.words) || inner.into_iter().any(Self::is_bare_shell)
    }
}

/// The name of the program of a command, without its folder.
pub(super) fn program(words: &[Word]) -> &str {
    let name = words.first().map_or("", |word| word.shape.as_str());
    name.rsplit('/').next().unwrap_or(name)
}

/// Whether the first word certainly names the program.
fn is_plain_program(words: &[Word]) -> bool {
    words.first().is_some_and(|word| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_.+-/:[@".contains(c);
        let text = &word.text;
        let climbs = text.split('/').any(|piece| piece == "..");
        word.literal && !word.glob && !text.is_empty() && text.chars().all(plain) && !climbs
    })
}
