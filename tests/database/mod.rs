//! A PostgreSQL of the tests' own, on a free port of this machine and in a scratch directory, run by somebody who is not root
//! and ended with the tests, whatever happens to them. Where none is installed, that is said and the tests are skipped.

#![allow(dead_code, reason = "not every binary of tests needs all of it")]

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio_postgres::NoTls;

/// The oldest that Baton uses.
const OLDEST_MAJOR: u32 = 15;
/// A server is ready after this time, also on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// The password of the one who may do everything, and that of the ordinary role whose databases the tests use.
const ADMIN_PASSWORD: &str = "the-password-of-the-admin";
pub(crate) const PASSWORD: &str = "the password/of@the:role";
/// The same in a URL.
const ESCAPED_PASSWORD: &str = "the%20password%2Fof%40the%3Arole";

/// A PostgreSQL that runs, or is stopped for a while.
pub(crate) struct Server {
    programs: PathBuf,
    folder: PathBuf,
    pub(crate) port: u16,
    process: Mutex<Option<Child>>,
    options: Vec<String>,
}

/// The server that all tests of this binary share; none where PostgreSQL is not installed. It is ended with this process.
pub(crate) async fn shared() -> Option<&'static Server> {
    static SHARED: tokio::sync::OnceCell<Option<Server>> = tokio::sync::OnceCell::const_new();
    SHARED.get_or_init(|| Server::start(&[])).await.as_ref()
}

/// The URL of a new database on the shared server.
pub(crate) async fn url() -> Option<String> {
    Some(shared().await?.database().await)
}

impl Server {
    /// A server of one's own, with further settings. It ends with this value.
    pub(crate) async fn start(options: &[&str]) -> Option<Self> {
        let programs = programs()?;
        let folder = scratch();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let server = Self {
            programs,
            folder,
            port,
            process: Mutex::new(None),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
        };
        server.make();
        server.go_on().await;
        let role = format!("CREATE ROLE baton LOGIN PASSWORD '{PASSWORD}'");
        server.admin("postgres", &role).await;
        Some(server)
    }

    /// Makes what the server keeps its data in.
    fn make(&self) {
        let password = self.folder.join("password");
        fs::write(&password, ADMIN_PASSWORD).expect("written");
        give(&password);
        let output = as_somebody(&self.programs.join("initdb"), None)
            .arg("--no-sync")
            .args(["--encoding=UTF8", "--locale=C.UTF-8", "--username=admin"])
            .args(["--auth=scram-sha-256", "--pwfile"])
            .arg(&password)
            .arg("-D")
            .arg(self.data())
            .current_dir(&self.folder)
            .output()
            .expect("initdb can be run");
        assert!(
            output.status.success(),
            "initdb: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Starts it, where it was stopped.
    pub(crate) async fn go_on(&self) {
        let log = fs::File::create(self.folder.join("log")).expect("a log");
        // Immediately: clients are cut off, and the next start recovers.
        let mut command = as_somebody(&self.programs.join("postgres"), Some("QUIT"));
        command
            .arg("-D")
            .arg(self.data())
            .args(["-p", &self.port.to_string()])
            .args([
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "unix_socket_directories=",
            ])
            .args(["-c", "max_connections=200", "-c", "shared_buffers=32MB"])
            // The death of the process is what is tried, not that of the machine.
            .args(["-c", "fsync=off", "-c", "full_page_writes=off"])
            .args(&self.options)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log"))
            .stderr(log);
        *self.process.lock().expect("not poisoned") = Some(spawn(command));
        let until = Instant::now() + READY_WITHIN;
        while let Err(error) = self.connect("postgres").await {
            assert!(
                Instant::now() < until,
                "PostgreSQL: {error}\n{}",
                self.log()
            );
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Stops it as an administrator does: clients are told, and cut off.
    pub(crate) fn stop(&self) {
        self.end(Signal::SIGINT);
    }

    /// Ends it as a crash does.
    pub(crate) fn crash(&self) {
        self.end(Signal::SIGQUIT);
    }

    fn end(&self, signal: Signal) {
        let process = self.process.lock().expect("not poisoned").take();
        if let Some(mut process) = process {
            let pid = i32::try_from(process.id()).expect("a pid");
            kill(Pid::from_raw(pid), signal).expect("it is ours");
            process.wait().expect("it ends");
        }
    }

    /// What it has logged since it was started.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// The URL of a new database.
    pub(crate) async fn database(&self) -> String {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = format!("baton_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let make = format!("CREATE DATABASE {name} OWNER baton TEMPLATE template0");
        self.admin("postgres", &make).await;
        self.url(&name)
    }

    /// The URL of a database.
    pub(crate) fn url(&self, database: &str) -> String {
        format!(
            "postgres://baton:{ESCAPED_PASSWORD}@127.0.0.1:{}/{database}",
            self.port
        )
    }

    /// Runs SQL as the one who may do everything.
    pub(crate) async fn admin(&self, database: &str, sql: &str) {
        let client = self.connect(database).await.expect("connects");
        client.batch_execute(sql).await.expect("runs");
    }

    async fn connect(
        &self,
        database: &str,
    ) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::Config::new()
            .host("127.0.0.1")
            .port(self.port)
            .user("admin")
            .password(ADMIN_PASSWORD)
            .dbname(database)
            .connect(NoTls)
            .await?;
        tokio::spawn(connection);
        Ok(client)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.crash();
        let _gone = fs::remove_dir_all(&self.folder);
    }
}

/// The name of the database of a URL.
pub(crate) fn name_of(url: &str) -> &str {
    url.rsplit_once('/').expect("a URL").1
}

/// A connection to a database of the tests, to do there what Baton does not.
pub(crate) async fn client(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("connects");
    tokio::spawn(connection);
    client
}

/// Where the programs lie. What is said when there are none is not held back as the output of a test is.
fn programs() -> Option<PathBuf> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let found = find();
        if found.is_none() {
            let _unheard = std::io::stderr().write_all(
                b"SKIPPED: the tests of PostgreSQL as the store. It is not installed, or older than 15 \
                  (apt-get install postgresql)\n",
            );
        }
        found
    });
    found.clone()
}

fn find() -> Option<PathBuf> {
    let has_programs =
        |folder: &PathBuf| folder.join("initdb").exists() && folder.join("postgres").exists();
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut versions: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            Some((
                entry.file_name().to_str()?.parse().ok()?,
                entry.path().join("bin"),
            ))
        })
        .filter(|(major, folder)| *major >= OLDEST_MAJOR && has_programs(folder))
        .collect();
    versions.sort();
    if let Some((_, newest)) = versions.pop() {
        return Some(newest);
    }
    let path = std::env::var_os("PATH")?;
    let is_new = |folder: &PathBuf| {
        let output = Command::new(folder.join("postgres"))
            .arg("--version")
            .output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let text = text.unwrap_or_default();
        let number = text
            .split_whitespace()
            .find_map(|word| word.split('.').next()?.parse().ok());
        number.is_some_and(|major: u32| major >= OLDEST_MAJOR)
    };
    std::env::split_paths(&path).find(|folder| has_programs(folder) && is_new(folder))
}

