//! OpenCode's own `agent` entries: in `opencode.json` and `opencode.jsonc` of its configuration folder, of a directory
//! and of those above it up to the root of the worktree, and of their `.opencode`; and in `agent/**/*.md` and
//! `agents/**/*.md` of that folder and of `.opencode`.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::entry::Entry;
use super::{Profiles, jsonc};
use crate::command::{file, frontmatter};
use crate::mcp::{self, Server};
use crate::regular::{self, Links};

/// The largest configuration file that is read, in bytes.
const FILE_MAX_BYTES: u64 = 1024 * 1024;
/// Entries that are read for one directory, at most.
const ENTRIES_MAX: usize = 1_000;
/// OpenCode reads both.
const FOLDERS: [&str; 2] = ["agent", "agents"];
/// The names of its configuration, the last of which wins.
const NAMES: [&str; 3] = ["config.json", "opencode.json", "opencode.jsonc"];

/// Those for a directory, the nearest last: it wins.
pub(super) fn read_all(
    opencode_config: Option<&Path>,
    directory: &Path,
) -> (Profiles, mcp::Entries) {
    let mut read = Read::default();
    if let Some(base) = opencode_config {
        // The user's own folder: its links lead where they want them to.
        read.configuration(base, Path::new("/"), true);
        read.files(base, Path::new("/"), true);
    }
    let near = file::up_to_worktree(directory);
    let worktree = near.last().and_then(|root| root.canonicalize().ok());
    if let Some(worktree) = worktree {
        for folder in near.iter().rev() {
            read.configuration(folder, &worktree, false);
        }
        for folder in near.iter().rev() {
            let base = folder.join(".opencode");
            read.configuration(&base, &worktree, false);
            read.files(&base, &worktree, false);
        }
    }
    let entries = read.entries.into_iter();
    let profiles = entries.filter_map(|(name, entry)| Some((name.clone(), entry?.profile(&name)?)));
    (profiles.collect(), read.servers)
}

#[derive(Default)]
struct Read {
    /// By name; `None` for one whose rules cannot be read: without them it could do what its user has forbidden.
    entries: BTreeMap<String, Option<Entry>>,
    servers: mcp::Entries,
}

impl Read {
    fn configuration(&mut self, base: &Path, within: &Path, is_own: bool) {
        let names = if is_own { &NAMES[..] } else { &NAMES[1..] };
        for name in names {
            let path = base.join(name);
            let Ok(real) = path.canonicalize() else {
                continue;
            };
            if !real.starts_with(within) {
                tracing::debug!("{} leads out of its worktree", path.display());
                continue;
            }
            let bytes = match regular::read(&real, Links::Refuse, FILE_MAX_BYTES) {
                Ok(bytes) => bytes,
                Err(error) => {
                    tracing::warn!("{} is not read: {error}", path.display());
                    continue;
                }
            };
            let whole = match jsonc::read(&String::from_utf8_lossy(&bytes)) {
                Ok(whole) => whole,
                Err(error) => {
                    tracing::warn!("{} is not read: {error}", path.display());
                    continue;
                }
            };
            let agents = whole.get("agent").and_then(Value::as_object);
            for (name, said) in agents.into_iter().flatten() {
                self.add(name, said, &path, is_own);
            }
            let servers = whole.get("mcp").and_then(Value::as_object);
            for (name, said) in servers.into_iter().flatten() {
                self.add_server(name, said, &path, is_own);
            }
        }
    }

    /// A project may switch off what its user has, and brings along what is given to no agent before its user says so.
    fn add_server(&mut self, name: &str, said: &Value, path: &Path, is_own: bool) {
        let known = self.servers.get_mut(name);
        let switch = said.get("enabled").and_then(Value::as_bool);
        if let Some(known) =
            known.filter(|known| known.is_own && !is_own || said.get("type").is_none())
        {
            let enabled = known.server.enabled;
            known.server.enabled = match is_own {
                true => switch.unwrap_or(enabled),
                false => enabled && switch.unwrap_or(true),
            };
            return;
        }
        let server = mcp::check_name(name)
            .and_then(|()| Server::of_opencode(said, |name| std::env::var(name).ok()));
        match server {
            Ok(mut server) => {
                server.enabled &= is_own;
                let entry = mcp::Entry { server, is_own };
                if self.servers.len() < mcp::SERVERS_MAX {
                    self.servers.insert(name.to_owned(), entry);
                }
            }
            Err(error) => tracing::warn!(
                "MCP server \"{name}\" in {} is left out: {error}",
                path.display()
            ),
        }
    }

