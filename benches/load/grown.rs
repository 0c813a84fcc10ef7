//! How cost grows: with sessions, with the messages of one, with readers of events, and with models.

use std::rc::Rc;
use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::{Value, json};

use crate::Size;
use crate::baton::{Agent, Baton};
use crate::client::{self, Connection, Load};
use crate::fanout::{self, Readers};
use crate::fill;
use crate::measured::Spread;
use crate::plot::Plot;
use crate::report::{Report, Wanted};
use crate::rows::{self, READERS, get, list, messages};
use crate::server::{Server, call};

/// Sessions of the smallest store, beside those for the connections.
const FEW: u32 = 20;
/// A PATCH may take so many times as long as in the smallest case.
const GROWTH: f64 = 1.2;
/// An agent that has not said by then what it offers does not say it.
const PROBED_WITHIN: Duration = Duration::from_secs(60);
/// Connections that prompt at once.
const PROMPTERS: usize = 8;

/// Rates in two cases, in turns.
struct Beside {
    /// How many times slower the second one is.
    slower: f64,
    /// Of the second one, in milliseconds.
    p50_ms: f64,
    rate: f64,
}

async fn beside(few: (&Baton, &Load), many: (&Baton, &Load), size: Size) -> Beside {
    let (mut slower, mut p50, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..size.rounds {
        let one = client::run(few.0.address(), few.1, size.duration / 2).await;
        let other = client::run(many.0.address(), many.1, size.duration / 2).await;
        slower.push(one.rate() / other.rate());
        p50.push(other.quantile_ms(0.5));
        rates.push(other.rate());
    }
    Beside {
        slower: Spread::of(slower).median,
        p50_ms: Spread::of(p50).median,
        rate: Spread::of(rates).median,
    }
}

/// Switches of some sessions, at as many connections.
fn patch(baton: &Baton) -> Load {
    let sessions = baton.sessions().iter().take(READERS);
    Load::each(sessions.map(|s| rows::switches(baton, s)).collect())
}

/// Stored sessions.
pub(crate) async fn sessions(report: &mut Report, size: Size) {
    let few = Baton::prepared(&[]).await;
    let mut many = Baton::prepared(&[]).await;
    report.figure(
        "start to listening, nothing stored",
        many.process().start.as_secs_f64() * 1_000.0,
        "ms",
        Wanted::Nothing,
    );
    let (like, more) = (few.sessions()[0].clone(), fill::sessions);
    let few = few.edited(|db| drop(more(db, &like, FEW))).await;
    let reads = [
        ("list of 20 sessions", "/session?limit=20"),
        ("list of 20, OpenCode 2", "/api/session?limit=20"),
        ("status", "/session/status"),
        ("search", "/session?limit=20&search=number"),
        ("search in vain", "/session?limit=20&search=nowhere"),
    ];
    let names: Vec<_> = reads
        .iter()
        .map(|(name, _)| *name)
        .chain(["switch"])
        .collect();
    let mut times = Plot::new(
        "sessions",
        "A request, by stored sessions",
        "stored sessions",
        "ms, p50 of 4 connections",
        &names,
    );
    let mut starts = Plot::new(
        "sessions-start",
        "Start, by stored sessions",
        "stored sessions",
        "ms",
        &["to listening", "to the first list"],
    );
    let mut memory = Plot::new(
        "sessions-memory",
        "Memory, by stored sessions",
        "stored sessions",
        "MB",
        &["after the first list", "after the requests"],
    );
    let mut stored = 0;
    for wanted in powers(FEW, size.sessions) {
        let like = many.sessions()[0].clone();
        many = many
            .edited(|db| drop(more(db, &like, wanted - stored)))
            .await;
        stored = wanted;
        let first = call(
            many.address(),
            Method::GET,
            "/opencode/session?limit=10",
            None,
        )
        .await;
        let first_list = many.process().age_ms();
        assert_eq!(first.as_array().map(Vec::len), Some(10), "ten of many");
        let started = many.process().rss_mb();
        let mut all = Vec::new();
        for (name, path) in reads {
            let load = list(&many, path).expect("it has it");
            all.push((name, beside((&few, &load), (&many, &load), size).await));
        }
        let switch = beside((&few, &patch(&few)), (&many, &patch(&many)), size).await;
        all.push(("PATCH", switch));
        let p50: Vec<_> = all.iter().map(|(_, beside)| beside.p50_ms).collect();
        let across = f64::from(wanted);
        times.add(across, &p50);
        let listening = many.process().start.as_secs_f64() * 1_000.0;
        starts.add(across, &[listening, first_list]);
        let (now, own) = (many.process().rss_mb(), many.process().anonymous_mb());
        memory.add(across, &[started, now]);
        if wanted == size.sessions {
            let name = |what: &str| format!("{wanted} stored sessions: {what}");
            for (what, beside) in all {
                let wanted = match what {
                    "PATCH" => Wanted::AtMost(GROWTH),
                    _ => Wanted::Nothing,
                };
                let name = name(&format!("{what}, times slower than with {FEW}"));
                report.figure(name, beside.slower, "×", wanted);
            }
            report.figure(
                name("start to the first list"),
                first_list,
                "ms",
                Wanted::AtMost(50.0),
            );
            report.figure(
                name("memory after the first list"),
                started,
                "MB",
                Wanted::AtMost(50.0),
            );
            let what = "memory after the requests of this table";
            report.figure(name(what), now, "MB", Wanted::AtMost(50.0));
            report.figure(name("of it not of a file"), own, "MB", Wanted::Nothing);
        }
    }
    for plot in [times, starts, memory] {
        report.plot(plot);
    }
    Box::new(few).stop().await;
    Box::new(many).stop().await;
}

/// Messages of one session.
pub(crate) async fn of_messages(report: &mut Report, size: Size) {
    let lengths = powers(10.min(size.messages), size.messages);
    let baton = Baton::prepared(&lengths).await;
    let mut times = Plot::new(
        "messages",
        "A request, by messages of the session",
        "messages",
        "ms, p50 of 4 connections",
        &["all messages", "the last 100", "switch"],
    );
    let switch = |n: usize| Load::same(READERS, rows::switches(&baton, &baton.long()[n].id));
    for (n, long) in baton.long().iter().enumerate() {
        let path = format!("/opencode/session/{}/message", long.id);
        let all = call(baton.address(), Method::GET, &path, None).await;
        let count = all.as_array().map(Vec::len);
        assert_eq!(count, usize::try_from(long.messages).ok(), "all of them");
        let read = |query: &str| messages(&baton, long, query).expect("it has it");
        let once = Size { rounds: 1, ..size };
        let (all, last) = (read(""), read("?limit=100"));
        let all = beside((&baton, &all), (&baton, &all), once).await;
        let last = beside((&baton, &last), (&baton, &last), once).await;
        let patched = beside((&baton, &switch(0)), (&baton, &switch(n)), size).await;
        let across = f64::from(long.messages);
        times.add(across, &[all.p50_ms, last.p50_ms, patched.p50_ms]);
        if n + 1 == lengths.len() {
            let name = format!(
                "a session of {} messages: PATCH, times slower than with {}",
                long.messages, lengths[0]
            );
            report.figure(name, patched.slower, "×", Wanted::AtMost(GROWTH));
        }
    }
    report.plot(times);
    Box::new(baton).stop().await;
}

/// Readers of events.
pub(crate) async fn readers(report: &mut Report, size: Size) {
    let (few, many) = (Baton::prepared(&[]).await, Baton::prepared(&[]).await);
    let mut times = Plot::new(
        "readers",
        "A switch, by readers of events of another directory",
        "readers",
        "ms, p50 of 4 connections",
        &["switch"],
    );
    let elsewhere = "/opencode/event?directory=/";
    let most = u32::try_from(size.readers).expect("few");
    let (mut open, mut count) = (Vec::new(), 0);
    for wanted in powers(1, most) {
        let more = usize::try_from(wanted - count).expect("few");
        open.push(Readers::open(many.address(), elsewhere, more, Rc::new(|_| {})).await);
        count = wanted;
        let patched = beside((&few, &patch(&few)), (&many, &patch(&many)), size).await;
        times.add(f64::from(wanted), &[patched.p50_ms]);
        if wanted == most {
            let name =
                format!("{wanted} readers of events elsewhere: PATCH, times slower than with none");
            report.figure(name, patched.slower, "×", Wanted::AtMost(GROWTH));
        }
    }
    drop(open);
    Box::new(few).stop().await;
    Box::new(many).stop().await;
    report.plot(times);
    memory_of_readers(report, most).await;
    delivery(report, size).await;
}

/// Of a server that nothing is asked of meanwhile: its ring of events is no reader's.
async fn memory_of_readers(report: &mut Report, most: u32) {
    let baton = Baton::start(Vec::new()).await;
    let mut memory = Plot::new(
        "readers-memory",
        "Memory, by readers of events",
        "readers",
        "MB",
        &["resident"],
    );
    let (mut open, mut count) = (Vec::new(), 0);
    let mut resident = baton.process().rss_mb();
    let idle = resident;
    for wanted in powers(1, most) {
        let more = usize::try_from(wanted - count).expect("few");
        let path = "/opencode/event";
        open.push(Readers::open(baton.address(), path, more, Rc::new(|_| {})).await);
        count = wanted;
        resident = baton.process().rss_mb();
        memory.add(f64::from(wanted), &[resident]);
    }
    let name = format!("memory, {most} readers of events");
    report.figure(name, resident, "MB", Wanted::AtMost(60.0));
    let each = (resident - idle) * 1_024.0 / f64::from(most);
    report.figure("memory, one of them", each, "KB", Wanted::Nothing);
    report.plot(memory);
    drop(open);
    Box::new(baton).stop().await;
}

async fn delivery(report: &mut Report, size: Size) {
    let baton = Baton::prepared(&[]).await;
    let delivered = fanout::deliver(&baton, size.readers, size.changes).await;
    let name = |what: &str| {
        format!(
            "{} readers of {} events: {what}",
            size.readers, size.changes
        )
    };
    let missing = delivered.missing as f64;
    report.figure(name("missing"), missing, "events", Wanted::AtMost(0.0));
    let latency = |quantile| delivered.latencies.quantile_ms(quantile);
    report.figure(name("p50"), latency(0.5), "ms", Wanted::Nothing);
    report.figure(name("p99"), latency(0.99), "ms", Wanted::AtMost(10.0));
    Box::new(baton).stop().await;
}

/// Models of a backend.
pub(crate) async fn models(report: &mut Report, size: Size) {
    let few = Baton::prepared(&[]).await;
    let mut times = Plot::new(
        "models",
        "A request, by models of a backend",
        "models",
        "ms, p50 of 4 connections",
        &["provider list", "not modified", "switch"],
    );
    for wanted in powers(5.min(size.models), size.models) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("models");
        let names: Vec<_> = (0..wanted).map(|n| format!("vendor/model-{n}")).collect();
        std::fs::write(&file, names.join("\n")).expect("written");
        let agent = Agent::new("many", &["--models-file", &file.display().to_string()]);
        let baton = Baton::start(vec![agent]).await;
        all_listed(&baton, wanted).await;
        let load = list(&baton, "/provider").expect("it has it");
        let full = beside((&few, &load), (&baton, &load), size).await;
        let known = not_modified(&baton).await;
        let known = match &known {
            Some(load) => Some(beside((&few, &rows_health(&few)), (&baton, load), size).await),
            None => None,
        };
        let switch = switch_many(&baton, &names).await;
        let patched = beside((&few, &patch(&few)), (&baton, &switch), size).await;
        let known_ms = known.as_ref().map_or(full.p50_ms, |known| known.p50_ms);
        times.add(f64::from(wanted), &[full.p50_ms, known_ms, patched.p50_ms]);
        if wanted == size.models {
            let name = |what: &str| format!("a provider list of {wanted} models{what}");
            report.figure(name(""), full.rate, "/s", Wanted::AtLeast(2_000.0));
            if let Some(known) = known {
                let name = name(", not modified (304)");
                report.figure(name, known.rate, "/s", Wanted::AtLeast(2_000.0));
            }
            let name = format!("a backend of {wanted} models: PATCH, times slower than with 3");
            report.figure(name, patched.slower, "×", Wanted::Nothing);
        }
        Box::new(baton).stop().await;
    }
    report.plot(times);
    Box::new(few).stop().await;
}

