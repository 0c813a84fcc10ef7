//! What rules say to a command line.
//!
//! As in OpenCode the last rule that matches decides, here for each simple command: a deny or an ask matches when any
//! reading of the command does, an allow only when the command as a whole is what the rule says. The line is refused
//! when one of its commands is, allowed when all of them are, and asked otherwise.

use super::fence::concerns;
use super::line::{Inner, Line, Part, program};
use super::pattern::{ANY, could_match, literal_prefix, matches};
use super::place::Place;
use super::told;
use super::word::Word;
use crate::opencode::session::{PermissionAction, PermissionRule};
use crate::session::conversation::tool::quote;

/// Stands for a word of which nothing is known where only what is certain counts.
const NOTHING: &str = "\u{E002}";
/// The most ways in which the options in front of a subcommand are read.
const MAX_READINGS: usize = 16;

/// What is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It may.
    Allow,
    /// The user is asked.
    Ask,
    /// It may not.
    Deny,
}

/// What decisions are based on.
pub(crate) struct Law<'a> {
    /// The rules of the session.
    pub rules: &'a [PermissionRule],
    /// Whether the user has allowed a pattern for good.
    pub remembered: &'a dyn Fn(&str) -> bool,
    /// Where it happens.
    pub place: &'a Place,
}

impl Law<'_> {
    fn of<'r>(
        &'r self,
        permission: &'r str,
    ) -> impl DoubleEndedIterator<Item = &'r PermissionRule> {
        self.rules
            .iter()
            .filter(move |rule| concerns(rule, permission))
    }

    /// Decides about a command line.
    pub(crate) fn line(&self, line: &Line) -> Decision {
        let parts = &line.parts;
        let verdicts: Vec<_> = parts.iter().map(|part| self.part(part)).collect();
        let writes: Vec<_> = line
            .writes
            .iter()
            .map(|path| self.write(path.as_deref(), line.moves))
            .collect();
        let guessed = line
            .guesses
            .iter()
            .any(|guess| self.spoken(guess).0 == Some(Decision::Deny));
        if guessed || verdicts.contains(&Decision::Deny) || writes.contains(&Decision::Deny) {
            return Decision::Deny;
        }
        if self.everything_goes() || (self.remembered)(&line.text) {
            return Decision::Allow;
        }
        let told = told::always(line);
        if line.plain && told.iter().all(|pattern| (self.remembered)(pattern)) && !told.is_empty() {
            return Decision::Allow;
        }
        let known = |(part, verdict): (&Part, &Decision)| {
            *verdict == Decision::Allow || (part.sure && (self.remembered)(&told::of_part(part)))
        };
        let allowed = line.certain
            && writes.iter().all(|write| *write == Decision::Allow)
            && !(parts.is_empty() && writes.is_empty())
            && parts.iter().zip(&verdicts).all(known);
        if allowed {
            Decision::Allow
        } else {
            Decision::Ask
        }
    }

    /// Whether every command whatever is allowed, so that nothing can be walked around.
    fn everything_goes(&self) -> bool {
        let last = self
            .of("bash")
            .rev()
            .find(|rule| rule.pattern == "*" || rule.action != PermissionAction::Allow);
        last.is_some_and(|rule| rule.action == PermissionAction::Allow)
    }

    /// A redirection into a file is an edit of it; within the project it needs no rule.
    fn write(&self, path: Option<&str>, moved: bool) -> Decision {
        let Some(path) = path else {
            return Decision::Ask;
        };
        if Place::is_sink(path) {
            return Decision::Allow;
        }
        let ruled = self.path("edit", path);
        let certain = !moved || path.starts_with('/');
        match ruled {
            Some(Decision::Deny | Decision::Ask) => ruled.unwrap_or(Decision::Ask),
            _ if certain && self.place.may_be_written(path) => Decision::Allow,
            _ => Decision::Ask,
        }
    }

    /// What the rules say to a path, if anything.
    pub(crate) fn path(&self, permission: &str, path: &str) -> Option<Decision> {
        let names = self.place.names(path);
        let says = |rule: &&PermissionRule| {
            let pattern = at_home(&rule.pattern);
            names.iter().any(|name| matches(&pattern, name))
                || (rule.action != PermissionAction::Allow && matches(&pattern, path))
        };
        self.of(permission)
            .rev()
            .find(says)
            .map(|rule| decision(rule.action))
    }

    /// What the rules say to any other text, if anything. `readings` is what a deny is compared with, too.
    pub(crate) fn text(
        &self,
        permission: &str,
        text: &str,
        readings: &[String],
    ) -> Option<Decision> {
        let says = |rule: &&PermissionRule| {
            let other = rule.action != PermissionAction::Allow
                && readings.iter().any(|r| matches(&rule.pattern, r));
            other || matches(&rule.pattern, text)
        };
        self.of(permission)
            .rev()
            .find(says)
            .map(|rule| decision(rule.action))
    }

    fn part(&self, part: &Part) -> Decision {
        let (spoken, by) = self.spoken(part);
        let mut inner = part
            .inner
            .iter()
            .flat_map(|inner| &inner.parts)
            .map(|part| self.part(part));
        if spoken == Some(Decision::Deny) || inner.any(|verdict| verdict == Decision::Deny) {
            return Decision::Deny;
        }
        if !part.sure || spoken == Some(Decision::Ask) {
            return Decision::Ask;
        }
        let speaks = |inner: &Inner| {
            let named = by.is_some_and(|pattern| names(pattern, &part.words[..inner.named_by]));
            inner.parts.iter().all(|inner| match named {
                true => inner.is_sure() && self.spoken(inner).0 != Some(Decision::Ask),
                false => self.part(inner) == Decision::Allow,
            })
        };
        let own = spoken == Some(Decision::Allow) || (part.transparent && !part.inner.is_empty());
        match own && part.inner.iter().all(speaks) {
            true => Decision::Allow,
            false => Decision::Ask,
        }
    }

    /// What the rules say to a command without what it runs in turn, and the pattern of the rule.
    fn spoken(&self, part: &Part) -> (Option<Decision>, Option<&str>) {
        let readings = Readings::of(part);
        for rule in self.of("bash").rev() {
            match rule.action {
                PermissionAction::Allow => {
                    if readings.allowed_by(&rule.pattern) {
                        return (Some(Decision::Allow), Some(&rule.pattern));
                    }
                }
                action => {
                    if readings.forbidden_by(&rule.pattern) {
                        return (Some(decision(action)), None);
                    }
                    if readings.maybe_forbidden_by(&rule.pattern) {
                        return (Some(Decision::Ask), None);
                    }
                }
            }
        }
        (None, None)
    }
}