    fn files(&mut self, base: &Path, within: &Path, is_own: bool) {
        for found in file::read_base(base, within, FOLDERS) {
            let (fields, _) = frontmatter::split_nested(&found.text);
            self.add(&found.name, &Value::Object(fields), &found.path, is_own);
        }
    }

    fn add(&mut self, name: &str, said: &Value, path: &Path, is_own: bool) {
        let Some(said) = said.as_object().filter(|_| !name.is_empty()) else {
            return;
        };
        if self.entries.len() >= ENTRIES_MAX && !self.entries.contains_key(name) {
            return;
        }
        let source = format!("agent \"{name}\" in {}", path.display());
        let known = self.entries.entry(name.to_owned());
        let entry = known.or_insert_with(|| Some(Entry::default()));
        let added = entry.as_mut().map(|entry| entry.add(said, &source, is_own));
        if let Some(Err(error)) = added {
            tracing::warn!("{source} is left out: {error}");
            *entry = None;
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::opencode::session::PermissionAction;

    fn write(root: &Path, file: &str, text: &str) {
        let path = root.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn entries_are_read_where_opencode_has_them_and_the_nearest_wins() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        write(root, "opencode.json", r#"{"agent": {"above": {}}}"#);
        write(
            root,
            "config/opencode.jsonc",
            r#"{"agent": {"plan": {"model": "a/far", "variant": "high"}, "off": {"disable": true}},
                "mcp": {"mine": {"type": "local", "command": ["mine"]}, "silent": {"type": "remote", "url": "https://x"},
                "off": {"type": "remote", "url": "https://y", "enabled": false}},} // mine"#,
        );
        write(root, "repo/.git/HEAD", "");
        write(
            root,
            "repo/opencode.json",
            r#"{"agent": {"plan": {"model": "a/root"}}, "mcp": {"mine": {"type": "local", "command": ["theirs"]},
                "silent": {"enabled": false}, "off": {"enabled": true}, "brought": {"type": "local", "command": ["x"]}, "bad name": {"type": "local", "command": ["x"]}}}"#,
        );
        write(
            root,
            "repo/src/opencode.json",
            r#"{"agent": {"plan": {"model": "a/near"}}}"#,
        );
        write(
            root,
            "repo/.opencode/agent/review.md",
            "---\ndescription: Reads: all\nmode: primary\nmodel: a/b\npermission:\n  edit: deny\n  bash:\n    \"*\": deny\n    \"git log *\": allow\n---\nYou review.\n",
        );
        write(
            root,
            "repo/.opencode/agents/helper.md",
            "---\nmode: subagent\n---\n",
        );
        write(
            root,
            "repo/.opencode/agents/wrong.md",
            "---\npermission:\n  edit: never\n---\n",
        );
        let (found, servers) = read_all(Some(&root.join("config")), &root.join("repo/src"));
        assert_eq!(found.keys().collect::<Vec<_>>(), ["plan", "review"]);
        let (plan, review) = (&found["plan"], &found["review"]);
        assert_eq!(plan.model.as_deref(), Some("a/near"));
        assert_eq!(plan.variant.as_deref(), Some("high"));
        assert!(plan.source.contains("repo/src/opencode.json"));
        assert_eq!(review.description.as_deref(), Some("Reads: all"));
        let actions: Vec<_> = review.permission.iter().map(|r| r.action).collect();
        let (ask, deny) = (PermissionAction::Ask, PermissionAction::Deny);
        assert_eq!(actions, [deny, deny, ask]);
        assert_eq!(review.permission[2].pattern, "git log *");
        // What a project brings along is off, and what is its user's own it can only switch off.
        let known: Vec<_> = servers
            .iter()
            .map(|(name, e)| (&**name, e.server.enabled))
            .collect();
        assert_eq!(
            known,
            [
                ("brought", false),
                ("mine", true),
                ("off", false),
                ("silent", false)
            ]
        );
        assert!(format!("{:?}", servers["mine"]).contains("[\"mine\"]"));
        // Outside of a worktree only the directory itself counts.
        assert!(read_all(None, &root.join("config")).0.contains_key("plan"));
        assert!(read_all(None, root).0.contains_key("above"));
    }
}
