//! The time, for commands. The serving path is handed its own by the engine.

use gannet_engine::clock::{Clock, Origin};

/// Microseconds since the Unix epoch.
pub(crate) fn unix_us() -> i64 {
    Clock::new(Origin::now()).now().unix_us
}
