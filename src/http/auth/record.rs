//! What the log says about failed sign-ins: once per address and minute, however many there are.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

/// How long failures are counted before the log tells how many there were.
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses that the log names in this time; the failures of all others are counted together.
const NAMED_MAX: usize = 20;

/// Failures since the window began.
#[derive(Debug, Default)]
pub(super) struct Record(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    open: bool,
    named: BTreeMap<IpAddr, u64>,
    others: u64,
}

impl Record {
    /// A sign-in has failed. The first one of an address is logged at once.
    pub(super) fn failed(self: &Arc<Self>, address: IpAddr) {
        let (is_new, opened) = {
            let mut window = self.window();
            (
                window.count(address),
                !std::mem::replace(&mut window.open, true),
            )
        };
        if is_new {
            tracing::warn!(%address, "a sign-in has failed: wrong password");
        }
        if opened {
            let record = Arc::clone(self);
            tokio::spawn(async move {
                tokio::time::sleep(WINDOW).await;
                let ended = std::mem::take(&mut *record.window());
                ended
                    .lines()
                    .iter()
                    .for_each(|line| tracing::warn!("{line}"));
            });
        }
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        self.0.lock()
    }
}

impl Window {
    /// Counts a failure; whether it is the first one of an address that is named.
    fn count(&mut self, address: IpAddr) -> bool {
        if let Some(count) = self.named.get_mut(&address) {
            *count += 1;
            return false;
        }
        if self.named.len() >= NAMED_MAX {
            self.others += 1;
            return false;
        }
        self.named.insert(address, 1);
        true
    }

    /// What is said at its end: what was not said at once.
    fn lines(&self) -> Vec<String> {
        let seconds = WINDOW.as_secs();
        let repeated = self.named.iter().filter(|(_, count)| **count > 1);
        let named = repeated.map(|(address, count)| {
            format!("{count} sign-ins from {address} have failed within {seconds} s")
        });
        let others = (self.others > 0).then(|| {
            let others = self.others;
            format!("{others} sign-ins from further addresses have failed within {seconds} s")
        });
        named.chain(others).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, n])
    }

    #[test]
    fn an_address_is_named_once_and_counted_at_the_end() {
        let mut window = Window::default();
        assert!(window.count(address(1)));
        assert!(window.count(address(2)));
        assert!(!window.count(address(1)));
        assert_eq!(
            window.lines(),
            ["2 sign-ins from 10.0.0.1 have failed within 60 s"]
        );
    }

    #[test]
    fn many_addresses_are_not_many_lines() {
        let mut window = Window::default();
        let named = (0..200).filter(|n| window.count(address(*n))).count();
        assert_eq!(named, NAMED_MAX);
        assert_eq!(
            window.lines(),
            ["180 sign-ins from further addresses have failed within 60 s"]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_minute_begins_anew() {
        let record = Arc::new(Record::default());
        record.failed(address(1));
        record.failed(address(1));
        assert_eq!(record.window().named[&address(1)], 2);
        tokio::time::sleep(WINDOW + Duration::from_secs(1)).await;
        assert!(!record.window().open && record.window().named.is_empty());
        record.failed(address(1));
        assert_eq!(record.window().named[&address(1)], 1);
    }
}