impl Part {
    fn is_sure(&self) -> bool {
        self.sure
            && self
                .inner
                .iter()
                .flat_map(|inner| &inner.parts)
                .all(Self::is_sure)
    }
}

fn decision(action: PermissionAction) -> Decision {
    match action {
        PermissionAction::Allow => Decision::Allow,
        PermissionAction::Ask => Decision::Ask,
        PermissionAction::Deny => Decision::Deny,
    }
}

/// A pattern that begins at the user's home.
fn at_home(pattern: &str) -> String {
    let below = pattern
        .strip_prefix("~/")
        .or_else(|| pattern.strip_prefix("$HOME/"));
    match (below, std::env::var("HOME")) {
        (Some(below), Ok(home)) => format!("{home}/{below}"),
        _ => pattern.to_owned(),
    }
}

/// Whether a pattern spells these words out, so that it speaks for the program that is the last of them.
fn names(pattern: &str, words: &[Word]) -> bool {
    let spelled: Vec<_> = words.iter().map(Word::canonical).collect();
    literal_prefix(pattern).starts_with(&spelled.join(" "))
}

/// The ways in which a command can be read.
struct Readings<'a> {
    part: &'a Part,
    /// The command as text.
    canonical: String,
    /// All that a deny is compared with; unknown pieces are marked.
    all: Vec<String>,
}

