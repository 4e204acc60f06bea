//! Writes: how they are taken, and what is told of them.

use std::time::Duration;

/// What an operator sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IngestSettings {
    /// `None`: every write is on the disk before it is answered.
    pub(crate) sync_every: Option<Duration>,
    /// Memory of what is in no file yet.
    pub(crate) overlay_bytes: u64,
}

impl Default for IngestSettings {
    fn default() -> Self {
        Self { sync_every: None, overlay_bytes: OVERLAY_BYTES }
    }
}

/// A million rows of 100 bytes, twice: half of it takes writes while the other half is flushed.
const OVERLAY_BYTES: u64 = 256 << 20;
