//! What the store on PostgreSQL does beyond what every store does: the database is somewhere else, goes away and comes back,
//! and others use it, too.

use std::process::Command;
use std::time::Duration;

use baton::opencode::{PartId, SessionId};
use baton::store::postgres::{Opening, PostgresStore, StoreUrl, Times};
use baton::store::{
    Change, MessageRange, ProcessRow, SessionKeys, SessionQuery, Store, StoreError,
};

use crate::database::{self, Server, name_of};
use crate::support::{
    body, commit, key, list, new_session, open_url, put_message, put_session, save_part, titled,
};

/// The opening of a URL, with patience that suits a test.
pub(crate) fn opening(url: &str) -> Opening {
    Opening {
        times: Times {
            connect: Duration::from_secs(5),
            statement: Duration::from_secs(2),
        },
        ..Opening::new(StoreUrl::parse(url).expect("a URL"), "node")
    }
}

pub(crate) async fn open(url: &str) -> PostgresStore {
    PostgresStore::open(opening(url)).await.expect("opens")
}

async fn refused(url: &str) -> String {
    let refused = PostgresStore::open(opening(url)).await;
    let error = refused.expect_err("refused").to_string();
    assert!(
        !error.contains("password/of") && !error.contains("%2F"),
        "{error}"
    );
    error
}

pub(crate) async fn revision(store: &dyn Store, id: &SessionId) -> Option<u64> {
    let row = store.session(id).await.expect("reads");
    row.map(|row| row.revision)
}

fn setting(name: &str) -> Vec<Change> {
    vec![Change::PutSetting {
        name: name.to_owned(),
        body: "x".to_owned(),
    }]
}

#[tokio::test]
async fn a_connection_that_is_lost_is_made_anew() {
    let Some(url) = database::url().await else {
        return;
    };
    let store = open(&url).await;
    let id = SessionId::new();
    commit(&store, vec![new_session(&id, titled("kept"))]).await;
    for expected in 1..4 {
        // Everything that the store has: those that read, too.
        assert_eq!(revision(&store, &id).await, Some(expected));
        let end = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'",
            name_of(&url)
        );
        database::shared()
            .await
            .expect("there")
            .admin("postgres", &end)
            .await;
        let next = put_session(&id, Some(expected), expected + 1, titled("kept"));
        commit(&store, vec![next]).await;
    }
    assert_eq!(revision(&store, &id).await, Some(4));
    store.close().await;
    assert!(matches!(
        store.commit(Vec::new()).await,
        Err(StoreError::Closed)
    ));
    assert!(matches!(store.session(&id).await, Err(StoreError::Closed)));
}

#[tokio::test]
async fn a_server_that_is_away_makes_the_store_unavailable_and_nothing_is_lost() {
    let Some(server) = Server::start(&[]).await else {
        return;
    };
    let store = open(&server.database().await).await;
    let id = SessionId::new();
    commit(&store, vec![new_session(&id, titled("kept"))]).await;
    for (crashes, expected) in [(false, 1), (true, 2)] {
        match crashes {
            true => server.crash(),
            false => server.stop(),
        }
        let next = || {
            vec![put_session(
                &id,
                Some(expected),
                expected + 1,
                titled("kept"),
            )]
        };
        for _ in 0..2 {
            let failed = store.commit(next()).await.expect_err("it is away");
            assert!(matches!(failed, StoreError::Unavailable(_)), "{failed}");
            assert!(failed.may_pass());
        }
        let failed = store.session(&id).await.expect_err("it is away");
        assert!(matches!(failed, StoreError::Unavailable(_)), "{failed}");
        server.go_on().await;
        assert_eq!(revision(&store, &id).await, Some(expected));
        commit(&store, next()).await;
        assert_eq!(revision(&store, &id).await, Some(expected + 1));
    }
    store.close().await;
}

#[tokio::test]
async fn two_stores_on_one_database_conflict_on_a_revision() {
    let Some(url) = database::url().await else {
        return;
    };
    let (first, second) = (open(&url).await, open(&url).await);
    let ids: Vec<_> = (0..20).map(|_| SessionId::new()).collect();
    for id in &ids {
        commit(&first, vec![new_session(id, titled("both"))]).await;
    }
    for expected in 1..6 {
        let write = |store: &PostgresStore| {
            let next = |id| {
                store.commit(vec![put_session(
                    id,
                    Some(expected),
                    expected + 1,
                    titled("both"),
                )])
            };
            ids.iter().map(next).collect::<Vec<_>>()
        };
        let (ones, others) = (write(&first), write(&second));
        for (one, other) in ones.into_iter().zip(others) {
            let (one, other) = tokio::join!(one, other);
            let won = [&one, &other]
                .iter()
                .filter(|result| result.is_ok())
                .count();
            let conflicts =
                |result: &Result<(), StoreError>| matches!(result, Err(StoreError::Conflict(_)));
            assert_eq!(won, 1, "{one:?} {other:?}");
            assert!(conflicts(&one) || conflicts(&other), "{one:?} {other:?}");
        }
    }
    for id in &ids {
        assert_eq!(revision(&second, id).await, Some(6));
    }
}

