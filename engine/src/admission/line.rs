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

impl<T> Held<T> {
    /// When its budget is over.
    fn until_ns(&self) -> u64 {
        self.budget_ns.map_or(u64::MAX, |budget_ns| self.seen_ns.saturating_add(budget_ns))
    }
}

/// By class, in the order in which they were held.
#[derive(Debug)]
pub(super) struct Line<T> {
    classes: [VecDeque<Held<T>>; Criticality::ALL.len()],
    /// Those that cannot keep their budgets any more, and are to be told before anybody else.
    late: VecDeque<(Held<T>, Criticality)>,
    /// No budget of the others is over before.
    none_late_until_ns: u64,
}

impl<T: Copy> Line<T> {
    pub(super) fn new() -> Self {
        Self { classes: std::array::from_fn(|_| VecDeque::new()), late: VecDeque::new(), none_late_until_ns: u64::MAX }
    }

    pub(super) fn push(&mut self, criticality: Criticality, held: Held<T>) {
        self.none_late_until_ns = self.none_late_until_ns.min(held.until_ns());
        self.classes[criticality.index()].push_back(held);
    }

    pub(super) fn push_late(&mut self, criticality: Criticality, held: Held<T>) {
        self.late.push_back((held, criticality));
    }

    pub(super) fn pop_late(&mut self) -> Option<(Held<T>, Criticality)> {
        self.late.pop_front()
    }

    /// Looks for those whose budget is over, if any can be. All are looked at, so that is not done more often than [`LOOK_EVERY_NS`].
    pub(super) fn move_late(&mut self, now_ns: u64) {
        if now_ns <= self.none_late_until_ns {
            return;
        }
        let mut next_ns = u64::MAX;
        for (class, criticality) in self.classes.iter_mut().zip(Criticality::ALL) {
            class.retain(|held| {
                let late = now_ns > held.until_ns();
                if late {
                    self.late.push_back((*held, criticality));
                } else {
                    next_ns = next_ns.min(held.until_ns());
                }
                !late
            });
        }
        self.none_late_until_ns = next_ns.max(now_ns + LOOK_EVERY_NS);
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

    /// Who has been held longest, of the classes that `of` names and of those that are not late.
    pub(super) fn longest(&self, of: impl Fn(Criticality) -> bool) -> Option<(Criticality, u64)> {
        let heads = Criticality::ALL.into_iter().filter(|c| of(*c));
        heads.filter_map(|c| Some((c, self.classes[c.index()].front()?.since_ns))).min_by_key(|(_, since)| *since)
    }

    /// When the oldest was seen of those who have been held longest, each of its class or of those that are late.
    pub(super) fn oldest_seen_ns(&self) -> Option<u64> {
        let late = self.late.iter().map(|(held, _)| held.seen_ns);
        late.chain(self.classes.iter().filter_map(|class| Some(class.front()?.seen_ns))).min()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.late.is_empty() && self.classes.iter().all(VecDeque::is_empty)
    }

    pub(super) fn len(&self) -> usize {
        self.late.len() + self.by_class().iter().sum::<usize>()
    }

    /// How many of each class can still be met.
    pub(super) fn by_class(&self) -> [usize; Criticality::ALL.len()] {
        self.classes.each_ref().map(VecDeque::len)
    }
}

const LOOK_EVERY_NS: u64 = 1_000_000;
