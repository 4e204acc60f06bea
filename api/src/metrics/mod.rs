//! What is counted, by whom, and how it is shown.
//!
//! Each core counts in cells of its own, padded so that no two cores share a cache line; whoever renders `/metrics` sums
//! them. Services and views are counted by place: names are registered when a catalog is compiled, and keep their places
//! for the life of the process, so that counters never go down when definitions change.

mod exposition;
mod ingest;
mod latency;
mod names;
mod observability;
mod rates;
mod storage;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gannet_engine::metrics::Counter;
use gannet_store::cache::CacheStats;

pub(crate) use exposition::{Standing, expose};
pub(crate) use latency::Recorder;
pub(crate) use names::NONE;
pub(crate) use observability::observe;

use self::{ingest::IngestMetrics, latency::Buckets, names::Names, rates::History};
use crate::{
    auth::Denied,
    limits::{SERVICE_SLOTS_MAX, VIEW_SLOTS_MAX},
    tecton::response::Outcome,
};

/// Names and counters of the whole process.
#[derive(Debug)]
pub struct Metrics {
    services: Mutex<Names>,
    views: Mutex<Names>,
    cores: Mutex<Vec<Arc<CoreMetrics>>>,
    history: Mutex<History>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            services: Mutex::new(Names::new(SERVICE_SLOTS_MAX)),
            views: Mutex::new(Names::new(VIEW_SLOTS_MAX)),
            cores: Mutex::default(),
            history: Mutex::default(),
        }
    }
}

impl Metrics {
    /// The place of a service's counters.
    pub(crate) fn service_slot(&self, workspace: &str, service: &str) -> usize {
        locked(&self.services).slot(workspace, service)
    }

    /// The place of a view's counters.
    pub(crate) fn view_slot(&self, workspace: &str, view: &str) -> usize {
        locked(&self.views).slot(workspace, view)
    }

    /// The counters of one more core.
    pub(crate) fn core(&self) -> Arc<CoreMetrics> {
        let core = Arc::new(CoreMetrics::new());
        locked(&self.cores).push(Arc::clone(&core));
        core
    }
}

/// What is guarded is names and pointers, whole after every statement; a panic elsewhere does not spoil them.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Eight counters that fill a cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Line([Counter; 8]);

/// A service's answers by status code: two cache lines, of which an ordinary one touches the first.
#[derive(Debug, Default)]
#[repr(align(64))]
struct ServiceLines([Counter; 16]);

/// A service's answers by duration, likewise. Counted one by one: a recorder for each service would be 15 KiB.
#[derive(Debug, Default)]
#[repr(align(64))]
struct ServiceDurations(Buckets);

/// The status codes that this crate answers; one place each in a service's lines.
const CODES: [u16; 11] = [200, 400, 401, 403, 404, 405, 415, 429, 500, 503, 504];

/// What became of a view's key; one place each in a view's line.
const OUTCOMES: [&str; 4] = ["present", "missing", "expired", "timed_out"];

/// Behind them in a view's line: rows that were written, and keys that were deleted.
const INGESTED: usize = OUTCOMES.len();
const DELETED: usize = INGESTED + 1;

/// What is told of the row cache: metric, kind and help.
const CACHE_FIGURES: [(&str, &str, &str); 6] = [
    (
        "gannet_row_cache_hits_total",
        "counter",
        "Rows that are not in memory otherwise and were found in the row cache.",
    ),
    ("gannet_row_cache_misses_total", "counter", "Rows that were looked for in the row cache and had to be read."),
    ("gannet_row_cache_evicted_total", "counter", "Rows that left the row cache for others."),
    ("gannet_row_cache_rows", "gauge", "Rows in the row caches."),
    ("gannet_row_cache_used_bytes", "gauge", "Bytes of the row caches in use."),
    ("gannet_row_cache_bytes", "gauge", "Bytes of the row caches."),
];

