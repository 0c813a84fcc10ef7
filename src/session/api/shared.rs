//! Sessions that several servers share: which of them goes on with one.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::nodes::beat::Pulse;
use crate::nodes::{Hold, Nodes};
use crate::opencode::SessionId;
use crate::opencode::event::EventPayload;
use crate::session::{Error, Sessions, spending};
use crate::store::shared::Owner;

/// How often it is looked whether a session that is not at work is free.
const LEAVING: Duration = Duration::from_millis(10);
/// One that is not free after this time is let go of when it is.
const LEAVE_WITHIN: Duration = Duration::from_secs(1);

/// Whether a request about a session is for this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// It is.
    Here,
    /// It is for another one.
    Elsewhere(Owner),
    /// This server takes no new work, or does not have the session's directory, which this is: another one has to take it.
    Anywhere(String),
}

impl Sessions {
    /// The servers that share the sessions.
    pub fn nodes(&self) -> &Arc<Nodes> {
        &self.office.nodes
    }

    /// Where a session is looked at: where it is worked on, and here if it is nowhere.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn place_to_read(&self, id: &SessionId) -> Result<Place, Error> {
        self.be_sure_of(id).await?;
        let owner = self.office.nodes.other_owner(id).await?;
        Ok(owner.map_or(Place::Here, Place::Elsewhere))
    }

    /// Where a session is changed: where it is worked on; if it is nowhere, it is taken here.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn place_to_change(&self, id: &SessionId) -> Result<Place, Error> {
        self.be_sure_of(id).await?;
        let nodes = &self.office.nodes;
        let is_free = match nodes.drains() {
            true => !nodes.holds(id) || self.loaded.let_go_of(id),
            false => !nodes.holds(id),
        };
        if is_free {
            if let Some(owner) = nodes.other_owner(id).await? {
                return Ok(Place::Elsewhere(owner));
            }
            let directory = match self.loaded.find(id).await {
                Ok(cell) => cell.directory.to_string(),
                // The handler says so.
                Err(Error::NotFound(_)) => return Ok(Place::Here),
                Err(error) => return Err(error),
            };
            if nodes.drains() || !is_directory(directory.clone()).await {
                return Ok(Place::Anywhere(directory));
            }
        }
        match nodes.hold(id, false).await? {
            Hold::Here => {
                if nodes.lease(id).is_some_and(|lease| lease.unclean) {
                    self.put_in_order(id).await?;
                }
                Ok(Place::Here)
            }
            Hold::Elsewhere(owner) => Ok(Place::Elsewhere(owner)),
        }
    }

    /// Lets go of a session that another server has taken while this one was suspended, or could not reach the database: what it
    /// has in memory is out of date.
    async fn be_sure_of(&self, id: &SessionId) -> Result<(), Error> {
        let nodes = &self.office.nodes;
        if nodes.is_sure() || !nodes.holds(id) || !nodes.is_taken(id).await? {
            return Ok(());
        }
        match self.loaded.peek(id) {
            Some(cell) => cell.lose().await,
            None => nodes.has_lost(id),
        }
        Ok(())
    }

    /// Ends what a session was in the middle of when its server was lost.
    async fn put_in_order(&self, id: &SessionId) -> Result<(), Error> {
        match self.restore_again(id).await {
            // The handler says so.
            Err(Error::NotFound(_)) => Ok(()),
            done => done,
        }
    }

    /// Tells everybody, at whatever server, of something that concerns no session.
    pub fn tell(&self, directory: String, event: EventPayload) {
        self.office.tell(directory, &[event]);
    }

    /// The ids of what agents ask now.
    pub fn asks_now(&self) -> Vec<String> {
        let permissions = self.permissions(None).into_iter();
        let questions = self.questions(None).into_iter();
        let permissions = permissions.map(|it| it.id.to_string());
        permissions
            .chain(questions.map(|it| it.id.to_string()))
            .collect()
    }

    /// Whether the store can be reached.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn reach_store(&self) -> Result<(), Error> {
        let asked = self.office.store.setting("ready").await;
        Ok(asked.map(drop)?)
    }

    /// Takes no new work from now on, and lets go of all sessions that are not at work. Answers how many are.
    pub async fn drain(&self) -> usize {
        self.office.nodes.drain();
        let all_gone = async {
            // Workers that have nothing to do leave now.
            while self.loaded.let_go_of_all() > self.office.at_work().len() {
                tokio::time::sleep(LEAVING).await;
            }
        };
        let _or_later = tokio::time::timeout(LEAVE_WITHIN, all_gone).await;
        self.office.at_work().len()
    }
}

/// Whether there is a directory on this machine.
pub async fn is_directory(path: String) -> bool {
    let looked = tokio::task::spawn_blocking(move || std::path::Path::new(&path).is_dir());
    looked.await.unwrap_or(false)
}

/// Sessions as the heartbeat sees them.
#[derive(Debug)]
pub struct Beating(pub Arc<Sessions>);

impl Pulse for Beating {
    fn load(&self) -> String {
        let load = self.0.load();
        crate::json::text(&serde_json::json!({
            "sessions": self.0.office.at_work().len(),
            "turns": load.turns,
            "prompts": load.prompts,
            "agents": load.live_agents,
        }))
    }

    fn look(&self) -> BoxFuture<'_, ()> {
        let office = &self.0.office;
        Box::pin(async move {
            // The others spend, too.
            let day = spending::today();
            if let Ok(Some(spent)) = office.store.setting(&spending::key(&day)).await
                && let Ok(spent) = serde_json::from_str(&spent)
            {
                office.spending.has_spent(&day, spent);
            }
        })
    }

    fn stop_working(&self) {
        for cell in self.0.office.at_work() {
            if let Some(turn) = cell.committed().runtime().turn() {
                turn.queued.abort.cancel();
            }
        }
    }

    fn are_taken(&self, sessions: Vec<SessionId>) {
        for id in sessions {
            match self.0.loaded.peek(&id) {
                Some(cell) => cell.is_taken(),
                None => self.0.office.nodes.has_lost(&id),
            }
        }
    }

    fn take_over(&self, sessions: Vec<SessionId>) {
        for id in sessions {
            let this = Arc::clone(&self.0);
            self.0.office.tasks.spawn(async move {
                let nodes = &this.office.nodes;
                // Another server may be faster.
                let taken = async {
                    match nodes.hold(&id, false).await? {
                        Hold::Here => nodes.is_unclean(&id),
                        Hold::Elsewhere(_) => return Ok(()),
                    }
                    this.put_in_order(&id).await
                };
                if let Err(error) = taken.await {
                    tracing::warn!(session = %id, "a session that a node has left is not brought in order: {error}");
                }
            });
        }
    }
}
