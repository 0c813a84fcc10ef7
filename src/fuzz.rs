//! Baton's readers, given whatever there may be: the runner of their tests, and what generators share.
//!
//! `BATON_FUZZ_CASES=200000 cargo test --lib fuzz -- --nocapture` tries this many of each and says so;
//! `BATON_FUZZ_SEED=2` tries others. What was found once is in `tests/corpus` and is tried each time.

use std::fmt::Debug;
use std::path::PathBuf;
use std::time::Instant;

use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestCaseError, TestRunner};

/// Cases of each kind in the normal run.
const CASES: u32 = 200;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The same cases each time, unless somebody asks for others or for more.
pub(crate) fn config() -> ProptestConfig {
    let cases = number("BATON_FUZZ_CASES").and_then(|n| u32::try_from(n).ok());
    ProptestConfig {
        cases: cases.unwrap_or(CASES),
        rng_seed: RngSeed::Fixed(number("BATON_FUZZ_SEED").unwrap_or(1)),
        failure_persistence: None,
        max_shrink_iters: 4_000,
        ..ProptestConfig::default()
    }
}

/// Tries a property with many values.
pub(crate) fn check<S: Strategy>(
    name: &str,
    values: S,
    property: impl Fn(S::Value) -> Result<(), TestCaseError>,
) where
    S::Value: Debug,
{
    let (config, began) = (config(), Instant::now());
    let cases = config.cases;
    if let Err(error) = TestRunner::new(config).run(&values, property) {
        panic!("{name}: {error}");
    }
    println!("fuzz {name}: {cases} cases in {:?}", began.elapsed());
}

/// The lines of a file of `tests/corpus`, without those that are comments. They are inputs of interest.
pub(crate) fn corpus(file: &str) -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus");
    let path = PathBuf::from(folder).join(file);
    let text = std::fs::read_to_string(&path);
    let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("# "));
    lines.map(str::to_owned).collect()
}

/// A change of some bytes.
#[derive(Debug, Clone)]
enum Change {
    Remove(usize),
    Insert(Vec<u8>),
    /// Another place's bytes are put here.
    Copy(usize, usize),
    Cut,
}

fn change(pieces: &'static [&'static str]) -> impl Strategy<Value = (usize, Change)> {
    let change = prop_oneof![
        2 => (1..9_usize).prop_map(Change::Remove),
        4 => prop::sample::select(pieces).prop_map(|piece| Change::Insert(piece.as_bytes().to_vec())),
        1 => any::<u8>().prop_map(|byte| Change::Insert(vec![byte])),
        2 => (any::<usize>(), 1..24_usize).prop_map(|(from, length)| Change::Copy(from, length)),
        1 => Just(Change::Cut),
    ];
    (any::<usize>(), change)
}

fn apply(bytes: &mut Vec<u8>, at: usize, change: Change) {
    let at = at % (bytes.len() + 1);
    match change {
        Change::Remove(count) => drop(bytes.drain(at..bytes.len().min(at + count))),
        Change::Insert(piece) => drop(bytes.splice(at..at, piece)),
        Change::Copy(from, length) => {
            let from = from % (bytes.len() + 1);
            let piece = bytes[from..bytes.len().min(from + length)].to_vec();
            bytes.splice(at..at, piece);
        }
        Change::Cut => bytes.truncate(at),
    }
}

/// Something valid with a few changes in it. `pieces` are what a change mostly puts in.
pub(crate) fn mutated(
    valid: impl Strategy<Value = String>,
    pieces: &'static [&'static str],
) -> impl Strategy<Value = Vec<u8>> {
    (valid, prop::collection::vec(change(pieces), 0..6)).prop_map(|(valid, changes)| {
        let mut bytes = valid.into_bytes();
        for (at, change) in changes {
            apply(&mut bytes, at, change);
        }
        bytes
    })
}

/// The same as text.
pub(crate) fn mutated_text(
    valid: impl Strategy<Value = String>,
    pieces: &'static [&'static str],
) -> impl Strategy<Value = String> {
    mutated(valid, pieces).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}
