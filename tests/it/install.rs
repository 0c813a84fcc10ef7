//! `baton install`, with an npm that brings the mock agent under another's name.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

const BATON: &str = env!("CARGO_BIN_EXE_baton");
const PACKAGE: &str = "@google/gemini-cli";

/// A home with programs of its own.
struct Home {
    folder: TempDir,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("bin")).unwrap();
        Self { folder }
    }

    fn with_npm() -> Self {
        let home = Self::new();
        let state = home.path("state");
        let script = format!(
            r#"#!/bin/sh
here=$(dirname "$0")
echo "$*" >> "$here/asked"
[ "$1" = view ] && {{ echo 9.9.9; exit 0; }}
while [ "$1" != --prefix ]; do shift; done
brought="$2/node_modules/{PACKAGE}"
mkdir -p "$brought/bundle"
echo '{{"name": "{PACKAGE}", "version": "0.61.0", "bin": {{"gemini": "bundle/gemini.js"}}}}' > "$brought/package.json"
[ -e "$here/fails" ] && {{ echo "npm error 404" >&2; exit 7; }}
[ -e "$here/brings-nothing" ] && exit 0
printf '#!/bin/sh\nexec {BATON} mock-agent --state-dir {}\n' > "$brought/bundle/gemini.js"
chmod +x "$brought/bundle/gemini.js"
"#,
            state.display()
        );
        home.write_program("npm", &script);
        home.write_program("node", "#!/bin/sh\necho v24.0.0\n");
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_program(&self, name: &str, text: &str) {
        let path = self.path("bin").join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    async fn baton(&self, arguments: &[&str]) -> Output {
        // A home without an npm of its own has none at all.
        let bin = self.path("bin");
        let path = match bin.join("npm").exists() {
            true => format!("{}:/bin", bin.display()),
            false => bin.display().to_string(),
        };
        tokio::process::Command::new(BATON)
            .args(arguments)
            .arg("--data-dir")
            .arg(self.path("data"))
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.folder.path())
            .output()
            .await
            .unwrap()
    }

    /// What `baton agents` says about one agent.
    async fn listed(&self, more: &[&str]) -> Value {
        let output = self
            .baton(&[&["agents", "--json", "--agents", "gemini"], more].concat())
            .await;
        let list: Value = serde_json::from_slice(&output.stdout).unwrap();
        list[0].clone()
    }

    /// The folders of installs.
    fn installs(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path("data/agents/gemini")) else {
            return Vec::new();
        };
        let names = entries.map(|entry| entry.unwrap());
        let folders = names.filter(|entry| entry.file_type().unwrap().is_dir());
        folders
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect()
    }

    fn asked(&self) -> String {
        fs::read_to_string(self.path("bin/asked")).unwrap_or_default()
    }
}

fn error_of(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn an_agent_is_installed_in_its_tested_version_and_found_without_the_path() {
    let home = Home::with_npm();
    assert_eq!(home.listed(&[]).await["found"], Value::Null);
    assert!(
        home.asked().is_empty(),
        "nothing is installed or asked for by itself"
    );

    let output = home.baton(&["install", "gemini"]).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && said.contains("Gemini CLI 0.61.0"),
        "{output:?}"
    );
    let asked = home.asked();
    assert!(asked.contains("@google/gemini-cli@0.61.0"), "{asked}");
    assert!(asked.contains("--ignore-scripts"), "{asked}");

    let listed = home.listed(&[]).await;
    assert_eq!(
        (&listed["found"], &listed["status"]),
        (&"installed".into(), &"connected".into()),
        "{listed}"
    );
    assert_eq!(listed["newest"], Value::Null);
    assert_eq!(home.listed(&["--check-updates"]).await["newest"], "9.9.9");

    // What is on the PATH comes after it, what the config file says before.
    home.write_program("gemini", "#!/bin/sh\nexit 1\n");
    assert_eq!(home.listed(&[]).await["found"], "installed");
    let config = home.path("baton.toml");
    fs::write(&config, "[agents.gemini]\ncommand = [\"gemini\"]\n").unwrap();
    let listed = home.listed(&["--config", &config.to_string_lossy()]).await;
    assert_eq!(
        (&listed["found"], &listed["status"]),
        (&"command".into(), &"unavailable".into())
    );
}

#[tokio::test]
async fn an_install_that_fails_leaves_what_was_there() {
    let home = Home::with_npm();
    fs::write(home.path("bin/fails"), "").unwrap();
    let error = error_of(&home.baton(&["install", "gemini"]).await);
    assert!(
        error.contains("npm error 404")
            && error.contains("npm could not install @google/gemini-cli@0.61.0"),
        "{error}"
    );
    assert!(home.installs().is_empty());
    assert_eq!(home.listed(&[]).await["found"], Value::Null);

    fs::remove_file(home.path("bin/fails")).unwrap();
    assert!(home.baton(&["install", "gemini"]).await.status.success());
    let before = home.installs();
    fs::write(home.path("bin/brings-nothing"), "").unwrap();
    let error = error_of(&home.baton(&["install", "gemini"]).await);
    assert!(error.contains("no program \"gemini\""), "{error}");
    assert_eq!(home.installs(), before);
    assert_eq!(home.listed(&[]).await["status"], "connected");
}

#[tokio::test]
async fn the_install_before_is_kept_and_older_ones_go() {
    let home = Home::with_npm();
    for arguments in [
        &["install", "gemini"][..],
        &["install", "gemini", "--latest"],
    ] {
        assert!(home.baton(arguments).await.status.success());
    }
    let last = home.asked().lines().last().unwrap().to_owned();
    assert!(last.ends_with(PACKAGE), "{last}");
    let two = home.installs();
    // One that was ended in the middle.
    fs::create_dir(home.path("data/agents/gemini/deadbeef")).unwrap();
    assert!(home.baton(&["install", "gemini"]).await.status.success());
    let left = home.installs();
    assert_eq!((two.len(), left.len()), (2, 2));
    let current = fs::read_link(home.path("data/agents/gemini/current")).unwrap();
    assert!(
        left.iter().any(|name| Path::new(name) == current),
        "{left:?}"
    );
}

#[tokio::test]
async fn what_cannot_be_installed_is_reported_with_the_remedy() {
    let home = Home::new();
    let missing = error_of(&home.baton(&["install", "gemini"]).await);
    assert!(
        missing.contains("npm was not found: install Node.js"),
        "{missing}"
    );
    let python = error_of(&home.baton(&["install", "vibe"]).await);
    assert!(
        python.contains("Python 3.12 or newer was not found"),
        "{python}"
    );
    let unknown = error_of(&home.baton(&["install", "gemimi"]).await);
    assert!(
        unknown.contains("\"gemimi\"") && unknown.contains("gemini"),
        "{unknown}"
    );
    let elsewhere = error_of(&home.baton(&["install", "cursor"]).await);
    assert!(elsewhere.contains("https://cursor.com"), "{elsewhere}");
    assert!(home.installs().is_empty());
}
