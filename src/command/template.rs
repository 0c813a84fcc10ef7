//! Filling in a template: `$ARGUMENTS`, `$1` … `$9…`, ``!`command` `` and `@path`.
//!
//! Pure: a template and arguments go in, and pieces come out. Commands are told apart before the arguments
//! are put in, so that no argument can bring one of its own.

use std::ops::Range;

/// The most that a template may become, in bytes: arguments that it repeats a thousand times must not fill
/// the memory.
pub const EXPANDED_MAX_BYTES: usize = 4 * 1024 * 1024;

/// Stands for all arguments, as they were given.
const ALL: &str = "$ARGUMENTS";
/// The longest number of a placeholder, in digits.
const NUMBER_MAX_DIGITS: usize = 4;

/// A piece of a filled-in template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text.
    Text(String),
    /// A command, in whose place its output goes.
    Shell(String),
}

/// The filled-in template would be too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the command becomes longer than {EXPANDED_MAX_BYTES} bytes with these arguments")]
pub struct TooLong;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Placeholder {
    All,
    Number(usize),
}

/// Fills a template in. The last of its numbered placeholders takes the rest of the arguments, and
/// arguments that no placeholder asks for come after it.
///
/// # Errors
/// When it becomes too long.
pub fn expand(template: &str, arguments: &str) -> Result<Vec<Piece>, TooLong> {
    let arguments = arguments.trim();
    let words = words(arguments);
    let wanted: Vec<_> = placeholders(template).map(|(_, p)| p).collect();
    let last = wanted.iter().filter_map(|p| match p {
        Placeholder::Number(number) => Some(*number),
        Placeholder::All => None,
    });
    let last = last.max().unwrap_or(0);
    let value = |placeholder| match placeholder {
        Placeholder::All => arguments.to_owned(),
        Placeholder::Number(number) if number == last => {
            words.get(number - 1..).unwrap_or_default().join(" ")
        }
        Placeholder::Number(number) => words.get(number - 1).cloned().unwrap_or_default(),
    };
    let mut room = EXPANDED_MAX_BYTES;
    let mut pieces = Vec::new();
    for piece in pieces_of(template) {
        pieces.push(match piece {
            Piece::Text(text) => Piece::Text(filled_in(&text, &value, &mut room)?),
            Piece::Shell(command) => Piece::Shell(filled_in(&command, &value, &mut room)?),
        });
    }
    if wanted.is_empty() && !arguments.is_empty() {
        if arguments.len() > room {
            return Err(TooLong);
        }
        pieces.push(Piece::Text(format!("\n\n{arguments}")));
    }
    Ok(pieces)
}

/// The placeholders of a template, as OpenCode lists them: numbered ones first.
pub fn hints(template: &str) -> Vec<String> {
    let mut numbers = Vec::new();
    let mut all = false;
    for (_, placeholder) in placeholders(template) {
        match placeholder {
            Placeholder::All => all = true,
            Placeholder::Number(number) => numbers.push(number),
        }
    }
    numbers.sort_unstable();
    numbers.dedup();
    let mut hints: Vec<_> = numbers.iter().map(|number| format!("${number}")).collect();
    hints.extend(all.then(|| ALL.to_owned()));
    hints
}

/// What a text mentions with `@`: paths, perhaps, relative to the directory.
pub fn mentioned_paths(text: &str) -> Vec<&str> {
    let mut paths = Vec::new();
    for (at, _) in text.match_indices('@') {
        let begins = text[..at].chars().next_back();
        // An address such as a@b is not a path, and neither is anything in code.
        if begins.is_some_and(|c| c.is_alphanumeric() || "`@/.".contains(c)) {
            continue;
        }
        let rest = &text[at + 1..];
        let end = rest.find(|c: char| c.is_whitespace() || "`,;()<>\"'".contains(c));
        let path = rest[..end.unwrap_or(rest.len())].trim_end_matches(['.', ':', '!', '?']);
        if !path.is_empty() && !paths.contains(&path) {
            paths.push(path);
        }
    }
    paths
}

fn filled_in(
    text: &str,
    value: &impl Fn(Placeholder) -> String,
    room: &mut usize,
) -> Result<String, TooLong> {
    let mut whole = String::new();
    let mut push = |piece: &str| {
        *room = room.checked_sub(piece.len()).ok_or(TooLong)?;
        whole.push_str(piece);
        Ok(())
    };
    let mut from = 0;
    for (place, placeholder) in placeholders(text) {
        push(&text[from..place.start])?;
        push(&value(placeholder))?;
        from = place.end;
    }
    push(&text[from..])?;
    Ok(whole)
}

/// The text of a template and the commands in it, in order.
fn pieces_of(template: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some(start) = rest.find("!`") {
        let Some(length) = rest[start + 2..].find('`') else {
            break;
        };
        let command = &rest[start + 2..start + 2 + length];
        pieces.push(Piece::Text(rest[..start].to_owned()));
        pieces.push(Piece::Shell(command.to_owned()));
        rest = &rest[start + 2 + length + 1..];
    }
    pieces.push(Piece::Text(rest.to_owned()));
    pieces
}

