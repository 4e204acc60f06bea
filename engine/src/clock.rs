//! Time. The one place in the server that reads a clock; everyone else is handed a [`Now`].

/// A moment, read once and handed down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Nanoseconds of the monotonic clock; deadlines and durations.
    pub monotonic_ns: u64,
    /// Microseconds since the Unix epoch; event times and TTLs.
    pub unix_us: i64,
}