impl<'a> Readings<'a> {
    fn of(part: &'a Part) -> Self {
        let canonical: Vec<_> = part.words.iter().map(Word::canonical).collect();
        let mut readings = Self {
            part,
            canonical: canonical.join(" "),
            all: vec![part.source.clone()],
        };
        let Some((first, rest)) = part.words.split_first() else {
            return readings;
        };
        let name = first.shape.trim_start_matches(['=', '\\']);
        let base = name.rsplit('/').next().unwrap_or(name);
        let bare = base.strip_suffix(".exe").unwrap_or(base).to_lowercase();
        let mut names = vec![name, base, &bare];
        names.dedup();
        for name in names {
            for from in starts(rest) {
                let words = rest[from..].iter();
                readings.add(name, words.clone().map(|word| word.shape.clone()));
                readings.add(name, words.map(|word| quote(&word.shape)));
            }
        }
        readings
    }

    fn add(&mut self, name: &str, words: impl Iterator<Item = String>) {
        let words: Vec<_> = std::iter::once(name.to_owned()).chain(words).collect();
        let text = words.join(" ");
        if !self.all.contains(&text) {
            self.all.push(text);
        }
    }

    fn allowed_by(&self, pattern: &str) -> bool {
        matches(pattern, &self.canonical) || matches(pattern, &self.part.source)
    }

    fn forbidden_by(&self, pattern: &str) -> bool {
        let unknown = ANY.to_string();
        let certain = |reading: &String| {
            let words: Vec<_> = reading
                .split(' ')
                .map(|word| if word == unknown { NOTHING } else { word })
                .collect();
            could_match(pattern, &words.join(" "))
        };
        self.all.iter().any(certain) || same_options(pattern, &self.part.words)
    }

    /// Whether it would be forbidden if what is unknown turned out to be what the pattern says.
    fn maybe_forbidden_by(&self, pattern: &str) -> bool {
        self.all
            .iter()
            .any(|reading| reading.contains(ANY) && could_match(pattern, reading))
    }
}

/// Where the arguments may begin that are not options in front of the subcommand: an option may have a value.
fn starts(arguments: &[Word]) -> Vec<usize> {
    let mut starts = vec![0];
    let mut at = 0;
    while at < starts.len() && starts.len() < MAX_READINGS {
        let from = starts[at];
        at += 1;
        let option = arguments
            .get(from)
            .is_some_and(|word| word.text.starts_with(['-', '+']));
        for next in [from + 1, from + 2] {
            if option && next < arguments.len() && !starts.contains(&next) {
                starts.push(next);
            }
        }
    }
    starts
}

/// Whether a pattern with options (`rm -rf *`, `git push --force*`) is met by other spellings of them (`rm -r -f`,
/// `git push origin --force`): all of its options are there, and its other words in front.
fn same_options(pattern: &str, words: &[Word]) -> bool {
    let Some(open) = pattern.strip_suffix('*') else {
        return false;
    };
    let is_option = |word: &&str| word.starts_with('-') && word.len() > 1;
    let wanted: Vec<_> = open.split_whitespace().collect();
    let texts: Vec<_> = words.iter().map(|word| word.shape.as_str()).collect();
    let (options, plain): (Vec<&str>, Vec<&str>) = wanted.iter().copied().partition(is_option);
    let (given, others): (Vec<&str>, Vec<&str>) = texts.iter().copied().partition(is_option);
    let Some((name, plain)) = plain.split_first() else {
        return false;
    };
    let same_name = program(words).eq_ignore_ascii_case(name) || texts.first() == Some(name);
    let in_front = others.len() > plain.len()
        && plain
            .iter()
            .zip(&others[1..])
            .all(|(wanted, given)| wanted.contains('*') || wanted == given);
    let has = |option: &&str| match option.strip_prefix("--") {
        Some(_) => given
            .iter()
            .any(|given| given.split('=').next() == option.split('=').next()),
        None => option[1..].chars().all(|letter| {
            let short = |given: &str| !given.starts_with("--") && given[1..].contains(letter);
            given
                .iter()
                .any(|given| short(given) || long_of(letter).contains(given))
        }),
    };
    !options.is_empty() && same_name && in_front && options.iter().all(has)
}

/// The long spellings of short options that are often forbidden.
fn long_of(letter: char) -> &'static [&'static str] {
    match letter {
        'r' | 'R' => &["--recursive"],
        'f' => &["--force", "--force-with-lease"],
        'd' => &["--delete"],
        'D' => &["--delete-force"],
        _ => &[],
    }
}
