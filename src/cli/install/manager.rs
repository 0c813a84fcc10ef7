//! The package managers that bring agents: npm and pip.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::InstallError;
use crate::agent::quirks::{Package, Packages, platform};
use crate::environment::Environment;

/// An install takes no longer than this.
const INSTALL_WITHIN: Duration = Duration::from_secs(30 * 60);
/// A question to a package registry takes no longer than this.
const ASK_WITHIN: Duration = Duration::from_secs(30);
/// Node.js as a package of npm's, for agents that need a newer one than there is.
pub(super) const NODE_VERSION: &str = "24.21.0";
/// The newest Python 3 that is looked for by its name.
const PYTHON_NEWEST_MINOR: u32 = 15;

/// The folder of a Python environment in that of an install.
pub(super) const VENV: &str = "venv";
/// The folder of npm's packages.
pub(super) const NODE_MODULES: &str = "node_modules";

/// The package with Node.js for this machine.
pub(super) fn node_package() -> String {
    format!("node-{}", platform())
}

/// Installs packages into a folder.
pub(super) async fn install(
    packages: &Packages,
    folder: &Path,
    latest: bool,
) -> Result<(), InstallError> {
    match packages {
        Packages::Npm(packages, node) => npm(packages, *node, folder, latest).await,
        Packages::Pip(packages, python) => pip(packages, *python, folder, latest).await,
        Packages::Elsewhere(_) => Ok(()),
    }
}

async fn npm(
    packages: &[Package],
    node: u32,
    folder: &Path,
    latest: bool,
) -> Result<(), InstallError> {
    let npm = find("npm", "install Node.js, which brings it")?;
    let mut wanted: Vec<String> = packages.iter().map(|p| wish(p, "@", latest)).collect();
    if node > 0 && node_major().await.is_none_or(|major| major < node) {
        wanted.push(format!("{}@{NODE_VERSION}", node_package()));
    }
    let mut command = Command::new(npm);
    // No agent needs its packages' scripts, and a script could do anything.
    let flags =
        "install --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error";
    command.args(flags.split(' ')).arg("--prefix").arg(folder);
    command.args(&wanted).current_dir(folder);
    run(
        command,
        &format!("npm could not install {}", wanted.join(" ")),
    )
    .await
}

async fn pip(
    packages: &[Package],
    python: u32,
    folder: &Path,
    latest: bool,
) -> Result<(), InstallError> {
    let program = find_python(python).await?;
    let venv = folder.join(VENV);
    let mut command = Command::new(&program);
    command.args(["-m", "venv"]).arg(&venv);
    let what = format!(
        "{} could not make an environment; on Debian, install python3-venv",
        program.display()
    );
    run(command, &what).await?;
    let wanted: Vec<String> = packages.iter().map(|p| wish(p, "==", latest)).collect();
    let mut command = Command::new(venv.join("bin/python"));
    let flags = "-m pip install --quiet --disable-pip-version-check --no-input";
    command.args(flags.split(' ')).args(&wanted);
    run(
        command,
        &format!("pip could not install {}", wanted.join(" ")),
    )
    .await
}

/// A package as its manager is asked for it.
fn wish(package: &Package, with: &str, latest: bool) -> String {
    let name = package.name();
    match package.version.filter(|_| !latest) {
        Some(version) => format!("{name}{with}{version}"),
        None => name,
    }
}

/// The version of an agent that is installed in a folder: that of its first package.
pub(super) async fn version(packages: &Packages, folder: &Path) -> Result<String, InstallError> {
    let unknown = |name: &str| InstallError::Failed(format!("{name} has no version"));
    match packages {
        Packages::Npm([first, ..], _) => {
            let name = first.name();
            super::programs::manifest(folder, &name)
                .and_then(|manifest| Some(manifest.get("version")?.as_str()?.to_owned()))
                .ok_or_else(|| unknown(&name))
        }
        Packages::Pip([first, ..], _) => {
            let name = without_extras(&first.name());
            let mut command = Command::new(folder.join(VENV).join("bin/python"));
            let question = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))";
            command.args(["-c", question, &name]);
            answer(command).await.map_err(|_| unknown(&name))
        }
        _ => Err(unknown("it")),
    }
}

