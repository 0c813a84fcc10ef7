//! What comes from outside of Baton: a native session that is imported, and what others have said in one since.
//!
//! Each leaves a line in the transcript, as a switch does (`notice`): a message whose only text is marked `ignored`. It also
//! names what is selected, since OpenCode's clients take that from the last message of the user.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Binding, Draft, Outside};
use crate::opencode::message::{Message, MessageWithParts, Part, TextPart};
use crate::opencode::{MessageId, PartId};
use crate::session::Error;
use crate::session::conversation::Placed;
use crate::session::conversation::imported::{Exchange, Frame};
use crate::session::conversation::prompt::user_message;
use crate::store::MessageKey;

/// Where a line has the native session for programs, within `metadata`.
const METADATA_KEY: &str = "nativeSession";

/// A native session that becomes a session.
#[derive(Debug, Clone)]
pub(crate) struct Import {
    /// The backend.
    pub backend: String,
    /// What is bound.
    pub binding: Binding,
    /// Its messages.
    pub messages: Vec<Placed>,
    /// The line about it.
    pub line: String,
}

/// What was said in a native session outside of Baton, as it was read.
#[derive(Debug, Clone)]
pub(crate) struct News {
    /// The backend.
    pub backend: String,
    /// The native session.
    pub native: String,
    /// All that was said in it.
    pub exchanges: Arc<Vec<Exchange>>,
    /// From which exchange on it is new; `None` where that cannot be told.
    pub from: Option<usize>,
    /// When it was read, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The state of the conversation that it was compared with.
    pub read_at: u64,
    /// The agent knew all of that.
    pub knew_all: bool,
}

impl Draft {
    /// Puts an imported conversation into a session that is being made. Nobody can show it yet: who opens it reads it.
    pub(crate) fn put_import(&mut self, import: &Import) {
        let session = self.id.clone();
        for placed in &import.messages {
            placed
                .changes(&session)
                .for_each(|change| self.write(change));
        }
        self.line(
            &import.backend,
            &import.binding.native_session,
            &import.line,
        );
        self.bind(&import.backend, import.binding.clone());
    }

    /// Takes in what was said outside of Baton.
    ///
    /// # Errors
    /// [`Error::Busy`], or [`Error::MovedOn`] when it was compared with something else.
    pub(crate) fn take_in_news(&mut self, news: &News) -> Result<(), Error> {
        self.unless_ending()?;
        self.unless_busy()?;
        self.unless_moved_on(news.read_at)?;
        let binding = self.runtime.bindings.get(&news.backend);
        let binding = binding
            .filter(|it| it.native_session == news.native)
            .cloned();
        let (Some(mut binding), None) = (binding, &self.state().revert) else {
            return Err(Error::MovedOn);
        };
        let new = news.exchanges.get(news.from.unwrap_or(usize::MAX)..);
        let new = new.unwrap_or_default();
        for exchange in new {
            let turn = self.take_in_exchange(&news.backend, exchange);
            if news.knew_all {
                binding.seen_turn = turn;
            }
        }
        let line = match (news.from, new.len()) {
            (Some(_), 0) => None,
            (Some(_), new) => Some(in_words(new)),
            (None, _) => Some(UNCLEAR.to_owned()),
        };
        if let Some(line) = line {
            self.line(&news.backend, &news.native, &line);
            self.touch();
            self.event_of_session();
        }
        binding.outside = Some(Outside {
            known_ms: news.at_ms,
            prompts: news.exchanges.len() as u64,
        });
        self.bind(&news.backend, binding);
        Ok(())
    }

    /// Puts an exchange behind what there is, and returns its turn.
    fn take_in_exchange(&mut self, backend: &str, exchange: &Exchange) -> u64 {
        let (session, directory) = (self.id.clone(), Arc::clone(&self.directory));
        let frame = Frame {
            session: &session,
            directory: &directory,
            backend,
            sizes: self.sizes,
        };
        let turn = self.runtime.last_seq + 1;
        let became = exchange.become_messages(&frame, turn);
        for placed in &became.messages {
            self.next_seq();
            placed
                .changes(&session)
                .for_each(|change| self.write(change));
            self.event_of_message(&placed.message);
        }
        became.todos.iter().for_each(|todos| self.set_todos(todos));
        turn
    }

    /// A line of the transcript, which no model is given.
    fn line(&mut self, backend: &str, native: &str, text: &str) {
        let Some(selection) = self.state().selection.clone() else {
            return;
        };
        let seq = self.next_place_of_notice();
        let id = MessageId::new();
        let info = user_message(id.clone(), &self.id, &selection);
        let about = json!({ "providerID": backend, "nativeID": native });
        let part = Part::Text(TextPart {
            id: PartId::new(),
            session_id: self.id.clone(),
            message_id: id.clone(),
            text: format!("Baton: {text}"),
            synthetic: None,
            ignored: Some(true),
            time: None,
            metadata: Some(Map::<String, Value>::from_iter([(
                METADATA_KEY.to_owned(),
                about,
            )])),
        });
        let placed = Placed {
            key: MessageKey { seq, turn: seq, id },
            message: MessageWithParts {
                info: Message::User(info),
                parts: vec![part],
            },
        };
        let session = self.id.clone();
        placed
            .changes(&session)
            .for_each(|change| self.write(change));
        self.event_of_message(&placed.message);
    }
}

/// What is said where a native session has changed and its new part cannot be told from the old one.
const UNCLEAR: &str = "this session was changed outside of Baton, with its agent's own program. What was said there cannot be \
                       told from what is known here, so it is not shown; the agent itself may know it.";

fn in_words(exchanges: usize) -> String {
    let prompts = match exchanges {
        1 => "one prompt was".to_owned(),
        more => format!("{more} prompts were"),
    };
    format!(
        "this session was continued outside of Baton, with its agent's own program: {prompts} given there. What was said is \
         above."
    )
}
