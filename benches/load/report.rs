//! What is said in the end: tables for people, and the same for programs.

use std::path::Path;

use serde_json::{Value, json};

use crate::Size;
use crate::machine::Machine;
use crate::plot::Plot;
use crate::rows::{Aim, Outcome, Row};

/// The p99 of a switch is to be at most so many times that of `GET /global/health`.
const P99_OVER_HEALTH: f64 = 3.0;
/// A switch is to be so many times as fast as OpenCode's.
const OVER_OPENCODE: f64 = 60.0;
/// Between these two lines of BENCHMARKS.md stands what a run has written.
const BEGIN: &str = "<!-- begin: written by the bench -->\n";
const END: &str = "<!-- end -->\n";

/// What a figure is to be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted {
    AtMost(f64),
    AtLeast(f64),
    Nothing,
}

impl Wanted {
    fn is_met(self, value: f64) -> Option<bool> {
        match self {
            Self::AtMost(most) => Some(value <= most),
            Self::AtLeast(least) => Some(value >= least),
            Self::Nothing => None,
        }
    }

    fn shown(self) -> String {
        match self {
            Self::AtMost(most) => format!("≤ {most}"),
            Self::AtLeast(least) => format!("≥ {least}"),
            Self::Nothing => String::new(),
        }
    }
}

/// A figure that is no rate of answers.
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    pub(crate) wanted: Wanted,
}

/// The outcomes, in the order of the rows.
pub(crate) struct Report {
    size: Size,
    pub(crate) machine: Machine,
    lines: Vec<Line>,
    figures: Vec<Figure>,
    plots: Vec<Plot>,
}

struct Line {
    name: String,
    aim: Aim,
    baton: Outcome,
    opencode: Option<Outcome>,
}

impl Report {
    pub(crate) fn new(size: Size, machine: Machine) -> Self {
        Self {
            size,
            machine,
            lines: Vec::new(),
            figures: Vec::new(),
            plots: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, row: &Row, baton: Outcome, opencode: Option<Outcome>) {
        self.say(&format!("{}: {:.0}/s", row.name, baton.rate.median));
        self.lines.push(Line {
            name: row.name.to_owned(),
            aim: row.aim,
            baton,
            opencode,
        });
    }

    pub(crate) fn figure(
        &mut self,
        name: impl Into<String>,
        value: f64,
        unit: &'static str,
        wanted: Wanted,
    ) {
        let name = name.into();
        self.say(&format!("{name}: {value:.3} {unit}"));
        self.figures.push(Figure {
            name,
            value,
            unit,
            wanted,
        });
    }

    /// Who waits ten minutes wants to see something.
    fn say(&self, line: &str) {
        if self.size.is_full {
            eprintln!("{line}");
        }
    }

    pub(crate) fn plot(&mut self, plot: Plot) {
        self.plots.push(plot);
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = self.machine.markdown();
        text += &format!(
            "Each rate is the median of {} rounds of {} s, with the least and the most.\n\n",
            self.size.rounds,
            self.size.duration.as_secs_f64()
        );
        text += "| request | OpenCode /s | Baton /s | times OpenCode | p50 ms | p99 ms | over health | p99 over health's | wanted | met |\n|---|---|---|---|---|---|---|---|---|---|\n";
        for line in &self.lines {
            text += &line.markdown();
        }
        text += "\n| figure | measured | wanted | met |\n|---|---|---|---|\n";
        for figure in &self.figures {
            let (value, wanted) = (rounded(figure.value), figure.wanted.shown());
            let met = yes_or_no(figure.wanted.is_met(figure.value));
            text += &format!(
                "| {} | {value} {} | {wanted} | {met} |\n",
                figure.name, figure.unit
            );
        }
        text
    }

    /// Writes both into `target/results`, with the plots; and into the documentation, if that is wanted.
    pub(crate) fn write(&self, into_docs: bool) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = root.join("target/results");
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("load.md"), self.markdown()).expect("written");
        let json = serde_json::to_string_pretty(&self.json()).expect("JSON");
        std::fs::write(folder.join("load.json"), json).expect("written");
        self.draw(&folder);
        if into_docs {
            self.draw(&root.join("docs/bench"));
            let file = root.join("BENCHMARKS.md");
            let text = std::fs::read_to_string(&file).expect("BENCHMARKS.md");
            std::fs::write(file, self.written_into(&text)).expect("written");
        }
    }

    fn draw(&self, folder: &Path) {
        std::fs::create_dir_all(folder).expect("a folder");
        for plot in &self.plots {
            let file = folder.join(format!("{}.svg", plot.name));
            std::fs::write(file, plot.svg()).expect("written");
        }
    }

    /// A text with this run in the place of the one that it had.
    fn written_into(&self, text: &str) -> String {
        let (before, rest) = text.split_once(BEGIN).expect("where the tables begin");
        let (_, after) = rest.split_once(END).expect("where the tables end");
        let plots = self.plots.iter();
        let plots = plots.map(|plot| format!("![{}](docs/bench/{}.svg)\n", plot.title, plot.name));
        let plots: String = plots.collect();
        let tables = self.markdown();
        format!("{before}{BEGIN}{tables}\n{plots}{END}{after}")
    }

    fn json(&self) -> Value {
        let rows = self.lines.iter().map(|line| {
            json!({
                "row": line.name,
                "met": line.is_met(),
                "baton": line.baton.json(),
                "opencode": line.opencode.as_ref().map(Outcome::json),
            })
        });
        let figures = self.figures.iter().map(|figure| {
            json!({
                "figure": figure.name,
                "value": figure.value,
                "unit": figure.unit,
                "wanted": figure.wanted.shown(),
                "met": figure.wanted.is_met(figure.value),
            })
        });
        json!({
            "machine": self.machine.json(),
            "seconds": self.size.duration.as_secs_f64(),
            "rounds": self.size.rounds,
            "rows": rows.collect::<Vec<_>>(),
            "figures": figures.collect::<Vec<_>>(),
            "plots": self.plots.iter().map(Plot::json).collect::<Vec<_>>(),
        })
    }
}

