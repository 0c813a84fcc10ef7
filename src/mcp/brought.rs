//! What OpenCode's own configuration adds, by directory. What a project brings along is given to no agent before its user
//! has connected it: a clone does not decide which programs are run.

use std::collections::{BTreeMap, HashMap};

use super::{Server, Transport};

/// Directories that are kept. Those of another are read again before they are needed.
const DIRECTORIES_MAX: usize = 64;

/// An `mcp` entry of OpenCode's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The server.
    pub server: Server,
    /// It stands in its user's own folder.
    pub is_own: bool,
}

/// Entries by name.
pub type Entries = BTreeMap<String, Entry>;

/// What is known of a directory.
#[derive(Default)]
struct Place {
    entries: Entries,
    /// What was connected and disconnected since the start, as it was then: another program of the same name was not.
    chosen: HashMap<String, (Transport, bool)>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Brought {
    places: HashMap<String, Place>,
    /// Directories from the one that was read longest ago.
    order: Vec<String>,
}

impl Brought {
    pub(super) fn note(&mut self, directory: &str, entries: Entries) {
        self.order.retain(|known| known != directory);
        let chosen = |place: &Place| !place.chosen.is_empty();
        // What its user has chosen is forgotten last.
        let forgettable = |known: &String| !self.places.get(known).is_some_and(chosen);
        if self.order.len() >= DIRECTORIES_MAX {
            let oldest = self.order.iter().position(forgettable).unwrap_or(0);
            let oldest = self.order.remove(oldest);
            self.places.remove(&oldest);
        }
        self.order.push(directory.to_owned());
        let place = self.places.entry(directory.to_owned()).or_default();
        place.entries = entries;
    }

    pub(super) fn knows(&self, directory: &str) -> bool {
        self.places.contains_key(directory)
    }

    pub(super) fn at(&self, directory: &str) -> BTreeMap<String, Server> {
        let Some(place) = self.places.get(directory) else {
            return BTreeMap::new();
        };
        let as_chosen = |(name, entry): (&String, &Entry)| {
            let Server { transport, enabled } = entry.server.clone();
            let chosen = place.chosen.get(name);
            let chosen = chosen.filter(|(as_it_was, _)| *as_it_was == transport);
            let enabled = chosen.map_or(enabled, |(_, enabled)| *enabled);
            (name.clone(), Server { transport, enabled })
        };
        place.entries.iter().map(as_chosen).collect()
    }

    /// Connects or disconnects one; what it is then.
    pub(super) fn enable(
        &mut self,
        directory: &str,
        name: &str,
        enabled: bool,
    ) -> Option<Transport> {
        let place = self.places.get_mut(directory)?;
        let transport = place.entries.get(name)?.server.transport.clone();
        let chosen = (transport.clone(), enabled);
        place.chosen.insert(name.to_owned(), chosen);
        Some(transport)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(program: &str, is_own: bool) -> Entry {
        let transport = Transport::local(vec![program.to_owned()], BTreeMap::new());
        Entry {
            server: Server {
                transport: transport.expect("a program"),
                enabled: is_own,
            },
            is_own,
        }
    }

    fn named(entry: Entry) -> Entries {
        BTreeMap::from([("x".to_owned(), entry)])
    }

    #[test]
    fn what_was_connected_is_what_it_was_then() {
        let mut brought = Brought::default();
        brought.note("/p", named(entry("a", false)));
        assert!(!brought.at("/p")["x"].enabled);
        assert!(brought.enable("/p", "x", true).is_some());
        assert!(brought.enable("/p", "y", true).is_none());
        assert!(brought.enable("/q", "x", true).is_none());
        brought.note("/p", named(entry("a", false)));
        assert!(brought.at("/p")["x"].enabled);
        // The project has changed what stands behind the name.
        brought.note("/p", named(entry("b", false)));
        assert!(!brought.at("/p")["x"].enabled);
        assert!(brought.at("/q").is_empty() && !brought.knows("/q"));
    }

    #[test]
    fn what_was_read_longest_ago_is_forgotten_but_for_what_was_chosen() {
        let mut brought = Brought::default();
        brought.note("/chosen", named(entry("a", false)));
        brought.enable("/chosen", "x", true);
        for n in 0..=DIRECTORIES_MAX {
            brought.note(&format!("/{n}"), Entries::default());
        }
        assert!(brought.knows("/chosen") && !brought.knows("/0"));
        assert_eq!(brought.places.len(), DIRECTORIES_MAX);
    }
}
