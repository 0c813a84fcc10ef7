//! Where a run was made, and of what.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

/// Where a run was made, and of what.
pub(crate) struct Machine {
    processor: String,
    cores: usize,
    memory_mb: u64,
    system: String,
    baton: String,
    opencode: Option<String>,
    command: String,
    day: String,
    /// Set at the end.
    pub(crate) minutes: f64,
}

impl Machine {
    pub(crate) fn new(baton: &Path, opencode: Option<&Path>) -> Self {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor = value_of(&info, "model name");
        let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let memory = value_of(&memory, "MemTotal");
        let memory_kib: u64 = memory.trim_end_matches(" kB").parse().unwrap_or(0);
        let arguments = std::env::args().skip(1).filter(|a| a != "--bench");
        let arguments: Vec<_> = arguments.collect();
        let commit = said(Command::new("git").args(["rev-parse", "--short", "HEAD"]));
        Self {
            processor,
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_mb: memory_kib / 1_024,
            system: said(Command::new("uname").arg("-sr")),
            baton: format!("{} ({commit})", said(Command::new(baton).arg("--version"))),
            opencode: opencode.map(|program| said(Command::new(program).arg("--version"))),
            command: format!("cargo bench --bench load -- {}", arguments.join(" ")),
            day: said(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"])),
            minutes: 0.0,
        }
    }

    pub(crate) fn markdown(&self) -> String {
        let opencode = match &self.opencode {
            Some(version) => format!("OpenCode {version}"),
            None => "without OpenCode".to_owned(),
        };
        format!(
            "{}, in {:.1} minutes, by `{}`: {}; {opencode}; {} cores of {}, {} MB, {}. The generator runs on the same cores.\n\n",
            self.day,
            self.minutes,
            self.command.trim(),
            self.baton,
            self.cores,
            self.processor,
            self.memory_mb,
            self.system,
        )
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "day": self.day,
            "minutes": self.minutes,
            "command": self.command,
            "baton": self.baton,
            "opencode": self.opencode,
            "processor": self.processor,
            "cores": self.cores,
            "memory_mb": self.memory_mb,
            "system": self.system,
        })
    }
}

fn value_of(text: &str, name: &str) -> String {
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.split_once(':'));
    value.map_or(String::new(), |(_, value)| value.trim().to_owned())
}

/// The first line that a program says.
fn said(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout);
    let text = String::from_utf8(output.unwrap_or_default()).unwrap_or_default();
    text.lines().next().unwrap_or("?").trim().to_owned()
}
