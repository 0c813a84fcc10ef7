//! The slash commands that there are, as OpenCode's clients list them.

use std::collections::BTreeMap;

use crate::agent::commands::AgentCommand;
use crate::command::{Command, hints};
use crate::opencode::command::CommandInfo;
use crate::session::Sessions;

/// Slash commands that OpenCode's terminal UI and web UI have themselves (1.18.33). They give way to one of
/// the server that has the same name: a backend's `compact` in the list would take the place of theirs.
const OF_CLIENTS: [&str; 42] = [
    "agent",
    "agents",
    "clear",
    "compact",
    "connect",
    "continue",
    "copy",
    "debug",
    "diff",
    "editor",
    "exit",
    "export",
    "fork",
    "help",
    "mcp",
    "mcps",
    "model",
    "models",
    "move",
    "new",
    "open",
    "org",
    "q",
    "quit",
    "redo",
    "rename",
    "resume",
    "sessions",
    "share",
    "skills",
    "status",
    "summarize",
    "terminal",
    "themes",
    "thinking",
    "timeline",
    "timestamps",
    "undo",
    "unshare",
    "variants",
    "warp",
    "workspaces",
];

impl Sessions {
    /// The slash commands that can be used in a directory: those with a template, and those that the
    /// connected backends advertise, except for those that clients have themselves. Of several with one
    /// name the one that would be taken is listed.
    pub async fn commands(&self, directory: &str) -> Vec<CommandInfo> {
        let templates = self.templates(directory).await;
        let advertised = self.advertised(directory).await;
        let mut listed: BTreeMap<String, CommandInfo> = BTreeMap::new();
        for (provider, commands) in &advertised {
            let of_clients = |c: &&AgentCommand| OF_CLIENTS.contains(&c.name.as_str());
            for command in commands.iter().filter(|c| !of_clients(c)) {
                let info = listed.entry(command.name.clone());
                info.and_modify(|info| also_of(info, provider))
                    .or_insert_with(|| advertised_info(command, provider));
            }
        }
        let own = templates
            .builtin
            .into_values()
            .chain(templates.own.into_values());
        for command in own {
            listed.insert(command.name.clone(), template_info(command));
        }
        listed.into_values().collect()
    }
}

fn template_info(command: Command) -> CommandInfo {
    CommandInfo {
        hints: hints(&command.template),
        name: command.name,
        description: command.description,
        agent: command.agent,
        model: command.model,
        source: Some("command".to_owned()),
        template: command.template,
        subtask: command.subtask,
    }
}

/// Clients know templates only: this is the one that would do the same.
fn advertised_info(command: &AgentCommand, provider: &str) -> CommandInfo {
    let template = format!("/{} $ARGUMENTS", command.name);
    let about = match &command.hint {
        Some(hint) if !hint.is_empty() => format!("{} [{hint}]", command.description),
        _ => command.description.clone(),
    };
    CommandInfo {
        name: command.name.clone(),
        description: Some(format!("{about} ({provider})").trim().to_owned()),
        agent: None,
        model: None,
        source: Some("command".to_owned()),
        hints: hints(&template),
        template,
        subtask: None,
    }
}

/// Several backends have it.
fn also_of(info: &mut CommandInfo, provider: &str) {
    if let Some(description) = &mut info.description
        && description.ends_with(')')
    {
        description.pop();
        description.push_str(&format!(", {provider})"));
    }
}
