//! Slash commands: a template that Baton fills in, or a command that a backend advertises and is sent.

mod listed;

use std::path::Path;
use std::sync::Arc;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use tokio::sync::oneshot;

use crate::agent::commands::AgentCommand;
use crate::command::{Command, Piece, Templates, expand, mentioned_paths};
use crate::files::{self, Work};
use crate::opencode::event::{CommandExecuted, EventPayload};
use crate::opencode::prompt::{FilePartInput, PartInput};
use crate::opencode::{MessageId, Selection, SessionId};
use crate::registry::{ModelWish, Snapshot, VariantWish, Wish, alike};
use crate::session::cell::{Answer, Cell};
use crate::session::{Admitted, Caller, Error, FIRST_PROBES, Prompt, Sessions};
use crate::shell::Output;

/// Files that a template can bring along.
const FILES_MAX: usize = 50;
/// What a path keeps in a `file:` URL.
const IN_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`')
    .add(b'{')
    .add(b'}');

/// A slash command that somebody has typed.
#[derive(Debug, Clone, Default)]
pub struct CommandCall {
    /// The id of the user's message, where the client brings one.
    pub message_id: Option<MessageId>,
    /// Its name, without the slash.
    pub command: String,
    /// What comes after it.
    pub arguments: String,
    /// The model, as `provider/model`; a command that names one itself takes precedence.
    pub model: Option<String>,
    /// The variant.
    pub variant: VariantWish,
    /// The agent; a command that names one itself takes precedence.
    pub agent: Option<String>,
    /// Files to send with it.
    pub parts: Vec<PartInput>,
}

/// What a name means.
enum Found {
    Template(Command),
    /// A command of this backend.
    Agent(String),
}

/// Which backend advertises which commands, in order of preference.
type Advertised = Vec<(String, Vec<AgentCommand>)>;

impl Sessions {
    /// Runs a slash command. What it selects is selected as a message would; a command that is refused
    /// changes nothing, and runs nothing.
    ///
    /// # Errors
    /// No such session or command, a selection that is not available, arguments that are too long, a full
    /// queue, a message id that exists, or a failing store.
    pub async fn command(
        self: &Arc<Self>,
        id: &SessionId,
        call: CommandCall,
        caller: Caller,
    ) -> Result<Admitted, Error> {
        let cell = self.loaded.find(id).await?;
        let templates = self.templates(&cell.directory).await;
        let advertised = self.advertised(&cell.directory).await;
        let current = cell.committed().state().selection.clone();
        let provider = self.provider_of(&cell, &call, current.as_ref())?;
        let found = find(&call.command, &templates, &advertised, provider.as_deref())?;
        let wish = match &found {
            Found::Template(command) => self.wish_of_template(&cell, command, &call)?,
            Found::Agent(backend) => {
                self.wish_of_backend(&cell, backend, &call, current.as_ref())?
            }
        };
        // Before anything is run: a command that will be refused must have no effect.
        self.prepare(&cell.directory, Some(&cell), &wish).await;
        self.check_call(&cell, &call, &wish).await?;
        let (mut parts, native) = match &found {
            Found::Template(command) => (self.parts_of(&cell, command, &call).await?, false),
            Found::Agent(_) => (vec![PartInput::text(native_text(&call))], true),
        };
        parts.extend(call.parts.clone());
        let prompt = Prompt {
            message_id: call.message_id.clone(),
            wish,
            parts,
            native_command: native,
            ..Prompt::default()
        };
        let mut admitted = self.prompt(id, prompt, caller).await?;
        admitted.answer = admitted
            .answer
            .take()
            .map(|answer| self.tell_when_executed(&cell, call, answer));
        Ok(admitted)
    }

    /// Reads the templates for a directory, off the runtime's threads.
    async fn templates(&self, directory: &str) -> Templates {
        let (sources, directory) = (Arc::clone(&self.commands), directory.to_owned());
        let name = directory.clone();
        let read = files::block(&name, Work::One, move |_| {
            sources.read(Path::new(&directory))
        });
        read.await.unwrap_or_else(|error| {
            tracing::warn!("no commands are known: {error}");
            Templates::default()
        })
    }

    /// What the connected backends advertise in a directory: what a native session there has advertised, or
    /// else what the probe has found.
    async fn advertised(&self, directory: &str) -> Advertised {
        // A client that asks right after the start would otherwise never learn of them.
        let snapshot = self.office.registry.settled(FIRST_PROBES).await;
        let snapshot = snapshot.at(directory);
        let mut told = self.tools.told.of(directory);
        let connected = snapshot.backends.iter().filter_map(|backend| {
            let catalogue = backend.connected()?;
            let commands = told.remove(&backend.spec.id);
            let commands = commands.unwrap_or_else(|| catalogue.commands.clone());
            Some((backend.spec.id.clone(), commands))
        });
        connected.collect()
    }

    /// The backend that a command goes to if it advertises it: the one of the named model, or the
    /// selected one.
    fn provider_of(
        &self,
        cell: &Cell,
        call: &CommandCall,
        current: Option<&Selection>,
    ) -> Result<Option<String>, Error> {
        let named = call.model.as_deref();
        let named =
            named.map(|m| model_of(m, &self.office.registry.at(&cell.directory), "[\"model\"]"));
        let named = named.transpose()?.map(|m| m.provider_id);
        Ok(named.or_else(|| current.map(|c| c.provider_id.clone())))
    }

    fn wish_of_template(
        &self,
        cell: &Cell,
        command: &Command,
        call: &CommandCall,
    ) -> Result<Wish, Error> {
        let registry = self.office.registry.at(&cell.directory);
        let of_file = format!("model of the command \"{}\"", command.name);
        let model = match (&command.model, &call.model) {
            (Some(model), _) => Some(model_of(model, &registry, &of_file)?),
            (None, Some(model)) => Some(model_of(model, &registry, "[\"model\"]")?),
            (None, None) => None,
        };
        let variant = variant_of(call, model.is_some());
        Ok(Wish {
            model,
            variant,
            agent: command.agent.clone().or_else(|| call.agent.clone()),
        })
    }

    /// A backend's own command is run by that backend: with the model that is named, if it is one of its
    /// models; with the selected one; or with its default.
    fn wish_of_backend(
        &self,
        cell: &Cell,
        backend: &str,
        call: &CommandCall,
        current: Option<&Selection>,
    ) -> Result<Wish, Error> {
        let registry = self.office.registry.at(&cell.directory);
        let named = call.model.as_deref();
        let named = named
            .map(|m| model_of(m, &registry, "[\"model\"]"))
            .transpose()?;
        let selected = current.is_some_and(|c| c.provider_id == backend);
        let model = match named.filter(|model| model.provider_id == backend) {
            Some(model) => Some(model),
            None if selected => None,
            None => registry.catalogue(backend).map(|catalogue| ModelWish {
                provider_id: backend.to_owned(),
                model_id: catalogue.default_model.clone(),
            }),
        };
        let variant = variant_of(call, model.is_some());
        Ok(Wish {
            model,
            variant,
            agent: call.agent.clone(),
        })
    }

    async fn check_call(&self, cell: &Cell, call: &CommandCall, wish: &Wish) -> Result<(), Error> {
        let registry = self.office.registry.at(&cell.directory);
        if let (Some(named), Some(model)) = (&call.model, &wish.model) {
            // The model of the request may not be the one that is taken; it has to exist all the same.
            let named = model_of(named, &registry, "[\"model\"]")?;
            if named != *model {
                let wish = Wish {
                    model: Some(named),
                    ..Wish::default()
                };
                registry.resolve(None, &wish)?;
            }
        }
        let committed = cell.committed();
        registry.resolve(committed.state().selection.as_ref(), wish)?;
        let limit = self.tools.settings.queue_prompts;
        if committed.runtime().queue.len() >= limit {
            return Err(Error::QueueFull { limit });
        }
        if let Some(id) = &call.message_id
            && self.office.store.message(&cell.id, id).await?.is_some()
        {
            return Err(Error::DuplicateMessage(id.clone()));
        }
        match self.office.stopping.is_cancelled() {
            true => Err(Error::ShutDown),
            false => Ok(()),
        }
    }

    /// A template filled in: its text with the output of its commands, and the files that it mentions.
    async fn parts_of(
        &self,
        cell: &Cell,
        command: &Command,
        call: &CommandCall,
    ) -> Result<Vec<PartInput>, Error> {
        let too_long = |error: crate::command::TooLong| Error::Invalid {
            field: "[\"arguments\"]".to_owned(),
            message: error.to_string(),
        };
        let pieces = expand(&command.template, &call.arguments).map_err(too_long)?;
        let mut whole = String::new();
        let mut mentioned = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => {
                    mentioned.extend(mentioned_paths(&text).into_iter().map(str::to_owned));
                    whole.push_str(&text);
                }
                Piece::Shell(line) => whole.push_str(&self.printed(cell, &line).await?),
            }
        }
        let directory = cell.directory.to_string();
        let name = directory.clone();
        let files = files::block(&name, Work::One, move |_| files_in(&directory, mentioned)).await;
        // Without them the command still has its text.
        let files = files.unwrap_or_else(|error| {
            tracing::warn!("the files that a command mentions are left out: {error}");
            Vec::new()
        });
        let mut parts = vec![PartInput::text(whole)];
        parts.extend(files);
        Ok(parts)
    }

    /// What a command of a template prints.
    async fn printed(&self, cell: &Cell, line: &str) -> Result<String, Error> {
        let output = Output::new(self.tools.shell.limits().output_bytes);
        let stop = self.office.stopping.cancelled();
        let directory = Path::new(&*cell.directory);
        match self.tools.shell.run(line, directory, &output, stop).await {
            Ok(_) => Ok(output.text().trim_end().to_owned()),
            Err(error) => Err(Error::Invalid {
                field: format!("!`{line}`"),
                message: format!("The command in the template cannot be started: {error}"),
            }),
        }
    }

    /// Tells everybody when a command was answered, as OpenCode does, and passes the answer on.
    fn tell_when_executed(
        &self,
        cell: &Arc<Cell>,
        call: CommandCall,
        answer: oneshot::Receiver<Answer>,
    ) -> oneshot::Receiver<Answer> {
        let (sender, receiver) = oneshot::channel();
        let cell = Arc::clone(cell);
        self.office.tasks.spawn(async move {
            let Ok(answer) = answer.await else { return };
            let executed = CommandExecuted {
                name: call.command,
                session_id: cell.id.clone(),
                arguments: call.arguments,
                message_id: answer.message.id.clone(),
            };
            let told = cell.change(move |draft| {
                draft.event(EventPayload::CommandExecuted(executed.clone()));
                Ok(())
            });
            let _nothing_to_store = told.await;
            // A client that went away reads the answer later.
            let _gone = sender.send(answer);
        });
        receiver
    }
}

/// What a name means. A user's own template takes precedence over a backend's command; Baton's templates give way
/// to the command of the backend that the session talks to.
fn find(
    name: &str,
    templates: &Templates,
    advertised: &Advertised,
    provider: Option<&str>,
) -> Result<Found, Error> {
    let has = |commands: &[AgentCommand]| commands.iter().any(|c| c.name == name);
    let near = advertised
        .iter()
        .find(|(backend, commands)| Some(backend.as_str()) == provider && has(commands));
    let any = advertised.iter().find(|(_, commands)| has(commands));
    if let Some(command) = templates.own.get(name) {
        return Ok(Found::Template(command.clone()));
    }
    if let Some((backend, _)) = near {
        return Ok(Found::Agent(backend.clone()));
    }
    if let Some(command) = templates.builtin.get(name) {
        return Ok(Found::Template(command.clone()));
    }
    if let Some((backend, _)) = any {
        return Ok(Found::Agent(backend.clone()));
    }
    let of_backends = advertised.iter().flat_map(|(_, commands)| commands);
    let known = templates.own.keys().chain(templates.builtin.keys());
    let known = known
        .chain(of_backends.map(|c| &c.name))
        .map(String::as_str);
    Err(Error::UnknownCommand {
        command: name.to_owned(),
        suggestions: alike(name, known),
    })
}

/// A model as people write it. OpenCode's command files name models without the backend that has them.
fn model_of(text: &str, registry: &Snapshot, field: &str) -> Result<ModelWish, Error> {
    let named = registry.model_named(text);
    named.ok_or_else(|| Error::Invalid {
        field: field.to_owned(),
        message: format!("Expected provider/model, got {text:?}"),
    })
}

/// A client that names a model and no variant means the model's default, as with a message.
fn variant_of(call: &CommandCall, names_model: bool) -> VariantWish {
    match &call.variant {
        VariantWish::Keep if names_model => VariantWish::Unsaid,
        said => said.clone(),
    }
}

fn native_text(call: &CommandCall) -> String {
    format!("/{} {}", call.command, call.arguments.trim())
        .trim_end()
        .to_owned()
}

/// Those of the mentioned paths that are there, inside of the directory, as parts of a prompt.
fn files_in(directory: &str, mentioned: Vec<String>) -> Vec<PartInput> {
    let Ok(root) = Path::new(directory).canonicalize() else {
        return Vec::new();
    };
    let mut files = Vec::new();
    for name in mentioned.into_iter().take(FILES_MAX) {
        // Canonical, so that neither `..` nor a link leads out of the directory.
        let path = root.join(&name).canonicalize().ok();
        let Some(path) = path.filter(|path| path.starts_with(&root)) else {
            continue;
        };
        let mime = if path.is_dir() {
            "application/x-directory"
        } else {
            "text/plain"
        };
        let path = path.to_string_lossy();
        files.push(PartInput::File(FilePartInput {
            id: None,
            mime: mime.to_owned(),
            filename: Some(name),
            url: format!("file://{}", utf8_percent_encode(&path, IN_PATH)),
            source: None,
        }));
    }
    files
}