/// The newest version in its package registry, which is asked for it.
///
/// # Errors
/// A sentence for the user.
pub async fn newest(packages: &Packages) -> Result<String, String> {
    match packages {
        Packages::Npm([first, ..], _) => {
            let npm = find("npm", "install Node.js, which brings it");
            let mut command = Command::new(npm.map_err(|error| error.to_string())?);
            command.args(["view", &first.name(), "version"]);
            answer(command).await
        }
        Packages::Pip([first, ..], python) => {
            let python = find_python(*python).await;
            let mut command = Command::new(python.map_err(|error| error.to_string())?);
            let flags = "-m pip index versions --disable-pip-version-check";
            command.args(flags.split(' '));
            command.arg(without_extras(&first.name()));
            let told = answer(command).await?;
            // `name (version)`, and then all the others.
            let version = told
                .lines()
                .next()
                .and_then(|line| line.split(['(', ')']).nth(1));
            version
                .map(str::to_owned)
                .ok_or_else(|| format!("pip says: {told}"))
        }
        _ => Err("baton does not install it".to_owned()),
    }
}

/// The name of a package without the brackets after it.
fn without_extras(name: &str) -> String {
    name.split('[').next().unwrap_or(name).to_owned()
}

fn find(program: &str, remedy: &str) -> Result<PathBuf, InstallError> {
    which::which(program)
        .map_err(|_| InstallError::Missing(format!("{program} was not found: {remedy}")))
}

/// A Python 3 of this minor version or newer: one that is called by its version, else `python3`.
async fn find_python(least: u32) -> Result<PathBuf, InstallError> {
    let mut names: Vec<_> = (least..=PYTHON_NEWEST_MINOR)
        .map(|minor| format!("python3.{minor}"))
        .collect();
    names.push("python3".to_owned());
    for program in names.iter().filter_map(|name| which::which(name).ok()) {
        let mut command = Command::new(&program);
        command.args(["-c", "import sys; print(sys.version_info.minor)"]);
        let minor = answer(command)
            .await
            .ok()
            .and_then(|text| text.parse().ok());
        // A program of that name may still be a stub that runs nothing.
        if minor.is_some_and(|minor: u32| minor >= least) {
            return Ok(program);
        }
    }
    Err(InstallError::Missing(format!(
        "Python 3.{least} or newer was not found: install it, so that python3 or python3.{least} is on the PATH"
    )))
}

/// The major version of the Node.js on the PATH.
async fn node_major() -> Option<u32> {
    let mut command = Command::new(which::which("node").ok()?);
    command.arg("--version");
    let told = answer(command).await.ok()?;
    told.strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// Runs a program whose words are for the user.
async fn run(mut command: Command, what: &str) -> Result<(), InstallError> {
    prepare(&mut command);
    command.stdout(io::stderr()).stderr(Stdio::inherit());
    let failed = |why: String| InstallError::Failed(format!("{what}: {why}"));
    let status = match tokio::time::timeout(INSTALL_WITHIN, command.status()).await {
        Ok(status) => status.map_err(|error| failed(error.to_string()))?,
        Err(_) => return Err(failed(format!("not done within {INSTALL_WITHIN:?}"))),
    };
    match status.success() {
        true => Ok(()),
        false => Err(failed(format!("it ended with {status}"))),
    }
}

/// What a program prints, without the white space around it.
async fn answer(mut command: Command) -> Result<String, String> {
    prepare(&mut command);
    let name = PathBuf::from(command.as_std().get_program());
    let name = name
        .file_name()
        .unwrap_or(OsStr::new("it"))
        .display()
        .to_string();
    let output = match tokio::time::timeout(ASK_WITHIN, command.output()).await {
        Ok(output) => output.map_err(|error| format!("{name} cannot be run: {error}"))?,
        Err(_) => return Err(format!("{name} has not answered within {ASK_WITHIN:?}")),
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rev().find(|line| !line.trim().is_empty());
        return Err(format!(
            "{name} ended with {}: {}",
            output.status,
            last.unwrap_or("it said nothing")
        ));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn prepare(command: &mut Command) {
    // Nothing of Baton's own.
    let environment = Environment::default().variables();
    command.env_clear().envs(environment);
    command.stdin(Stdio::null()).kill_on_drop(true);
}
