//! Programs that run other programs, and where in their words the other program is.

use super::line::program;
use super::programs::{OPAQUE, RUNNERS, SHELLS, WRAPPERS, Wrapper};
use super::risky;
use super::word::Word;

/// What is found inside of a command.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Commands among the words: from, and up to.
    pub commands: Vec<(usize, usize)>,
    /// Scripts: the number of the word, and the text.
    pub scripts: Vec<(usize, String)>,
    /// Where a command may begin, if the words were not understood.
    pub guesses: Vec<usize>,
    /// Whether it only passes on what it runs.
    pub transparent: bool,
    /// Whether nothing else is run than what was found.
    pub sure: bool,
}

/// Whether a name is that of a shell.
pub(super) fn is_shell(name: &str) -> bool {
    SHELLS.contains(&name)
}

/// Whether a command is a shell that reads its script from its input.
pub(super) fn reads_stdin(words: &[Word]) -> bool {
    is_shell(program(words))
        && words[1..]
            .iter()
            .all(|word| word.text.starts_with('-') && !word.text.contains('c'))
}

/// Whether a program runs what its arguments say.
pub(super) fn is_wrapper(name: &str) -> bool {
    is_shell(name)
        || matches!(name, "find" | "gfind" | "eval" | "trap")
        || OPAQUE.contains(&name)
        || is_loader(name)
        || WRAPPERS.iter().any(|wrapper| wrapper.name == name)
}

/// Whether a subcommand of a program runs what its arguments say.
pub(super) fn is_runner(name: &str, subcommand: &str) -> bool {
    RUNNERS
        .iter()
        .any(|(program, subs)| *program == name && subs.contains(&subcommand))
}

/// What a command runs besides itself.
pub(super) fn see_through(words: &[Word]) -> Seen {
    let name = program(words);
    let path = words.first().is_some_and(|word| word.text.contains('/'));
    let mut seen = match name {
        "find" | "gfind" => find(words),
        "eval" => joined(words, 1),
        "trap" => script_at(words, first_argument(words)),
        _ if is_shell(name) => shell(words),
        _ => match WRAPPERS.iter().find(|wrapper| wrapper.name == name) {
            Some(wrapper) => through(wrapper, words),
            None => opaque(name, words),
        },
    };
    // It is not known what a program of that name in some folder does.
    seen.transparent &= !path;
    seen
}

fn nothing() -> Seen {
    Seen {
        sure: true,
        ..Seen::default()
    }
}

/// A command may begin at each of the words, and a word may be one by itself, also after a `=`.
fn unsure(words: &[Word]) -> Seen {
    let mut seen = Seen {
        guesses: (1..words.len()).collect(),
        ..Seen::default()
    };
    for (at, word) in words.iter().enumerate().skip(1) {
        let value = word
            .shape
            .split_once('=')
            .filter(|(name, _)| !name.contains(' '));
        for text in [Some(word.shape.as_str()), value.map(|(_, value)| value)]
            .into_iter()
            .flatten()
        {
            if is_line(text) {
                seen.scripts.push((at, text.to_owned()));
            }
        }
    }
    seen
}

/// Whether a word is more than a word to a shell that reads it.
fn is_line(text: &str) -> bool {
    text.contains([' ', ';', '|', '&', '\n'])
}

/// Whether a word may mean the program's input, where another one would be the name of a file.
fn is_input(word: &Word) -> bool {
    let text = word.text.as_str();
    !word.literal
        || matches!(text, "-" | "-f-")
        || text.starts_with("/dev/")
        || text.starts_with("/proc/")
}

/// Whether a program is the one that loads others (`/lib64/ld-linux-x86-64.so.2`).
fn is_loader(name: &str) -> bool {
    (name.starts_with("ld-") || name.starts_with("ld.") || name.starts_with("ld64."))
        && name.contains(".so")
}

fn opaque(name: &str, words: &[Word]) -> Seen {
    let subcommand = words.get(1).map_or("", |word| word.text.as_str());
    let runs = OPAQUE.contains(&name)
        || is_loader(name)
        || (is_runner(name, subcommand) && (name != "git" || risky::is_risky(words)));
    if !runs {
        return nothing();
    }
    let mut seen = unsure(words);
    // A rule of the user for such a program is meant for it; `alias` and its like change what later words mean.
    seen.sure = matches!(
        name,
        "make" | "npx" | "source" | "." | "open" | "xdg-open" | "uvx" | "pipx" | "bunx" | "pnpx"
    ) && !words[1..].iter().any(is_input);
    seen
}

fn through(wrapper: &Wrapper, words: &[Word]) -> Seen {
    // `command -v NAME` runs nothing.
    if wrapper.name == "command"
        && words
            .get(1)
            .is_some_and(|w| matches!(w.text.as_str(), "-v" | "-V"))
    {
        return nothing();
    }
    let mut at = 1;
    let mut sets = false;
    while let Some(word) = words.get(at) {
        let text = word.text.as_str();
        if !word.literal {
            return unsure(words);
        }
        if text == "--" {
            at += 1;
            break;
        }
        if wrapper.sets && is_assignment(text) {
            sets = true;
            at += 1;
        } else if let Some(taken) = option(wrapper, text) {
            at += taken;
        } else if text.starts_with('-') && text.len() > 1 {
            return unsure(words);
        } else {
            break;
        }
    }
    at += wrapper.skip;
    while wrapper.sets && words.get(at).is_some_and(|word| is_assignment(&word.text)) {
        sets = true;
        at += 1;
    }
    if at >= words.len() {
        return Seen {
            transparent: false,
            ..nothing()
        };
    }
    // A command may also come as one text, which a shell reads.
    let scripts = match is_line(&words[at].shape) {
        true => vec![(at, words[at].shape.clone())],
        false => Vec::new(),
    };
    Seen {
        commands: vec![(at, words.len())],
        scripts,
        guesses: Vec::new(),
        transparent: wrapper.transparent,
        sure: !sets,
    }
}

