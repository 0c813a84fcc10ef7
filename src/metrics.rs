//! Figures about this process, as `GET /metrics` shows them.
//!
//! What happens is counted where it happens, with an atomic and at most one look into a small map, by whatever part of the
//! program: hence at the bottom, and one set for the process, which is one server. What *is* at a moment ([`Now`]) is
//! asked of its owner when somebody looks. Labels are words of this program only, never ids or what a client has sent.

use std::sync::LazyLock;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    TextEncoder,
};

/// Bounds of the buckets of what is over in a moment or takes as long as an agent does, in seconds.
const SECONDS: [f64; 12] = [
    0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0,
];
/// Bounds of the buckets of commits, in seconds.
const COMMIT_SECONDS: [f64; 9] = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 1.0, 10.0];
/// Bounds of the buckets of batches in a transaction; the store commits 512 together at most.
const BATCHES: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
/// The method of a request that has one of its own.
const OTHER_METHOD: &str = "other";
/// The methods that are counted separately.
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

/// How things are at the moment when somebody looks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Now {
    /// Turns in flight.
    pub turns: u64,
    /// For how long the agent of a turn in flight has said nothing, of all of them the longest, in seconds. A turn that
    /// waits for the user does not count.
    pub silence_s: u64,
    /// Prompts that wait for their turn.
    pub prompts: u64,
    /// Permission requests that wait for the user.
    pub permissions: u64,
    /// Questions that wait for the user.
    pub questions: u64,
    /// Agent processes that can be talked to.
    pub live_agents: u64,
    /// Agent processes that are being started.
    pub starting_agents: u64,
    /// Events in the ring.
    pub ring_events: u64,
    /// Bytes of them.
    pub ring_bytes: u64,
    /// Event streams that are open.
    pub subscribers: u64,
    /// Events that the slowest of them has not read yet.
    pub lag: u64,
    /// Sign-ins that have failed since the start.
    pub failed_sign_ins: u64,
    /// When the server was started, in seconds since the Unix epoch.
    pub started_s: u64,
    /// Memory of the process that is resident, in bytes.
    pub resident_bytes: u64,
    /// Files and connections that the process has open.
    pub open_files: u64,
}

/// Name, meaning, and value of what is asked for when somebody looks.
type Asked = (&'static str, &'static str, fn(&Now) -> u64);

const ASKED: [Asked; 14] = [
    ("baton_turns_running", "Turns in flight.", |now| now.turns),
    (
        "baton_turn_silence_seconds_max",
        "How long the agent of a running turn has said nothing; the longest of all.",
        |now| now.silence_s,
    ),
    (
        "baton_prompts_waiting",
        "Prompts that wait for their turn.",
        |now| now.prompts,
    ),
    (
        "baton_permissions_waiting",
        "Permission requests that wait for the user.",
        |now| now.permissions,
    ),
    (
        "baton_questions_waiting",
        "Questions that wait for the user.",
        |now| now.questions,
    ),
    (
        "baton_agents_live",
        "Agent processes that sessions can use.",
        |now| now.live_agents,
    ),
    (
        "baton_agents_starting",
        "Agent processes that are being started for sessions.",
        |now| now.starting_agents,
    ),
    (
        "baton_ring_events",
        "Events that are kept for clients that come back.",
        |now| now.ring_events,
    ),
    ("baton_ring_bytes", "Bytes of these events.", |now| {
        now.ring_bytes
    }),
    (
        "baton_event_subscribers",
        "Event streams that are open.",
        |now| now.subscribers,
    ),
    (
        "baton_event_lag_max",
        "Events that the slowest stream has not read yet.",
        |now| now.lag,
    ),
    (
        "baton_start_time_seconds",
        "When the server was started, since the Unix epoch.",
        |now| now.started_s,
    ),
    (
        "baton_process_resident_bytes",
        "Memory of the server that is resident.",
        |now| now.resident_bytes,
    ),
    (
        "baton_process_open_fds",
        "Files and connections that the server has open.",
        |now| now.open_files,
    ),
];

static FIGURES: LazyLock<Figures> = LazyLock::new(Figures::new);

struct Figures {
    registry: Registry,
    /// One scrape at a time, as it writes the current figures into these.
    asked: Mutex<Vec<IntGauge>>,
    failed_sign_ins: IntCounter,
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    switches: IntCounterVec,
    switch_seconds: HistogramVec,
    first_token_seconds: Histogram,
    silent_turns: IntCounter,
    connections: IntGauge,
    refused_connections: IntCounterVec,
    commit_seconds: Histogram,
    commit_batches: Histogram,
    store_failures: IntCounter,
    dropped_lines: IntCounter,
    leases: IntCounterVec,
    sent_on: IntCounterVec,
}