impl Line {
    fn over_opencode(&self) -> Option<f64> {
        let opencode = self.opencode.as_ref()?;
        Some(self.baton.rate.median / opencode.rate.median)
    }

    fn is_met(&self) -> Option<bool> {
        let (of_health, rate) = (self.baton.over_health.median, self.baton.rate.median);
        match self.aim {
            Aim::OfHealth(least) => Some(of_health >= least),
            Aim::Switch(least) => Some(
                of_health >= least
                    && self.baton.p99_over_health.median <= P99_OVER_HEALTH
                    && self
                        .over_opencode()
                        .is_none_or(|over| over >= OVER_OPENCODE),
            ),
            Aim::Rate(least) => Some(rate >= least),
            Aim::None => None,
        }
    }

    fn markdown(&self) -> String {
        let baton = &self.baton;
        let opencode = self.opencode.as_ref();
        let wanted = match self.aim {
            Aim::OfHealth(least) => format!("≥ {least} × health"),
            Aim::Switch(least) => format!(
                "≥ {least} × health, p99 ≤ {P99_OVER_HEALTH} ×, ≥ {OVER_OPENCODE} × OpenCode"
            ),
            Aim::Rate(least) => format!("≥ {least}/s"),
            Aim::None => String::new(),
        };
        format!(
            "| {} | {} | {} ({}–{}) | {} | {:.2} | {:.2} | {:.2} ({:.2}–{:.2}) | {:.1} | {wanted} | {} |\n",
            self.name,
            opencode.map_or(String::new(), |o| rounded(o.rate.median)),
            rounded(baton.rate.median),
            rounded(baton.rate.least),
            rounded(baton.rate.most),
            self.over_opencode().map_or(String::new(), rounded),
            baton.p50.median,
            baton.p99.median,
            baton.over_health.median,
            baton.over_health.least,
            baton.over_health.most,
            baton.p99_over_health.median,
            yes_or_no(self.is_met()),
        )
    }
}

impl Outcome {
    fn json(&self) -> Value {
        json!({
            "rate": self.rate.json(),
            "p50_ms": self.p50.json(),
            "p99_ms": self.p99.json(),
            "over_health": self.over_health.json(),
            "p99_over_health": self.p99_over_health.json(),
        })
    }
}

fn yes_or_no(met: Option<bool>) -> &'static str {
    match met {
        Some(true) => "yes",
        Some(false) => "**no**",
        None => "",
    }
}

/// A number with as many digits as say something.
fn rounded(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
