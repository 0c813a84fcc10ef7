//! The slash commands that there are, as OpenCode's clients list them.

use std::collections::BTreeMap;

use crate::agent::commands::AgentCommand;
use crate::command::{Command, hints};
use crate::opencode::command::CommandInfo;
use crate::registry::Wish;
use crate::session::{ListFilter, Sessions};

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

/// How the names of an agent's commands begin that are not for people.
const INTERNAL: &str = "__";

impl Sessions {
    /// The slash commands that can be used in a directory: those of the backend that is selected there, those with a
    /// template, and those of the other connected backends, each group by name. Left out are those that clients have
    /// themselves, and those that are not for people. Of several with one name the one that would be taken is listed.
    pub async fn commands(&self, directory: &str) -> Vec<CommandInfo> {
        let templates = self.templates(directory).await;
        let advertised = self.advertised(directory).await;
        let selected = self.selected_in(directory).await;
        let is_own = |provider: &str| selected.as_deref() == Some(provider);
        let (mut own, mut others) = (
            BTreeMap::new(),
            BTreeMap::<String, (CommandInfo, Vec<&str>)>::new(),
        );
        for (provider, commands) in &advertised {
            for command in commands.iter().filter(|command| is_listed(command)) {
                let name = command.name.clone();
                if is_own(provider) {
                    own.insert(name, advertised_info(command));
                    continue;
                }
                let other = others.entry(name);
                let (_, of) = other.or_insert_with(|| (advertised_info(command), Vec::new()));
                of.push(provider);
            }
        }
        let of_templates = templates.builtin.into_iter().chain(templates.own);
        let templates: BTreeMap<String, CommandInfo> = of_templates
            .map(|(_, command)| (command.name.clone(), template_info(command)))
            .collect();
        own.retain(|name, _| !templates.contains_key(name));
        others.retain(|name, _| !templates.contains_key(name) && !own.contains_key(name));
        let others = others.into_values().map(|(info, of)| info_of(info, &of));
        own.into_values()
            .chain(templates.into_values())
            .chain(others)
            .collect()
    }

    /// The backend of the session that was used last in a directory, or else of what a new one would start with.
    async fn selected_in(&self, directory: &str) -> Option<String> {
        let filter = ListFilter {
            directory: Some(directory.to_owned()),
            limit: Some(1),
            ..ListFilter::default()
        };
        let last = self
            .list(filter)
            .await
            .unwrap_or_default()
            .into_iter()
            .next();
        let selected = last
            .and_then(|session| session.model)
            .map(|model| model.provider_id);
        selected.or_else(|| {
            let snapshot = self.office.registry.at(directory);
            let resolved = snapshot.resolve(None, &Wish::default()).ok()?;
            Some(resolved.selection.provider_id)
        })
    }
}

fn is_listed(command: &AgentCommand) -> bool {
    !OF_CLIENTS.contains(&command.name.as_str()) && !command.name.starts_with(INTERNAL)
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
fn advertised_info(command: &AgentCommand) -> CommandInfo {
    let template = format!("/{} $ARGUMENTS", command.name);
    let about = match &command.hint {
        Some(hint) if !hint.is_empty() => format!("{} [{hint}]", command.description),
        _ => command.description.clone(),
    };
    CommandInfo {
        name: command.name.clone(),
        description: Some(about.trim().to_owned()),
        agent: None,
        model: None,
        source: Some("command".to_owned()),
        hints: hints(&template),
        template,
        subtask: None,
    }
}

/// A command of other backends than the selected one says whose it is.
fn info_of(info: CommandInfo, backends: &[&str]) -> CommandInfo {
    let about = info.description.unwrap_or_default();
    let description = format!("{}: {about}", backends.join(", "));
    CommandInfo {
        description: Some(description.trim_end_matches([':', ' ']).to_owned()),
        ..info
    }
}
