//! What Baton costs over HTTP, beside real `opencode serve`, as ratios within one run.
//!
//! `cargo bench --bench load` measures everything and writes `target/results/load.json` and `load.md`; further arguments:
//! `--opencode PROGRAM` measures that one, too (it is taken from `tests/agents/packages` if it is there), `--seconds S` is
//! the length of a measurement, `--rounds N` how often each row alternates with `GET /global/health` at as many
//! connections. In `cargo test` it runs in a size that only shows that it works: no time is asserted anywhere.
//!
//! Each connection is kept alive and has one request on its way (closed loop). The rows with a rate send at fixed times
//! instead (open loop), and count from the time at which a request was due, so that a server which stops for a while is
//! charged for everybody who would have waited (coordinated omission).

#![allow(clippy::expect_used, reason = "a measurement that cannot be made ends")]

mod client;
mod fanout;
mod measured;
mod report;
mod rows;
mod server;

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::report::Report;
use crate::server::{Baton, OpenCode, Server};

/// See the module.
#[derive(Debug, Parser)]
struct Arguments {
    /// `cargo bench` sends it.
    #[arg(long, hide = true)]
    bench: bool,
    /// A real OpenCode to measure beside Baton.
    #[arg(long)]
    opencode: Option<PathBuf>,
    /// The length of a measurement, in seconds.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// How often each row is measured.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Messages of the long session.
    #[arg(long, default_value_t = 1_000)]
    messages: u32,
    /// Sessions that are made for the rows about many of them.
    #[arg(long, default_value_t = 20_000)]
    sessions: u32,
    /// Readers of events, at once. Each is an open file here and in the server.
    #[arg(long, default_value_t = 1_000)]
    readers: usize,
    /// Switches that they are told of.
    #[arg(long, default_value_t = 200)]
    changes: u64,
}

impl Arguments {
    /// As `cargo test` runs it: everything once, and as little of it as possible.
    fn smoke(self) -> Self {
        Self {
            seconds: 0.05,
            rounds: 1,
            messages: 4,
            sessions: 20,
            readers: 3,
            changes: 5,
            opencode: None,
            ..self
        }
    }
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Size {
    /// The length of a measurement.
    duration: Duration,
    rounds: u32,
    messages: u32,
    sessions: u32,
    readers: usize,
    changes: u64,
}

fn main() {
    let arguments = Arguments::parse();
    let is_bench = arguments.bench;
    let arguments = if is_bench {
        arguments
    } else {
        arguments.smoke()
    };
    let size = Size {
        duration: Duration::from_secs_f64(arguments.seconds),
        rounds: arguments.rounds,
        messages: arguments.messages,
        sessions: arguments.sessions,
        readers: arguments.readers,
        changes: arguments.changes,
    };
    // One thread: what the generator takes is taken from the server.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let opencode = is_bench
        .then(|| arguments.opencode.or_else(server::installed_opencode))
        .flatten();
    let report = runtime.block_on(measure(size, opencode));
    print!("{}", report.markdown());
    if is_bench {
        report.write();
    }
}

async fn measure(size: Size, opencode: Option<PathBuf>) -> Report {
    let baton = Baton::start().await;
    let mut report = Report::new(size);
    let mut servers: Vec<Box<dyn Server>> = vec![Box::new(baton)];
    if let Some(program) = opencode {
        servers.push(Box::new(OpenCode::start(&program).await));
    }
    for server in &mut servers {
        server.prepare(size.messages).await;
    }
    for row in rows::ROWS {
        for server in &servers {
            if let Some(load) = (row.load)(server.as_ref()) {
                report.add(
                    row,
                    server.as_ref(),
                    rows::run(load, server.as_ref(), size).await,
                );
            }
        }
    }
    for (name, value) in rows::of_many_sessions(servers[0].as_ref(), size).await {
        report.note(name, value);
    }
    let delivered = fanout::deliver(servers[0].as_ref(), size.readers, size.changes).await;
    let name = |what: &str| {
        format!(
            "{} readers of {} events: {what}",
            size.readers, size.changes
        )
    };
    report.note(name("missing"), delivered.missing as f64);
    report.note(name("p50 ms"), delivered.latencies.quantile_ms(0.5));
    report.note(name("p99 ms"), delivered.latencies.quantile_ms(0.99));
    report.note(name("memory, MB"), delivered.rss_mb);
    for server in servers {
        server.stop().await;
    }
    report
}
