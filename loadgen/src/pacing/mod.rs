//! When requests are due. A plan fixed before the run: nothing that the server does can move it, and it reads no clock, so a
//! test walks through an hour of it in no time.

#[cfg(test)]
mod tests;

use fastrand::Rng;

use crate::clock::NS_PER_S;

/// A stretch of the plan with one rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Step {
    pub(crate) rate_per_s: f64,
    pub(crate) length_ns: u64,
}

/// How the requests of a step are spread over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spread {
    /// Equal gaps.
    Constant,
    /// Independent arrivals: exponential gaps.
    Poisson,
}

/// The planned times, in order.
#[derive(Debug)]
pub(crate) struct Schedule {
    steps: Vec<Step>,
    spread: Spread,
    random: Rng,
    /// The step that `next_ns` lies in, and where it starts.
    step: usize,
    start_ns: u64,
    /// Requests of this step planned so far; with equal gaps a time is a product and not a sum, so rounding never adds up.
    planned: u64,
    /// Where in this step the last random arrival lies, with its fraction.
    arrival_ns: f64,
    next_ns: u64,
}

impl Schedule {
    /// A plan that begins at `start_ns`.
    pub(crate) fn new(start_ns: u64, steps: Vec<Step>, spread: Spread, seed: u64) -> Self {
        let random = Rng::with_seed(seed);
        let mut schedule = Self { steps, spread, random, step: 0, start_ns, planned: 0, arrival_ns: 0.0, next_ns: 0 };
        schedule.next_ns = schedule.following();
        schedule
    }

    /// The next planned time, if it has come. Times that were missed are all still given, each as planned.
    pub(crate) fn take_due(&mut self, now_ns: u64) -> Option<u64> {
        if now_ns < self.next_ns || self.is_over() {
            return None;
        }
        let due = self.next_ns;
        self.next_ns = self.following();
        Some(due)
    }

    /// Whether every planned time was taken.
    pub(crate) fn is_over(&self) -> bool {
        self.next_ns == u64::MAX
    }

    fn following(&mut self) -> u64 {
        while let Some(step) = self.steps.get(self.step).copied() {
            let within_ns = self.within(step);
            if within_ns < step.length_ns {
                return self.start_ns + within_ns;
            }
            // A Poisson process has no memory: cutting it at the border and starting anew is exact.
            self.step += 1;
            self.start_ns += step.length_ns;
            (self.planned, self.arrival_ns) = (0, 0.0);
        }
        u64::MAX
    }

    /// Where the next request lies within its step; beyond the step's length if the step has no more.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "nanoseconds of a run are exact in a double up to 104 days, and never negative"
    )]
    fn within(&mut self, step: Step) -> u64 {
        if step.rate_per_s <= 0.0 {
            return u64::MAX;
        }
        let gap_ns = NS_PER_S as f64 / step.rate_per_s;
        match self.spread {
            Spread::Constant => {
                self.planned += 1;
                ((self.planned - 1) as f64 * gap_ns) as u64
            }
            Spread::Poisson => {
                self.arrival_ns -= (1.0 - self.random.f64()).ln() * gap_ns;
                self.arrival_ns as u64
            }
        }
    }
}
