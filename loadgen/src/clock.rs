//! Time: nanoseconds of the monotonic clock since the run's origin. The one place that reads a clock.

use std::time::Instant;

/// Counts from its making. Copies share the origin, so what they say can be compared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "this is the module that reads the clock")]
    pub(crate) fn new() -> Self {
        Self { origin: Instant::now() }
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
