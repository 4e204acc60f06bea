//! Time: nanoseconds of the monotonic clock since the run's origin. The one place that reads a clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Counts from its making. Copies share the origin, so what they say can be compared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    origin: Instant,
    /// What the calendar said then.
    origin_unix_us: u64,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "this is the module that reads the clock")]
    pub(crate) fn new() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let origin_unix_us = unix.as_secs() * (NS_PER_S / NS_PER_US) + u64::from(unix.subsec_micros());
        Self { origin: Instant::now(), origin_unix_us }
    }

    /// The calendar's time at a moment of this clock; a calendar that is set during a run is not followed.
    pub(crate) fn unix_us(self, at_ns: u64) -> u64 {
        self.origin_unix_us + at_ns / NS_PER_US
    }

    #[expect(clippy::disallowed_methods, reason = "this is the module that reads the clock")]
    pub(crate) fn now_ns(self) -> u64 {
        let elapsed = Instant::now().duration_since(self.origin);
        elapsed.as_secs() * NS_PER_S + u64::from(elapsed.subsec_nanos())
    }
}

/// CPU time that the calling thread has used.
pub(crate) fn thread_cpu_ns() -> u64 {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    u64::try_from(used.tv_sec).unwrap_or(0) * NS_PER_S + u64::try_from(used.tv_nsec).unwrap_or(0)
}

pub(crate) const NS_PER_US: u64 = 1_000;
pub(crate) const NS_PER_MS: u64 = 1_000_000;
pub(crate) const NS_PER_S: u64 = 1_000_000_000;
