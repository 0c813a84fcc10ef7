//! Ignore files of any content: each line means what it means alone, and the last one that says something decides.

use std::path::Path;

use proptest::prelude::*;

use super::rules::{GIT_RULES, REPOSITORY, Rules, Whose, excludes_of};
use crate::fuzz;

const PIECES: &[&str] = &[
    "*",
    "**",
    "**/",
    "/**",
    "/",
    "!",
    "\\",
    "\\ ",
    " ",
    "\t",
    "[",
    "]",
    "[^a]",
    "[a-",
    "[!",
    "{a,b}",
    "{",
    "}",
    "?",
    "#",
    "\\#",
    "\\!",
    "a",
    "b",
    "é",
    "\u{feff}",
    "\r",
    "\0",
    "..",
    "./",
    "$",
    "+",
    "(",
    "|",
    "[[:alpha:]]",
    "[]-]",
    "\\x",
    "*****",
    "[\u{10ffff}-a]",
];
/// What is asked about.
const PATHS: [&str; 8] = [
    "a",
    "b.txt",
    "build",
    "node_modules",
    "#a",
    "!a",
    "a b",
    "é",
];

fn line() -> impl Strategy<Value = String> {
    let known = prop::sample::select(fuzz::corpus("ignore.txt"));
    // One line each; a byte order mark counts only at the beginning of a file.
    fuzz::mutated_text(known, PIECES).prop_map(|line| line.replace('\n', ""))
}

/// Whether each path is ignored, as a file and as a folder.
fn decided(root: &Path, text: &str) -> Vec<bool> {
    std::fs::write(root.join(GIT_RULES), text).expect("a file");
    let rules = Rules::above(root, Whose::Git(Some(root.join("none")))).of(root);
    let both = PATHS.iter().flat_map(|path| [(path, false), (path, true)]);
    both.map(|(path, folder)| rules.ignore(&root.join(path), folder))
        .collect()
}

#[test]
fn the_last_line_that_says_something_decides() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    std::fs::create_dir(root.join(REPOSITORY)).expect("a folder");
    fuzz::check(
        "ignore files",
        prop::collection::vec(line(), 0..4),
        |lines| {
            let all = decided(root, &lines.join("\n"));
            let mut expected = vec![false; all.len()];
            for line in &lines {
                // What a line takes out is seen when everything is ignored before it.
                let (ignores, keeps) = (decided(root, line), decided(root, &format!("*\n{line}")));
                for at in 0..expected.len() {
                    expected[at] = (expected[at] || ignores[at]) && keeps[at];
                }
            }
            prop_assert_eq!(all, expected, "{:?}", lines);
            Ok(())
        },
    );
}

#[test]
fn a_plain_name_is_ignored_and_brought_back_behind_any_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    std::fs::create_dir(root.join(REPOSITORY)).expect("a folder");
    fuzz::check(
        "ignore files: behind",
        prop::collection::vec(line(), 0..4),
        |lines| {
            let before = lines.join("\n");
            for (name, at) in [("b.txt", 2), ("build", 4)] {
                prop_assert!(
                    decided(root, &format!("{before}\n{name}\n"))[at],
                    "{} in {:?}",
                    name,
                    before
                );
                prop_assert!(
                    !decided(root, &format!("{before}\n!{name}\n"))[at],
                    "{} in {:?}",
                    name,
                    before
                );
            }
            Ok(())
        },
    );
}

#[test]
fn any_configuration_of_git_can_be_looked_at() {
    let known = "[core]\n\texcludesFile = ~/.ignored\n[a \"b\"]\n".to_owned();
    let text = fuzz::mutated_text(
        Just(known),
        &[
            "=",
            "\"",
            "~/",
            "[",
            "]",
            "\n",
            "excludesfile",
            "\\",
            "é",
            "\0",
        ],
    );
    fuzz::check("git's configuration", text, |text| {
        let found = excludes_of(&text, Path::new("/home/u"));
        prop_assert!(found.is_none_or(|path| !path.as_os_str().is_empty()));
        Ok(())
    });
}
