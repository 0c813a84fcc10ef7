//! Imports go one way only: what is below knows nothing of what is above it.

use std::fs;
use std::path::{Path, PathBuf};

/// The parts of the crate, from above to below; those in one line may use each other.
const CRATE: [&[&str]; 6] = [
    &[
        "main", "lib", "app", "cli", "config", "front", "listing", "private",
    ],
    &["http"],
    &["session"],
    &[
        "agent", "mcp", "nodes", "registry", "command", "profile", "shell", "snapshot", "project",
        "files", "vcs", "store", "event",
    ],
    &["git", "process", "supervise", "opencode", "looks"],
    &[
        "environment",
        "folder",
        "fuzz",
        "json",
        "lanes",
        "metrics",
        "regular",
        "repair",
        "secret",
    ],
];

/// The same for the parts of `session`. Anything else is a name of the facade itself, which only `api` may
/// use: it is the facade's own methods.
const SESSION: [&[&str]; 6] = [
    &["api", ""],
    &["work"],
    &["cell"],
    &["ask"],
    &["conversation"],
    // Everybody may use these; `mod.rs` shows them under their own names, too.
    &[
        "error",
        "fallback",
        "request",
        "settings",
        "sizes",
        "spending",
        "Error",
        "Caller",
        "CHAIN_MOST",
        "ChainWish",
        "ImportWish",
        "ListFilter",
        "NewSession",
        "Page",
        "Prompt",
        "Settings",
        "Sizes",
        "SpendingSettings",
        "fits",
        "Update",
    ],
];

/// What may be used from anywhere: values that are read from the configuration and passed on.
const SHARED: [&str; 1] = ["session::handoff"];

#[test]
fn imports_go_down_only() {
    let mut upward = Vec::new();
    for file in files(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))) {
        let from = module(&file);
        assert!(rank(&CRATE, &from[0]).is_some(), "{} has no layer", from[0]);
        let text = fs::read_to_string(&file).expect("readable");
        let lines = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        let code = lines.collect::<Vec<_>>().join("\n");
        for to in paths(&code, &from) {
            if goes_up(&from, &to) {
                upward.push(format!("{} uses {}", from.join("::"), to.join("::")));
            }
        }
    }
    upward.sort();
    upward.dedup();
    assert!(upward.is_empty(), "{upward:#?}");
}

fn goes_up(from: &[String], to: &[String]) -> bool {
    if SHARED.contains(&to[..to.len().min(2)].join("::").as_str()) {
        return false;
    }
    let (Some(here), Some(there)) = (rank(&CRATE, &from[0]), rank(&CRATE, &to[0])) else {
        return false;
    };
    if here != there || from[0] != "session" || to[0] != "session" {
        return there < here;
    }
    // The facade itself uses all of them.
    let Some(part) = from.get(1) else {
        return false;
    };
    let named = to.get(1).map_or("", String::as_str);
    rank(&SESSION, named).unwrap_or(0) < rank(&SESSION, part).unwrap_or(0)
}

fn rank(layers: &[&[&str]], name: &str) -> Option<usize> {
    layers.iter().position(|layer| layer.contains(&name))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let entries = entries.map(|entry| entry.expect("an entry").path());
    let found = entries.flat_map(|path| match path.is_dir() {
        true => files(&path),
        false => vec![path],
    });
    found
        .filter(|path| path.extension().is_some_and(|e| e == "rs"))
        .collect()
}

/// The module that a file has, as a path below the crate.
fn module(file: &Path) -> Vec<String> {
    let below = file
        .strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))
        .expect("a source");
    let below = below.with_extension("");
    let mut path: Vec<_> = below
        .iter()
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    path.pop_if(|name| name == "mod");
    path
}

/// The paths below the crate that code names, as far as they are told by `crate::` and `super::`.
fn paths(code: &str, module: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for root in ["crate::", "super::"] {
        for (at, _) in code.match_indices(root) {
            let before = code[..at].chars().next_back();
            // In the middle of a path, as in `super::super::`.
            if before.is_some_and(|c| c == ':' || c == '_' || c.is_alphanumeric()) {
                continue;
            }
            let (mut base, mut rest) = (module.to_vec(), &code[at..]);
            while let Some(behind) = rest.strip_prefix("super::") {
                base.pop();
                rest = behind;
            }
            if let Some(behind) = rest.strip_prefix("crate::") {
                (base, rest) = (Vec::new(), behind);
            }
            expand(base, rest, &mut found);
        }
    }
    found.retain(|path| !path.is_empty());
    found
}

/// Follows a path; of one that branches, every branch.
fn expand(mut path: Vec<String>, rest: &str, found: &mut Vec<Vec<String>>) {
    let rest = rest.trim_start();
    if let Some(group) = rest.strip_prefix('{') {
        for branch in branches(group) {
            expand(path.clone(), branch, found);
        }
        return;
    }
    let end = rest
        .find(|c: char| c != '_' && !c.is_alphanumeric())
        .unwrap_or(rest.len());
    let (name, behind) = rest.split_at(end);
    if !name.is_empty() && name != "self" {
        path.push(name.to_owned());
    }
    match behind.strip_prefix("::") {
        Some(behind) => expand(path, behind, found),
        None => found.push(path),
    }
}

/// The branches of a group, whose opening brace was read.
fn branches(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                found.push(&group[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found.retain(|branch| !branch.trim().is_empty());
    found
}

#[test]
fn an_upward_import_is_noticed() {
    let path = |text: &str| text.split("::").map(str::to_owned).collect::<Vec<_>>();
    let from = path("session::cell::draft");
    let code = "use crate::session::{work::Tools, Error};\nuse super::super::api::read;\nlet x = crate::http::A;";
    let mut upward = paths(code, &from);
    upward.retain(|to| goes_up(&from, to));
    assert_eq!(
        upward,
        ["session::work::Tools", "http::A", "session::api::read"].map(path)
    );
    assert!(goes_up(&path("store::sqlite"), &path("session::cell")));
    assert!(!goes_up(&path("session"), &path("session::api")));
    assert!(!goes_up(&path("registry"), &path("agent::pool")));
}
