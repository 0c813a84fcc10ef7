//! What Baton costs over HTTP, beside real `opencode serve`, as ratios within one run. BENCHMARKS.md says what the rows
//! mean and how to run it.
//!
//! `cargo bench --bench load` measures everything and writes `target/results/load.json`, `load.md` and plots; `--write`
//! puts them into BENCHMARKS.md and docs/bench as well. `BATON_BIN` and `OPENCODE_BIN` name other programs to measure.
//! In `cargo test` it runs in a size that only shows that it works: no time is asserted anywhere, and every answer is.
//!
//! Each connection is kept alive and has one request on its way (closed loop). The rows with a rate send at fixed times
//! instead (open loop), and count from the time at which a request was due, so that a server which stops for a while is
//! charged for everybody who would have waited (coordinated omission).

#![allow(clippy::expect_used, reason = "a measurement that cannot be made ends")]

mod acp;
mod baton;
mod client;
mod fanout;
mod fill;
mod grown;
mod machine;
mod measured;
mod opencode;
mod plot;
mod report;
mod rows;
mod server;
mod turns;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Parser;
use tokio::task::LocalSet;

use crate::baton::Baton;
use crate::machine::Machine;
use crate::opencode::OpenCode;
use crate::report::Report;
use crate::server::Server;

/// See the module.
#[derive(Debug, Parser)]
struct Arguments {
    /// `cargo bench` sends it.
    #[arg(long, hide = true)]
    bench: bool,
    /// Measure only these parts.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Put the tables and plots into BENCHMARKS.md and docs/bench.
    #[arg(long)]
    write: bool,
    /// Measure no OpenCode.
    #[arg(long)]
    without_opencode: bool,
    /// The length of a measurement, in seconds.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// How often each row is measured.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Sessions that are stored for the rows about many of them.
    #[arg(long, default_value_t = 100_000)]
    sessions: u32,
    /// Readers of events, at once. Each is an open file here and in the server.
    #[arg(long, default_value_t = 1_000)]
    readers: usize,
}

/// What can be measured alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Requests, beside OpenCode.
    Requests,
    /// Memory, idle and with live sessions.
    Memory,
    /// How cost grows with stored sessions.
    Sessions,
    /// How cost grows with the messages of a session.
    Messages,
    /// How cost grows with readers of events, and how soon they have them.
    Readers,
    /// How cost grows with models.
    Models,
    /// Prompts and switches of a running agent.
    Warm,
    /// Chunks of an agent.
    Chunks,
    /// Switches to another backend.
    Backends,
    /// The handover of a long conversation.
    Handover,
    /// The snapshot of a large working directory.
    Snapshot,
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Size {
    is_full: bool,
    /// The length of a measurement.
    duration: Duration,
    rounds: u32,
    sessions: u32,
    readers: usize,
    /// Switches that the readers are told of.
    changes: u64,
    /// Messages of the longest session.
    messages: u32,
    /// Messages of the session that is read as a whole.
    all_messages: u32,
    /// Models of the largest backend.
    models: u32,
    /// Sessions with an agent, and their messages.
    live: u32,
    live_messages: u32,
    /// Prompts and switches of one session.
    turns: u32,
    /// Switches between two backends.
    switches: u32,
    /// Chunks that an agent sends at once.
    chunks: u32,
    /// Files of the large working directory.
    files: u32,
}

impl Size {
    /// As `cargo bench` runs it.
    fn full(arguments: &Arguments) -> Self {
        Self {
            is_full: true,
            duration: Duration::from_secs_f64(arguments.seconds),
            rounds: arguments.rounds,
            sessions: arguments.sessions,
            readers: arguments.readers,
            changes: 200,
            messages: 10_000,
            all_messages: 1_000,
            models: 5_000,
            live: 1_000,
            live_messages: 50,
            turns: 200,
            switches: 10,
            chunks: 100_000,
            files: 20_000,
        }
    }

    /// As `cargo test` runs it: everything once, and as little of it as possible.
    fn smoke() -> Self {
        Self {
            is_full: false,
            duration: Duration::from_millis(50),
            rounds: 1,
            sessions: 40,
            readers: 3,
            changes: 5,
            messages: 20,
            all_messages: 4,
            models: 6,
            live: 3,
            live_messages: 6,
            turns: 4,
            switches: 2,
            chunks: 100,
            files: 20,
        }
    }
}

