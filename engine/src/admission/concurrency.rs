//! How many requests of each kind are in progress on a core: of each API key, or for each feature service.

use std::sync::Arc;

use crate::metrics::Counter;

/// One counter per slot; who counts what under which slot is the caller's to know. Written by one core only.
#[derive(Debug, Clone, Default)]
pub struct Concurrency {
    slots: Arc<[Slot]>,
}

#[derive(Debug, Default)]
struct Slot {
    in_progress: Counter,
    /// 0: no limit.
    max: Counter,
}

/// A request in progress. Dropping it, on whatever way out, makes room for the next.
#[derive(Debug)]
#[must_use = "a request is in progress for as long as its permit is kept"]
pub struct Permit {
    slots: Arc<[Slot]>,
    slot: usize,
}

impl Concurrency {
    /// A slot for each of `limits`; `None` counts and never refuses. The limits are this core's: cores share nothing, so that a limit of
    /// the whole process is divided among them.
    pub fn new(limits: impl IntoIterator<Item = Option<u32>>) -> Self {
        let slot = |max: Option<u32>| {
            let slot = Slot::default();
            // Nothing in progress is ever allowed at 0, and a limit of 0 would refuse for ever without saying so.
            slot.max.set(max.map_or(0, |max| u64::from(max.max(1))));
            slot
        };
        Self { slots: limits.into_iter().map(slot).collect() }
    }

    /// Counts one more, unless that is more than may be. A slot that does not exist has no limit and is not counted.
    pub fn enter(&self, slot: usize) -> Option<Permit> {
        if let Some(Slot { in_progress, max }) = self.slots.get(slot) {
            if max.value() > 0 && in_progress.value() >= max.value() {
                return None;
            }
            in_progress.add(1);
        }
        Some(Permit { slots: Arc::clone(&self.slots), slot })
    }

    /// How many are in progress; any thread may ask.
    pub fn in_progress(&self, slot: usize) -> u64 {
        self.slots.get(slot).map_or(0, |slot| slot.in_progress.value())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(slot) = self.slots.get(self.slot) {
            slot.in_progress.set(slot.in_progress.value().saturating_sub(1));
        }
    }
}
