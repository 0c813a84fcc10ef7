//! What is said in the end: a table for people, and the same for programs.

use std::path::Path;

use serde_json::{Value, json};

use crate::Size;
use crate::measured::Spread;
use crate::rows::{Outcome, Row};
use crate::server::Server;

/// The outcomes, in the order of the rows.
pub(crate) struct Report {
    size: Size,
    lines: Vec<Line>,
    notes: Vec<(String, f64)>,
}

struct Line {
    row: &'static str,
    aim: Option<f64>,
    server: &'static str,
    outcome: Outcome,
}

impl Report {
    pub(crate) fn new(size: Size) -> Self {
        Self {
            size,
            lines: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, row: &Row, server: &dyn Server, outcome: Outcome) {
        self.lines.push(Line {
            row: row.name,
            aim: row.aim,
            server: server.name(),
            outcome,
        });
    }

    pub(crate) fn note(&mut self, name: String, value: f64) {
        self.notes.push((name, value));
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = String::from(
            "| | server | /s | p50 ms | p99 ms | / health | wanted | p99 / health |\n|---|---|---|---|---|---|---|---|\n",
        );
        for Line {
            row,
            aim,
            server,
            outcome,
        } in &self.lines
        {
            let aim = aim.map_or(String::new(), |aim| format!("{aim}"));
            text += &format!(
                "| {row} | {server} | {:.0} | {:.2} | {:.2} | {} | {aim} | {:.1} |\n",
                outcome.rate.median,
                outcome.p50.median,
                outcome.p99.median,
                shown(outcome.over_health),
                outcome.p99_over_health.median,
            );
        }
        text += "\n| | |\n|---|---|\n";
        for (name, value) in &self.notes {
            text += &format!("| {name} | {value:.2} |\n");
        }
        text
    }

    /// Writes both into `target/results`.
    pub(crate) fn write(&self) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/results");
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("load.md"), self.markdown()).expect("written");
        let json = serde_json::to_string_pretty(&self.json()).expect("JSON");
        std::fs::write(folder.join("load.json"), json).expect("written");
    }

    fn json(&self) -> Value {
        let lines = self.lines.iter().map(|line| {
            json!({
                "row": line.row,
                "server": line.server,
                "wanted": line.aim,
                "rate": numbers(line.outcome.rate),
                "p50_ms": numbers(line.outcome.p50),
                "p99_ms": numbers(line.outcome.p99),
                "over_health": numbers(line.outcome.over_health),
                "p99_over_health": numbers(line.outcome.p99_over_health),
            })
        });
        let notes = self
            .notes
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)));
        json!({
            "seconds": self.size.duration.as_secs_f64(),
            "rounds": self.size.rounds,
            "rows": lines.collect::<Vec<_>>(),
            "notes": notes.collect::<serde_json::Map<_, _>>(),
        })
    }
}

fn shown(spread: Spread) -> String {
    format!(
        "{:.2} ({:.2}–{:.2})",
        spread.median, spread.least, spread.most
    )
}

fn numbers(spread: Spread) -> Value {
    json!({"least": spread.least, "median": spread.median, "most": spread.most})
}