/// Waits until a server lists all models of the large backend: to ask for them takes some seconds.
async fn all_listed(baton: &Baton, wanted: u32) {
    let end = Instant::now() + PROBED_WITHIN;
    loop {
        let listed = call(baton.address(), Method::GET, "/opencode/provider", None).await;
        let all = listed["all"].as_array().expect("backends");
        let many = all.iter().find(|backend| backend["id"] == "many");
        let count = many.and_then(|many| many["models"].as_object());
        let count = count.map(serde_json::Map::len);
        if count == usize::try_from(wanted).ok() {
            return;
        }
        assert!(Instant::now() < end, "{count:?} of {wanted} models");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn rows_health(baton: &Baton) -> Load {
    Load::same(READERS, vec![rows::health(baton)])
}

/// The list for who has it already.
async fn not_modified(baton: &Baton) -> Option<Load> {
    let mut template = get(baton, "/provider");
    let mut connection = Connection::open(baton.address()).await;
    template.known = Some(connection.etag(&template).await?);
    let (status, _) = connection.send(&template).await;
    assert_eq!(status, 304, "nothing has changed");
    Some(Load::same(READERS, vec![template]))
}

/// Switches between the first and the last of many models, in sessions that have had a prompt.
async fn switch_many(baton: &Baton, names: &[String]) -> Load {
    let mut requests = Vec::new();
    for _ in 0..READERS {
        let session = baton.spoken(None).await;
        let path = format!("/opencode/session/{session}");
        let to = |name: &String| {
            let body = json!({"providerID": "many", "modelID": name});
            client::Template::new(Method::PATCH, path.clone(), Some(body))
        };
        let ends = [names.first(), names.last()];
        requests.push(ends.into_iter().flatten().map(to).collect());
    }
    Load::each(requests)
}

/// Memory of a server that has nothing to do, and of one with many sessions that have an agent.
pub(crate) async fn memory(report: &mut Report, size: Size) {
    let baton = Baton::start(Vec::new()).await;
    // So that it was asked for what every client asks for.
    for path in ["/opencode/session", "/opencode/provider"] {
        call(baton.address(), Method::GET, path, None).await;
    }
    let (all, own) = (baton.process().rss_mb(), baton.process().anonymous_mb());
    report.figure("memory, idle", all, "MB", Wanted::AtMost(15.0));
    report.figure("memory, idle: not of a file", own, "MB", Wanted::Nothing);
    let like = baton.spoken(None).await;
    let mut ids = Vec::new();
    let messages = size.live_messages - 2;
    let baton = baton
        .edited(|db| ids = fill::alike(db, &like, size.live, messages))
        .await;
    let prompts = ids.chunks(ids.len().div_ceil(PROMPTERS)).map(|ids| {
        let (ids, to) = (ids.to_vec(), baton.address());
        tokio::task::spawn_local(async move {
            for id in ids {
                let path = format!("/opencode/session/{id}/message");
                let said = json!({"parts": [{"type": "text", "text": "echo on"}]});
                let answer = call(to, Method::POST, &path, Some(said)).await;
                assert!(has_text(&answer, "on"), "{answer}");
            }
        })
    });
    for task in prompts.collect::<Vec<_>>() {
        task.await.expect("no panic");
    }
    let name = format!(
        "memory, {} live sessions of {} messages",
        size.live, size.live_messages
    );
    let all = baton.process().rss_mb();
    report.figure(name, all, "MB", Wanted::AtMost(150.0));
    Box::new(baton).stop().await;
}

/// Whether a part of a message is this text.
fn has_text(message: &Value, text: &str) -> bool {
    let parts = message["parts"].as_array();
    parts.is_some_and(|parts| parts.iter().any(|part| part["text"] == text))
}

/// From few to many: the powers of ten on the way.
fn powers(few: u32, many: u32) -> Vec<u32> {
    let mut all = vec![few];
    let mut next = 10;
    while next < many {
        if next > few {
            all.push(next);
        }
        next *= 10;
    }
    if many > few {
        all.push(many);
    }
    all
}
