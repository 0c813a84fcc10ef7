//! The thread that writes: it takes whatever is queued and commits it as one transaction.

use std::iter;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::slice;
use std::sync::mpsc;
use std::time::Instant;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::checkpoint::{self, Checkpoints};
use super::moved;
use super::presence::Presence;
use super::reserve::Reserve;
use super::search;
use crate::metrics;
use crate::store::{Change, StoreError};

/// Batches that are committed together at most.
const GROUP_BATCHES: usize = 512;
/// Groups of batches between two looks at what was put off.
const GROUPS_BETWEEN_LOOKS: u32 = 32;

/// A batch that waits, and where its answer goes.
#[derive(Debug)]
pub(super) struct Job {
    /// What to write.
    pub(super) batch: Vec<Change>,
    /// Takes the answer.
    pub(super) done: oneshot::Sender<Result<(), StoreError>>,
}

/// What the writer is asked for.
pub(super) enum Work {
    /// To write a batch.
    Write(Job),
    /// To sort in the sessions that were used. Answered once it was tried.
    SortIn(oneshot::Sender<()>),
}

/// Notes that a store was closed in order. False when that could not be noted.
pub(crate) type AtRest = Box<dyn FnOnce() -> bool + Send>;

/// Writes one change within a transaction.
pub(super) type Write = fn(&Connection, &Change) -> Result<(), StoreError>;

/// Writes batches.
pub(super) struct Writer {
    /// Its own connection.
    pub(super) connection: Connection,
    /// What writes a change.
    pub(super) write: Write,
    /// Groups that were written.
    pub(super) groups: u32,
    /// Whether the file is still there.
    pub(super) presence: Presence,
    /// Room for the case of a full disk.
    pub(super) reserve: Reserve,
    /// Called when everything is in the file, before it is closed. Answers whether that was noted.
    pub(super) at_rest: Option<AtRest>,
}

/// Why a transaction was not committed. Nothing of it is there.
enum Failure {
    /// It could not begin, so that no other can, either.
    NotBegun(StoreError),
    /// It was taken back.
    TakenBack(StoreError),
}

impl Writer {
    /// Writes what is queued until the queue is closed, then checkpoints the log.
    pub(super) fn run(mut self, queue: &mpsc::Receiver<Work>, checkpoints: Checkpoints) {
        while let Ok(first) = queue.recv() {
            let (mut group, mut waiting) = (Vec::new(), Vec::new());
            for work in iter::once(first).chain(queue.try_iter().take(GROUP_BATCHES - 1)) {
                match work {
                    Work::Write(job) => group.push(job),
                    Work::SortIn(done) => waiting.push(done),
                }
            }
            if !group.is_empty() {
                self.answer_group(group);
            }
            let looks = self.is_time_to_look();
            if looks && search::lacks_many(&self.connection).unwrap_or(false) {
                self.tidy("titles are not in the index", search::take_in);
            }
            if !waiting.is_empty() || looks && moved::are_many(&self.connection).unwrap_or(false) {
                self.tidy("lists are not in the order of the last use", moved::sort_in);
                for done in waiting {
                    let _nobody_waits = done.send(());
                }
            }
            checkpoints.committed(&self.connection);
            self.reserve.renew();
        }
        drop(checkpoints);
        let rest = self.presence.check();
        let is_at_rest = match rest.and_then(|()| checkpoint::truncate(&self.connection)) {
            Ok(()) => self.at_rest.take().is_none_or(|at_rest| at_rest()),
            // The next start does it.
            Err(error) => {
                tracing::warn!("the store's log was not brought back into its file: {error}");
                false
            }
        };
        if !is_at_rest {
            // Closing the last connection would remove the log, and a log that is missing after a server that is not
            // known to have ended in order is taken for a loss.
            std::mem::forget(self.connection);
        }
    }

    fn answer_group(&mut self, group: Vec<Job>) {
        let began = Instant::now();
        let results = self.write_group(&group);
        let failed = results.iter().filter(|result| result.is_err()).count();
        metrics::committed(group.len(), failed, began.elapsed());
        for (job, result) in group.into_iter().zip(results) {
            // A caller that has gone away does not need the answer; its batch is committed all the same.
            let _nobody_waits = job.done.send(result);
        }
    }

