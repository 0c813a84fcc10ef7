//! Going on with what an agent already has: a session that begins with the conversation of a native session, and goes on
//! in it.

use std::sync::Arc;

use crate::agent::native::NativeSession;
use crate::agent::options::{Kind, Options};
use crate::opencode::event::Todo;
use crate::opencode::message::{Message, Part};
use crate::opencode::{Selection, Session as SessionInfo, SessionId};
use crate::registry::{Catalogue, ModelWish, NativeError, NativeReplay, SelectError, Wish};
use crate::session::ask::fence;
use crate::session::cell::notice::Told;
use crate::session::cell::outside::Import;
use crate::session::cell::select::bound_rules;
use crate::session::cell::{Binding, Birth, Outside, SessionState, can_keep};
use crate::session::conversation::Placed;
use crate::session::conversation::imported::{self, Frame, UNKNOWN_MODEL};
use crate::session::sizes::beginning;
use crate::session::{Caller, Error, ImportWish, NewSession, Sessions, Sizes};

/// A native session of a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Importable {
    /// The native session, as its agent lists it.
    pub native: NativeSession,
    /// The session that goes on in it already.
    pub session_id: Option<SessionId>,
}

impl Sessions {
    /// The native sessions that a backend has, in a directory or in all, most recently used first; at most so many.
    ///
    /// # Errors
    /// When the backend cannot be asked, or the store fails.
    pub async fn importable(
        &self,
        backend: &str,
        directory: Option<&str>,
        most: usize,
    ) -> Result<Vec<Importable>, Error> {
        let registry = &self.office.registry;
        let listed = registry.native_sessions(backend, directory).await?;
        let mut all = Vec::new();
        for native in listed.into_iter().take(most) {
            let session_id = self.bound_to(backend, &native.id).await?;
            all.push(Importable { native, session_id });
        }
        Ok(all)
    }

    async fn bound_to(&self, backend: &str, native: &str) -> Result<Option<SessionId>, Error> {
        let bound = self.office.store.bound(backend, native).await?;
        Ok(bound.into_iter().next())
    }

    /// A native session is one conversation, and cannot become two.
    async fn unless_taken(&self, from: &ImportWish) -> Result<(), Error> {
        match self.bound_to(&from.provider_id, &from.native_id).await? {
            None => Ok(()),
            Some(session) => Err(Error::NativeTaken {
                session,
                native: from.native_id.clone(),
            }),
        }
    }

    /// Makes a session from a native session.
    pub(super) async fn import(
        self: &Arc<Self>,
        new: NewSession,
        from: ImportWish,
        caller: Caller,
    ) -> Result<SessionInfo, Error> {
        let provider = from.provider_id.as_str();
        self.unless_taken(&from).await?;
        let registry = &self.office.registry;
        let place = Some(new.directory.as_str());
        registry.prepare(place, provider, None, None).await;
        if !new.wish.is_empty() {
            self.prepare(&new.directory, None, &new.wish).await;
        }
        let most = self.office.sizes.import_bytes;
        let replay = registry.replay_native(provider, &from.native_id, &new.directory, most);
        let replay = replay.await.map_err(|error| at_field(error, &from))?;
        let wished = !new.wish.is_empty();
        let (state, import) = self.imported(new, &from, replay).await?;
        // Of two that import the same one, the second finds what the first has made.
        let _one_at_a_time = self.importing.lock().await;
        self.unless_taken(&from).await?;
        self.found(state, move |draft| {
            draft.put_first_switch(&caller);
            draft.settle_first(import.messages.len() as u64);
            if wished {
                draft.want_applied();
            }
            draft.found();
            draft.put_import(&import);
        })
        .await
    }

    /// The state of the session, and what it begins with.
    async fn imported(
        &self,
        mut new: NewSession,
        from: &ImportWish,
        mut replay: NativeReplay,
    ) -> Result<(SessionState, Import), Error> {
        let sizes = self.office.sizes;
        bound_rules(&mut new.permission, &sizes)?;
        let selection = self.selection_of(&new, from, &mut replay.options)?;
        let place = self.place_of(&mut new).await?;
        let told = imported::read(std::mem::take(&mut replay.updates));
        let listed = replay.listed.and_then(|native| native.title);
        let found = told.title.clone().or(listed);
        let title = new.title.or(found).filter(|title| !title.is_empty());
        let mut state = SessionState::new(Birth {
            project_id: place.project_id.clone(),
            path: place.path(),
            directory: new.directory,
            parent_id: new.parent_id,
            title: title.map(|title| beginning(&title, sizes.title_bytes).to_owned()),
            metadata: new.metadata,
            permission: new.permission,
        });
        let (messages, todos) = messages_of(&told, &state, &from.provider_id, sizes);
        check(&messages, from, sizes.import_messages)?;
        let binding = Binding {
            native_session: from.native_id.clone(),
            seen_turn: messages.last().map_or(0, |placed| placed.key.turn),
            cost: told.cost,
            outside: Some(Outside {
                known_ms: replay.at_ms,
                prompts: told.exchanges.len() as u64,
            }),
            ..Binding::default()
        };
        if state.kept.title_is_default
            && let Some(first) = messages.first()
        {
            state.note_prompt(&first.message, &selection);
        }
        state.todos = todos.unwrap_or_default();
        state.kept.told = Some(Told::by_prompt(selection.clone()));
        state.kept.selection_revision = 1;
        state.selection = Some(selection);
        let backend = from.provider_id.clone();
        let line = in_words(&messages, &backend, &from.native_id);
        let import = Import {
            backend,
            binding,
            messages,
            line,
        };
        Ok((state, import))
    }