#[tokio::test]
async fn a_store_that_has_to_be_alone_keeps_others_off() {
    let Some(url) = database::url().await else {
        return;
    };
    let alone = || Opening {
        alone: true,
        ..opening(&url)
    };
    let store = PostgresStore::open(alone()).await.expect("opens");
    let refused = PostgresStore::open(alone()).await.expect_err("refused");
    assert!(
        refused
            .to_string()
            .contains("another baton uses the database"),
        "{refused}"
    );
    // It is still alone on a new connection.
    let end = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'",
        name_of(&url)
    );
    database::shared()
        .await
        .expect("there")
        .admin("postgres", &end)
        .await;
    commit(&store, setting("a")).await;
    assert!(PostgresStore::open(alone()).await.is_err());
    store.close().await;
    PostgresStore::open(alone()).await.expect("opens");
}

#[tokio::test]
async fn every_text_comes_back_as_it_was() {
    let Some(url) = database::url().await else {
        return;
    };
    let store = open(&url).await;
    // A lone surrogate can only be escaped in JSON; a text has none.
    let texts = [
        "\0",
        "a\0b",
        "\u{1}0",
        "\u{1}",
        "\\u0000 \\ud800 {\"a\":\"\\ud800\"}",
        "\u{fffe}\u{ffff}\u{10ffff}",
        "e\u{301} é \u{202e} \u{feff}",
        "\u{e000}\u{fdd0}",
    ];
    for (at, text) in texts.iter().enumerate() {
        let (id, message) = (SessionId::new(), key(1, 1));
        let keys = SessionKeys {
            project: format!("p{text}"),
            directory: format!("/d/{text}"),
            path: format!("{text}/b"),
            title: format!("Title {text} {at}"),
            ..SessionKeys::default()
        };
        let batch = vec![
            new_session(&id, keys),
            put_message(&id, &message, text),
            save_part(&id, &message.id, &PartId::new(), text),
            Change::PutBinding {
                session: id.clone(),
                backend: "mock".into(),
                body: serde_json::json!({ "native_session": text }).to_string(),
            },
            Change::PutSetting {
                name: (*text).to_owned(),
                body: (*text).to_owned(),
            },
        ];
        commit(&store, batch).await;
        let rows = store
            .messages(&id, MessageRange::default())
            .await
            .expect("reads");
        assert_eq!(
            (rows[0].body.as_str(), rows[0].parts[0].as_str()),
            (*text, *text)
        );
        assert_eq!(
            store.setting(text).await.expect("reads").as_deref(),
            Some(*text)
        );
        assert_eq!(
            store.bound("mock", text).await.expect("reads"),
            std::slice::from_ref(&id)
        );
        let query = SessionQuery {
            project: Some(format!("p{text}")),
            directory: Some(format!("/d/{text}")),
            below: Some((*text).to_owned()),
            search: Some(format!("TITLE {text} {at}")),
            ..SessionQuery::default()
        };
        assert_eq!(list(&store, query).await, [body(&id)], "{text:?}");
    }
}

#[tokio::test]
async fn a_directory_may_be_longer_than_an_entry_of_an_index() {
    let Some(url) = database::url().await else {
        return;
    };
    let store = open(&url).await;
    let (first, second) = (SessionId::new(), SessionId::new());
    // What cannot be compressed, and differs behind what is indexed.
    let long: String = (0..6_000_u32)
        .filter_map(|n| char::from_u32(0x4e00 + n * 7_919 % 20_000))
        .collect();
    let of = |id: &SessionId, directory: String| {
        let keys = SessionKeys {
            project: directory.clone(),
            directory,
            ..SessionKeys::default()
        };
        new_session(id, keys)
    };
    commit(
        &store,
        vec![
            of(&first, format!("{long}a")),
            of(&second, format!("{long}b")),
        ],
    )
    .await;
    let query = SessionQuery {
        directory: Some(format!("{long}b")),
        project: Some(format!("{long}b")),
        ..SessionQuery::default()
    };
    assert_eq!(list(&store, query).await, [body(&second)]);
}

