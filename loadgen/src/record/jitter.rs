//! The control: a pinned thread that does nothing but watch the clock, in the same run. What it misses, the machine took.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use hdrhistogram::Histogram;

use super::histogram;
use crate::{
    clock::{Clock, NS_PER_US},
    cpu,
};

/// A moment is due every ten microseconds; how late was each seen? So percentiles are over time, as those of requests are.
#[derive(Debug, Clone)]
pub(crate) struct Jitter {
    pub(crate) late_ns: Histogram<u64>,
    /// Times the thread did not run for longer than 100 µs, and how long in all.
    pub(crate) gaps: u64,
    pub(crate) gaps_ns: u64,
}

impl Jitter {
    fn new() -> Self {
        Self { late_ns: histogram(), gaps: 0, gaps_ns: 0 }
    }

    /// The clock was read at `before_ns` and next at `now_ns`; `due_ns` is the first moment not yet seen.
    fn look(&mut self, before_ns: u64, now_ns: u64, mut due_ns: u64) -> u64 {
        while due_ns <= now_ns {
            self.late_ns.saturating_record(now_ns - due_ns);
            due_ns += TICK_NS;
        }
        if now_ns - before_ns > GAP_NS {
            self.gaps += 1;
            self.gaps_ns += now_ns - before_ns;
        }
        due_ns
    }
}

/// The thread, while it watches.
#[derive(Debug)]
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Jitter>,
}

impl Watch {
    pub(crate) fn start(on_cpu: usize, clock: Clock) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let watch = move || {
            // A CPU that does not exist was refused before.
            let _ = cpu::pin(on_cpu);
            let mut jitter = Jitter::new();
            let mut before_ns = clock.now_ns();
            let mut due_ns = before_ns + TICK_NS;
            while !stopped.load(Ordering::Relaxed) {
                let now_ns = clock.now_ns();
                due_ns = jitter.look(before_ns, now_ns, due_ns);
                before_ns = now_ns;
            }
            jitter
        };
        let thread = std::thread::Builder::new().name("jitter".to_owned()).spawn(watch)?;
        Ok(Self { stop, thread })
    }

    pub(crate) fn finish(self) -> Option<Jitter> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().ok()
    }
}

const TICK_NS: u64 = 10 * NS_PER_US;

const GAP_NS: u64 = 100 * NS_PER_US;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_makes_every_moment_within_it_late() {
        let mut jitter = Jitter::new();
        let due_ns = jitter.look(0, 9_999, 10_000);
        assert_eq!((due_ns, jitter.late_ns.len()), (10_000, 0));
        // Away from 10 to 1,010 µs: a hundred and one moments, the first a millisecond late.
        let due_ns = jitter.look(10_000, 1_010_000, due_ns);
        assert_eq!((due_ns, jitter.late_ns.len()), (1_020_000, 101));
        assert_eq!((jitter.late_ns.max() / 10_000, jitter.gaps, jitter.gaps_ns), (100, 1, 1_000_000));
    }
}
