//! How much of its core a shard needed: what admission takes for being busy.
//!
//! A turn's one system call sends, sleeps and receives, and its length says nothing of how much of it was sleep. The kernel knows: it
//! counts the thread's CPU time, and how long the thread could have run but was not let, because somebody else had the core or a
//! control group's quota was used up. What is left of the time that passed, the core had nothing to do. Asking costs two system
//! calls, a microsecond together, so it is asked once a millisecond and not once a turn.

use std::time::Duration;

use crate::{admission::Idle, reactor::system::ThreadTimes};

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
    /// What of that it ran.
    ran_ns: u64,
}

impl Usage {
    /// To be made on the shard's own thread. `window` is what the readings are averaged over.
    pub(super) fn new(now_ns: u64, window: Duration) -> Self {
        let times = ThreadTimes::of_this_thread();
        let ran_ns = times.cpu_ns();
        let last = Reading { at_ns: now_ns, needed_ns: ran_ns + times.delayed_ns(), ran_ns };
        let window_ns = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
        let every_ns = EVERY_NS.min(window_ns / READINGS_PER_WINDOW);
        Self { times, every_ns, last, spun_ns: 0, worked_ns: 0 }
    }

    /// The core looked for work for so long and found none.
    pub(super) fn spun(&mut self, ns: u64) {
        self.spun_ns += ns;
    }

    /// For how long the core did nothing since this was last said, if that is long enough ago to be worth asking.
    pub(super) fn idle(&mut self, now_ns: u64) -> Option<Idle> {
        if now_ns - self.last.at_ns < self.every_ns {
            return None;
        }
        let ran_ns = self.times.cpu_ns();
        let needed_ns = (ran_ns + self.times.delayed_ns()).saturating_sub(self.spun_ns);
        let reading = Reading { at_ns: now_ns, needed_ns, ran_ns: ran_ns.saturating_sub(self.spun_ns) };
        let (idle, last) = idle(self.last, reading);
        self.last = last;
        Some(idle)
    }

    /// What the thread ran in all. If it spins, waiting for the core counts as running: of spinning only is known how long it took.
    pub(super) fn worked_ns(&mut self) -> u64 {
        let spun_ns = self.spun_ns;
        let needed_ns = if spun_ns > 0 { self.times.delayed_ns() } else { 0 } + self.times.cpu_ns();
        self.worked_ns = self.worked_ns.max(needed_ns.saturating_sub(spun_ns));
        self.worked_ns
    }
}

/// What the thread did not run between two readings, and what the next one is to be compared with. Asking is a system call, and where
/// those end a thread is throttled: then more is needed than time went by since, which belongs to the next stretch.
fn idle(last: Reading, reading: Reading) -> (Idle, Reading) {
    let wall_ns = reading.at_ns - last.at_ns;
    let counted_ns = reading.needed_ns.saturating_sub(last.needed_ns).min(wall_ns);
    let ran_ns = reading.ran_ns.saturating_sub(last.ran_ns).min(counted_ns);
    let idle = Idle { rested_ns: wall_ns - counted_ns, delayed_ns: counted_ns - ran_ns };
    let (needed_ns, ran_ns) = (last.needed_ns + counted_ns, last.ran_ns + ran_ns);
    (idle, Reading { at_ns: reading.at_ns, needed_ns, ran_ns })
}

/// A reading costs a thousandth of this.
const EVERY_NS: u64 = 1_000_000;

/// Enough for an average to follow what it is the average of.
const READINGS_PER_WINDOW: u64 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(last: Reading, reading: Reading, rested_ns: u64, delayed_ns: u64, next: Reading) {
        assert_eq!(idle(last, reading), (Idle { rested_ns, delayed_ns }, next));
    }

    #[test]
    fn what_the_thread_neither_ran_nor_waited_to_run_was_rest() {
        let at = |at_ns, needed_ns, ran_ns| Reading { at_ns, needed_ns, ran_ns };
        check(at(0, 0, 0), at(1000, 400, 300), 600, 100, at(1000, 400, 300));
        check(at(1000, 400, 300), at(2000, 1400, 1300), 0, 0, at(2000, 1400, 1300));
        // What was spun is known by another clock than what was run.
        check(at(1000, 400, 400), at(2000, 390, 390), 1000, 0, at(2000, 400, 400));
    }

    #[test]
    fn what_happened_while_it_was_asked_counts_the_next_time() {
        let mut last = Reading { at_ns: 0, needed_ns: 0, ran_ns: 0 };
        let mut all = Vec::new();
        // Throttled for 3000 between looking at the clock and looking at the counters, and never at rest.
        for (at_ns, needed_ns, ran_ns) in
            [(1000, 4000, 1000), (5000, 5000, 2000), (6000, 9000, 3000), (10_000, 10_000, 4000)]
        {
            let (idle, next) = idle(last, Reading { at_ns, needed_ns, ran_ns });
            all.push((idle.rested_ns, idle.delayed_ns));
            last = next;
        }
        assert_eq!(all, [(0, 0), (0, 3000), (0, 0), (0, 3000)]);
    }

    #[test]
    fn it_is_asked_once_a_while_and_less_of_a_while_if_the_window_is_short() {
        let mut usage = Usage::new(0, Duration::from_millis(10));
        assert_eq!(usage.idle(EVERY_NS - 1), None);
        assert!(usage.idle(EVERY_NS).is_some());
        assert_eq!(usage.idle(EVERY_NS + 1), None);
        let mut usage = Usage::new(0, Duration::from_millis(1));
        assert!(usage.idle(EVERY_NS / READINGS_PER_WINDOW).is_some());
    }
}
