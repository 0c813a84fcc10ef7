//! What the documents point at is there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The documents of the repository, but for those of packages.
fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [root.to_path_buf(), root.join("docs")];
    let files = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).expect("a folder"));
    let mut files: Vec<_> = files.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "md"));
    files
}

/// The lines that are no code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.lines().filter(move |line| {
        let fence = line.starts_with("```");
        inside ^= fence;
        !inside && !fence
    })
}

/// The anchor that forges make of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
}

#[test]
fn every_link_leads_somewhere() {
    let texts: BTreeMap<_, _> = documents()
        .into_iter()
        .map(|path| (path.clone(), fs::read_to_string(path).expect("text")))
        .collect();
    let anchors = |file: &Path| -> Vec<String> {
        let text = &texts[file];
        let headings = prose(text).filter(|line| line.starts_with('#'));
        headings
            .map(|line| anchor(line.trim_start_matches('#').trim()))
            .collect()
    };
    let (mut followed, mut lost) = (0, Vec::new());
    for (path, text) in &texts {
        for link in prose(text)
            .flat_map(links)
            .filter(|link| !link.contains("://"))
        {
            followed += 1;
            let (file, part) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => path.clone(),
                file => path.parent().expect("a folder").join(file),
            };
            let target = fs::canonicalize(&target).unwrap_or(target);
            let leads = match (target.exists(), texts.contains_key(&target)) {
                (there, _) if part.is_empty() => there,
                (_, is_read) => is_read && anchors(&target).iter().any(|anchor| anchor == part),
            };
            if !leads {
                lost.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(followed > 20, "only {followed} links were found");
    assert!(lost.is_empty(), "{lost:#?}");
}

#[test]
fn the_readme_stays_short() {
    let readme = include_str!("../../README.md");
    let lines = readme.lines().count();
    assert!(
        lines <= 250,
        "{lines} lines: what not everybody needs belongs into docs/"
    );
}
