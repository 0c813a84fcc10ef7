//! What came of a load.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// Latencies are kept up to this, in microseconds.
const LONGEST_US: u64 = 60_000_000;

/// How many answers there were, and how long each took.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    duration: Duration,
    /// In microseconds.
    latencies: Histogram<u64>,
}

impl Measured {
    pub(crate) fn new(duration: Duration) -> Self {
        let latencies = Histogram::new_with_bounds(1, LONGEST_US, 3).expect("bounds");
        Self {
            duration,
            latencies,
        }
    }

    pub(crate) fn note(&mut self, latency: Duration) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(LONGEST_US);
        self.latencies.saturating_record(us);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.latencies
            .add(&other.latencies)
            .expect("the same bounds");
    }

    pub(crate) fn count(&self) -> u64 {
        self.latencies.len()
    }

    /// Answers a second.
    pub(crate) fn rate(&self) -> f64 {
        self.count() as f64 / self.duration.as_secs_f64()
    }

    /// In milliseconds.
    pub(crate) fn quantile_ms(&self, quantile: f64) -> f64 {
        self.latencies.value_at_quantile(quantile) as f64 / 1_000.0
    }
}

/// Of several rounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) most: f64,
}

impl Spread {
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        Self {
            least: at(0),
            median: at(values.len() / 2),
            most: at(values.len().saturating_sub(1)),
        }
    }

    pub(crate) fn json(&self) -> Value {
        json!({"least": self.least, "median": self.median, "most": self.most})
    }
}
