//! The corpus of evasions, and what must hold for any text.

use super::*;
use crate::opencode::session::{PermissionAction, PermissionRule};

/// Each with its rules and what is decided: see the file.
const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/permissions.txt");

fn rule(text: &str) -> PermissionRule {
    let (permission, text) = match text.split_once(':') {
        Some(("edit", text)) => ("edit", text),
        _ => ("bash", text),
    };
    let (sign, pattern) = text.split_at(1);
    let action = match sign {
        "+" => PermissionAction::Allow,
        "-" => PermissionAction::Deny,
        "?" => PermissionAction::Ask,
        other => panic!("a rule begins with + - or ?, not {other:?}"),
    };
    PermissionRule {
        permission: permission.to_owned(),
        pattern: pattern.trim().to_owned(),
        action,
    }
}

pub(super) fn rules(text: &str) -> Vec<PermissionRule> {
    let rules = text.split(" / ").map(str::trim);
    rules.filter(|text| !text.is_empty()).map(rule).collect()
}

pub(super) fn decide(rules: &[PermissionRule], remembered: &[String], command: &str) -> Decision {
    let place = Place {
        directory: "/project".into(),
        base: None,
    };
    let law = Law {
        rules,
        remembered: &|pattern| remembered.iter().any(|known| known == pattern),
        place: &place,
    };
    law.line(&Line::read(command))
}

/// A command as it is written in the corpus: on one line.
pub(super) fn unescaped(text: &str) -> String {
    text.replace("⏎", "\n")
        .replace("⇥", "\t")
        .replace("␍", "\r")
        .replace("␀", "\0")
        .replace("␠", " ")
}

struct Case {
    line: usize,
    rules: Vec<PermissionRule>,
    /// What the user has allowed for good: the commands that were asked about then.
    allowed: Vec<String>,
    command: String,
    expected: Decision,
}

fn cases() -> Vec<Case> {
    let corpus = std::fs::read_to_string(CORPUS).expect("the corpus");
    let (mut current, mut allowed, mut cases) = (Vec::new(), Vec::new(), Vec::new());
    for (at, text) in corpus.lines().enumerate() {
        let text = text.trim_end();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        if let Some(text) = text.strip_prefix("rules:") {
            (current, allowed) = (rules(text), Vec::new());
            continue;
        }
        if let Some(command) = text.strip_prefix("always:") {
            allowed = always(&Line::read(&unescaped(command)));
            current = Vec::new();
            continue;
        }
        let (decision, command) = text.split_once(' ').unwrap_or((text, ""));
        let expected = match decision {
            "allow" => Decision::Allow,
            "ask" => Decision::Ask,
            "deny" => Decision::Deny,
            other => panic!("line {}: {other:?}", at + 1),
        };
        cases.push(Case {
            line: at + 1,
            rules: current.clone(),
            allowed: allowed.clone(),
            command: unescaped(command.trim_start()),
            expected,
        });
    }
    cases
}

#[test]
fn the_corpus_is_decided_as_it_says() {
    let cases = cases();
    let mut wrong = Vec::new();
    for case in &cases {
        let decided = decide(&case.rules, &case.allowed, &case.command);
        if decided != case.expected {
            wrong.push(format!(
                "{}: {:?} is {decided:?}, not {:?}",
                case.line, case.command, case.expected
            ));
        }
    }
    println!("{} commands in the corpus", cases.len());
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
    assert!(cases.len() >= 300, "{}", cases.len());
}

fn is_own(word: &str) -> bool {
    word.split_once('=')
        .is_some_and(|(name, _)| super::variable::is_harmless(name))
}

/// The program words that a careless reader finds: behind everything that ends a command outside of plain quotes.
fn foreign(text: &str) -> Option<String> {
    let (mut word, mut quote, mut starts, mut words) = (String::new(), None, true, Vec::new());
    let mut chars = text.chars().peekable();
    let mut before = ' ';
    while let Some(c) = chars.next() {
        let last = std::mem::replace(&mut before, c);
        if let Some(open) = quote {
            if c == open {
                quote = None;
            } else if open == '"' && c == '\\' {
                let next = chars.next();
                if starts {
                    word.extend(next.filter(|c| *c != '\n'));
                }
            } else if open == '"' && (c == '`' || (c == '$' && chars.peek() == Some(&'('))) {
                return Some(format!("{c} in quotes"));
            } else if starts {
                word.push(c);
            }
            continue;
        }
        match c {
            '\\' => {
                let next = chars.next();
                if starts {
                    // A line that goes on is one line.
                    word.extend(next.filter(|c| *c != '\n'));
                }
            }
            '\'' | '"' => quote = Some(c),
            '`' => return Some("`".to_owned()),
            '$' if chars.peek() == Some(&'(') => return Some("$(".to_owned()),
            ';' | '&' | '|' | '\n' | '(' | ')' => {
                words.push(std::mem::take(&mut word));
                starts = true;
            }
            // A variable of the line's own in front.
            c if c.is_whitespace() && starts && is_own(&word) => word.clear(),
            c if c.is_whitespace() => {
                starts &= word.is_empty()
                    || [
                        "!", "{", "}", "if", "then", "fi", "else", "do", "done", "time",
                    ]
                    .contains(&word.as_str());
                if starts {
                    word.clear();
                }
            }
            '>' | '<' => return None,
            '#' if last.is_whitespace() || ";&|()".contains(last) => {
                while chars.peek().is_some_and(|c| *c != '\n') {
                    chars.next();
                }
            }
            c if starts => word.push(c),
            _ => {}
        }
    }
    words.push(word);
    words.into_iter().find(|word| {
        !["", "git", "!", "{", "}", "fi", "done", "if", "then", "else"].contains(&word.as_str())
            && !is_own(word)
    })
}