/// The user that runs it where the tests run as root, which PostgreSQL refuses: user and group.
fn somebody() -> Option<(u32, u32)> {
    if !nix::unistd::Uid::effective().is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("users");
    let id = |name: &str| {
        let line = users
            .lines()
            .find(|line| line.starts_with(&format!("{name}:")))?;
        let fields: Vec<&str> = line.split(':').collect();
        Some((fields[2].parse().ok()?, fields[3].parse().ok()?))
    };
    Some(
        id("postgres")
            .or_else(|| id("nobody"))
            .expect("a user that is not root"),
    )
}

/// A program that is run by that user, and ends with the thread that has started it.
fn as_somebody(program: &Path, ends_with: Option<&str>) -> Command {
    let mut command = Command::new("setpriv");
    if let Some(signal) = ends_with {
        command.args(["--pdeathsig", signal]);
    }
    if let Some((user, group)) = somebody() {
        command
            .arg(format!("--reuid={user}"))
            .arg(format!("--regid={group}"));
        command.arg("--clear-groups");
    }
    command
        .arg("--")
        .arg(program)
        .env_remove("PGDATA")
        .env("LC_ALL", "C");
    command
}

/// Starts a program from a thread that lives as long as this process: with a test's own thread it would end.
fn spawn(command: Command) -> Child {
    type Work = (Command, mpsc::Sender<Child>);
    static STARTER: OnceLock<Mutex<mpsc::Sender<Work>>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (sender, work) = mpsc::channel::<Work>();
        thread::spawn(move || {
            for (mut command, started) in work {
                let child = command.spawn().expect("setpriv of util-linux");
                let _waits = started.send(child);
            }
        });
        Mutex::new(sender)
    });
    let (started, child) = mpsc::channel();
    let starter = starter.lock().expect("not poisoned");
    starter.send((command, started)).expect("it waits");
    child.recv().expect("started")
}

/// A folder that the other user may use. What tests have left that were killed is removed.
fn scratch() -> PathBuf {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let all = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let old = fs::read_dir(all).into_iter().flatten().flatten();
    for entry in old {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name
            .strip_prefix("postgres-")
            .and_then(|rest| rest.split('-').next());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _gone = fs::remove_dir_all(entry.path());
        }
    }
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = all.join(format!("postgres-{}-{number}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    give(&folder);
    folder
}

fn give(path: &Path) {
    if let Some((user, group)) = somebody() {
        chown(path, Some(user), Some(group)).expect("given away");
    }
}

/// Writes a file that only the server may read.
pub(crate) fn write_as_server(path: &Path, bytes: &[u8]) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, bytes).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("its mode");
    give(path);
}
