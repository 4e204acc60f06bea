//! How long the core rested between two turns: what admission takes for having nothing to do.
//!
//! A turn's one system call sends, sleeps and receives, and its length says nothing of how much of it was sleep. Before it, the
//! ring tells for nothing whether anything is there already: then it does not sleep, and its whole length is the kernel's work,
//! from which is learnt what that takes per operation. Otherwise what exceeds such work was sleep.

/// What the kernel's part of sends and receives takes, learnt from turns that did not sleep.
#[derive(Debug)]
pub(super) struct Rest {
    operation_ns: f64,
    /// Since the last turn began.
    rested_ns: u64,
}

impl Rest {
    pub(super) fn new() -> Self {
        Self { operation_ns: OPERATION_NS_FIRST_GUESS, rested_ns: 0 }
    }

    /// An enter took `entered_ns` for so many sends and completions; `was_due` if there was something to be taken before it.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "short times"
    )]
    pub(super) fn entered(&mut self, entered_ns: u64, operations: usize, was_due: bool) {
        let operations = operations.max(1) as f64;
        if was_due {
            // An interruption of the thread is not the kernel's work: it may not teach much.
            let each_ns = (entered_ns as f64 / operations).clamp(OPERATION_NS_MIN, OPERATION_NS_MAX);
            self.operation_ns += (each_ns - self.operation_ns) * LEARN;
            return;
        }
        self.rested_ns += entered_ns.saturating_sub((self.operation_ns * operations) as u64);
    }

    /// The core looked for work for so long and found none.
    pub(super) fn spun(&mut self, ns: u64) {
        self.rested_ns += ns;
    }

    /// All rest since the last call.
    pub(super) fn take_ns(&mut self) -> u64 {
        std::mem::take(&mut self.rested_ns)
    }
}

/// Half of the 5.5 µs that receiving and sending one request take together.
const OPERATION_NS_FIRST_GUESS: f64 = 2_700.0;

/// Ten times less and more than that are no sends and receives any more.
const OPERATION_NS_MIN: f64 = 270.0;
const OPERATION_NS_MAX: f64 = 27_000.0;

/// A turn's share in what was learnt.
const LEARN: f64 = 0.02;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enter_with_work_at_hand_is_no_rest_and_teaches_what_work_takes() {
        let mut rest = Rest::new();
        for _ in 0..1000 {
            rest.entered(20_000, 10, true);
        }
        assert_eq!(rest.take_ns(), 0);
        rest.entered(50_000, 10, false);
        let rested = rest.take_ns();
        assert!((29_900..30_100).contains(&rested), "{rested}");
        rest.entered(5_000, 10, false);
        assert_eq!(rest.take_ns(), 0, "shorter than its work: no rest");
        rest.spun(7);
        assert_eq!((rest.take_ns(), rest.take_ns()), (7, 0));
    }

    #[test]
    fn one_interruption_teaches_little() {
        let mut rest = Rest::new();
        rest.entered(10_000_000, 1, true);
        rest.entered(100_000, 10, false);
        assert!(rest.take_ns() > 60_000);
    }
}
