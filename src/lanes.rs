//! Lanes: what is done in one folder waits for nothing that is done in another.
//!
//! A lane is a number of places with a name. Who waits for a place does so for a limited time, and a blocking call
//! that does not come back when its time is over gives its place back although its thread still hangs. The threads
//! are counted apart, so that a dead file system takes some of them and not all.

use std::collections::HashMap;
use std::hash::Hash;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Why nothing was done, or has come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LaneError {
    /// Others hold all places for too long, or too many threads hang.
    #[error("too much is being done there already; try again later")]
    Busy,
    /// The call did not come back.
    #[error("its file system did not answer in time")]
    TimedOut,
    /// The call has panicked.
    #[error("it failed in a way that was not foreseen")]
    Panicked,
}

impl LaneError {
    /// The same as an error of the system: what may be better later is `TimedOut`.
    pub fn kind(self) -> io::ErrorKind {
        match self {
            Self::Busy | Self::TimedOut => io::ErrorKind::TimedOut,
            Self::Panicked => io::ErrorKind::Other,
        }
    }
}

/// Lanes of one kind of work.
#[derive(Debug)]
pub struct Lanes<K> {
    lanes: Mutex<HashMap<K, Lane>>,
    /// Those in the lane of one name, at the same time.
    places: usize,
    /// Blocking threads of one name, those that hang included.
    threads: usize,
    /// Blocking threads of all names.
    all_threads: Arc<Semaphore>,
}

#[derive(Debug, Clone)]
struct Lane {
    places: Arc<Semaphore>,
    threads: Arc<Semaphore>,
}

impl<K: Eq + Hash + Clone> Lanes<K> {
    /// Lanes with this many places and threads each, and this many threads in all.
    pub fn new(places: usize, threads: usize, all_threads: usize) -> Self {
        Self {
            lanes: Mutex::default(),
            places,
            threads,
            all_threads: Arc::new(Semaphore::new(all_threads)),
        }
    }

    fn lane(&self, name: &K) -> Lane {
        let mut lanes = self.lanes.lock();
        if let Some(lane) = lanes.get(name) {
            return lane.clone();
        }
        // Unused lanes are forgotten; a place or a thread keeps its own.
        lanes.retain(|_, lane| {
            Arc::strong_count(&lane.places) > 1 || Arc::strong_count(&lane.threads) > 1
        });
        let lane = Lane {
            places: Arc::new(Semaphore::new(self.places)),
            threads: Arc::new(Semaphore::new(self.threads)),
        };
        lanes.insert(name.clone(), lane.clone());
        lane
    }

    /// Waits for a place; it is given back when it is dropped.
    pub async fn place(&self, name: &K) -> OwnedSemaphorePermit {
        let places = self.lane(name).places;
        #[expect(clippy::expect_used, reason = "the semaphore is never closed")]
        places.acquire_owned().await.expect("never closed")
    }

    /// Makes a blocking call in a lane. It waits for its place no longer than `patience`, and is waited for no
    /// longer than `time`.
    ///
    /// # Errors
    /// See [`LaneError`].
    pub async fn block<T: Send + 'static>(
        &self,
        name: &K,
        patience: Duration,
        time: Duration,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, LaneError> {
        let lane = self.lane(name);
        let waited = tokio::time::timeout(patience, lane.places.acquire_owned()).await;
        let Ok(Ok(_place)) = waited else {
            return Err(LaneError::Busy);
        };
        let busy = |_none_left| LaneError::Busy;
        let thread = lane.threads.try_acquire_owned().map_err(busy)?;
        let of_all = Arc::clone(&self.all_threads);
        let of_all = of_all.try_acquire_owned().map_err(busy)?;
        let task = tokio::task::spawn_blocking(move || {
            // Held until the call has really ended, even if it is no longer awaited.
            let _threads = (thread, of_all);
            call()
        });
        match tokio::time::timeout(time, task).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(_panic)) => Err(LaneError::Panicked),
            Err(_elapsed) => Err(LaneError::TimedOut),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;

    const SHORT: Duration = Duration::from_millis(100);
    const LONG: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_call_that_hangs_gives_its_place_back_and_holds_up_nobody() {
        let lanes = Lanes::new(1, 2, 3);
        let (hang, released) = (mpsc::channel::<()>(), mpsc::channel());
        let (end, hang) = (hang.0, Arc::new(Mutex::new(hang.1)));
        let hanging = async || {
            let (hang, released) = (Arc::clone(&hang), released.0.clone());
            let call = move || {
                let _ended = hang.lock().recv();
                let _heard = released.send(());
            };
            lanes.block(&"a", LONG, SHORT, call).await
        };
        let begun = Instant::now();
        assert_eq!(hanging().await, Err(LaneError::TimedOut));
        // The place is free again although the thread hangs, and another folder never saw any of it.
        assert_eq!(lanes.block(&"a", LONG, LONG, || 1).await, Ok(1));
        assert_eq!(lanes.block(&"b", LONG, LONG, || 2).await, Ok(2));
        assert_eq!(hanging().await, Err(LaneError::TimedOut));
        // As many threads hang as this folder may have; others are not concerned.
        assert_eq!(
            lanes.block(&"a", LONG, LONG, || 3).await,
            Err(LaneError::Busy)
        );
        assert_eq!(lanes.block(&"b", LONG, LONG, || 4).await, Ok(4));
        assert!(begun.elapsed() < LONG);
        drop(end);
        for _ in 0..2 {
            released.1.recv_timeout(LONG).expect("it ends");
        }
    }

    #[tokio::test]
    async fn who_waits_for_a_place_waits_for_a_limited_time() {
        let lanes = Lanes::new(1, 2, 3);
        let held = lanes.place(&"a").await;
        let refused = lanes.block(&"a", SHORT, LONG, || ()).await;
        assert_eq!(refused, Err(LaneError::Busy));
        assert_eq!(lanes.block(&"b", SHORT, LONG, || ()).await, Ok(()));
        drop(held);
        assert_eq!(lanes.block(&"a", LONG, LONG, || ()).await, Ok(()));
        assert!(lanes.lanes.lock().len() <= 2);
        // Lanes of folders that are no longer used are forgotten.
        for _ in 0..10 {
            assert_eq!(lanes.block(&"c", LONG, LONG, || ()).await, Ok(()));
        }
        assert_eq!(lanes.lanes.lock().len(), 1);
    }
}
