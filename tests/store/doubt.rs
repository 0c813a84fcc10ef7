//! The way to PostgreSQL is lost in the middle of a commit: what became of it is found out, and what was answered is true.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use baton::opencode::SessionId;
use baton::store::postgres::{Opening, PostgresStore};
use baton::store::{SessionQuery, Store, StoreError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::database::{self, Server, name_of};
use crate::postgres::{open, opening, revision};
use crate::support::{commit, list, new_session, put_session, titled};

/// Writes a session over and over, each time over the revision that was acknowledged last. Answers how often.
async fn write_on(
    store: Arc<PostgresStore>,
    id: SessionId,
    ends: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
) -> u64 {
    let mut last = 1;
    while !ends.load(Ordering::SeqCst) {
        let next = vec![put_session(&id, Some(last), last + 1, titled("a"))];
        match store.commit(next).await {
            Ok(()) => {
                last += 1;
                acknowledged.fetch_add(1, Ordering::SeqCst);
            }
            // As whoever has to keep something does.
            Err(error) if error.may_pass() => tokio::time::sleep(Duration::from_millis(2)).await,
            Err(error) => panic!("{last}: {error}"),
        }
    }
    last
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_cut_off_and_crashes_all_the_time_never_disagrees_with_who_writes() {
    const WRITERS: usize = 8;
    const CUTS: usize = 24;
    const CUTS_PER_CRASH: usize = 8;
    let Some(server) = Server::start(&[]).await else {
        return;
    };
    let url = server.database().await;
    let alone = Opening {
        alone: true,
        ..opening(&url)
    };
    let store = Arc::new(PostgresStore::open(alone).await.expect("opens"));
    let (ends, acknowledged) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
    let mut writers = Vec::new();
    for _ in 0..WRITERS {
        let id = SessionId::new();
        commit(store.as_ref(), vec![new_session(&id, titled("a"))]).await;
        let writing = write_on(
            Arc::clone(&store),
            id.clone(),
            Arc::clone(&ends),
            Arc::clone(&acknowledged),
        );
        writers.push((id, tokio::spawn(writing)));
    }
    let end = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'",
        name_of(&url)
    );
    for cut in 1..=CUTS {
        let before = acknowledged.load(Ordering::SeqCst);
        while acknowledged.load(Ordering::SeqCst) < before + 20 {
            assert!(
                writers.iter().all(|(_, writer)| !writer.is_finished()),
                "all of them go on"
            );
            tokio::time::sleep(Duration::from_micros(100 * cut as u64)).await;
        }
        if cut % CUTS_PER_CRASH == 0 {
            server.crash();
            server.go_on().await;
        } else {
            server.admin("postgres", &end).await;
        }
    }
    ends.store(true, Ordering::SeqCst);
    for (id, writer) in writers {
        let last = writer.await.expect("it has not panicked");
        assert_eq!(revision(store.as_ref(), &id).await, Some(last));
    }
    store.close().await;
}

/// A way to the database that can be cut after a commit was sent, before its answer comes.
#[derive(Clone)]
struct Way {
    port: u16,
    cuts: Arc<AtomicBool>,
    open: Arc<AtomicBool>,
    /// What is on its way then never arrives, and nobody is told.
    stalls: Arc<AtomicBool>,
    /// The next commit never arrives; whoever waits for that is told.
    swallows: Arc<AtomicBool>,
    swallowed: Arc<Notify>,
}

impl Way {
    async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let way = Self {
            port: listener.local_addr().expect("an address").port(),
            cuts: Arc::default(),
            open: Arc::new(AtomicBool::new(true)),
            stalls: Arc::default(),
            swallows: Arc::default(),
            swallowed: Arc::default(),
        };
        let (it, open) = (way.clone(), Arc::clone(&way.open));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if open.load(Ordering::SeqCst) {
                    let server = TcpStream::connect(("127.0.0.1", port))
                        .await
                        .expect("PostgreSQL");
                    tokio::spawn(pass(client, server, it.clone()));
                }
            }
        });
        way
    }

    fn url(&self, url: &str) -> String {
        let (before, database) = url.rsplit_once('/').expect("a URL");
        let (before, _) = before.rsplit_once(':').expect("a port");
        format!("{before}:{}/{database}?sslmode=disable", self.port)
    }
}