    /// Whether it is time to look if too much waits to be sorted in.
    fn is_time_to_look(&mut self) -> bool {
        self.groups = (self.groups + 1) % GROUPS_BETWEEN_LOOKS;
        self.groups == 0
    }

    /// Does what was put off.
    pub(super) fn tidy(
        &mut self,
        otherwise: &str,
        tidy: fn(&Connection) -> Result<(), StoreError>,
    ) {
        let done = self
            .begin()
            .and_then(|()| tidy(&self.connection))
            .and_then(|()| self.run_sql("COMMIT"));
        if let Err(error) = done.or_else(|error| self.take_back().and(Err(error))) {
            tracing::debug!("{otherwise} at the moment: {error}");
        }
    }

    /// Commits a group together, and where that fails one batch after the other, so that only those fail that fail
    /// alone.
    pub(super) fn write_group(&mut self, group: &[Job]) -> Vec<Result<(), StoreError>> {
        let mut results = self.write_all(group);
        for result in &mut results {
            // SQLite does not say which disk.
            if let Err(StoreError::Full(place)) = result {
                *place = self.presence.directory();
            }
        }
        results
    }

    fn write_all(&mut self, group: &[Job]) -> Vec<Result<(), StoreError>> {
        if let Err(gone) = self.presence.check() {
            return vec![Err(gone); group.len()];
        }
        match self.write_together(group) {
            Ok(results) => return results,
            Err(Failure::NotBegun(error)) => return vec![Err(error); group.len()],
            Err(Failure::TakenBack(error)) => {
                if let [only] = group {
                    return vec![self.make_room(only, error)];
                }
            }
        }
        let mut results = Vec::with_capacity(group.len());
        for job in group {
            match self.write_together(slice::from_ref(job)) {
                Ok(alone) => results.extend(alone),
                Err(Failure::TakenBack(error)) => results.push(self.make_room(job, error)),
                Err(Failure::NotBegun(error)) => {
                    // Each further one would wait as long for the same lock.
                    results.resize(group.len(), Err(error));
                    break;
                }
            }
        }
        results
    }

    /// Writes a batch that makes room once more, into the room that is kept for it, if the disk is full.
    fn make_room(&mut self, job: &Job, error: StoreError) -> Result<(), StoreError> {
        if !matches!(error, StoreError::Full(_)) || !self.reserve.give_up_for(&job.batch) {
            return Err(error);
        }
        match self.write_together(slice::from_ref(job)) {
            Ok(_written) => Ok(()),
            Err(Failure::NotBegun(error) | Failure::TakenBack(error)) => Err(error),
        }
    }

    fn write_together(&mut self, group: &[Job]) -> Result<Vec<Result<(), StoreError>>, Failure> {
        self.begin().map_err(Failure::NotBegun)?;
        // After a panic, the whole transaction is rolled back.
        let written = catch_unwind(AssertUnwindSafe(|| self.fill_transaction(group)));
        let written = written.unwrap_or_else(|_panic| {
            Err(StoreError::Database(
                "writing a batch has panicked".to_owned(),
            ))
        });
        written.map_err(|error| {
            if let Err(error) = self.take_back() {
                tracing::error!("a failed transaction could not be taken back yet: {error}");
            }
            Failure::TakenBack(error)
        })
    }

    /// Writes a group and commits. Without a savepoint for each batch: failures are rare, and then each batch is
    /// written again alone.
    fn fill_transaction(&self, group: &[Job]) -> Result<Vec<Result<(), StoreError>>, StoreError> {
        for job in group {
            self.write_batch(&job.batch)?;
        }
        self.run_sql("COMMIT")?;
        Ok(vec![Ok(()); group.len()])
    }

    fn write_batch(&self, batch: &[Change]) -> Result<(), StoreError> {
        batch
            .iter()
            .try_for_each(|change| (self.write)(&self.connection, change))
    }

    fn begin(&self) -> Result<(), StoreError> {
        // A failed transaction that could not be rolled back would block this one.
        self.take_back()?;
        self.run_sql("BEGIN IMMEDIATE")
    }

    fn take_back(&self) -> Result<(), StoreError> {
        if self.connection.is_autocommit() {
            return Ok(());
        }
        self.run_sql("ROLLBACK")
    }

    fn run_sql(&self, sql: &str) -> Result<(), StoreError> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }
}
