//! The task that writes: it takes whatever waits, sends all of it at once, and commits it as one transaction.

use std::iter;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use deadpool_postgres::ClientWrapper;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, maybe_done, poll_fn};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tokio_postgres::types::ToSql;

use super::changes::{Place, Statement, naming, statements};
use super::doubt::{Fate, fate};
use super::error::{ends_connection, is_lost};
use super::session::Session;
use crate::metrics;
use crate::opencode::EventId;
use crate::store::{Change, StoreError};

/// Batches that are committed together at most.
const GROUP_BATCHES: usize = 512;
/// No further batch is taken into a group beyond this, in bytes of bodies: they are in memory twice while they are sent.
const GROUP_BYTES: usize = 8 * 1024 * 1024;
/// How long callers wait for a commit of which it is not known whether it has taken place. After that they are told that it
/// has not, and that is made true later.
const IN_DOUBT: Duration = Duration::from_secs(5);
/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A batch that waits, and where its answer goes.
pub(super) struct Job {
    /// What to write.
    pub(super) batch: Vec<Change>,
    /// Takes the answer.
    pub(super) done: oneshot::Sender<Result<(), StoreError>>,
}

/// Writes batches.
pub(super) struct Writer {
    /// The connection.
    pub(super) session: Session,
}

/// Why a transaction was not committed.
enum Failure {
    /// It was taken back; the connection is as good as before.
    TakenBack(StoreError),
    /// The connection was lost before the commit, so that nothing of it is there.
    Lost(StoreError),
    /// The same, and whoever tries it again waits as long again.
    Away(StoreError),
    /// It was lost with the commit on its way: the name of the transaction.
    InDoubt(StoreError, String),
}

impl Failure {
    fn is_loss(&self) -> bool {
        !matches!(self, Self::TakenBack(_))
    }

    fn error(self) -> StoreError {
        match self {
            Self::TakenBack(error)
            | Self::Lost(error)
            | Self::Away(error)
            | Self::InDoubt(error, _) => error,
        }
    }
}

type Answers = Vec<Result<(), StoreError>>;

impl Writer {
    /// Writes what waits until nobody can add anything.
    pub(super) async fn run(mut self, mut queue: mpsc::UnboundedReceiver<Job>) {
        while let Some(first) = queue.recv().await {
            let mut bytes = bytes_of(&first.batch);
            let mut group = vec![first];
            while group.len() < GROUP_BATCHES && bytes < GROUP_BYTES {
                let Ok(next) = queue.try_recv() else { break };
                bytes += bytes_of(&next.batch);
                group.push(next);
            }
            let began = Instant::now();
            let written = AssertUnwindSafe(self.write_group(&group))
                .catch_unwind()
                .await;
            let answers = written.unwrap_or_else(|_panic| {
                self.session.lose();
                let error = StoreError::Database("writing a batch has panicked".to_owned());
                vec![Err(error); group.len()]
            });
            let failed = answers.iter().filter(|answer| answer.is_err()).count();
            metrics::committed(group.len(), failed, began.elapsed());
            for (job, answer) in group.into_iter().zip(answers) {
                // A caller that has gone away does not need the answer; its batch is committed all the same.
                let _nobody_waits = job.done.send(answer);
            }
        }
    }

    /// Commits a group together, and where that fails, each batch in a part of a transaction that can be taken back alone, so
    /// that only those fail that fail alone.
    async fn write_group(&mut self, group: &[Job]) -> Answers {
        if group.iter().all(|job| job.batch.is_empty()) {
            return vec![Ok(()); group.len()];
        }
        let written = match self.write(group, Self::together).await {
            Err(Failure::TakenBack(_)) if group.len() > 1 => self.write(group, Self::apart).await,
            written => written,
        };
        match written {
            Ok(answers) => answers,
            Err(Failure::InDoubt(error, transaction)) => {
                self.settle(group, error, transaction).await
            }
            Err(failure) => vec![Err(failure.error()); group.len()],
        }
    }

