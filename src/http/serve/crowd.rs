//! Counts connections.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::metrics;

/// Connections beyond the limit that are still answered, so that it can be seen what is wrong.
const RESERVE: usize = 16;

/// Who is connected.
#[derive(Debug)]
pub(super) struct Crowd {
    inside: Mutex<Inside>,
    at_most: usize,
    per_address: usize,
}

#[derive(Debug, Default)]
struct Inside {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A place, which is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    crowd: Arc<Crowd>,
    address: IpAddr,
    beyond: bool,
}

impl Crowd {
    pub(super) fn new(at_most: usize, per_address: usize) -> Self {
        Self {
            inside: Mutex::default(),
            at_most,
            per_address,
        }
    }

    /// Takes a place. `None` when also the reserve is used up.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        // Counters are valid between any two steps.
        let mut inside = self.inside.lock();
        let from_there = inside.by_address.get(&address).copied().unwrap_or(0);
        let is_full = |reserve| {
            inside.all >= self.at_most + reserve || from_there >= self.per_address + reserve
        };
        if is_full(RESERVE) {
            return None;
        }
        let beyond = is_full(0);
        inside.all += 1;
        metrics::connected();
        inside.by_address.insert(address, from_there + 1);
        Some(Place {
            crowd: Arc::clone(self),
            address,
            beyond,
        })
    }
}

impl Place {
    /// Whether it is one of the reserve.
    pub(super) fn is_beyond(&self) -> bool {
        self.beyond
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inside = self.crowd.inside.lock();
        inside.all -= 1;
        metrics::disconnected();
        if let Some(from_there) = inside.by_address.get_mut(&self.address) {
            *from_there -= 1;
            if *from_there == 0 {
                inside.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_and_given_back() {
        let crowd = Arc::new(Crowd::new(3, 2));
        let (here, there) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([10, 0, 0, 1]));
        let first: Vec<_> = (0..2).map(|_| crowd.enter(here).expect("some")).collect();
        assert!(first.iter().all(|place| !place.is_beyond()));
        assert!(
            crowd.enter(here).expect("some").is_beyond(),
            "the third from one address"
        );
        let third = crowd.enter(there).expect("some");
        assert!(!third.is_beyond());
        let reserve: Vec<_> = (0..RESERVE)
            .map(|_| crowd.enter(there).expect("some"))
            .collect();
        assert!(reserve.iter().all(Place::is_beyond));
        assert!(crowd.enter(there).is_none());
        drop((first, third, reserve));
        assert!(!crowd.enter(here).expect("some").is_beyond());
        assert_eq!(crowd.inside.lock().all, 0);
        assert!(crowd.inside.lock().by_address.is_empty());
    }
}