/// The number of words that an option takes; `None` where it is not known.
fn option(wrapper: &Wrapper, text: &str) -> Option<usize> {
    if let Some(long) = text.strip_prefix("--") {
        let name = text.split('=').next().unwrap_or(text);
        // Some take a script or change who runs the command: these are not passed over.
        let opaque = [
            "split-string",
            "shell",
            "login",
            "edit",
            "ignore-signal",
            "argv0",
        ];
        if opaque
            .iter()
            .any(|o| long.starts_with(o) || o.starts_with(long))
        {
            return None;
        }
        let valued = wrapper.long.contains(&name);
        let harmless = [
            "preserve-status",
            "foreground",
            "verbose",
            "null",
            "no-run-if-empty",
            "wait",
            "fork",
            "ctty",
            "ignore-environment",
            "non-interactive",
            "set-home",
            "preserve-env",
            "portability",
        ];
        return match (valued, text.contains('=')) {
            (true, false) => Some(2),
            (true, true) => Some(1),
            (false, _) if harmless.contains(&long.split('=').next().unwrap_or(long)) => Some(1),
            _ => None,
        };
    }
    let cluster = text.strip_prefix('-').filter(|c| !c.is_empty())?;
    if wrapper.name == "nice" && cluster.chars().all(|c| c.is_ascii_digit() || c == '-') {
        return Some(1);
    }
    for (at, letter) in cluster.char_indices() {
        if wrapper.valued.contains(letter) {
            return Some(if at + 1 == cluster.len() { 2 } else { 1 });
        }
        if !wrapper.flags.contains(letter) {
            return None;
        }
    }
    Some(1)
}

fn is_assignment(text: &str) -> bool {
    let name = text.split('=').next().unwrap_or_default();
    text.contains('=') && !name.is_empty() && name.chars().all(|c| c == '_' || c.is_alphanumeric())
}

/// `sh -c SCRIPT`; a shell that is given a file is a program like any other.
fn shell(words: &[Word]) -> Seen {
    let mut at = 1;
    let mut takes_script = false;
    while let Some(word) = words
        .get(at)
        .filter(|w| w.text.starts_with(['-', '+']) || !w.literal)
    {
        if !word.literal {
            return unsure(words);
        }
        let text = word.text.as_str();
        if text == "--command" || text.starts_with("--command=") || text == "--init-command" {
            return unsure(words);
        }
        if matches!(text, "--rcfile" | "--init-file" | "-o" | "+o" | "-O" | "+O") {
            at += 1;
        } else if !text.starts_with("--") && text.starts_with('-') {
            takes_script |= text.contains(['c', 'C']);
        }
        at += 1;
    }
    if !takes_script {
        let rc = words
            .iter()
            .any(|w| w.text.starts_with("--rcfile") || w.text.starts_with("--init"));
        return Seen {
            sure: !rc,
            ..nothing()
        };
    }
    let mut seen = script_at(words, at);
    // The words after the script are its arguments, which it may run.
    if words
        .get(at)
        .is_some_and(|script| script.text.contains('$'))
    {
        seen.guesses = (at + 1..words.len()).collect();
    }
    seen
}

/// The place of the first argument that is not an option.
fn first_argument(words: &[Word]) -> usize {
    let options = words
        .iter()
        .skip(1)
        .take_while(|word| word.text.starts_with('-'));
    1 + options.count()
}

fn script_at(words: &[Word], at: usize) -> Seen {
    match words.get(at) {
        Some(word) => Seen {
            scripts: vec![(at, word.shape.clone())],
            sure: word.literal,
            ..Seen::default()
        },
        None => nothing(),
    }
}

/// `eval` puts its words together.
fn joined(words: &[Word], from: usize) -> Seen {
    let words = &words[from.min(words.len())..];
    let text: Vec<_> = words.iter().map(|word| word.shape.as_str()).collect();
    Seen {
        scripts: vec![(from + words.len().saturating_sub(1), text.join(" "))],
        sure: words.iter().all(|word| word.literal && !word.glob),
        ..Seen::default()
    }
}

/// `find … -exec COMMAND ;`
fn find(words: &[Word]) -> Seen {
    let mut seen = nothing();
    let mut at = 1;
    while let Some(word) = words.get(at) {
        at += 1;
        match word.text.as_str() {
            "-exec" | "-execdir" | "-ok" | "-okdir" => {
                let rest = words[at..].iter();
                let ends = |w: &Word| w.text == ";" || w.text == "+";
                let end = at + rest.take_while(|w| !ends(w)).count();
                if end > at {
                    seen.commands.push((at, end));
                }
                at = end + 1;
            }
            "-delete" | "-fprint" | "-fprint0" | "-fprintf" | "-fls" => seen.sure = false,
            _ if word.may_be_option() => seen.sure = false,
            _ => {}
        }
    }
    seen
}
