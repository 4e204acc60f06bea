//! Time. The one place in the server that reads a clock; everyone else is handed a [`Now`].

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A moment, read once and handed down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Nanoseconds of the monotonic clock since the process took its first look at it; deadlines and durations.
    pub monotonic_ns: u64,
    /// Microseconds since the Unix epoch; event times and TTLs.
    pub unix_us: i64,
}

/// Reads both clocks: the monotonic one each time, the wall clock only when told to, since it moves with the monotonic one
/// but for steps.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
    /// Microseconds since the Unix epoch at `origin`, by the last look at the wall clock.
    origin_unix_us: i64,
}

impl Clock {
    /// A clock that counts from `origin`; clocks of one process that share it can be compared.
    pub fn new(origin: Origin) -> Self {
        let mut clock = Self { origin: origin.0, origin_unix_us: 0 };
        clock.look_at_the_wall();
        clock
    }

    #[expect(clippy::disallowed_methods, reason = "this is the module that reads clocks")]
    pub fn now(&self) -> Now {
        let elapsed = Instant::now().duration_since(self.origin);
        let monotonic_ns = elapsed.as_secs() * 1_000_000_000 + u64::from(elapsed.subsec_nanos());
        Now { monotonic_ns, unix_us: self.origin_unix_us + i64::try_from(monotonic_ns / 1000).unwrap_or(i64::MAX) }
    }

    /// Follows a step of the wall clock; called a few times a second.
    #[expect(clippy::disallowed_methods, reason = "this is the module that reads clocks")]
    pub fn look_at_the_wall(&mut self) {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let unix_us = i64::try_from(unix.as_micros()).unwrap_or(i64::MAX);
        let elapsed = Instant::now().duration_since(self.origin);
        self.origin_unix_us = unix_us - i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX);
    }
}

/// The moment from which a process counts.
#[derive(Debug, Clone, Copy)]
pub struct Origin(Instant);

impl Origin {
    /// Now.
    #[expect(clippy::disallowed_methods, reason = "this is the module that reads clocks")]
    pub fn now() -> Self {
        Self(Instant::now())
    }
}
