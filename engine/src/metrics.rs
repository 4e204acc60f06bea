//! Counters that one core writes and any thread may read.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number with one writer: adding is a load and a store, no locked instruction.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Only the core that owns this counter may call it.
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// Only the core that owns this counter may call it.
    pub fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }

    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// How a metric's value moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
}

/// One metric of one shard, as it is to be exposed (a label `core` is added by whoever exposes it).
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub name: &'static str,
    pub help: &'static str,
    pub kind: Kind,
    /// A further label and its value.
    pub label: Option<(&'static str, &'static str)>,
    pub value: f64,
}