    /// What the session selects: what is wished for, or else what the native session has.
    fn selection_of(
        &self,
        new: &NewSession,
        from: &ImportWish,
        options: &mut Options,
    ) -> Result<Selection, Error> {
        let snapshot = self.office.registry.at(&new.directory);
        let mut wish = new.wish.clone();
        if wish.provider(&snapshot).is_none()
            && let Some(catalogue) = snapshot.catalogue(&from.provider_id)
        {
            complete(&mut wish, &from.provider_id, catalogue, options);
        }
        let selection = snapshot.resolve(None, &wish)?.selection;
        let fence = fence(&new.permission);
        can_keep(&snapshot, &selection.provider_id, &fence).map_err(|message| {
            let field = "[\"permission\"]".to_owned();
            Error::Invalid { field, message }
        })?;
        Ok(selection)
    }
}

/// Fills in the model and the mode that the native session has.
fn complete(wish: &mut Wish, backend: &str, catalogue: &Catalogue, options: &mut Options) {
    if catalogue.one_provider {
        options.leave_out_provider();
    }
    let current = |kind| options.get(kind).map(|choice| choice.current.clone());
    let model = current(Kind::Model).filter(|id| catalogue.model(id).is_some());
    wish.model = Some(ModelWish {
        provider_id: backend.to_owned(),
        model_id: model.unwrap_or_else(|| catalogue.default_model.clone()),
    });
    if wish.agent.is_none() {
        // What may change nothing must not be allowed to by going on elsewhere.
        wish.agent = current(Kind::Mode).map(|mode| catalogue.agent_of(mode));
    }
}

fn messages_of(
    told: &imported::Told,
    state: &SessionState,
    backend: &str,
    sizes: Sizes,
) -> (Vec<Placed>, Option<Vec<Todo>>) {
    let frame = Frame {
        session: &state.id,
        directory: &state.directory,
        backend,
        sizes,
    };
    let (mut messages, mut todos) = (Vec::new(), None);
    for exchange in &told.exchanges {
        let became = exchange.become_messages(&frame, messages.len() as u64 + 1);
        messages.extend(became.messages);
        todos = became.todos.or(todos);
    }
    (messages, todos)
}

/// Refuses what is no conversation, and what is too long.
fn check(messages: &[Placed], from: &ImportWish, most: usize) -> Result<(), Error> {
    let (native, provider) = (&from.native_id, &from.provider_id);
    let message = match messages.len() {
        0 => format!(
            "Backend \"{provider}\" replays nothing of native session \"{native}\": there is nothing to go on with. Make a \
             session without import"
        ),
        many if many > most => format!(
            "Native session \"{native}\" has {many} messages, and at most {most} are imported (limits.import_messages). \
             Raise the limit, or go on in it with its own program"
        ),
        _ => return Ok(()),
    };
    let field = NATIVE_ID.to_owned();
    Err(Error::Invalid { field, message })
}

const PROVIDER_ID: &str = "[\"import\"][\"providerID\"]";
const NATIVE_ID: &str = "[\"import\"][\"nativeID\"]";

/// What is wrong with which field.
fn at_field(error: NativeError, from: &ImportWish) -> Error {
    let message = error.to_string();
    let field = match error {
        NativeError::UnknownBackend(_) | NativeError::Lacks { .. } => PROVIDER_ID,
        NativeError::NotOpened { .. }
        | NativeError::Elsewhere { .. }
        | NativeError::TooLarge { .. } => NATIVE_ID,
        NativeError::NotAsked { why, .. } => {
            return Error::Select(SelectError::NotConnected {
                provider_id: from.provider_id.clone(),
                reason: why,
            });
        }
    };
    Error::Invalid {
        field: field.to_owned(),
        message,
    }
}

/// The line about it, for people.
fn in_words(messages: &[Placed], backend: &str, native: &str) -> String {
    let answers = messages.iter().filter_map(|it| match &it.message.info {
        Message::Assistant(answer) => Some(answer.model_id.as_str()),
        Message::User(_) => None,
    });
    let unknown = answers.filter(|model| *model == UNKNOWN_MODEL).count();
    let models = match unknown {
        0 => "",
        _ => " The agent does not tell which model has given which answer.",
    };
    let shown = messages.iter().filter(|it| is_shown(it)).count();
    format!(
        "what is above was imported from {backend} (native session {native}, {shown} messages), and goes on in that \
         session.{models} Going on in it with another program at the same time mixes two conversations."
    )
}

fn is_shown(placed: &Placed) -> bool {
    let ignored = |part: &Part| matches!(part, Part::Text(text) if text.ignored == Some(true));
    !placed.message.parts.iter().all(ignored)
}