/// Why a request was not let in.
const DENIALS: [&str; 5] = ["missing", "undecodable", "unknown", "expired", "revoked"];

/// One core's counters. Only that core adds to them.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct CoreMetrics {
    services: Box<[ServiceLines]>,
    durations: Box<[ServiceDurations]>,
    views: Box<[Line]>,
    denied: [Counter; DENIALS.len()],
    context_keys: Counter,
    decode_errors: Counter,
    corrupt: Counter,
    sum_overflows: Counter,
    pub(crate) latency: Buckets,
    pub(crate) read_latency: Buckets,
    pub(crate) ingest: IngestMetrics,
    /// As [`CACHE_FIGURES`] names them.
    cache: [Counter; CACHE_FIGURES.len()],
}

impl CoreMetrics {
    fn new() -> Self {
        Self {
            services: (0..SERVICE_SLOTS_MAX).map(|_| ServiceLines::default()).collect(),
            durations: (0..SERVICE_SLOTS_MAX).map(|_| ServiceDurations::default()).collect(),
            views: (0..VIEW_SLOTS_MAX).map(|_| Line::default()).collect(),
            denied: Default::default(),
            context_keys: Counter::default(),
            decode_errors: Counter::default(),
            corrupt: Counter::default(),
            sum_overflows: Counter::default(),
            latency: Buckets::default(),
            read_latency: Buckets::default(),
            ingest: IngestMetrics::default(),
            cache: Default::default(),
        }
    }

    /// One answered request.
    pub(crate) fn answered(&self, service_slot: usize, status: u16) {
        let code = CODES.iter().position(|code| *code == status);
        debug_assert!(code.is_some(), "a status without a place: {status}");
        if let (Some(line), Some(code)) = (self.services.get(service_slot), code) {
            line.0[code].add(1);
        }
    }

    /// How long an answered request took.
    pub(crate) fn took(&self, service_slot: usize, nanoseconds: u64) {
        if let Some(ServiceDurations(buckets)) = self.durations.get(service_slot) {
            buckets.count(nanoseconds);
        }
    }

    /// One view's key of one request.
    pub(crate) fn looked_up(&self, view_slot: usize, outcome: Outcome) {
        let Some(line) = self.views.get(view_slot) else { return };
        let place = match outcome {
            Outcome::Present { .. } => 0,
            Outcome::Missing => 1,
            Outcome::Expired => 2,
            Outcome::TimedOut => 3,
        };
        line.0[place].add(1);
    }

    /// Rows, or tombstones, of a view that were written.
    pub(crate) fn wrote(&self, view_slot: usize, rows: u32, deletes: bool) {
        if let Some(line) = self.views.get(view_slot) {
            line.0[if deletes { DELETED } else { INGESTED }].add(rows.into());
        }
    }

    /// How the row cache stands.
    pub(crate) fn cache(&self, stats: &CacheStats) {
        let figures = [stats.hits, stats.misses, stats.evicted, stats.rows, stats.bytes_used, stats.bytes_total];
        for (counter, figure) in self.cache.iter().zip(figures) {
            counter.set(figure);
        }
    }

    pub(crate) fn denied(&self, why: Denied) {
        let place = match why {
            Denied::Missing => 0,
            Denied::Undecodable => 1,
            Denied::Unknown => 2,
            Denied::Expired => 3,
            Denied::Revoked => 4,
        };
        self.denied[place].add(1);
    }

    pub(crate) fn context_keys_ignored(&self, count: u32) {
        self.context_keys.add(count.into());
    }

    pub(crate) fn undecodable(&self) {
        self.decode_errors.add(1);
    }

    /// So many sums of an answer are null because 64 bits do not hold them.
    pub(crate) fn sums_overflowed(&self, sums: u64) {
        if sums > 0 {
            self.sum_overflows.add(sums);
        }
    }

    pub(crate) fn met_corrupt(&self) {
        self.corrupt.add(1);
    }
}