    /// Writes in one of two ways; once more where a connection was found lost before anything was committed.
    async fn write<'a>(
        &'a mut self,
        group: &'a [Job],
        way: impl for<'b> Fn(&'b mut Self, &'b [Job]) -> BoxFuture<'b, Result<Answers, Failure>>,
    ) -> Result<Answers, Failure> {
        match way(self, group).await {
            Err(Failure::Lost(error)) => {
                tracing::debug!("the connection to the database was lost: {error}");
                way(self, group).await
            }
            written => written,
        }
    }

    fn together<'a>(&'a mut self, group: &'a [Job]) -> BoxFuture<'a, Result<Answers, Failure>> {
        Box::pin(async move {
            let (patience, place) = (self.session.patience(), self.session.place.clone());
            let client = self.session.client().await.map_err(Failure::Away)?;
            let filled = within(patience, fill(client, group, &place)).await;
            let filled = match filled {
                Ok(transaction) => Ok(transaction),
                Err(error) => Err(roll_back(client, patience, error).await),
            };
            let committed = match filled {
                Ok(transaction) => commit(client, patience, transaction).await,
                Err(failure) => Err(failure),
            };
            self.after(committed)?;
            Ok(vec![Ok(()); group.len()])
        })
    }

    fn apart<'a>(&'a mut self, group: &'a [Job]) -> BoxFuture<'a, Result<Answers, Failure>> {
        Box::pin(async move {
            let (patience, place) = (self.session.patience(), self.session.place.clone());
            let client = self.session.client().await.map_err(Failure::Away)?;
            let filled = fill_apart(client, patience, group, &place).await;
            let committed = match filled {
                Ok((answers, transaction)) => commit(client, patience, transaction)
                    .await
                    .map(|()| answers),
                Err(error) => Err(roll_back(client, patience, error).await),
            };
            self.after(committed)
        })
    }

    /// Lets the connection go where a failure says that it is lost.
    fn after<T>(&mut self, result: Result<T, Failure>) -> Result<T, Failure> {
        if result.as_ref().is_err_and(Failure::is_loss) {
            self.session.lose();
        }
        result
    }

    /// Finds out what became of a commit.
    async fn settle(&mut self, group: &[Job], error: StoreError, transaction: String) -> Answers {
        tracing::warn!("the connection to the database was lost during a commit: {error}");
        let until = Instant::now() + IN_DOUBT;
        while Instant::now() < until {
            let place = self.session.place.clone();
            if let Ok(client) = self.session.client().await {
                match fate(client, &transaction, &place).await {
                    Ok(Fate::Committed) => return vec![Ok(()); group.len()],
                    Ok(Fate::Gone) => return vec![Err(error); group.len()],
                    Err(_) => {}
                }
            }
            sleep(LOOK_AGAIN).await;
        }
        let batches = group.iter().map(|job| &job.batch);
        self.session.doubts.note(transaction, batches);
        // Settled on the next connection.
        self.session.lose();
        vec![Err(error); group.len()]
    }
}

/// The bytes of a batch's bodies, roughly.
fn bytes_of(batch: &[Change]) -> usize {
    let bytes = |change: &Change| match change {
        Change::PutSession { body, .. }
        | Change::PutMessage { body, .. }
        | Change::PutPart { body, .. }
        | Change::SavePart { body, .. }
        | Change::PutHandover { body, .. }
        | Change::PutBackend { body, .. }
        | Change::PutSetting { body, .. } => body.len(),
        _ => 0,
    };
    batch.iter().map(bytes).sum()
}

/// What keeps statements from being written.
pub(super) enum Refused {
    /// The server, or the way to it.
    Server(tokio_postgres::Error),
    /// Another writer was faster.
    Conflict(StoreError),
    /// There was no answer.
    Silence(StoreError),
}

impl From<Refused> for StoreError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Server(error) => error.into(),
            Refused::Conflict(error) | Refused::Silence(error) => error,
        }
    }
}

impl From<tokio_postgres::Error> for Refused {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Server(error)
    }
}

async fn within<T>(
    patience: Duration,
    work: impl Future<Output = Result<T, Refused>>,
) -> Result<T, Refused> {
    timeout(patience, work).await.unwrap_or_else(|_| {
        let seconds = patience.as_secs();
        let text = format!("the database did not answer within {seconds} s");
        Err(Refused::Silence(StoreError::Unavailable(text)))
    })
}

/// Begins a transaction, writes all of a group, and answers its name.
async fn fill(client: &ClientWrapper, group: &[Job], place: &Place) -> Result<String, Refused> {
    let name = new_name();
    let all = || group.iter().flat_map(|job| &job.batch);
    let tells = |change: &&Change| matches!(change, Change::Tell { .. });
    // What others tell, too, waits for the commit of whoever has begun to: so it comes last.
    let all = all().filter(|c| !tells(c)).chain(all().filter(tells));
    let all = all.flat_map(|change| statements(change, place));
    let all: Vec<_> = iter::once(naming(&name, place)).chain(all).collect();
    execute(client, "BEGIN", &all).await?;
    drop(all);
    Ok(name)
}

