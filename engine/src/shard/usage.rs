//! How much of its core a shard needed: what admission takes for being busy.
//!
//! A turn's one system call sends, sleeps and receives, and its length says nothing of how much of it was sleep. The kernel knows: it
//! counts the thread's CPU time, and how long the thread could have run but was not let, because somebody else had the core or a
//! control group's quota was used up. What is left of the time that passed, the core had nothing to do. Asking costs two system
//! calls, a microsecond together, so it is asked once a millisecond and not once a turn.

use std::time::Duration;

use crate::reactor::system::ThreadTimes;

#[derive(Debug)]
pub(super) struct Usage {
    times: ThreadTimes,
    every_ns: u64,
    last: Reading,
    /// All that was spun so far.
    spun_ns: u64,
    /// What [`Self::worked_ns`] said last: it never goes back.
    worked_ns: u64,
}

/// A look at the counters, all in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reading {
    at_ns: u64,
    /// What the thread ran and waited to run, without spinning.
    needed_ns: u64,
}

impl Usage {
    /// To be made on the shard's own thread. `window` is what the readings are averaged over.
    pub(super) fn new(now_ns: u64, window: Duration) -> Self {
        let times = ThreadTimes::of_this_thread();
        let needed_ns = times.cpu_ns() + times.delayed_ns();
        let window_ns = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
        let every_ns = EVERY_NS.min(window_ns / READINGS_PER_WINDOW);
        Self { times, every_ns, last: Reading { at_ns: now_ns, needed_ns }, spun_ns: 0, worked_ns: 0 }
    }

    /// The core looked for work for so long and found none.
    pub(super) fn spun(&mut self, ns: u64) {
        self.spun_ns += ns;
    }

    /// How long the core has rested since this was last said, if that is long enough ago to be worth asking.
    pub(super) fn rested_ns(&mut self, now_ns: u64) -> Option<u64> {
        if now_ns - self.last.at_ns < self.every_ns {
            return None;
        }
        let needed_ns = (self.times.cpu_ns() + self.times.delayed_ns()).saturating_sub(self.spun_ns);
        let (rested_ns, last) = rest(self.last, Reading { at_ns: now_ns, needed_ns });
        self.last = last;
        Some(rested_ns)
    }

    /// What the thread ran in all. If it spins, waiting for the core counts as running: of spinning only is known how long it took.
    pub(super) fn worked_ns(&mut self) -> u64 {
        let spun_ns = self.spun_ns;
        let needed_ns = if spun_ns > 0 { self.times.delayed_ns() } else { 0 } + self.times.cpu_ns();
        self.worked_ns = self.worked_ns.max(needed_ns.saturating_sub(spun_ns));
        self.worked_ns
    }
}

/// How long the thread rested between two readings, and what the next one is to be compared with. Asking is a system call, and where
/// those end a thread is throttled: then more is needed than time went by since, which belongs to the next stretch.
fn rest(last: Reading, reading: Reading) -> (u64, Reading) {
    let wall_ns = reading.at_ns - last.at_ns;
    let needed_ns = reading.needed_ns.saturating_sub(last.needed_ns);
    let counted_ns = needed_ns.min(wall_ns);
    (wall_ns - counted_ns, Reading { at_ns: reading.at_ns, needed_ns: last.needed_ns + counted_ns })
}

/// A reading costs a thousandth of this.
const EVERY_NS: u64 = 1_000_000;

/// Enough for an average to follow what it is the average of.
const READINGS_PER_WINDOW: u64 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_thread_neither_ran_nor_waited_to_run_was_rest() {
        let at = |at_ns, needed_ns| Reading { at_ns, needed_ns };
        assert_eq!(rest(at(0, 0), at(1000, 400)), (600, at(1000, 400)));
        assert_eq!(rest(at(1000, 400), at(2000, 1400)), (0, at(2000, 1400)));
        // What was spun is known by another clock than what was run.
        assert_eq!(rest(at(1000, 400), at(2000, 390)), (1000, at(2000, 400)));
    }

    #[test]
    fn what_happened_while_it_was_asked_counts_the_next_time() {
        let mut last = Reading { at_ns: 0, needed_ns: 0 };
        let mut rested = Vec::new();
        // Throttled for 3000 between looking at the clock and looking at the counters, and never at rest.
        for (at_ns, needed_ns) in [(1000, 4000), (5000, 5000), (6000, 9000), (10_000, 10_000)] {
            let (rested_ns, next) = rest(last, Reading { at_ns, needed_ns });
            rested.push(rested_ns);
            last = next;
        }
        assert_eq!(rested, [0, 0, 0, 0]);
    }

    #[test]
    fn it_is_asked_once_a_while_and_less_of_a_while_if_the_window_is_short() {
        let mut usage = Usage::new(0, Duration::from_millis(10));
        assert_eq!(usage.rested_ns(EVERY_NS - 1), None);
        assert!(usage.rested_ns(EVERY_NS).is_some());
        assert_eq!(usage.rested_ns(EVERY_NS + 1), None);
        let mut usage = Usage::new(0, Duration::from_millis(1));
        assert!(usage.rested_ns(EVERY_NS / READINGS_PER_WINDOW).is_some());
    }
}