#[tokio::test]
async fn a_large_body_comes_back_as_it_was() {
    const LARGE_BYTES: usize = 16 * 1024 * 1024;
    let Some(url) = database::url().await else {
        return;
    };
    let store = open_url(&url).await;
    let (id, message) = (SessionId::new(), key(1, 1));
    let large = "\u{1}ä0".repeat(LARGE_BYTES / 4);
    let batch = vec![
        new_session(&id, titled("large")),
        put_message(&id, &message, &large),
        save_part(&id, &message.id, &PartId::new(), &large),
    ];
    commit(&store, batch).await;
    let row = store
        .message(&id, &message.id)
        .await
        .expect("reads")
        .expect("there");
    assert!(row.body == large && row.parts[0] == large, "it is the same");
}

#[tokio::test]
async fn processes_are_those_of_their_node() {
    let Some(url) = database::url().await else {
        return;
    };
    let store = open(&url).await;
    let url = StoreUrl::parse(&url).expect("a URL");
    let other = PostgresStore::open(Opening::new(url, "other"))
        .await
        .expect("opens");
    let process = |backend: &str| ProcessRow {
        pid: 7,
        started_at_s: 1,
        boot_id: "boot".into(),
        backend: backend.into(),
    };
    commit(&store, vec![Change::PutProcess(process("a"))]).await;
    commit(&other, vec![Change::PutProcess(process("b"))]).await;
    commit(&store, vec![Change::DeleteProcess { pid: 7 }]).await;
    assert!(store.processes().await.expect("reads").is_empty());
    assert_eq!(other.processes().await.expect("reads"), [process("b")]);
}

#[tokio::test]
async fn a_newer_database_is_refused_and_left_alone() {
    let Some(url) = database::url().await else {
        return;
    };
    open(&url).await.close().await;
    let client = database::client(&url).await;
    client
        .batch_execute("UPDATE baton.version SET version = 99, oldest = 98")
        .await
        .expect("written");
    let error = refused(&url).await;
    assert!(
        error.contains("has version 99, this Baton knows only"),
        "{error}"
    );
    client
        .batch_execute("UPDATE baton.version SET oldest = 3")
        .await
        .expect("written");
    // Servers are upgraded one after the other: this one can live with what the first that is new has made.
    open(&url).await.close().await;
    let version = client.query_one("SELECT version FROM baton.version", &[]);
    let version: i64 = version.await.expect("reads").get(0);
    assert_eq!(version, 99);
}

#[tokio::test]
async fn a_database_of_the_first_version_is_brought_up_to_date() {
    const FIRST: &str = include_str!("../../src/store/postgres/migrations/001_start.sql");
    let Some(url) = database::url().await else {
        return;
    };
    let client = database::client(&url).await;
    let made = format!(
        "CREATE SCHEMA baton; CREATE TABLE baton.version (version bigint NOT NULL);
         INSERT INTO baton.version (version) VALUES (1); {FIRST};
         INSERT INTO baton.binding (session, backend, body) VALUES ('ses_1', 'one', '{{}}')"
    );
    client.batch_execute(&made).await.expect("made");
    let store = open(&url).await;
    commit(&store, setting("a")).await;
    let sql = "SELECT (SELECT version FROM baton.version), (SELECT count(*) FROM baton.binding WHERE home = '')";
    let row = client.query_one(sql, &[]).await.expect("reads");
    assert_eq!((row.get(0), row.get(1)), (3_i64, 1_i64));
}