/// The same with a savepoint for each batch, and an answer for each.
async fn fill_apart(
    client: &ClientWrapper,
    patience: Duration,
    group: &[Job],
    place: &Place,
) -> Result<(Answers, String), Refused> {
    let run = |sql: &'static str| within(patience, async { Ok(client.batch_execute(sql).await?) });
    run("BEGIN").await?;
    let mut answers = Vec::with_capacity(group.len());
    for job in group {
        let all = job.batch.iter();
        let all: Vec<_> = all.flat_map(|change| statements(change, place)).collect();
        let error = match within(patience, execute(client, "SAVEPOINT batch", &all)).await {
            Ok(()) => {
                run("RELEASE SAVEPOINT batch").await?;
                answers.push(Ok(()));
                continue;
            }
            Err(Refused::Conflict(error)) => error,
            Err(Refused::Server(error)) if !is_lost(&error) && !ends_connection(&error) => {
                error.into()
            }
            Err(lost) => return Err(lost),
        };
        run("ROLLBACK TO SAVEPOINT batch").await?;
        answers.push(Err(error));
    }
    let name = new_name();
    within(patience, execute(client, "", &[naming(&name, place)])).await?;
    Ok((answers, name))
}

/// A name for a transaction, by which its fate can be asked for later.
fn new_name() -> String {
    EventId::new().to_string()
}

/// A statement on its way, which answers how many rows it has written.
type Sent<'a> = BoxFuture<'a, Result<u64, tokio_postgres::Error>>;

/// Sends all statements, and then waits for their answers.
pub(super) async fn execute(
    client: &ClientWrapper,
    first: &str,
    all: &[Statement<'_>],
) -> Result<(), Refused> {
    let mut prepared = Vec::with_capacity(all.len());
    for statement in all {
        prepared.push(client.prepare_cached(statement.sql).await?);
    }
    let begun: Sent<'_> = Box::pin(async { client.batch_execute(first).await.map(|()| 0) });
    let mut sent = vec![maybe_done(begun)];
    for (statement, prepared) in all.iter().zip(&prepared) {
        let values = statement.parameters.iter();
        let values = values.map(|value| &**value as &(dyn ToSql + Sync));
        let executed: Sent<'_> = Box::pin(client.execute_raw(prepared, values));
        sent.push(maybe_done(executed));
    }
    // A statement is sent when its future is polled for the first time: in order, that is.
    poll_fn(|context| {
        for future in &mut sent {
            let _sent = future.poll_unpin(context);
        }
        Poll::Ready(())
    })
    .await;
    let mut outcome = Ok(());
    for (at, mut future) in sent.into_iter().enumerate() {
        (&mut future).await;
        let written = Pin::new(&mut future).take_output();
        // What comes after the first error says only that there was one.
        if outcome.is_err() {
            continue;
        }
        let unless = at.checked_sub(1).and_then(|at| all.get(at)?.unless);
        outcome = match (written, unless) {
            (Some(Err(error)), _) => Err(error.into()),
            (Some(Ok(0)), Some(unless)) => Err(Refused::Conflict(unless.into())),
            _ => Ok(()),
        };
    }
    outcome
}

/// Takes a transaction back that has failed.
async fn roll_back(client: &ClientWrapper, patience: Duration, refused: Refused) -> Failure {
    let error = match refused {
        Refused::Server(error) if is_lost(&error) || ends_connection(&error) => {
            return Failure::Lost(error.into());
        }
        Refused::Silence(error) => return Failure::Away(error),
        Refused::Server(error) => error.into(),
        Refused::Conflict(error) => error,
    };
    let back = async { Ok(client.batch_execute("ROLLBACK").await?) };
    match within(patience, back).await {
        Ok(()) => Failure::TakenBack(error),
        Err(_) => Failure::Lost(error),
    }
}

/// Commits.
async fn commit(
    client: &ClientWrapper,
    patience: Duration,
    transaction: String,
) -> Result<(), Failure> {
    let commit = async { Ok(client.batch_execute("COMMIT").await?) };
    match within(patience, commit).await {
        Ok(()) => Ok(()),
        Err(Refused::Server(error)) if !is_lost(&error) && !ends_connection(&error) => {
            Err(Failure::TakenBack(error.into()))
        }
        Err(Refused::Server(error)) => Err(Failure::InDoubt(error.into(), transaction)),
        Err(Refused::Silence(error) | Refused::Conflict(error)) => {
            Err(Failure::InDoubt(error, transaction))
        }
    }
}
