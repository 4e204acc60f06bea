//! How many requests of one kind are in progress on a core: of an API key, or for a feature service.

use std::{num::NonZeroU32, sync::Arc};

use crate::metrics::Counter;

/// Counts the requests of one kind; what a kind is, is the caller's to know. Clones count together. Written by one core only.
#[derive(Debug, Clone, Default)]
pub struct InProgress(Arc<Counter>);

/// A request in progress. Dropping it, on whatever way out, makes room for the next.
#[derive(Debug)]
#[must_use = "a request is in progress for as long as its permit is kept"]
pub struct Permit(Arc<Counter>);

impl InProgress {
    /// Counts one more, unless as many as may be are in progress. `max` is this core's share: see [`share_of`].
    pub fn enter(&self, max: NonZeroU32) -> Option<Permit> {
        if self.0.value() >= u64::from(max.get()) {
            return None;
        }
        self.0.add(1);
        Some(Permit(Arc::clone(&self.0)))
    }

    /// How many are in progress; any thread may ask.
    pub fn count(&self) -> u64 {
        self.0.value()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.set(self.0.value().saturating_sub(1));
    }
}

/// One core's part of a limit of the whole process. Cores share nothing, so each has the same part, rounded up: a limit below the
/// number of cores lets one request in on each.
pub fn share_of(max: NonZeroU32, cores: usize) -> NonZeroU32 {
    let cores = u32::try_from(cores).unwrap_or(u32::MAX).max(1);
    NonZeroU32::new(max.get().div_ceil(cores)).unwrap_or(max)
}
