//! Failed sign-ins: slowed by the address that they come from, and logged.
//!
//! An address that has failed a few times waits before it learns the outcome of its next attempt, longer each time.
//! The right password waits, too, since otherwise nobody who guesses would need to: but briefly, and never on a
//! connection that has carried it before. It is refused only while very many attempts of that same address wait. Other
//! addresses notice nothing, so one user cannot lock out another.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::record::Record;

/// So many failures cost nothing: people mistype.
const FREE_FAILURES: u32 = 3;
/// The wait after the first failure that costs something; each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The wait of a wrong password at most.
const WRONG_WAIT_MAX: Duration = Duration::from_secs(3);
/// The wait of the right password at most.
const RIGHT_WAIT_MAX: Duration = Duration::from_millis(500);
/// Attempts of one address that may wait at the same time.
const WAITING_PER_ADDRESS_MAX: u32 = 64;
/// Attempts that may wait at the same time, of all addresses.
const WAITING_MAX: u32 = 1_024;
/// Addresses that are remembered; then the one that has not failed for the longest time is forgotten.
const ADDRESSES_MAX: usize = 1_024;
/// Connections that are remembered because they have carried the right password.
const TRUSTED_MAX: usize = 1_024;
/// After this time without a failure an address has half as many.
const HALVED_AFTER: Duration = Duration::from_secs(60);

/// What is known about failed sign-ins.
#[derive(Debug, Default)]
pub struct Guesses {
    known: Mutex<Known>,
    record: Arc<Record>,
    failures: AtomicU64,
}

#[derive(Debug, Default)]
struct Known {
    addresses: HashMap<IpAddr, Address>,
    /// Connections that have carried the right password last, and when.
    trusted: HashMap<SocketAddr, Instant>,
    waiting: u32,
}

#[derive(Debug)]
struct Address {
    failures: u32,
    last: Instant,
    waiting: u32,
}

/// An attempt that is let in. While it lives, it counts among those that wait.
#[derive(Debug)]
pub struct Attempt<'a> {
    guesses: &'a Guesses,
    peer: SocketAddr,
    wait: Duration,
    counted: bool,
}

impl Guesses {
    /// An attempt to sign in; `None` where too many wait already, and it must not be looked at.
    pub fn begin(&self, peer: SocketAddr) -> Option<Attempt<'_>> {
        let mut known = self.known();
        let wait = known.wait(peer, Instant::now());
        let counted = !wait.is_zero();
        if counted && !known.enter(group(peer.ip())) {
            drop(known);
            self.note(peer);
            return None;
        }
        Some(Attempt {
            guesses: self,
            peer,
            wait,
            counted,
        })
    }

    /// Sign-ins that have failed since the start.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    fn note(&self, peer: SocketAddr) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.record.failed(group(peer.ip()));
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock()
    }
}

impl Attempt<'_> {
    /// It had the right password.
    pub async fn succeeded(self) {
        tokio::time::sleep(self.wait.min(RIGHT_WAIT_MAX)).await;
        self.guesses.known().trust(self.peer, Instant::now());
    }

    /// It had a wrong one.
    pub async fn failed(self) {
        self.guesses.known().failed(self.peer, Instant::now());
        self.guesses.note(self.peer);
        tokio::time::sleep(self.wait).await;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.counted {
            self.guesses.known().leave(group(self.peer.ip()));
        }
    }
}

impl Known {
    /// How long the outcome of an attempt is held back.
    fn wait(&self, peer: SocketAddr, now: Instant) -> Duration {
        if self.trusted.contains_key(&peer) {
            return Duration::ZERO;
        }
        let address = self.addresses.get(&group(peer.ip()));
        let failures = address.map_or(0, |address| address.failures_at(now));
        match failures.checked_sub(FREE_FAILURES) {
            None | Some(0) => Duration::ZERO,
            Some(costly) => FIRST_WAIT
                .saturating_mul(2_u32.saturating_pow(costly - 1))
                .min(WRONG_WAIT_MAX),
        }
    }

    fn enter(&mut self, key: IpAddr) -> bool {
        let Some(address) = self.addresses.get_mut(&key) else {
            return true;
        };
        if address.waiting >= WAITING_PER_ADDRESS_MAX || self.waiting >= WAITING_MAX {
            return false;
        }
        address.waiting += 1;
        self.waiting += 1;
        true
    }

    fn leave(&mut self, key: IpAddr) {
        if let Some(address) = self.addresses.get_mut(&key) {
            address.waiting = address.waiting.saturating_sub(1);
        }
        self.waiting = self.waiting.saturating_sub(1);
    }

    fn trust(&mut self, peer: SocketAddr, now: Instant) {
        if self.trusted.len() >= TRUSTED_MAX && !self.trusted.contains_key(&peer) {
            let oldest = self.trusted.iter().min_by_key(|(_, since)| **since);
            if let Some(oldest) = oldest.map(|(peer, _)| *peer) {
                self.trusted.remove(&oldest);
            }
        }
        self.trusted.insert(peer, now);
    }

