//! What the project is built from, by `deny.toml`: licences, sources, two versions of one thing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use serde_json::Value;

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn at_root(name: &str) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/").to_owned() + name;
    fs::read_to_string(path).expect("readable")
}

/// The packages that are built for this machine.
fn packages() -> Vec<Value> {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--offline", "--format-version", "1"])
        .args(["--filter-platform", &target])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let nodes = metadata["resolve"]["nodes"].as_array().expect("nodes");
    let built: BTreeSet<_> = nodes.iter().map(|node| node["id"].as_str()).collect();
    let all = metadata["packages"].as_array().expect("packages");
    let is_built = |package: &&Value| built.contains(&package["id"].as_str());
    all.iter().filter(is_built).cloned().collect()
}

fn allowed(rules: &toml::Table, section: &str, key: &str) -> BTreeSet<String> {
    let list = rules[section][key].as_array().expect("a list");
    list.iter()
        .map(|item| item.as_str().expect("text").to_owned())
        .collect()
}

/// Whether a licence expression can be met by what is allowed: `AND` of `OR`s, as they are written on crates.io.
fn is_met(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let plain = expression.replace(['(', ')'], "").replace('/', " OR ");
    plain
        .split(" AND ")
        .all(|all| all.split(" OR ").any(|one| allowed.contains(one.trim())))
}

#[test]
fn licences_sources_and_versions_are_those_that_are_allowed() {
    let rules: toml::Table = toml::from_str(&at_root("deny.toml")).expect("TOML");
    let licences = allowed(&rules, "licenses", "allow");
    let twice = allowed(&rules, "bans", "skip");
    let mut wrong = Vec::new();
    let mut versions = BTreeMap::<String, BTreeSet<String>>::new();
    for package in packages() {
        let name = package["name"].as_str().expect("a name").to_owned();
        let licence = package["license"].as_str().unwrap_or("none");
        if !is_met(licence, &licences) {
            wrong.push(format!("{name} has the licence {licence}"));
        }
        // Only the project itself has none.
        if package["source"]
            .as_str()
            .is_none_or(|source| source != CRATES_IO)
            && name != "baton"
        {
            wrong.push(format!("{name} comes from {}", package["source"]));
        }
        let version = package["version"].as_str().expect("a version").to_owned();
        versions.entry(name).or_default().insert(version);
    }
    for (name, versions) in &versions {
        match (versions.len() > 1, twice.contains(name)) {
            (true, false) => wrong.push(format!("{name} is there in {versions:?}")),
            (false, true) => wrong.push(format!("{name} is there once; take it out of bans.skip")),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(versions.len() > 100, "cargo has told of few packages");
}

#[test]
fn every_direct_dependency_says_what_it_is_for() {
    let (mut without, mut section, mut explained) = (Vec::new(), String::new(), String::new());
    let mut comment = false;
    for line in at_root("Cargo.toml").lines() {
        if line.starts_with('[') {
            section = line.to_owned();
        }
        if let Some((name, _)) = line.split_once(" = ")
            && section.contains("dependencies")
        {
            // Parts of one thing, such as grep-matcher and grep-regex, are explained together.
            let stem = name.split('-').next().unwrap_or(name);
            if comment {
                stem.clone_into(&mut explained);
            }
            if stem != explained {
                without.push(name.to_owned());
            }
        }
        comment = line.starts_with('#');
    }
    assert!(without.is_empty(), "{without:#?}");
}

#[test]
fn licence_expressions_are_understood() {
    let allowed = BTreeSet::from(["MIT".to_owned(), "Zlib".to_owned()]);
    for (expression, met) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("MIT AND GPL-3.0", false),
        ("(Zlib OR GPL-3.0) AND MIT", true),
    ] {
        assert_eq!(is_met(expression, &allowed), met, "{expression}");
    }
}
