//! What the plane says of itself: its state, and what it has counted.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::{Failure, PlaneRecovered};
use crate::log::Sequence;

/// Whether writes are taken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum PlaneState {
    #[default]
    Ready,
    /// Writes are refused: there is no space for the log, or none for what is to be flushed and so no memory for more. Ends by itself when
    /// there is.
    DiskFull { reason: String },
    /// The log cannot go on for another reason. Ends by itself, too.
    Unavailable { reason: String },
    /// The log failed: no writes until the process is started again. Reads go on.
    Poisoned { reason: String },
}

/// State and counters at one moment. Counters count from the start of the process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlaneStatus {
    pub state: PlaneState,
    /// Why the last flush or compaction failed, if the one after it did not go through yet.
    pub work_failed: Option<String>,
    /// Tables with files that a flush or compaction could not read, and why.
    pub damaged: BTreeMap<String, String>,
    /// Writes done, those that were taken before among them.
    pub writes: u64,
    /// Writes whose token was not later than what was taken.
    pub writes_known: u64,
    pub rows: u64,
    /// Of their payloads.
    pub bytes: u64,
    pub failures_full: u64,
    pub failures_disk_full: u64,
    pub failures_poisoned: u64,
    pub failures_malformed: u64,
    pub failures_unavailable: u64,
    pub commits: u64,
    /// Of writing and syncing.
    pub commit_us_sum: u64,
    pub commit_us_max: u64,
    /// Commits that took no longer than each of [`COMMIT_BUCKETS_US`], cumulative.
    pub commit_buckets: [u64; COMMIT_BUCKETS_US.len()],
    pub queue_length: u64,
    pub overlay_bytes: u64,
    pub overlay_budget_bytes: u64,
    pub overlay_rows: u64,
    pub flushes: u64,
    pub flush_us_sum: u64,
    pub compactions: u64,
    pub compaction_us_sum: u64,
    pub work_failures: u64,
    pub log_bytes: u64,
    /// The last record that is durable, and the last one that a generation holds.
    pub log_committed: u64,
    pub log_covered: u64,
    pub recovered_records: u64,
}

/// Upper bounds, in microseconds.
pub const COMMIT_BUCKETS_US: [u64; 10] = [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 51_200, 204_800];

/// What the plane's thread counts, for others to read.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) writes: AtomicU64,
    pub(super) writes_known: AtomicU64,
    pub(super) rows: AtomicU64,
    pub(super) bytes: AtomicU64,
    failures: [AtomicU64; 5],
    commits: AtomicU64,
    commit_us_sum: AtomicU64,
    commit_us_max: AtomicU64,
    commit_buckets: [AtomicU64; COMMIT_BUCKETS_US.len()],
    pub(super) overlay_bytes: AtomicU64,
    pub(super) overlay_rows: AtomicU64,
    pub(super) flushes: AtomicU64,
    pub(super) flush_us_sum: AtomicU64,
    pub(super) compactions: AtomicU64,
    pub(super) compaction_us_sum: AtomicU64,
    pub(super) work_failures: AtomicU64,
    pub(super) log_bytes: AtomicU64,
    pub(super) log_committed: AtomicU64,
    pub(super) log_covered: AtomicU64,
    pub(super) recovered_records: AtomicU64,
    states: Mutex<States>,
}

/// Each has its own reason to end.
#[derive(Debug, Default, Clone)]
struct States {
    poisoned: Option<String>,
    log_refuses: Option<PlaneState>,
    work_full: Option<String>,
    work_failed: Option<String>,
    damaged: BTreeMap<String, String>,
    /// Writes were refused since a part was last begun, because it is full.
    is_memory_full: bool,
}

impl Counters {
    pub(super) fn add(counter: &AtomicU64, more: u64) {
        counter.fetch_add(more, Relaxed);
    }

    pub(super) fn failed(&self, failure: Failure) {
        Self::add(&self.failures[failure as usize], 1);
    }