    fn failed(&mut self, peer: SocketAddr, now: Instant) {
        // The number of a port is given to somebody else once a connection is closed.
        self.trusted.remove(&peer);
        let key = group(peer.ip());
        if self.addresses.len() >= ADDRESSES_MAX && !self.addresses.contains_key(&key) {
            let idle = self.addresses.iter().filter(|(_, a)| a.waiting == 0);
            let oldest = idle.min_by_key(|(_, a)| a.last).map(|(key, _)| *key);
            // Where attempts of all of them wait, one more is not worth remembering.
            let Some(oldest) = oldest else { return };
            self.addresses.remove(&oldest);
        }
        let address = self.addresses.entry(key).or_insert(Address {
            failures: 0,
            last: now,
            waiting: 0,
        });
        address.failures = address.failures_at(now).saturating_add(1);
        address.last = now;
    }
}

impl Address {
    fn failures_at(&self, now: Instant) -> u32 {
        let idle = now.saturating_duration_since(self.last);
        let halvings = idle.as_secs() / HALVED_AFTER.as_secs();
        let halvings = u32::try_from(halvings).unwrap_or(u32::MAX);
        self.failures.checked_shr(halvings).unwrap_or(0)
    }
}

/// What counts as one address: of IPv6 the network, since one machine has all addresses of one.
fn group(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str, port: u16) -> SocketAddr {
        SocketAddr::new(address.parse().expect("an address"), port)
    }

    async fn fail(guesses: &Guesses, peer: SocketAddr, times: u32) {
        for _ in 0..times {
            guesses.begin(peer).expect("let in").failed().await;
        }
    }

    async fn time_of_success(guesses: &Guesses, peer: SocketAddr) -> Duration {
        let began = Instant::now();
        guesses.begin(peer).expect("let in").succeeded().await;
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn each_failure_makes_the_next_one_wait_longer_up_to_a_bound() {
        let (guesses, mallory) = (Guesses::default(), peer("10.0.0.1", 1));
        let mut waits = Vec::new();
        for _ in 0..12 {
            let began = Instant::now();
            fail(&guesses, mallory, 1).await;
            waits.push(began.elapsed().as_millis());
        }
        assert_eq!(
            waits,
            [0, 0, 0, 0, 100, 200, 400, 800, 1600, 3000, 3000, 3000]
        );
        assert_eq!(guesses.failures(), 12);
    }

    #[tokio::test(start_paused = true)]
    async fn others_wait_for_nothing_and_the_same_address_only_briefly() {
        let guesses = Guesses::default();
        let (mallory, alice) = (peer("10.0.0.1", 1), peer("10.0.0.2", 1));
        let before = peer("10.0.0.1", 7);
        assert_eq!(time_of_success(&guesses, before).await, Duration::ZERO);
        fail(&guesses, mallory, 50).await;
        assert_eq!(time_of_success(&guesses, alice).await, Duration::ZERO);
        let same = peer("10.0.0.1", 2);
        assert_eq!(time_of_success(&guesses, same).await, RIGHT_WAIT_MAX);
        // The same connection again, and one from before.
        assert_eq!(time_of_success(&guesses, same).await, Duration::ZERO);
        assert_eq!(time_of_success(&guesses, before).await, Duration::ZERO);
        // Whoever gets that port later is trusted only until the first wrong password.
        fail(&guesses, before, 1).await;
        assert_eq!(time_of_success(&guesses, before).await, RIGHT_WAIT_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_stops_is_forgiven() {
        let (guesses, mallory) = (Guesses::default(), peer("10.0.0.1", 1));
        fail(&guesses, mallory, 5).await;
        tokio::time::advance(HALVED_AFTER).await;
        assert_eq!(
            time_of_success(&guesses, peer("10.0.0.1", 2)).await,
            Duration::ZERO
        );
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_attempts_of_one_address_wait_and_no_more() {
        let (guesses, mallory) = (Guesses::default(), peer("10.0.0.1", 1));
        fail(&guesses, mallory, 10).await;
        let waiting: Vec<_> = (0..WAITING_PER_ADDRESS_MAX)
            .map(|_| guesses.begin(mallory).expect("let in"))
            .collect();
        assert!(guesses.begin(mallory).is_none());
        assert!(guesses.begin(peer("10.0.0.2", 1)).is_some());
        drop(waiting);
        assert!(guesses.begin(mallory).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded() {
        let guesses = Guesses::default();
        for n in 0..u32::try_from(ADDRESSES_MAX).expect("small") + 100 {
            let address = IpAddr::from(n.to_be_bytes());
            fail(&guesses, SocketAddr::new(address, 1), 1).await;
            guesses
                .known()
                .trust(SocketAddr::new(address, 2), Instant::now());
        }
        let known = guesses.known();
        assert_eq!(known.addresses.len(), ADDRESSES_MAX);
        assert_eq!(known.trusted.len(), TRUSTED_MAX);
        assert_eq!(known.waiting, 0);
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        let of = |text: &str| group(text.parse().expect("an address"));
        assert_eq!(of("2001:db8:1:2:3::4"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    }
}
