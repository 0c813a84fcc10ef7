//! How something grows, as a picture: SVG, with both axes logarithmic.

use std::fmt::Write;

use serde_json::{Value, json};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 64.0;
/// The names of the lines stand there.
const RIGHT: f64 = 190.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 44.0;
/// Lines of text are so far apart, at least.
const LINE: f64 = 14.0;
/// Told apart also by who sees few colours (Okabe and Ito).
const COLOURS: [&str; 6] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9",
];

/// How something grows.
pub(crate) struct Plot {
    /// The name of its file.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// What grows, and what with it.
    pub(crate) across: &'static str,
    pub(crate) up: &'static str,
    pub(crate) lines: Vec<Line>,
}

/// A line of a plot.
pub(crate) struct Line {
    pub(crate) name: &'static str,
    /// How many there are, and what it costs then.
    pub(crate) points: Vec<(f64, f64)>,
}

/// From a value to a place: a decade is as wide as the next.
struct Axis {
    least: f64,
    most: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// Around some values, with whole decades.
    fn around(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let logs: Vec<f64> = values.map(log).collect();
        let least = logs.iter().copied().fold(f64::INFINITY, f64::min).floor();
        let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let most = most.ceil().max(least + 1.0);
        Self {
            least,
            most,
            from,
            to,
        }
    }

    fn at(&self, value: f64) -> f64 {
        let share = (log(value) - self.least) / (self.most - self.least);
        self.from + share * (self.to - self.from)
    }

    fn decades(&self) -> impl Iterator<Item = f64> {
        // A few at most.
        (self.least as i32..=self.most as i32).map(|n| 10_f64.powi(n))
    }
}

/// Nothing has no logarithm: it stands at one.
fn log(value: f64) -> f64 {
    match value > 0.0 {
        true => value.log10(),
        false => 0.0,
    }
}

impl Plot {
    pub(crate) fn new(
        name: &'static str,
        title: &'static str,
        across: &'static str,
        up: &'static str,
        lines: &[&'static str],
    ) -> Self {
        let line = |name: &&'static str| Line {
            name,
            points: Vec::new(),
        };
        Self {
            name,
            title,
            across,
            up,
            lines: lines.iter().map(line).collect(),
        }
    }

    /// Adds a point to each line.
    pub(crate) fn add(&mut self, across: f64, up: &[f64]) {
        for (line, value) in self.lines.iter_mut().zip(up) {
            line.points.push((across, *value));
        }
    }

    pub(crate) fn json(&self) -> Value {
        let lines = self.lines.iter();
        let lines = lines.map(|line| (line.name.to_owned(), json!(line.points)));
        let lines: serde_json::Map<_, _> = lines.collect();
        json!({"title": self.title, "across": self.across, "up": self.up, "lines": lines})
    }

    pub(crate) fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let across = Axis::around(points().map(|point| point.0), LEFT, WIDTH - RIGHT);
        let up = Axis::around(points().map(|point| point.1), HEIGHT - BOTTOM, TOP);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
        );
        text(&mut svg, (LEFT, 20.0), "start", "black", self.title);
        self.axes(&mut svg, &across, &up);
        let mut names: Vec<(f64, usize)> = Vec::new();
        for (n, line) in self.lines.iter().enumerate() {
            let places: Vec<_> = line
                .points
                .iter()
                .map(|(x, y)| (across.at(*x), up.at(*y)))
                .collect();
            let Some(last) = places.last() else {
                continue;
            };
            names.push((last.1, n));
            let colour = COLOURS[n % COLOURS.len()];
            let path: Vec<_> = places
                .iter()
                .map(|(x, y)| format!("{x:.1},{y:.1}"))
                .collect();
            let _always_fits = writeln!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
                path.join(" ")
            );
            for (x, y) in places {
                let _always_fits = writeln!(
                    svg,
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>"
                );
            }
        }
        // Names of lines that end close to each other stand below each other.
        names.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut lowest = f64::NEG_INFINITY;
        for (y, n) in names {
            lowest = y.max(lowest + LINE);
            let place = (WIDTH - RIGHT + 10.0, lowest + 4.0);
            let colour = COLOURS[n % COLOURS.len()];
            text(&mut svg, place, "start", colour, self.lines[n].name);
        }
        svg + "</svg>\n"
    }

    fn axes(&self, svg: &mut String, across: &Axis, up: &Axis) {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for value in across.decades() {
            let x = across.at(value);
            grid(svg, (x, TOP), (x, bottom));
            text(
                svg,
                (x, bottom + 16.0),
                "middle",
                "#444",
                &value.to_string(),
            );
        }
        for value in up.decades() {
            let y = up.at(value);
            grid(svg, (LEFT, y), (right, y));
            text(
                svg,
                (LEFT - 6.0, y + 4.0),
                "end",
                "#444",
                &value.to_string(),
            );
        }
        let middle = f64::midpoint(LEFT, right);
        text(svg, (middle, HEIGHT - 8.0), "middle", "#444", self.across);
        text(svg, (right, 20.0), "end", "#444", self.up);
    }
}

fn grid(svg: &mut String, from: (f64, f64), to: (f64, f64)) {
    let _always_fits = writeln!(
        svg,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"#ddd\"/>",
        from.0, from.1, to.0, to.1
    );
}

/// Writes a text, which has no character that means something in XML.
fn text(svg: &mut String, at: (f64, f64), anchor: &str, colour: &str, text: &str) {
    let _always_fits = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{text}</text>",
        at.0, at.1
    );
}