mod any_text {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;

    /// The same texts each time. `PROPTEST_RNG_SEED=2 PROPTEST_CASES=200000 cargo test any_text` tries others, and more.
    fn config(cases: u32) -> ProptestConfig {
        let default = ProptestConfig::default();
        let asked = matches!(default.rng_seed, RngSeed::Fixed(_));
        ProptestConfig {
            cases: if asked { default.cases } else { cases },
            rng_seed: if asked {
                default.rng_seed
            } else {
                RngSeed::Fixed(1)
            },
            failure_persistence: None,
            ..default
        }
    }

    /// Pieces of lines, so that many of them mean something.
    fn line() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            8 => prop::sample::select(vec![
                "git", "git status", "git log", "rm x", "rm", "sh", "-c", "x", "y=1", "PATH=/tmp", "sudo", "env", "echo", "cat",
                "if", "then", "fi", "do", "done", "while", "for i in a", "case x in", "esac", "time", "!", "{", "}", "[[", "]]",
            ]).prop_map(str::to_owned),
            8 => prop::sample::select(vec![
                " ", " ", " ", ";", "; ", " && ", " || ", " | ", " & ", "\n", "(", ")", "$(", "`", "\"", "'", "\\", "\\\n", "$'", "${x:-",
                "}", "<<EOF\n", "<<'EOF'\n", "\nEOF\n", "EOF", "<", ">", ">>", "2>&1", "<(", "#", " # ", "$x", "$", "*", "~", "=", "\t",
            ]).prop_map(str::to_owned),
            1 => "\\PC{0,4}",
        ];
        prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(config(2_000))]

        #[test]
        fn what_is_allowed_has_no_other_command(text in line()) {
            let decided = decide(&rules("+git *"), &[], &text);
            if decided == Decision::Allow {
                prop_assert_eq!(foreign(&text), None, "{:?}", text);
            }
        }

        #[test]
        fn what_follows_an_allowed_command_is_asked_or_refused(before in line(), after in line()) {
            let text = format!("{before}\nrm -rf x\n{after}");
            prop_assert_ne!(decide(&rules("+git *"), &[], &format!("git status;rm x{after}")), Decision::Allow);
            if decide(&rules("+git *"), &[], &text) == Decision::Allow {
                // Only as the text of a here-document, inside of quotes, or as the rest of a line.
                prop_assert!(before.contains("<<") || before.contains(['\'', '"']) || before.ends_with('\\'), "{:?}", text);
            }
        }
    }

    proptest! {
        #![proptest_config(config(64))]

        #[test]
        fn no_text_is_too_much(text in any::<String>(), depth in 0_usize..2_000, open in prop::sample::select(vec!["(", "$(", "{ ", "[[ ( ", "\"$(", "if ", "${a:-", "`", "<(", "sh -c 'sh -c ", "sudo ", "eval "])) {
            decide(&rules("+git * / -rm *"), &[], &text);
            let deep = format!("{}rm x", open.repeat(depth));
            prop_assert_ne!(decide(&rules("+git * / -rm *"), &[], &deep), Decision::Allow);
        }
    }
}

#[test]
fn a_long_line_is_asked_and_takes_no_time() {
    let start = std::time::Instant::now();
    for text in [
        "git status; ".repeat(100_000),
        "git log ".to_owned() + &"[[ ( ".repeat(3_000),
        "(".repeat(1_000_000),
        "sudo ".repeat(3_000),
    ] {
        assert_ne!(
            decide(&rules("+git * / -rm *"), &[], &text),
            Decision::Allow
        );
    }
    let taken = start.elapsed();
    assert!(taken < std::time::Duration::from_secs(10), "{taken:?}");
}
