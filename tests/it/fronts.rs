//! `baton opencode serve`: several clients that each start a server of their own, and the one Baton behind them.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::harness::PATIENCE;

/// How soon a Baton that is no longer needed has gone.
const GONE_WITHIN: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A user's data directory and what they work in.
struct Place(TempDir);

/// A running `baton opencode serve`.
struct Front {
    child: Child,
    url: String,
    password: Option<String>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["work", "other", "bin"] {
            std::fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.path("work"))
            .env("HOME", self.0.path())
            .env("BATON_DATA_DIR", self.path("data"))
            .env("BATON_AGENTS", "mock")
            .env("BATON_LOG", "baton=warn")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    fn baton(&self, arguments: &[&str]) -> Command {
        self.command(Path::new(env!("CARGO_BIN_EXE_baton")), arguments)
    }

    async fn front(&self, variables: &[(&str, &str)]) -> Front {
        let mut command = self.baton(&["opencode", "serve", "--port", "0"]);
        command.envs(variables.iter().copied());
        let password = variables
            .iter()
            .find(|(name, _)| *name == "OPENCODE_SERVER_PASSWORD");
        Front::start(
            command,
            password.map(|(_, password)| (*password).to_owned()),
        )
        .await
    }

    /// Every Baton that serves this data directory, fronts not counted.
    fn servers(&self) -> Vec<i32> {
        let data = self.path("data");
        let serves = |pid: &i32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let words: Vec<_> = line.split(|b| *b == 0).collect();
            words.get(1) == Some(&&b"serve"[..])
                && words.contains(&data.as_os_str().as_encoded_bytes())
        };
        let numbers = std::fs::read_dir("/proc").expect("/proc").flatten();
        let pids = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(serves).collect()
    }

    async fn until_no_server(&self) {
        let gone = async {
            while !self.servers().is_empty() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let gone = tokio::time::timeout(GONE_WITHIN, gone).await;
        assert!(gone.is_ok(), "left: {:?}", self.servers());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Of a test that has failed.
        for pid in self.servers() {
            let _gone = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

impl Front {
    async fn start(mut command: Command, password: Option<String>) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("started");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await;
        let line = line.expect("in time").expect("stdout").expect("a line");
        let url = line.strip_prefix("opencode server listening on ");
        let url = url.expect("OpenCode's own line").to_owned();
        Self {
            child,
            url,
            password,
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let client = reqwest::Client::builder().timeout(PATIENCE);
        let client = client.build().expect("a client");
        let request = client.request(method, format!("{}{path}", self.url));
        match &self.password {
            Some(password) => request.basic_auth("opencode", Some(password)),
            None => request,
        }
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self
            .request(Method::GET, path)
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.json().await.expect("JSON")
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let request = self.request(Method::POST, path).json(&body);
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.json().await.expect("JSON")
    }

    async fn create(&self) -> String {
        let session = self.post("/session", json!({})).await;
        session["id"].as_str().expect("an id").to_owned()
    }

    /// The ids of the sessions that it shows.
    async fn sessions(&self) -> Vec<String> {
        let list = self.get("/session").await;
        let list = list.as_array().expect("a list").iter();
        list.map(|s| s["id"].as_str().expect("an id").to_owned())
            .collect()
    }

    async fn end(mut self, signal: Signal) {
        let pid = i32::try_from(self.child.id().expect("running")).expect("a pid");
        kill(Pid::from_raw(pid), signal).expect("sent");
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let status = ended.expect("it ends").expect("a status");
        assert_eq!(status.success(), signal == Signal::SIGTERM, "{status}");
    }
}

#[tokio::test]
async fn two_share_one_baton_and_either_may_end_first_in_whatever_way() {
    let place = Place::new();
    // At the same moment, as an editor does that opens several projects.
    let (first, second) = tokio::join!(place.front(&[]), place.front(&[]));
    let session = first.create().await;
    assert_eq!(second.sessions().await, [session.as_str()]);
    let servers = place.servers();
    assert_eq!(servers.len(), 1, "{servers:?}");

    first.end(Signal::SIGKILL).await;
    assert_eq!(second.sessions().await, [session.as_str()]);
    let third = place.front(&[]).await;
    second.end(Signal::SIGTERM).await;
    let prompt = json!({ "parts": [{ "type": "text", "text": "echo still here" }] });
    let answer = third
        .post(&format!("/session/{session}/message"), prompt)
        .await;
    assert!(answer.to_string().contains("still here"), "{answer}");
    assert_eq!(place.servers(), servers, "it is the same one");

    third.end(Signal::SIGKILL).await;
    place.until_no_server().await;
}

#[tokio::test]
async fn events_come_through_as_they_happen() {
    let place = Place::new();
    let front = place.front(&[]).await;
    let stream = front.request(Method::GET, "/event").send();
    let mut stream = stream.await.expect("a stream");
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let session = front.create().await;
    let mut seen = String::new();
    let told = async {
        while !seen.contains(&session) {
            let piece = stream.chunk().await.expect("readable").expect("more");
            seen.push_str(&String::from_utf8_lossy(&piece));
        }
    };
    tokio::time::timeout(PATIENCE, told).await.expect("told");
    front.end(Signal::SIGTERM).await;
    place.until_no_server().await;
}

#[tokio::test]
async fn each_has_its_own_password_model_and_directory() {
    let place = Place::new();
    let config = "{\"model\":\"mock/mock-strong\"}";
    let variables = [
        ("OPENCODE_SERVER_PASSWORD", "a-password-of-one"),
        ("OPENCODE_SERVER_USERNAME", "somebody"),
        ("OPENCODE_CONFIG_CONTENT", config),
    ];
    let closed = place.front(&variables).await;
    let mut elsewhere = place.baton(&["opencode", "serve", "--port=0", "--cors=https://a.example"]);
    elsewhere
        .current_dir(place.path("other"))
        .env("OPENCODE_CONFIG_CONTENT", "{\"model\":\"anthropic/none\"}");
    let open = Front::start(elsewhere, None).await;

    let made = closed.post("/session", json!({})).await;
    assert_eq!(made["model"]["id"], "mock-strong");
    assert_eq!(closed.get("/config").await["model"], "mock/mock-strong");
    let other = open.post("/session", json!({})).await;
    assert_eq!(
        other["model"],
        Value::Null,
        "there is no such model: {other}"
    );
    let ends_with = |session: &Value, name: &str| {
        session["directory"]
            .as_str()
            .is_some_and(|directory| directory.ends_with(name))
    };
    assert!(ends_with(&made, "/work") && ends_with(&other, "/other"));

    let url = format!("{}/session", closed.url);
    let client = reqwest::Client::new();
    let forged = client.get(&url).header("x-baton-front", "guess");
    for refused in [
        client.get(&url),
        client.get(&url).bearer_auth("wrong"),
        forged,
    ] {
        let answer = refused.send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    }
    let token = client.get(format!("{}/event?auth_token=a-password-of-one", closed.url));
    assert_eq!(
        token.send().await.expect("an answer").status(),
        StatusCode::OK
    );
    // A front cannot be bypassed: the server behind it wants the token that only fronts know.
    let run_file = std::fs::read(place.path("data/baton.run.json")).expect("a file");
    let run: Value = serde_json::from_slice(&run_file).expect("JSON");
    let behind = format!(
        "http://{}/session",
        run["address"].as_str().expect("an address")
    );
    let answer = client.get(behind).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let mode = std::fs::metadata(place.path("data/baton.run.json")).expect("there");
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);

    for (front, origin, expected) in [
        (&open, "https://a.example", StatusCode::OK),
        (&closed, "https://a.example", StatusCode::FORBIDDEN),
    ] {
        let request = front
            .request(Method::GET, "/session")
            .header("origin", origin);
        assert_eq!(request.send().await.expect("an answer").status(), expected);
    }
    let stranger = open
        .request(Method::GET, "/session")
        .header("host", "evil.example");
    let stranger = stranger.send().await.expect("an answer");
    assert_eq!(stranger.status(), StatusCode::FORBIDDEN);
    closed.end(Signal::SIGTERM).await;
    open.end(Signal::SIGTERM).await;
    place.until_no_server().await;
}

#[tokio::test]
async fn a_baton_that_its_user_has_started_stays_and_one_that_was_killed_comes_again() {
    let place = Place::new();
    let mut serve = place.baton(&["serve", "--port", "0", "--password", "the-users-own"]);
    let mut own = serve.stdout(Stdio::piped()).spawn().expect("started");
    let mut lines = BufReader::new(own.stdout.take().expect("stdout")).lines();
    let line = tokio::time::timeout(PATIENCE, lines.next_line()).await;
    line.expect("in time").expect("stdout").expect("a line");
    let front = place.front(&[]).await;
    let session = front.create().await;
    let other = place.front(&[]).await;
    other.end(Signal::SIGTERM).await;
    assert_eq!(front.sessions().await, [session.as_str()]);
    assert!(own.try_wait().expect("a status").is_none(), "it goes on");

    own.kill().await.expect("killed");
    assert_eq!(
        front.sessions().await,
        [session.as_str()],
        "another one took over"
    );
    assert_eq!(place.servers().len(), 1);
    front.end(Signal::SIGTERM).await;
    place.until_no_server().await;
}

#[tokio::test]
async fn a_front_ends_with_the_program_that_holds_its_stdin() {
    let place = Place::new();
    // The shell plays a client that is killed and cannot say that it goes.
    let script = format!(
        "sleep 60 | {} opencode serve --port 0; true",
        env!("CARGO_BIN_EXE_baton")
    );
    let mut shell = place.command(Path::new("/bin/sh"), &["-c", &script]);
    shell.process_group(0);
    let front = Front::start(shell, None).await;
    front.create().await;
    let shell = i32::try_from(front.child.id().expect("running")).expect("a pid");
    kill(Pid::from_raw(shell), Signal::SIGKILL).expect("killed");
    place.until_no_server().await;
    // What is left is the writer of the pipe.
    let _gone = nix::sys::signal::killpg(Pid::from_raw(shell), Signal::SIGKILL);
}

async fn output(mut command: Command) -> (Option<i32>, String, String) {
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    let Output {
        status,
        stdout,
        stderr,
    } = output.expect("it ends").expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

#[tokio::test]
async fn by_the_name_of_opencode_it_answers_like_opencode() {
    let place = Place::new();
    let link = place.path("bin/opencode");
    symlink(env!("CARGO_BIN_EXE_baton"), &link).expect("a link");
    let (status, version, _) = output(place.command(&link, &["--version"])).await;
    assert_eq!((status, version.as_str()), (Some(0), "1.18.33\n"));
    for program in [
        place.command(&link, &["serve", "--help"]),
        place.baton(&["opencode", "serve", "--help"]),
    ] {
        let (status, help, _) = output(program).await;
        assert!(status == Some(0) && help.contains("--hostname"), "{help}");
    }
    for (arguments, says) in [
        (&["serve", "--port", "x"][..], "--port \"x\" is no port"),
        (
            &["serve", "--hostname", "0.0.0.0"],
            "OPENCODE_SERVER_PASSWORD",
        ),
    ] {
        let (status, _, error) = output(place.command(&link, arguments)).await;
        assert!(status == Some(2) && error.contains(says), "{error}");
    }
    // It is on PATH itself, and not what it looks for there.
    let mut alone = place.command(&link, &["--continue"]);
    alone.env("PATH", place.path("bin"));
    let (status, _, error) = output(alone).await;
    assert_eq!(status, Some(1));
    assert!(error.contains("npm install -g opencode-ai"), "{error}");
    assert_eq!(place.servers(), Vec::<i32>::new());

    let front = place.command(
        &link,
        &["serve", "--port=0", "--print-logs", "--log-level", "INFO"],
    );
    Front::start(front, None).await.end(Signal::SIGTERM).await;
    place.until_no_server().await;
}

/// Stands for the real OpenCode: says what it was given, and asks the server.
const PROGRAM: &str = "#!/bin/sh
echo \"$@\"
if [ -n \"$OPENCODE_SERVER_PASSWORD\" ]; then echo with a password; fi
exit 7
";

#[tokio::test]
async fn the_real_program_is_attached_to_a_baton_that_ends_with_it() {
    let place = Place::new();
    let program = place.path("bin/opencode");
    std::fs::write(&program, PROGRAM).expect("written");
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("executable");
    let path = format!("{}:/usr/bin:/bin", place.path("bin").display());
    for (arguments, expected) in [
        (
            &["opencode", "--dir", "/x"][..],
            ["attach http://127.0.0.1:", " --dir /x\nwith a password\n"],
        ),
        (
            &["opencode", "run", "hello"],
            [
                "run --attach http://127.0.0.1:",
                " hello\nwith a password\n",
            ],
        ),
        (&["opencode", "models", "--all"], ["models --all\n", ""]),
    ] {
        let mut command = place.baton(arguments);
        command.env("PATH", &path);
        let (status, said, error) = output(command).await;
        assert_eq!(status, Some(7), "{error}");
        assert!(
            said.starts_with(expected[0]) && said.ends_with(expected[1]),
            "{said}"
        );
        place.until_no_server().await;
    }
    let mut command = place.baton(&["opencode", "--stay"]);
    command.env("PATH", &path);
    assert_eq!(output(command).await.0, Some(7));
    let servers = place.servers();
    assert_eq!(servers.len(), 1, "it stays");
    kill(Pid::from_raw(servers[0]), Signal::SIGTERM).expect("sent");
    place.until_no_server().await;
}
