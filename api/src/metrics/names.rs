//! Names with places: append-only and bounded.

use std::collections::HashMap;

/// The place of requests that name nothing known.
pub(crate) const NONE: usize = 0;

/// The place that all names share once the others are taken.
const OTHER: usize = 1;

/// Names within workspaces, each with the place of its counters.
#[derive(Debug)]
pub(super) struct Names {
    slots: Vec<(String, String)>,
    by_name: HashMap<(String, String), usize>,
    max: usize,
}

impl Names {
    pub(super) fn new(max: usize) -> Self {
        let reserved = vec![(String::new(), String::new()), ("other".to_owned(), "other".to_owned())];
        Self { slots: reserved, by_name: HashMap::new(), max }
    }

    pub(super) fn slot(&mut self, workspace: &str, name: &str) -> usize {
        let named = (workspace.to_owned(), name.to_owned());
        if let Some(slot) = self.by_name.get(&named) {
            return *slot;
        }
        if self.slots.len() >= self.max {
            return OTHER;
        }
        self.by_name.insert(named.clone(), self.slots.len());
        self.slots.push(named);
        self.slots.len() - 1
    }

    /// Every place with its workspace and name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &str, &str)> {
        self.slots.iter().enumerate().map(|(slot, (workspace, name))| (slot, workspace.as_str(), name.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_places_and_late_ones_share_one() {
        let mut names = Names::new(4);
        assert_eq!(names.slot("prod", "a"), 2);
        assert_eq!(names.slot("test", "a"), 3);
        assert_eq!(names.slot("prod", "a"), 2);
        assert_eq!(names.slot("prod", "b"), OTHER);
        assert_eq!(names.slot("prod", "c"), OTHER);
        assert_eq!(names.iter().count(), 4);
    }
}