#[tokio::test]
async fn several_that_start_at_once_make_the_tables_once() {
    let Some(url) = database::url().await else {
        return;
    };
    let opened = futures_util::future::join_all((0..6).map(|_| open(&url))).await;
    for store in &opened {
        commit(store, setting("a")).await;
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_way_to_the_database_is_told_without_the_password() {
    let Some(url) = database::url().await else {
        return;
    };
    let wrong = url.replace("the%20password", "another%20password");
    let error = refused(&wrong).await;
    assert!(error.contains("password authentication failed"), "{error}");
    let error = refused(&format!("{url}_none")).await;
    assert!(error.contains("does not exist"), "{error}");
    let error = refused(&format!("{url}?sslmode=require")).await;
    assert!(error.contains("server does not support TLS"), "{error}");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let error = refused(&format!("postgres://baton@127.0.0.1:{port}/baton")).await;
    assert!(error.contains("refused"), "{error}");
    open(&format!("{url}?sslmode=prefer")).await;
    open(&format!("{url}?sslmode=disable")).await;
}

#[tokio::test]
async fn what_keeps_a_statement_from_being_written_is_told_apart() {
    let Some(url) = database::url().await else {
        return;
    };
    let store = open(&url).await;
    let client = database::client(&url).await;
    let raise = "CREATE FUNCTION baton.fail() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'on purpose' USING ERRCODE = new.name; END $$;
        CREATE TRIGGER fail BEFORE INSERT ON baton.setting FOR EACH ROW WHEN (new.name ~ '^[0-9A-Z]{5}$')
        EXECUTE FUNCTION baton.fail()";
    client.batch_execute(raise).await.expect("made");
    for code in ["40001", "40P01", "55P03", "25006", "53200", "53300"] {
        // Beside others, which are written.
        let (before, failing) = (store.commit(setting("before")), store.commit(setting(code)));
        let after = store.commit(setting("after"));
        before.await.expect("written");
        after.await.expect("written");
        let failed = failing.await.expect_err("refused");
        assert!(
            matches!(failed, StoreError::Unavailable(_)),
            "{code}: {failed:?}"
        );
    }
    let full = store.commit(setting("53100")).await.expect_err("refused");
    assert!(
        matches!(full, StoreError::ServerFull) && full.may_pass(),
        "{full:?}"
    );
    let broken = store.commit(setting("23514")).await.expect_err("refused");
    assert!(matches!(broken, StoreError::Database(_)), "{broken:?}");
    // A lock that somebody holds.
    client
        .batch_execute("BEGIN; LOCK TABLE baton.setting")
        .await
        .expect("locked");
    let locked = store.commit(setting("b")).await.expect_err("locked");
    assert!(matches!(locked, StoreError::Unavailable(_)), "{locked:?}");
    client.batch_execute("COMMIT").await.expect("given back");
    commit(&store, setting("b")).await;
}

/// Runs openssl in a folder.
fn openssl(folder: &std::path::Path, arguments: &str) -> bool {
    let output = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .output();
    output.is_ok_and(|output| output.status.success())
}

#[tokio::test]
async fn the_certificate_of_the_server_is_verified_as_far_as_the_url_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    std::fs::write(
        path.join("ext"),
        "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n",
    )
    .expect("written");
    std::fs::write(
        path.join("other"),
        "subjectAltName=DNS:db.example\nbasicConstraints=CA:FALSE\n",
    )
    .expect("written");
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    let sign = "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2";
    let made = openssl(
        path,
        &format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=ca"),
    ) && openssl(
        path,
        &format!("req -x509 {key} -keyout no.key -out no.pem -days 2 -subj /CN=no"),
    ) && openssl(
        path,
        &format!("req {key} -keyout leaf.key -out leaf.csr -subj /CN=leaf"),
    ) && openssl(path, &format!("{sign} -extfile ext -out leaf.pem"))
        && openssl(path, &format!("{sign} -extfile other -out other.pem"));
    assert!(made, "openssl makes certificates");
    let Some(server) = Server::start(&[]).await else {
        return;
    };
    let data = server.data();
    let install = |certificate: &str| {
        for (from, to) in [(certificate, "server.crt"), ("leaf.key", "server.key")] {
            database::write_as_server(
                &data.join(to),
                &std::fs::read(path.join(from)).expect("made"),
            );
        }
    };
    install("leaf.pem");
    server.admin("postgres", "ALTER SYSTEM SET ssl = on").await;
    server.stop();
    server.go_on().await;
    let url = server.database().await;
    let with = |mode: &str, root: &str| {
        format!(
            "{url}?sslmode={mode}&sslrootcert={}",
            path.join(root).display()
        )
    };
    let is_encrypted = async |url: &str| {
        let store = open(url).await;
        commit(&store, setting("a")).await;
        let plain = format!("{}?sslmode=disable", url_of(url));
        let client = database::client(&plain).await;
        let sql = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'baton'";
        let encrypted: Option<bool> = client.query_one(sql, &[]).await.expect("reads").get(0);
        store.close().await;
        encrypted.unwrap_or(false)
    };
    assert!(is_encrypted(&format!("{url}?sslmode=require")).await);
    assert!(is_encrypted(&url).await, "it is preferred");
    assert!(is_encrypted(&with("verify-ca", "ca.pem")).await);
    assert!(is_encrypted(&with("verify-full", "ca.pem")).await);
    for mode in ["require", "verify-ca", "verify-full"] {
        let error = refused(&with(mode, "no.pem")).await;
        assert!(
            error.contains("UnknownIssuer") || error.contains("certificate"),
            "{mode}: {error}"
        );
    }
    let error = refused(&with("verify-full", "none.pem")).await;
    assert!(error.contains("none.pem"), "{error}");
    // A certificate of the authority, for another host.
    install("other.pem");
    server.admin("postgres", "SELECT pg_reload_conf()").await;
    server.stop();
    server.go_on().await;
    assert!(is_encrypted(&with("verify-ca", "ca.pem")).await);
    let error = refused(&with("verify-full", "ca.pem")).await;
    assert!(
        error.contains("not valid for name") || error.contains("certificate"),
        "{error}"
    );
}

/// A URL without its parameters.
fn url_of(url: &str) -> String {
    url.split_once('?').map_or(url, |(url, _)| url).to_owned()
}
