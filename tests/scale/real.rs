//! A real agent, goose, on a stub LLM that says what it is told.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// The name of its backend.
pub(crate) const GOOSE: &str = "goose";
/// Its models.
pub(crate) const MODELS: [&str; 2] = ["gpt-4o", "gpt-4.1"];
/// What is a stub's, as a program of its own.
const STUB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/agents/stub-llm.mjs");

/// See the module. Its stub ends with it.
pub(crate) struct Real {
    program: OsString,
    url: String,
    _stub: Child,
}

impl Real {
    /// Starts the stub; `None` where `BATON_GOOSE` names no program.
    pub(crate) async fn start() -> Option<Self> {
        let Some(program) = std::env::var_os("BATON_GOOSE") else {
            eprintln!("no real agent takes part: BATON_GOOSE does not name goose's program");
            return None;
        };
        assert!(Path::new(&program).exists(), "BATON_GOOSE={program:?}");
        let mut stub = Command::new("node")
            .arg(STUB)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node starts");
        let mut lines = BufReader::new(stub.stdout.take().expect("stdout")).lines();
        let url = lines.next_line().await.expect("stdout").expect("a URL");
        Some(Self {
            program,
            url,
            _stub: stub,
        })
    }

    /// Its table in the configuration of a node whose home this is.
    pub(crate) fn configure(&self, home: &Path) -> String {
        let folder = home.join(".config/goose");
        fs::create_dir_all(&folder).expect("a folder");
        let own = format!(
            "GOOSE_PROVIDER: openai\nGOOSE_MODEL: {}\nGOOSE_TELEMETRY_ENABLED: false\n",
            MODELS[0]
        );
        fs::write(folder.join("config.yaml"), own).expect("a configuration");
        format!(
            "[agents.{GOOSE}]\ncommand = [{:?}, \"acp\", \"--with-builtin\", \"developer\"]\n\
             env = {{ OPENAI_HOST = \"{}/goose\", OPENAI_API_KEY = \"none\", GOOSE_DISABLE_KEYRING = \"1\" }}\n",
            self.program, self.url
        )
    }
}
