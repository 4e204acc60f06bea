//! How things went over time: rows of 100 ms. A row is about the requests that were planned within it, whenever they were
//! answered: what callers of that moment met.

use hdrhistogram::Histogram;

use super::Counts;
use crate::clock::{NS_PER_MS, NS_PER_S, NS_PER_US};

#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) counts: Counts,
    /// Of 200s, from the planned time. Coarser than the run's own, since there is one for every row.
    pub(crate) response_ns: Histogram<u32>,
}

impl Row {
    pub(super) fn new() -> Self {
        #[expect(clippy::expect_used, reason = "bounds that are written here")]
        let response_ns = Histogram::new_with_bounds(NS_PER_US, 600 * NS_PER_S, 2).expect("bounds of a histogram");
        Self { counts: Counts::default(), response_ns }
    }

    /// What several rows in a row come to.
    pub(crate) fn sum(rows: &[Self]) -> Self {
        let mut sum = Self::new();
        for row in rows {
            sum.counts.add(&row.counts);
            let _ = sum.response_ns.add(&row.response_ns); // the bounds are the same
        }
        sum
    }
}

pub(crate) const ROW_NS: u64 = 100 * NS_PER_MS;

/// Ten minutes; about 12 KiB a row and stream. A longer run goes on counting without rows.
pub(crate) const ROWS_MAX: usize = 6_000;
