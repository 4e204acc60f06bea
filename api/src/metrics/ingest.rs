//! What is counted of writes.

use gannet_engine::metrics::Counter;

use super::{CODES, latency::Buckets};
use crate::ingest::Reason;

/// One core's counters of requests that write.
#[derive(Debug, Default)]
pub(crate) struct IngestMetrics {
    pub(super) codes: [Counter; CODES.len()],
    pub(super) latency: Buckets,
    pub(super) records: Counter,
    pub(super) rejected: [Counter; Reason::LABELS.len()],
}

impl IngestMetrics {
    /// A request was answered, that took so long.
    pub(crate) fn answered(&self, status: u16, nanoseconds: u64) {
        self.shed(status);
        self.latency.count(nanoseconds);
    }

    /// One was answered before it was looked at.
    pub(crate) fn shed(&self, status: u16) {
        let code = CODES.iter().position(|code| *code == status);
        debug_assert!(code.is_some(), "a status without a place: {status}");
        if let Some(code) = code {
            self.codes[code].add(1);
        }
    }

    /// Records that are durable, whatever their number of views.
    pub(crate) fn took(&self, records: u32) {
        self.records.add(records.into());
    }

    /// Records that were not taken, by reason.
    pub(crate) fn rejected(&self, counts: &[u32; Reason::LABELS.len()]) {
        for (counter, count) in self.rejected.iter().zip(counts) {
            counter.add((*count).into());
        }
    }
}
