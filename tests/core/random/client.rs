//! Somebody who does one thing, and notes what was acknowledged.

use baton::opencode::event::Source;
use baton::opencode::message::Message;
use baton::opencode::request::PermissionReply;
use baton::opencode::{MessageId, SessionId};
use baton::registry::ModelWish;
use baton::session::{Error, NewSession, Update};
use baton::store::Store;

use super::rng::Rng;
use super::watch::Watch;
use crate::support::{DIRECTORY, World, by, text_prompt, wish, within};

const MODELS: &[&str] = &[
    "one/x",
    "one/y",
    "one/z",
    "one/strong",
    "two/a",
    "two/b",
    "",
];
const PROMPTS: &[&str] = &[
    "echo this",
    "model",
    "slow 0.3",
    "slow 2",
    "permission ls",
    "permission rm",
    "plan",
    "switch y",
    "switch b",
    "error",
    "error silent",
    "crash",
];

pub(super) struct Client {
    world: World,
    watch: Watch,
    rng: Rng,
}

impl Client {
    pub(super) fn new(world: World, watch: Watch, rng: Rng) -> Self {
        Self { world, watch, rng }
    }

    pub(super) async fn act(mut self) {
        // What hangs is aborted at last.
        within(Box::pin(self.do_something())).await;
    }

    async fn do_something(&mut self) {
        let sessions = self.watch.sessions();
        if sessions.len() < 2 || (sessions.len() < 6 && self.rng.chance(10)) {
            return self.create(&sessions).await;
        }
        let id = self.rng.pick(&sessions).clone();
        match self.rng.below(28) {
            0..=6 => self.update(&id).await,
            7..=15 => self.prompt(&id).await,
            16..=17 => self.abort(&id).await,
            18 if sessions.len() > 3 => self.delete(&id).await,
            19 => self.fork(&id).await,
            20..=22 => self.change_history(&id).await,
            23 => self.summarize(&id).await,
            24 => self.wait(&id).await,
            _ => self.reply().await,
        }
    }

    async fn create(&mut self, sessions: &[SessionId]) {
        let parent =
            (self.rng.chance(20) && !sessions.is_empty()).then(|| self.rng.pick(sessions).clone());
        let new = NewSession {
            directory: DIRECTORY.to_owned(),
            parent_id: parent.clone(),
            wish: wish(self.rng.word(MODELS)),
            ..NewSession::default()
        };
        if let Ok(session) = self.world.sessions.create(new, by(Source::Create)).await {
            self.watch.made(&session.id, session.revision, parent);
        }
    }

    async fn update(&mut self, id: &SessionId) {
        let if_match = match self.rng.chance(20) {
            true => self
                .world
                .info_if_there(id)
                .await
                .map(|session| session.revision),
            false => None,
        };
        let title = self
            .rng
            .chance(40)
            .then(|| format!("title {}", self.rng.below(5)));
        let update = Update {
            wish: wish(self.rng.word(MODELS)),
            title,
            if_match,
            ..Update::default()
        };
        // Somebody else comes in between.
        if if_match.is_some() {
            tokio::task::yield_now().await;
        }
        match self.world.update(id, update).await {
            Ok(session) => self.watch.changed(id, session.revision),
            Err(Error::RevisionConflict { revision, .. }) => {
                let stored = self.world.stored_revision(id).await;
                assert!(
                    stored.is_none_or(|stored| stored >= revision),
                    "{stored:?} {revision}"
                );
            }
            Err(_) => {}
        }
    }

    async fn prompt(&mut self, id: &SessionId) {
        let mut prompt = text_prompt(self.rng.word(PROMPTS));
        prompt.no_reply = self.rng.chance(5);
        if self.rng.chance(30) {
            prompt.wish = wish(self.rng.word(MODELS));
        }
        let Ok(admitted) = self
            .world
            .sessions
            .prompt(id, prompt, by(Source::Message))
            .await
        else {
            return;
        };
        let message = admitted.message.info.id().clone();
        self.watch.said(id, &message);
        let Some(answer) = admitted.answer else {
            return;
        };
        match answer.await {
            Ok(answer) => {
                assert_eq!(answer.message.parent_id, message);
                self.assert_stored(id, &answer.message.id).await;
            }
            Err(_) => assert!(
                self.watch.may_be_silent(&self.world, id),
                "a prompt of {id} was dropped without an answer"
            ),
        }
    }

    /// What was answered is stored, unless it was deleted since.
    async fn assert_stored(&self, id: &SessionId, message: &MessageId) {
        let row = self.world.memory.message(id, message).await.expect("reads");
        if let Some(row) = row {
            let stored: Message = serde_json::from_str(&row.body).expect("a message");
            assert!(
                matches!(&stored, Message::Assistant(m) if m.time.completed.is_some()),
                "an answer was given that is not stored: {stored:?}"
            );
        }
    }

    async fn abort(&mut self, id: &SessionId) {
        // It may be gone.
        let _gone = self.world.sessions.abort(id, None).await;
    }

    async fn delete(&mut self, id: &SessionId) {
        self.watch.is_being_deleted(id);
        if self.world.sessions.delete(id).await.is_ok() {
            self.watch.deleted(id);
        }
    }

    async fn fork(&mut self, id: &SessionId) {
        if let Ok(session) = self.world.fork(id).await {
            self.watch.made(&session.id, session.revision, None);
        }
    }

    async fn change_history(&mut self, id: &SessionId) {
        let sessions = &self.world.sessions;
        let Ok(messages) = sessions.messages(id, None, None).await else {
            return;
        };
        if messages.is_empty() {
            return;
        }
        let message = self.rng.pick(&messages).read().expect("readable");
        let message_id = message.info.id().clone();
        let _refused = match self.rng.below(4) {
            0 => sessions.revert(id, message_id, None).await.map(drop),
            1 => sessions.unrevert(id).await.map(drop),
            2 => sessions.delete_message(id, &message_id).await,
            _ => match message.parts.first() {
                Some(part) => sessions.delete_part(id, &message_id, part.id()).await,
                None => Ok(()),
            },
        };
    }

    async fn summarize(&mut self, id: &SessionId) {
        let model = ModelWish {
            provider_id: "one".to_owned(),
            model_id: "z".to_owned(),
        };
        if let Ok(Some(answer)) = self
            .world
            .sessions
            .summarize(id, model, self.rng.chance(50))
            .await
        {
            let silent = answer.await.is_err();
            assert!(!silent || self.watch.may_be_silent(&self.world, id));
        }
    }

    async fn wait(&mut self, id: &SessionId) {
        let Some(session) = self.world.info_if_there(id).await else {
            return;
        };
        let waited = self.world.sessions.wait_applied(id, session.revision).await;
        if let Err(error) = waited {
            let known = matches!(
                error,
                Error::NotApplied(_) | Error::NotFound(_) | Error::ShutDown
            );
            assert!(known, "{error:?}");
        }
    }

    async fn reply(&mut self) {
        let waiting = self.world.sessions.permissions(None);
        if waiting.is_empty() {
            return;
        }
        let replies = [
            PermissionReply::Once,
            PermissionReply::Always,
            PermissionReply::Reject,
        ];
        let (request, reply) = (self.rng.pick(&waiting), *self.rng.pick(&replies));
        let _gone = self
            .world
            .sessions
            .reply_permission(&request.id, reply)
            .await;
    }
}
