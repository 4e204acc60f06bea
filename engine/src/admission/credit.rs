//! Time of the core that one class may still use. Only counted while the class is shed: without shedding nobody asks.

/// Nanoseconds of the core, saved up with time and paid for each request.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Credit {
    ns: f64,
    /// The most that may be saved up.
    ns_max: f64,
    /// By how much it grows in a nanosecond.
    growth: f64,
    /// It is used up, until some was saved up again: turns of one request each are the dearest way to answer.
    spent: bool,
}

impl Credit {
    /// `wall_ns` went by; of a turn of at most `turn_ns`, and of all time, the class may have the part `left`.
    pub(super) fn refill(&mut self, wall_ns: f64, turn_ns: f64, left: f64) {
        (self.ns_max, self.growth) = (turn_ns * left, left * GROWTH);
        self.ns = (self.ns + wall_ns * self.growth).min(self.ns_max);
        self.spent = self.ns <= 0.0 || (self.spent && self.ns < CHUNK * self.ns_max);
    }

    /// What was admitted without credit is not owed for long: `owed_ns_max`.
    pub(super) fn pay(&mut self, ns: f64, owed_ns_max: f64) {
        self.ns = (self.ns - ns).max(-owed_ns_max);
        self.spent |= self.ns <= 0.0;
    }

    pub(super) fn is_spent(&self) -> bool {
        self.spent
    }

    /// Whether so much of it is left that the class is short of requests and not of time.
    pub(super) fn is_ample(&self) -> bool {
        !self.spent && self.ns >= AMPLE * self.ns_max
    }

    /// When it is handed out again. Nothing if it is not used up, or never will be.
    pub(super) fn saved_up_in_ns(&self) -> Option<f64> {
        (self.spent && self.growth > 0.0).then(|| ((CHUNK * self.ns_max - self.ns) / self.growth).max(0.0))
    }
}

/// So much more is handed out than time went by. Without, each turn would be a little shorter than the last, down to one
/// request each; with it, turns grow to the most that may be saved up.
const GROWTH: f64 = 1.25;

/// The part of the most that is saved up before it is handed out again.
const CHUNK: f64 = 0.5;

/// So much of the most is left after all that came if the core has time to spare.
const AMPLE: f64 = 0.5;
