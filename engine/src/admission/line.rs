//! Connections that are held: each with a request that was neither admitted nor refused, and not read from meanwhile.

use std::collections::VecDeque;

use super::Criticality;

#[derive(Debug, Clone, Copy)]
pub(super) struct Held<T> {
    pub(super) connection: T,
    pub(super) since_ns: u64,
    pub(super) seen_ns: u64,
    pub(super) budget_ns: Option<u64>,
}

/// By class, in the order in which they were held.
#[derive(Debug)]
pub(super) struct Line<T> {
    classes: [VecDeque<Held<T>>; Criticality::ALL.len()],
}

impl<T: Copy> Line<T> {
    pub(super) fn new() -> Self {
        Self { classes: std::array::from_fn(|_| VecDeque::new()) }
    }

    pub(super) fn push(&mut self, criticality: Criticality, held: Held<T>) {
        self.classes[criticality.index()].push_back(held);
    }

    pub(super) fn pop_oldest(&mut self, criticality: Criticality) -> Option<Held<T>> {
        self.classes[criticality.index()].pop_front()
    }

    /// The newest of its class, if it was held after `after_ns`.
    pub(super) fn pop_newest(&mut self, criticality: Criticality, after_ns: u64) -> Option<Held<T>> {
        let class = &mut self.classes[criticality.index()];
        if class.back()?.since_ns <= after_ns {
            return None;
        }
        class.pop_back()
    }

    /// Who has been held longest, of the classes that `of` names.
    pub(super) fn longest(&self, of: impl Fn(Criticality) -> bool) -> Option<(Criticality, u64)> {
        let heads = Criticality::ALL.into_iter().filter(|c| of(*c));
        heads.filter_map(|c| Some((c, self.classes[c.index()].front()?.since_ns))).min_by_key(|(_, since)| *since)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.classes.iter().all(VecDeque::is_empty)
    }

    pub(super) fn len(&self) -> usize {
        self.by_class().iter().sum()
    }

    /// How many of each class.
    pub(super) fn by_class(&self) -> [usize; Criticality::ALL.len()] {
        self.classes.each_ref().map(VecDeque::len)
    }
}