async fn pass(mut client: TcpStream, mut server: TcpStream, way: Way) {
    let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(bytes @ 1..) = read else { return };
                let asked = &asked[..bytes];
                if way.stalls.load(Ordering::SeqCst) {
                    std::future::pending::<()>().await;
                }
                let commits = asked.windows(6).any(|word| word == b"COMMIT");
                if commits && way.swallows.swap(false, Ordering::SeqCst) {
                    way.swallowed.notify_one();
                    // Until the server is gone.
                    let _gone = server.read(&mut answered).await;
                    return;
                }
                server.write_all(asked).await.expect("passed on");
                if commits && way.cuts.swap(false, Ordering::SeqCst) {
                    // It has answered, and nobody hears it.
                    let _answer = server.read(&mut answered).await;
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let Ok(bytes @ 1..) = read else { return };
                if client.write_all(&answered[..bytes]).await.is_err() {
                    return;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_found_out() {
    let Some(url) = database::url().await else {
        return;
    };
    let way = Way::to(database::shared().await.expect("there").port).await;
    let store = open(&way.url(&url)).await;
    let id = SessionId::new();
    commit(&store, vec![new_session(&id, titled("a"))]).await;
    for expected in 1..4 {
        way.cuts.store(true, Ordering::SeqCst);
        let next = put_session(&id, Some(expected), expected + 1, titled("a"));
        commit(&store, vec![next]).await;
        assert!(!way.cuts.load(Ordering::SeqCst), "it was cut");
        assert_eq!(revision(&store, &id).await, Some(expected + 1));
    }
}

/// After a crash PostgreSQL gives the ids of transactions out anew that had written nothing down: what it says of one is about another.
#[tokio::test]
async fn a_commit_that_never_came_is_not_taken_for_that_of_another_server() {
    // Nothing is written down before a commit.
    let Some(server) = Server::start(&["-c", "wal_writer_delay=10s"]).await else {
        return;
    };
    let url = server.database().await;
    let way = Way::to(server.port).await;
    let store = Arc::new(open(&way.url(&url)).await);
    let id = SessionId::new();
    commit(store.as_ref(), vec![new_session(&id, titled("a"))]).await;
    way.swallows.store(true, Ordering::SeqCst);
    let written = tokio::spawn({
        let (store, next) = (
            Arc::clone(&store),
            put_session(&id, Some(1), 2, titled("a")),
        );
        async move { store.commit(vec![next]).await }
    });
    way.swallowed.notified().await;
    way.open.store(false, Ordering::SeqCst);
    let at_work =
        "SELECT backend_xid::text::bigint FROM pg_stat_activity WHERE backend_xid IS NOT NULL";
    let client = database::client(&url).await;
    let lost: i64 = client.query_one(at_work, &[]).await.expect("one").get(0);
    server.crash();
    server.go_on().await;
    let client = database::client(&url).await;
    let take = "SELECT pg_current_xact_id()::text::bigint";
    while client
        .query_one(take, &[])
        .await
        .expect("one")
        .get::<_, i64>(0)
        < lost
    {}
    let status = format!("SELECT pg_xact_status('{lost}'::xid8)");
    let status: String = client.query_one(&status, &[]).await.expect("one").get(0);
    assert_eq!(status, "committed", "the id is another transaction's now");
    way.open.store(true, Ordering::SeqCst);
    let failed = written.await.expect("no panic").expect_err("it never came");
    assert!(matches!(failed, StoreError::Unavailable(_)), "{failed:?}");
    assert_eq!(revision(store.as_ref(), &id).await, Some(1));
    commit(
        store.as_ref(),
        vec![put_session(&id, Some(1), 2, titled("a"))],
    )
    .await;
}

#[tokio::test]
async fn a_way_that_is_silent_is_given_up_and_what_was_on_it_is_not_done_later() {
    let Some(url) = database::url().await else {
        return;
    };
    let way = Way::to(database::shared().await.expect("there").port).await;
    let alone = Opening {
        alone: true,
        ..opening(&way.url(&url))
    };
    let store = PostgresStore::open(alone).await.expect("opens");
    let id = SessionId::new();
    commit(&store, vec![new_session(&id, titled("a"))]).await;
    // Several connections that read.
    let reads = (0..4).map(|_| store.session(&id));
    futures_util::future::join_all(reads).await;
    way.stalls.store(true, Ordering::SeqCst);
    let next = || vec![put_session(&id, Some(1), 2, titled("a"))];
    let (written, read) = tokio::join!(store.commit(next()), store.session(&id));
    let (written, read) = (written.expect_err("silence"), read.expect_err("silence"));
    assert!(matches!(written, StoreError::Unavailable(_)), "{written:?}");
    assert!(matches!(read, StoreError::Unavailable(_)), "{read:?}");
    way.stalls.store(false, Ordering::SeqCst);
    // The server has not heard of the end of the old connection, which holds the lock of the only one.
    commit(&store, next()).await;
    assert_eq!(revision(&store, &id).await, Some(2));
    store.close().await;
}

#[tokio::test]
async fn a_commit_that_was_answered_as_failed_is_written_over() {
    let Some(url) = database::url().await else {
        return;
    };
    let way = Way::to(database::shared().await.expect("there").port).await;
    let store = open(&way.url(&url)).await;
    let (id, new) = (SessionId::new(), SessionId::new());
    commit(&store, vec![new_session(&id, titled("one"))]).await;
    way.cuts.store(true, Ordering::SeqCst);
    let both = vec![
        put_session(&id, Some(1), 2, titled("two")),
        new_session(&new, titled("new")),
    ];
    way.open.store(false, Ordering::SeqCst);
    let failed = store.commit(both).await.expect_err("nobody knows");
    assert!(matches!(failed, StoreError::Unavailable(_)), "{failed:?}");
    let client = database::client(&url).await;
    let sessions = "SELECT count(*) FROM baton.session";
    let there: i64 = client.query_one(sessions, &[]).await.expect("reads").get(0);
    assert_eq!(there, 2, "it was committed");
    way.open.store(true, Ordering::SeqCst);
    // Whoever was told that it has failed goes on from what they know.
    commit(&store, vec![put_session(&id, Some(1), 2, titled("three"))]).await;
    assert_eq!(revision(&store, &id).await, Some(2));
    assert_eq!(revision(&store, &new).await, None);
    let found = |title: &str| SessionQuery {
        search: Some(title.to_owned()),
        ..SessionQuery::default()
    };
    assert_eq!(list(&store, found("three")).await.len(), 1);
    assert!(list(&store, found("new")).await.is_empty());
}