fn main() {
    // `cargo test` gives what it gives to every test: names, and options of their harness.
    if !std::env::args().any(|argument| argument == "--bench") {
        let given: Vec<String> = std::env::args().skip(1).collect();
        let mut names = given
            .iter()
            .filter(|given| !given.starts_with('-'))
            .peekable();
        let is_named = names.peek().is_none() || names.any(|name| "load".contains(name.as_str()));
        if is_named && !given.iter().any(|given| given == "--list") {
            run(&Arguments::parse_from(["load"]), Size::smoke());
        }
        return;
    }
    let arguments = Arguments::parse();
    run(&arguments, Size::full(&arguments));
}

fn run(arguments: &Arguments, size: Size) {
    // A thousand readers are a thousand open files.
    raise_file_limit();
    let opencode = match arguments.bench && !arguments.without_opencode {
        true => opencode::installed(),
        false => None,
    };
    // One thread: what the generator takes is taken from the server.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let local = LocalSet::new();
    let report = local.block_on(&runtime, measure(arguments, size, opencode));
    // Said in each case, so that the smoke size sees that it can be.
    let tables = report.markdown();
    if arguments.bench {
        print!("{tables}");
        report.write(arguments.write);
    }
}

fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("up to what is allowed");
}

async fn measure(arguments: &Arguments, size: Size, opencode: Option<PathBuf>) -> Report {
    let begun = Instant::now();
    let machine = Machine::new(&baton::program(), opencode.as_deref());
    let mut report = Report::new(size, machine);
    let wanted = |part| arguments.only.is_empty() || arguments.only.contains(&part);
    if wanted(Part::Requests) {
        requests(&mut report, size, opencode).await;
    }
    if wanted(Part::Memory) {
        grown::memory(&mut report, size).await;
    }
    if wanted(Part::Sessions) {
        grown::sessions(&mut report, size).await;
    }
    if wanted(Part::Messages) {
        grown::of_messages(&mut report, size).await;
    }
    if wanted(Part::Readers) {
        grown::readers(&mut report, size).await;
    }
    if wanted(Part::Models) {
        grown::models(&mut report, size).await;
    }
    if wanted(Part::Warm) {
        turns::warm(&mut report, size).await;
    }
    if wanted(Part::Chunks) {
        turns::chunks(&mut report, size).await;
    }
    if wanted(Part::Backends) {
        turns::to_another(&mut report, size).await;
    }
    if wanted(Part::Handover) {
        turns::handover(&mut report, size).await;
    }
    if wanted(Part::Snapshot) {
        turns::snapshot(&mut report, size).await;
    }
    report.machine.minutes = begun.elapsed().as_secs_f64() / 60.0;
    report
}

async fn requests(report: &mut Report, size: Size, opencode: Option<PathBuf>) {
    let lengths = [size.all_messages, size.messages];
    let baton = Baton::prepared(&lengths).await;
    let mut other = None;
    if let Some(program) = opencode {
        let mut opencode = OpenCode::start(&program).await;
        opencode.prepare(&lengths).await;
        other = Some(opencode);
    }
    for row in rows::ROWS {
        let load = (row.load)(&baton).expect("Baton has all of them");
        let outcome = rows::run(&load, &baton, size).await;
        let beside = match &other {
            Some(other) => match (row.load)(other) {
                Some(load) => Some(rows::run(&load, other, size).await),
                None => None,
            },
            None => None,
        };
        report.row(row, outcome, beside);
    }
    Box::new(baton).stop().await;
    if let Some(other) = other {
        let (start, memory) = (other.process().start, other.process().rss_mb());
        let ms = start.as_secs_f64() * 1_000.0;
        report.figure(
            "OpenCode: start to listening",
            ms,
            "ms",
            report::Wanted::Nothing,
        );
        let name = "OpenCode: memory after these requests";
        report.figure(name, memory, "MB", report::Wanted::Nothing);
        Box::new(other).stop().await;
    }
}