impl Figures {
    fn new() -> Self {
        let registry = Registry::new();
        let asked = ASKED.iter().map(|(name, help, _)| {
            let gauge = IntGauge::new(*name, *help);
            keep(&registry, gauge)
        });
        let counter = |name: &str, help: &str| keep(&registry, IntCounter::new(name, help));
        let counters = |name: &str, help: &str, labels: &[&str]| {
            keep(&registry, IntCounterVec::new(Opts::new(name, help), labels))
        };
        let options = |name: &str, help: &str, buckets: &[f64]| {
            HistogramOpts::new(name, help).buckets(buckets.to_vec())
        };
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            keep(
                &registry,
                Histogram::with_opts(options(name, help, buckets)),
            )
        };
        let histograms = |name: &str, help: &str, labels: &[&str]| {
            keep(
                &registry,
                HistogramVec::new(options(name, help, &SECONDS), labels),
            )
        };
        Self {
            asked: Mutex::new(asked.collect()),
            failed_sign_ins: counter("baton_failed_sign_ins_total", "Sign-ins that have failed."),
            requests: counters(
                "baton_requests_total",
                "Requests that were answered, or whose client went away before (status gone).",
                &["method", "route", "status"],
            ),
            request_seconds: histograms(
                "baton_request_seconds",
                "From the head of a request to the head of its answer.",
                &["method", "route"],
            ),
            switches: counters(
                "baton_switches_total",
                "Selections that were applied, have failed, or were replaced before either (superseded).",
                &["outcome", "transfer"],
            ),
            switch_seconds: histograms(
                "baton_switch_seconds",
                "From the beginning of a switch to its outcome.",
                &["outcome"],
            ),
            first_token_seconds: histogram(
                "baton_first_token_seconds",
                "From giving a prompt to an agent to the first of its answer.",
                &SECONDS,
            ),
            silent_turns: counter(
                "baton_silent_turns_total",
                "Turns whose agent has said nothing for timeouts.silent_s.",
            ),
            connections: keep(
                &registry,
                IntGauge::new("baton_connections", "Connections that are open."),
            ),
            refused_connections: counters(
                "baton_refused_connections_total",
                "Connections beyond the limits: closed at once, or answered with 503 (crowded).",
                &["how"],
            ),
            commit_seconds: histogram(
                "baton_store_commit_seconds",
                "A transaction of the store, with whatever waited for it.",
                &COMMIT_SECONDS,
            ),
            commit_batches: histogram(
                "baton_store_commit_batches",
                "Changes of sessions that were committed together.",
                &BATCHES,
            ),
            store_failures: counter(
                "baton_store_failures_total",
                "Changes that the store did not take.",
            ),
            dropped_lines: counter(
                "baton_agent_lines_dropped_total",
                "Lines of agents that were no message.",
            ),
            leases: counters(
                "baton_leases_total",
                "Sessions that this node has taken up (taken), taken over from another one (taken_over), and lost to one (lost).",
                &["how"],
            ),
            sent_on: counters(
                "baton_requests_sent_on_total",
                "Requests that were sent on to the node that holds what they are about, and whether it has answered.",
                &["outcome"],
            ),
            registry,
        }
    }
}

#[expect(
    clippy::expect_used,
    reason = "names and labels are constants, and a test makes all of them"
)]
fn keep<C: Collector + Clone + 'static>(registry: &Registry, made: prometheus::Result<C>) -> C {
    let kept = made.and_then(|made| {
        registry.register(Box::new(made.clone()))?;
        Ok(made)
    });
    kept.expect("a valid name that is used once")
}

/// A request has ended. `route` is the template of its path.
pub fn request(method: &str, route: &str, status: &str, took: Duration) {
    let known = METHODS.contains(&method);
    let method = if known { method } else { OTHER_METHOD };
    let figures = &*FIGURES;
    figures
        .requests
        .with_label_values(&[method, route, status])
        .inc();
    figures
        .request_seconds
        .with_label_values(&[method, route])
        .observe(took.as_secs_f64());
}

/// A selection was applied; `transfer` is the kind of its handover.
pub fn switch_applied(transfer: &str, took: Duration) {
    switched("applied", transfer, took);
}

/// A selection could not be applied.
pub fn switch_failed(took: Duration) {
    switched("failed", "", took);
}

/// A selection was replaced by another one before it was applied.
pub fn switch_superseded() {
    let labels = ["superseded", ""];
    FIGURES.switches.with_label_values(&labels).inc();
}