    pub(super) fn committed(&self, took_us: u64) {
        Self::add(&self.commits, 1);
        Self::add(&self.commit_us_sum, took_us);
        self.commit_us_max.fetch_max(took_us, Relaxed);
        for (bound, bucket) in
            COMMIT_BUCKETS_US.iter().zip(&self.commit_buckets).filter(|(bound, _)| took_us <= **bound)
        {
            debug_assert!(took_us <= *bound);
            Self::add(bucket, 1);
        }
    }

    pub(super) fn recovered(&self, recovered: &PlaneRecovered, covered: Sequence) {
        self.recovered_records.store(recovered.records, Relaxed);
        self.log_covered.store(covered.0, Relaxed);
    }

    pub(super) fn poisoned(&self, reason: String) {
        self.with(|states| states.poisoned = states.poisoned.take().or(Some(reason)));
    }

    /// The log cannot go on for now.
    pub(super) fn log_refuses(&self, state: PlaneState) {
        self.with(|states| states.log_refuses = Some(state));
    }

    /// The log goes on, or may.
    pub(super) fn log_goes_on(&self) {
        self.with(|states| states.log_refuses = None);
    }

    /// A write found no memory, or there is all that there may be.
    pub(super) fn set_memory_full(&self, is_full: bool) {
        self.with(|states| states.is_memory_full = is_full);
    }

    pub(super) fn set_work_failed(&self, reason: Option<String>, is_full: bool) {
        self.with(|states| {
            states.work_full = reason.clone().filter(|_| is_full);
            states.work_failed = reason;
        });
    }

    /// Why files of this table cannot be read; `None`: they can.
    pub(super) fn set_damaged(&self, table: &str, reason: Option<String>) {
        self.with(|states| match reason {
            Some(reason) => drop(states.damaged.insert(table.to_owned(), reason)),
            None => drop(states.damaged.remove(table)),
        });
    }

    pub(super) fn retain_damaged(&self, is_damaged: impl Fn(&str) -> bool) {
        self.with(|states| states.damaged.retain(|table, _| is_damaged(table)));
    }

    pub(super) fn status(&self, queue_length: usize, overlay_budget_bytes: usize) -> PlaneStatus {
        let of = |counter: &AtomicU64| counter.load(Relaxed);
        let states = self.with(|states| states.clone());
        // What cannot be flushed keeps nobody from writing as long as there is memory.
        let full = states.work_full.filter(|_| states.is_memory_full);
        let state = match (states.poisoned, states.log_refuses, full) {
            (Some(reason), ..) => PlaneState::Poisoned { reason },
            (None, Some(state), _) => state,
            (None, None, Some(reason)) => PlaneState::DiskFull { reason },
            (None, None, None) => PlaneState::Ready,
        };
        let failures = |failure: Failure| of(&self.failures[failure as usize]);
        PlaneStatus {
            state,
            work_failed: states.work_failed,
            damaged: states.damaged,
            writes: of(&self.writes),
            writes_known: of(&self.writes_known),
            rows: of(&self.rows),
            bytes: of(&self.bytes),
            failures_full: failures(Failure::Full),
            failures_disk_full: failures(Failure::DiskFull),
            failures_poisoned: failures(Failure::Poisoned),
            failures_malformed: failures(Failure::Malformed),
            failures_unavailable: failures(Failure::Unavailable),
            commits: of(&self.commits),
            commit_us_sum: of(&self.commit_us_sum),
            commit_us_max: of(&self.commit_us_max),
            commit_buckets: std::array::from_fn(|at| of(&self.commit_buckets[at])),
            queue_length: queue_length as u64,
            overlay_bytes: of(&self.overlay_bytes),
            overlay_budget_bytes: overlay_budget_bytes as u64,
            overlay_rows: of(&self.overlay_rows),
            flushes: of(&self.flushes),
            flush_us_sum: of(&self.flush_us_sum),
            compactions: of(&self.compactions),
            compaction_us_sum: of(&self.compaction_us_sum),
            work_failures: of(&self.work_failures),
            log_bytes: of(&self.log_bytes),
            log_committed: of(&self.log_committed),
            log_covered: of(&self.log_covered),
            recovered_records: of(&self.recovered_records),
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut States) -> T) -> T {
        change(&mut self.states.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
