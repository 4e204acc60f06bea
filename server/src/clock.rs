//! The time, for commands. The serving path is handed its own by the engine.

use std::sync::LazyLock;

use gannet_engine::clock::{Clock, Origin};

/// Microseconds since the Unix epoch.
pub(crate) fn unix_us() -> i64 {
    Clock::new(Origin::now()).now().unix_us
}

/// Seconds since this was first asked, for durations.
#[expect(clippy::cast_precision_loss, reason = "nanoseconds of a process's life, for people")]
pub(crate) fn seconds() -> f64 {
    static CLOCK: LazyLock<Clock> = LazyLock::new(|| Clock::new(Origin::now()));
    CLOCK.now().monotonic_ns as f64 / 1e9
}
