//! The programs of an install, in one folder: those of the agent's own packages and no others. That folder goes in front
//! of the agent's PATH, where the programs of some hundred other packages would hide the user's own.

use std::fs;
use std::io::{self, BufRead, Read};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::manager::{NODE_MODULES, VENV, node_package};
use crate::agent::installed::PROGRAMS;
use crate::agent::quirks::Packages;

/// Whoever may read a file may run it.
const EXECUTABLE: u32 = 0o755;
/// A first line is read to this length, in bytes.
const FIRST_LINE_MAX_BYTES: u64 = 256;

/// Fills the folder. `program` is the agent's own, which some packages bring without saying so.
pub(super) fn link(packages: &Packages, program: &str, folder: &Path) -> io::Result<()> {
    let bin = folder.join(PROGRAMS);
    fs::create_dir(&bin)?;
    let programs = match packages {
        Packages::Npm(packages, _) => packages
            .iter()
            .flat_map(|package| of_npm(folder, &package.name(), program))
            .collect(),
        _ => vec![(
            program.to_owned(),
            folder.join(VENV).join("bin").join(program),
        )],
    };
    let node = folder
        .join(NODE_MODULES)
        .join(node_package())
        .join("bin/node");
    for (name, target) in programs {
        let place = bin.join(&name);
        if !target.is_file() || place.exists() {
            continue;
        }
        match node.is_file() && is_script_for_node(&target) {
            // The Node.js on the PATH is too old for it, and the user's own commands keep that one.
            true => write_script(&place, &node, &target)?,
            false => symlink(&target, &place)?,
        }
    }
    Ok(())
}

/// What npm keeps about a package.
pub(super) fn manifest(folder: &Path, package: &str) -> Option<Value> {
    let path = folder.join(NODE_MODULES).join(package).join("package.json");
    serde_json::from_str(&fs::read_to_string(path).ok()?).ok()
}

/// The programs of a package with their files.
fn of_npm(folder: &Path, package: &str, program: &str) -> Vec<(String, PathBuf)> {
    let home = folder.join(NODE_MODULES).join(package);
    let bin = manifest(folder, package).and_then(|mut m| m.get_mut("bin").map(Value::take));
    let plain = |name: &str| !name.is_empty() && !name.contains('/') && !name.starts_with('.');
    let mut programs = match bin {
        Some(Value::Object(bin)) => bin
            .iter()
            .filter(|(name, _)| plain(name))
            .filter_map(|(name, file)| Some((name.clone(), home.join(file.as_str()?))))
            .collect(),
        // One program, which is called like its package.
        Some(Value::String(file)) => {
            let name = package.rsplit('/').next().unwrap_or(package);
            vec![(name.to_owned(), home.join(file))]
        }
        _ => Vec::new(),
    };
    // A package for one platform has the bare program, under another name or none.
    let bare = [home.join("bin").join(program), home.join(program)];
    programs.extend(bare.map(|file| (program.to_owned(), file)));
    programs
}

fn is_script_for_node(file: &Path) -> bool {
    let Ok(file) = fs::File::open(file) else {
        return false;
    };
    let mut line = Vec::new();
    let mut beginning = io::BufReader::new(file.take(FIRST_LINE_MAX_BYTES));
    let read = beginning.read_until(b'\n', &mut line);
    let line = String::from_utf8_lossy(&line);
    read.is_ok() && line.starts_with("#!") && line.contains("node")
}

fn write_script(place: &Path, node: &Path, script: &Path) -> io::Result<()> {
    let text = format!(
        "#!/bin/sh\nexec {} {} \"$@\"\n",
        quoted(node),
        quoted(script)
    );
    fs::write(place, text)?;
    fs::set_permissions(place, fs::Permissions::from_mode(EXECUTABLE))
}

/// A path as one word of a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', r"'\''"))
}
