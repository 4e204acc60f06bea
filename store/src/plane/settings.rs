//! How a storage plane is run.

use std::{fmt, sync::Arc, time::Duration};

use crate::log::LogSettings;

/// How a storage plane is run.
#[derive(Debug, Clone)]
pub struct PlaneSettings {
    /// Cores that write; each gets a [`Submitter`](super::Submitter).
    pub cores: usize,
    /// Writes that each may have under way.
    pub writes_per_core: usize,
    pub durability: Durability,
    /// Memory of what was written lately: half of it for what is written to, half for what is being flushed.
    pub overlay_budget_bytes: usize,
    /// How long writes wait for a flush to make room before they are refused, and are slowed down so that they need not; zero: not at all.
    pub full_wait: Duration,
    pub log: LogSettings,
    /// What flushes and compactions may use to sort, which they seldom do.
    pub flush_memory_bytes: usize,
    pub clock: PlaneClock,
    /// The log's segments grow no further than about this before what they hold is flushed: a start has to read as much.
    pub log_bytes_max: u64,
    /// What was written is in a generation after this long, and so out of the log.
    pub flush_after: Duration,
    /// While nothing is written: how long the last record stays without one behind it that vouches for it.
    pub heartbeat_after: Duration,
    /// A delta is compacted into a base that is no more than so many times as large.
    pub compaction_share: u64,
    /// Or one that is older than this.
    pub compaction_after: Duration,
    /// How long a delete is remembered, but for tables whose rows are combined. What arrives later than this and is older than the delete
    /// counts.
    pub tombstones_kept: Duration,
    /// Generations that stay.
    pub generations_kept: usize,
    /// A log that cannot be read back is put aside, and what only it has is lost: an operator's decision, for one start.
    pub gives_up_log: bool,
}

/// When a write is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Once it was written and synced: it survives a loss of power.
    Always,
    /// Once every core can read it. It is written and synced within this time, together with all others, and lost if the process or the
    /// machine ends before. Nothing is ever half there.
    Interval(Duration),
}

/// A moment, as the caller's clocks have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moment {
    /// Never goes back; for durations.
    pub monotonic_us: u64,
    /// Microseconds since the Unix epoch.
    pub unix_us: i64,
}

/// Tells the time. Nothing in this crate reads a clock.
#[derive(Clone)]
pub struct PlaneClock(Arc<dyn Fn() -> Moment + Send + Sync>);

impl PlaneClock {
    pub fn new(now: impl Fn() -> Moment + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub fn now(&self) -> Moment {
        (self.0)()
    }
}

impl fmt::Debug for PlaneClock {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("PlaneClock")
    }
}

impl PlaneSettings {
    /// With what suits most.
    pub fn new(cores: usize, clock: PlaneClock) -> Self {
        Self {
            cores,
            writes_per_core: 1024,
            durability: Durability::Always,
            overlay_budget_bytes: 512 << 20,
            full_wait: Duration::from_secs(1),
            log: LogSettings::default(),
            flush_memory_bytes: 64 << 20,
            clock,
            log_bytes_max: 512 << 20,
            flush_after: Duration::from_secs(600),
            heartbeat_after: Duration::from_millis(100),
            compaction_share: 4,
            compaction_after: Duration::from_secs(3600),
            tombstones_kept: Duration::from_secs(24 * 3600),
            generations_kept: 3,
            gives_up_log: false,
        }
    }
}

/// Whole microseconds of a duration.
pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