fn switched(outcome: &str, transfer: &str, took: Duration) {
    let figures = &*FIGURES;
    let labels = [outcome, transfer];
    figures.switches.with_label_values(&labels).inc();
    let seconds = figures.switch_seconds.with_label_values(&[outcome]);
    seconds.observe(took.as_secs_f64());
}

/// The first of an answer has come.
pub fn first_token(after: Duration) {
    FIGURES.first_token_seconds.observe(after.as_secs_f64());
}

/// The agent of a turn has said nothing for long.
pub fn turn_is_silent() {
    FIGURES.silent_turns.inc();
}

/// A connection was opened.
pub fn connected() {
    FIGURES.connections.inc();
}

/// A connection was closed.
pub fn disconnected() {
    FIGURES.connections.dec();
}

/// A connection was closed because there are too many.
pub fn connection_closed_at_once() {
    let refused = &FIGURES.refused_connections;
    refused.with_label_values(&["closed"]).inc();
}

/// A connection beyond the limit is answered that there are too many.
pub fn connection_crowded() {
    let refused = &FIGURES.refused_connections;
    refused.with_label_values(&["crowded"]).inc();
}

/// The store has written some batches as one transaction, or tried to; `failed` of them it has not taken.
pub fn committed(batches: usize, failed: usize, took: Duration) {
    let figures = &*FIGURES;
    figures.commit_seconds.observe(took.as_secs_f64());
    // Exact: there are a few hundred at most.
    #[expect(clippy::cast_precision_loss, reason = "a few hundred at most")]
    figures.commit_batches.observe(batches as f64);
    figures.store_failures.inc_by(failed as u64);
}

/// An agent has written a line that is not a message.
pub fn line_dropped() {
    FIGURES.dropped_lines.inc();
}

/// A session was taken up; whoever had it before had not given it back.
pub fn lease_taken(over: bool) {
    let how = if over { "taken_over" } else { "taken" };
    FIGURES.leases.with_label_values(&[how]).inc();
}

/// Another node has taken a session.
pub fn lease_lost() {
    FIGURES.leases.with_label_values(&["lost"]).inc();
}

/// A request was sent on to another node.
pub fn sent_on(answered: bool) {
    let outcome = if answered { "answered" } else { "failed" };
    FIGURES.sent_on.with_label_values(&[outcome]).inc();
}

/// Everything in Prometheus' text format.
///
/// # Errors
/// When it cannot be written, as a sentence.
pub fn render(now: &Now) -> Result<String, String> {
    let figures = &*FIGURES;
    let gauges = figures.asked.lock();
    for (gauge, (_, _, value)) in gauges.iter().zip(ASKED) {
        gauge.set(i64::try_from(value(now)).unwrap_or(i64::MAX));
    }
    let new = now
        .failed_sign_ins
        .saturating_sub(figures.failed_sign_ins.get());
    figures.failed_sign_ins.inc_by(new);
    let families = figures.registry.gather();
    TextEncoder::new()
        .encode_to_string(&families)
        .map_err(|error| error.to_string())
}

/// What the system says about this process: resident memory in bytes, and the number of open files; 0 where it says
/// nothing. Reads files of `/proc`, so it blocks.
pub fn process() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = resident.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok());
    // One of them is the folder that is being read.
    let files = std::fs::read_dir("/proc/self/fd").map_or(0, |fds| fds.count().saturating_sub(1));
    (kilobytes.unwrap_or(0_u64) * 1024, files as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_has_its_own_name_and_labels_are_bounded() {
        request("GET", "/a", "200", Duration::from_millis(2));
        request("BREW", "/a", "405", Duration::ZERO);
        let now = Now {
            lag: 7,
            failed_sign_ins: 3,
            ..Now::default()
        };
        let text = render(&now).expect("text");
        assert_eq!(render(&now).map(|t| t.contains("_ins_total 3\n")), Ok(true));
        for line in [
            "# TYPE baton_requests_total counter",
            "baton_requests_total{method=\"GET\",route=\"/a\",status=\"200\"} 1",
            "baton_requests_total{method=\"other\",route=\"/a\",status=\"405\"} 1",
            "baton_request_seconds_bucket{method=\"GET\",route=\"/a\",le=\"0.003\"} 1",
            "baton_event_lag_max 7",
            "baton_failed_sign_ins_total 3",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in {text}");
        }
        let named = |line: &str| line.starts_with("baton_") || line.starts_with("# ");
        assert!(text.lines().all(named), "{text}");
    }

    #[test]
    fn the_system_tells_of_this_process() {
        let (resident, files) = process();
        assert!(resident > 1_000_000 && files >= 3, "{resident} {files}");
    }
}