fn placeholders(text: &str) -> impl Iterator<Item = (Range<usize>, Placeholder)> {
    text.match_indices('$').filter_map(move |(at, _)| {
        let rest = &text[at..];
        if rest.starts_with(ALL) {
            return Some((at..at + ALL.len(), Placeholder::All));
        }
        let digits = rest[1..].bytes().take_while(u8::is_ascii_digit).count();
        if digits > NUMBER_MAX_DIGITS {
            return None;
        }
        let number: usize = rest[1..=digits].parse().ok().filter(|n| *n > 0)?;
        Some((at..at + 1 + digits, Placeholder::Number(number)))
    })
}

/// The arguments one by one; quotes keep several words together and are left out.
fn words(arguments: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for char in arguments.chars() {
        match (quote, char) {
            (Some(open), char) if open == char => quote = None,
            (None, '"' | '\'') => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            (None, char) if char.is_whitespace() => words.extend(word.take()),
            (_, char) => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(template: &str, arguments: &str) -> String {
        let pieces = expand(template, arguments).expect("short enough");
        let shown = pieces.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Shell(command) => format!("<{command}>"),
        });
        shown.collect()
    }

    /// The same templates and arguments were given to OpenCode 1.18.33.
    #[test]
    fn templates_are_filled_in_as_opencode_does_it() {
        for (template, arguments, expected) in [
            ("SAY none", "", "SAY none"),
            ("SAY none", "extra words", "SAY none\n\nextra words"),
            (
                "SAY $2 | $1 | $3",
                "a \"b c\" 'd e' f g",
                "SAY b c | a | d e f g",
            ),
            ("SAY $2 | $1 | $3", "", "SAY  |  | "),
            (
                "SAY hi $ARGUMENTS one=$1 two=$2 @notes.txt and !`echo shelled; pwd`",
                "foo \"bar baz\" qux",
                "SAY hi foo \"bar baz\" qux one=foo two=bar baz qux @notes.txt and <echo shelled; pwd>",
            ),
        ] {
            assert_eq!(
                text(template, arguments),
                expected,
                "{template} {arguments}"
            );
        }
    }

    #[test]
    fn what_is_no_placeholder_stays() {
        for template in ["costs $5000000", "$0 $", "$ARG $x", "a ! `b`", "!`open"] {
            assert_eq!(text(template, ""), template);
        }
        assert_eq!(text("$10", "a b"), "");
        assert_eq!(text("!`git log $1`", "-3"), "<git log -3>");
    }

    #[test]
    fn an_argument_brings_no_command_of_its_own() {
        assert_eq!(text("say $ARGUMENTS", "!`rm -rf x`"), "say !`rm -rf x`");
        let pieces = expand("say", "!`rm -rf x`").expect("short");
        assert!(
            pieces.iter().all(|p| matches!(p, Piece::Text(_))),
            "{pieces:?}"
        );
    }

    #[test]
    fn hints_name_each_placeholder_once() {
        assert_eq!(
            hints("$10 $2 $ARGUMENTS $2 !`x $1`"),
            ["$1", "$2", "$10", "$ARGUMENTS"]
        );
        assert!(hints("$0 none").is_empty());
    }

    #[test]
    fn paths_are_told_from_addresses_and_code() {
        let text = "see @src/main.rs, (@a.txt) and @b.md. Not me@x.org, `@code`, @ or @a.txt again";
        assert_eq!(mentioned_paths(text), ["src/main.rs", "a.txt", "b.md"]);
    }

    #[test]
    fn a_template_cannot_fill_the_memory() {
        let template = "$ARGUMENTS".repeat(1_000);
        assert_eq!(expand(&template, &"x".repeat(100_000)), Err(TooLong));
        assert_eq!(expand("x", &"x".repeat(EXPANDED_MAX_BYTES)), Err(TooLong));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(
            template in "([$!`@'\" ]|[0-9]{1,6}|ARGUMENTS|\\$ARGUMENTS|!`|\\PC){0,30}",
            arguments in "([$!`@'\" ]|[0-9]{1,3}|\\PC){0,20}",
        ) {
            let pieces = expand(&template, &arguments).expect("short");
            let commands = |pieces: &[Piece]| pieces.iter().filter(|p| matches!(p, Piece::Shell(_))).count();
            prop_assert_eq!(commands(&pieces), commands(&pieces_of(&template)));
            for piece in &pieces {
                let (Piece::Text(text) | Piece::Shell(text)) = piece;
                let _paths = mentioned_paths(text);
            }
            let _hints = hints(&template);
        }

        #[test]
        fn all_arguments_stand_for_themselves(arguments in "\\PC{0,40}") {
            prop_assert_eq!(text("$ARGUMENTS", &arguments), arguments.trim());
        }
    }
}
